"""The conversions of Keras's layers and of its operations: every table of this package's modules is found here, by looking."""

from __future__ import annotations

import importlib
import pkgutil

from sandgrain.formats.keras.layers.base import Handler, Layer

HANDLERS: dict[str, Handler] = {}  # class of layer -> its conversion
OPERATIONS: dict[str, Handler] = {}  # class of keras.ops -> its conversion
HINTS: dict[str, str] = {}  # class of either that cannot be converted -> the way out
for _info in pkgutil.iter_modules(__path__):
    _module = importlib.import_module(f"{__name__}.{_info.name}")
    for _name, _table in (("HANDLERS", HANDLERS), ("OPERATIONS", OPERATIONS), ("HINTS", HINTS)):
        _table.update(getattr(_module, _name, {}))

__all__ = ["HANDLERS", "HINTS", "OPERATIONS", "Handler", "Layer"]
