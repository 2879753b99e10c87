"""Kernels that reduce windows or whole axes: pools, means, sums, maxima."""
