"""Shared by all tests: where the project lies, and how often hypothesis tries."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[1]

# The same cases on every run, and no deadline: an emulated core on a busy machine is slow now and then.
settings.register_profile("repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repeatable")


def pytest_report_header() -> list[str]:
    """The knobs that change what a run covers."""
    knobs = {name: value for name, value in os.environ.items() if name.startswith("SANDGRAIN_")}
    return [f"sandgrain: {knobs or 'default coverage'}"]


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def digits_model() -> Path:
    """The demo's model file."""
    return ROOT / "sandgrain" / "demo" / "digits.tflite"


@pytest.fixture(scope="session")
def digits_data() -> Path:
    """The demo's held-out images: x int8 [360, 8, 8, 1], y uint8 [360], labels."""
    return ROOT / "sandgrain" / "demo" / "digits.npz"
