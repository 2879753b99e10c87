"""Ops on raw signals: what stands between a sensor and a model. No model file holds them; `sandgrain.frontend` makes them."""
