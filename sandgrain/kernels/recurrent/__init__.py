"""Kernels of recurrent layers over whole sequences."""
