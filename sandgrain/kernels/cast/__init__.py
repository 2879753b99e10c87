"""Kernels that turn floats into int8 and back."""
