"""From one data type or scale to another."""
