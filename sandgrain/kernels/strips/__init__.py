"""Several layers run a few rows at a time, by the kernels of the layers."""
