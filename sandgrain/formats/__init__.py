"""Readers of foreign formats: hostile bytes in, a checked graph out."""
