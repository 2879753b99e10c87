"""The conversions of ATen operators: every table `HANDLERS` of this package's modules is found here, by looking."""

from __future__ import annotations

import importlib
import pkgutil

from sandgrain.formats.aten.ops.base import Arguments, Handler

HANDLERS: dict[str, Handler] = {}
HINTS: dict[str, str] = {}
for _info in pkgutil.iter_modules(__path__):
    _module = importlib.import_module(f"{__name__}.{_info.name}")
    HANDLERS.update(getattr(_module, "HANDLERS", {}))
    HINTS.update(getattr(_module, "HINTS", {}))

__all__ = ["HANDLERS", "HINTS", "Arguments", "Handler"]
