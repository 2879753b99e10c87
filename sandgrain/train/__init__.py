"""Training in PyTorch: models, the loop, quantization-aware training, detectors of anomalies."""
