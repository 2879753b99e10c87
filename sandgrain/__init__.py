"""Sandgrain: machine learning on microcontrollers, compiled to C and proven on an emulated core."""

from __future__ import annotations

__version__ = "0.1.0"

from sandgrain.api import Result, compile, inspect, profile, verify
from sandgrain.errors import (
    BudgetError,
    MismatchError,
    ModelError,
    RunError,
    SandgrainError,
    ToolchainError,
    UnsupportedError,
    UsageError,
)
from sandgrain.operators import Explanation, Operator, explain_kernels, operators
from sandgrain.report import LayerReport, Report
from sandgrain.survey import Survey
from sandgrain.verify import Difference, Verdict

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
