"""Fixed-point functions stay close to the real ones; bit equality with TensorFlow Lite Micro is tested through softmax."""

from __future__ import annotations

import numpy as np
import pytest

from sandgrain.graph import fixedpoint


@pytest.mark.parametrize("bits", [2, 4, 5, 6])
def test_exp_of_negative_values_is_close_to_the_real_one(bits: int) -> None:
    raw = np.concatenate([-np.logspace(0, 31, 500, base=2).astype(np.int64)[:-1], [0]])
    real = np.exp(raw / 2.0 ** (31 - bits))
    assert np.abs(fixedpoint.exp_on_negative_values(raw, bits) / 2.0**31 - real).max() < 2e-6


def test_logistic_and_tanh_are_close_to_the_real_ones() -> None:
    x = np.linspace(-7.9, 7.9, 1001)
    raw = (x * 2.0**27).astype(np.int64)
    assert np.abs(fixedpoint.logistic(raw, 4) / 2.0**31 - 1 / (1 + np.exp(-x))).max() < 1e-6
    assert np.abs(fixedpoint.tanh(raw, 4) / 2.0**31 - np.tanh(x)).max() < 2e-6


def test_the_reciprocal_of_a_sum_times_the_sum_is_one() -> None:
    raw = np.random.default_rng(0).integers(1 << 19, 1 << 31, 1000)
    value, over_unit = fixedpoint.reciprocal(raw, 12)
    assert np.abs(value / 2.0 ** (31 + over_unit) * (raw / 2.0**19) - 1).max() < 1e-6
