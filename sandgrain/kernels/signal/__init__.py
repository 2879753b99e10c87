"""Kernels of features: signals and pictures before the network."""
