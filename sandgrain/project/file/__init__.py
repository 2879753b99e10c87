"""`sandgrain.toml`: what may stand in it, how it is read, and how a first one is written."""
