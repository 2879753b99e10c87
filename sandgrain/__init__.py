"""Sandgrain: machine learning on microcontrollers, compiled to C and proven on an emulated core."""

from __future__ import annotations

from sandgrain.api.compile import Result, compile, inspect, profile, verify
from sandgrain.api.inspect import Survey
from sandgrain.base.errors import (
    BudgetError,
    MismatchError,
    ModelError,
    RunError,
    SandgrainError,
    ToolchainError,
    UnsupportedError,
    UsageError,
)
from sandgrain.base.version import __version__
from sandgrain.bundle.report import LayerReport, Report
from sandgrain.bundle.verify import Difference, Verdict

__all__ = [
    "BudgetError",
    "Difference",
    "LayerReport",
    "MismatchError",
    "ModelError",
    "Report",
    "Result",
    "RunError",
    "SandgrainError",
    "Survey",
    "ToolchainError",
    "UnsupportedError",
    "UsageError",
    "Verdict",
    "__version__",
    "compile",
    "inspect",
    "profile",
    "verify",
]
