"""Layers with a state that goes from step to step."""
