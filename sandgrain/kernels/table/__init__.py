"""Kernels of ops that map each int8 to an int8."""
