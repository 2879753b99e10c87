"""Kernels of matrix products: fully connected layers and batches of products."""
