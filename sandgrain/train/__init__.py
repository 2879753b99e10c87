"""Training in PyTorch: models, the loop, quantization-aware training, detectors of anomalies."""

import os

# Before torch is loaded: threads that wait for each other by spinning slow everything else on a busy machine, and themselves.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
