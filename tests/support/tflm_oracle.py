"""TensorFlow Lite Micro for the tests: one child process for a whole test run."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sandgrain.base.arrays import Array
from sandgrain.device.run.tflm import OracleError, TflmOracle, available

__all__ = ["OracleError", "needs_tflm", "skip_without_tflm", "tflm_run"]

_oracle = TflmOracle()
_WHY = "the tflite-micro wheel is not installed (pip install tflite-micro)"

needs_tflm = pytest.mark.skipif(not available(), reason=_WHY)


def skip_without_tflm() -> None:
    """Skip the running test, saying why, where the oracle is not installed."""
    if not available():
        pytest.skip(_WHY)


def tflm_run(model: bytes, inputs: Sequence[Sequence[Array]]) -> list[list[Array]]:
    """Run .tflite `model` on each sample (one array an input): per sample, one array an output. Raises OracleError."""
    return _oracle.run(model, inputs)
