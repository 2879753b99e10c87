"""Kernels of ops that combine two tensors element by element."""
