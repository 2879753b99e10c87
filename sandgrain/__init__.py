"""Sandgrain: machine learning on microcontrollers, compiled to C and proven on an emulated core."""

from __future__ import annotations

from sandgrain.api.compile import Result, compile, inspect, profile, verify
from sandgrain.api.inspect import Survey
from sandgrain.api.ops import Explanation, Operator, explain_kernels, operators
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
    "Explanation",
    "LayerReport",
    "MismatchError",
    "ModelError",
    "Operator",
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
    "explain_kernels",
    "inspect",
    "operators",
    "profile",
    "verify",
]
