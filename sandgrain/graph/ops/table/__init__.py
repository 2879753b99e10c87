"""One output byte from one input byte: functions that are a table of 256 entries."""
