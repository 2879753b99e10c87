"""Kernels of convolutions: full, depthwise and transposed."""
