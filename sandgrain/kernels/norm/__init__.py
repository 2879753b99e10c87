"""Kernels that normalize rows: softmax and layer normalization."""
