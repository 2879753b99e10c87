"""C with its proof and its figures: stored, measured, tuned, made to fit, verified."""
