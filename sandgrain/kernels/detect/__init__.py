"""Kernels of detectors: distances from a model's components, and the score that they make."""
