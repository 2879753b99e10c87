"""Recordings: read, hashed, checked, split, cut into windows, augmented. Everything here streams from disk."""
