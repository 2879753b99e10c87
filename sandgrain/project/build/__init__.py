"""From data to a verified firmware: every stage is kept by the hash of what it was made from."""
