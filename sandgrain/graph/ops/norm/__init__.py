"""Normalization over an axis."""
