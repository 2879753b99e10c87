"""ONNX's operators in ATen's words: every table `TRANSLATORS` of this package's modules is found here, by looking."""

from __future__ import annotations

import importlib
import pkgutil

from sandgrain.formats.onnx.ops.base import Call, Marks, Translator

TRANSLATORS: dict[str, Translator] = {}
HINTS: dict[str, str] = {}
for _info in pkgutil.iter_modules(__path__):
    _module = importlib.import_module(f"{__name__}.{_info.name}")
    TRANSLATORS.update(getattr(_module, "TRANSLATORS", {}))
    HINTS.update(getattr(_module, "HINTS", {}))

__all__ = ["HINTS", "TRANSLATORS", "Call", "Marks", "Translator"]
