"""The version, for whoever writes it down without loading anything else."""

__version__ = "0.1.0"
