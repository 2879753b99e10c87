"""Models and data that others made: looked for beside the project, or where SANDGRAIN_MODELS and SANDGRAIN_DATA say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import ROOT

MODELS = Path(os.environ.get("SANDGRAIN_MODELS", ROOT.parent / "shared" / "models"))
DATA = Path(os.environ.get("SANDGRAIN_DATA", ROOT.parent / "shared" / "data"))


def shared_model(name: str) -> bytes:
    """The bytes of a .tflite file, or skip the running test."""
    path = MODELS / f"{name}.tflite"
    if not path.is_file():
        pytest.skip(f"no {path.name} beside the project; name the folder that has it in SANDGRAIN_MODELS")
    return path.read_bytes()


def shared_data(name: str) -> Path:
    """The path of a data file, or skip the running test."""
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"no {name} beside the project; name the folder that has it in SANDGRAIN_DATA")
    return path
