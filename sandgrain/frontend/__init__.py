"""Features: blocks that turn raw samples into a model's input, defined once for training and for the board."""
