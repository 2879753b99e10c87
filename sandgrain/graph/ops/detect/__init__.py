"""Detectors of anomalies: int8 features in, one int32 score out, the larger the stranger. Ops that no model file holds.

A detector is a chain: a distance of every row of features from every component of a model (`weighted_distance` for
diagonal, `whitened_distance` for full covariances), then the least of them, added over the rows (`least`). An autoencoder
ends in `squared_error`. The models are fitted and turned into integers by `sandgrain/train/anomaly.py`.
"""
