"""Sandgrain: machine learning on microcontrollers, compiled to C and proven on an emulated core.

Every command of the command line is a function here, from `sandgrain.api`, and is imported when it is first used: importing
Sandgrain alone costs next to nothing.
"""

from __future__ import annotations

import importlib
import os

from sandgrain.base.errors import BudgetError as BudgetError
from sandgrain.base.errors import MismatchError as MismatchError
from sandgrain.base.errors import ModelError as ModelError
from sandgrain.base.errors import RunError as RunError
from sandgrain.base.errors import SandgrainError as SandgrainError
from sandgrain.base.errors import ToolchainError as ToolchainError
from sandgrain.base.errors import UnsupportedError as UnsupportedError
from sandgrain.base.errors import UsageError as UsageError
from sandgrain.base.version import __version__ as __version__

TYPE_CHECKING = False  # as in `typing`, whose import takes as long as all of this
if TYPE_CHECKING:  # the names below, for editors and type checkers; `make docs` writes these lines
    from sandgrain.api._quality import Comparison as Comparison
    from sandgrain.api._result import Result as Result
    from sandgrain.api._result import load as load
    from sandgrain.api.build import build as build
    from sandgrain.api.compare import CompareReport as CompareReport
    from sandgrain.api.compare import CompareRow as CompareRow
    from sandgrain.api.compare import compare as compare
    from sandgrain.api.compile import compile as compile
    from sandgrain.api.data import data as data
    from sandgrain.api.demo import Demo as Demo
    from sandgrain.api.demo import demo as demo
    from sandgrain.api.docs import Docs as Docs
    from sandgrain.api.docs import docs as docs
    from sandgrain.api.export import ExportReport as ExportReport
    from sandgrain.api.export import export as export
    from sandgrain.api.features import FeatureBlock as FeatureBlock
    from sandgrain.api.features import feature_blocks as feature_blocks
    from sandgrain.api.features import features as features
    from sandgrain.api.init import init as init
    from sandgrain.api.inspect import Survey as Survey
    from sandgrain.api.inspect import inspect as inspect
    from sandgrain.api.ops import Explanation as Explanation
    from sandgrain.api.ops import Operator as Operator
    from sandgrain.api.ops import explain_kernels as explain_kernels
    from sandgrain.api.ops import ops as ops
    from sandgrain.api.profile import profile as profile
    from sandgrain.api.quantize import QuantizeReport as QuantizeReport
    from sandgrain.api.quantize import quantize as quantize
    from sandgrain.api.score import score as score
    from sandgrain.api.targets import BoardInfo as BoardInfo
    from sandgrain.api.targets import Targets as Targets
    from sandgrain.api.targets import targets as targets
    from sandgrain.api.verify import verify as verify
    from sandgrain.base.progress import Progress as Progress
    from sandgrain.bundle.report import LayerReport as LayerReport
    from sandgrain.bundle.report import Report as Report
    from sandgrain.bundle.verdict import Difference as Difference
    from sandgrain.bundle.verdict import Verdict as Verdict
    from sandgrain.frontend.frontend import FrontEnd as FrontEnd
    from sandgrain.graph.decisions import Rule as Rule
    from sandgrain.project.build.result import Built as Built
    from sandgrain.project.file.look import Look as Look
    from sandgrain.project.file.questions import Question as Question
    from sandgrain.project.inspection import Inspection as Inspection

_ERRORS = (
    "BudgetError",
    "MismatchError",
    "ModelError",
    "RunError",
    "SandgrainError",
    "ToolchainError",
    "UnsupportedError",
    "UsageError",
)
# What the verbs take and return, and where it is.
_TYPES = {
    "BoardInfo": "api.targets",
    "CompareReport": "api.compare",
    "CompareRow": "api.compare",
    "Comparison": "api._quality",
    "Demo": "api.demo",
    "Docs": "api.docs",
    "Difference": "bundle.verdict",
    "Explanation": "api.ops",
    "ExportReport": "api.export",
    "FeatureBlock": "api.features",
    "FrontEnd": "frontend.frontend",
    "LayerReport": "bundle.report",
    "Operator": "api.ops",
    "Progress": "base.progress",
    "QuantizeReport": "api.quantize",
    "Report": "bundle.report",
    "Result": "api._result",
    "Rule": "graph.decisions",
    "Survey": "api.inspect",
    "Targets": "api.targets",
    "Verdict": "bundle.verdict",
    "explain_kernels": "api.ops",
    "feature_blocks": "api.features",
    "load": "api._result",
}
# These need what `pip install 'sandgrain[data]'` brings, so `from sandgrain import *` leaves them out.
_PROJECT_TYPES = {
    "Built": "project.build.result",
    "Inspection": "project.inspection",
    "Look": "project.file.look",
    "Question": "project.file.questions",
}
# api/compile.py offers the function `compile`, and so on: whoever adds a command adds a file, and no line here.
_VERBS = tuple(
    name[:-3]
    for name in sorted(os.listdir(f"{__path__[0]}/api"))  # noqa: PTH208 - the import of pathlib takes 20 ms
    if name.endswith(".py") and name[0] != "_"
)

__all__ = sorted(["__version__", *_ERRORS, *_TYPES, *_VERBS])


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """A public name, imported when it is first asked for (PEP 562)."""
        place = f"api.{name}" if name in _VERBS else {**_TYPES, **_PROJECT_TYPES}.get(name)
        if place is None:
            raise AttributeError(f"module 'sandgrain' has no attribute {name!r}")
        value = getattr(importlib.import_module(f"sandgrain.{place}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """Verbs, what they return, and errors: what a TAB offers."""
    return sorted({*__all__, *_PROJECT_TYPES})
