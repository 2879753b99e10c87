"""Kernels that move elements, or mix neighbours when they resize."""
