"""Where models come from: one file a source, found by looking.

Each has `TITLE`; `SUFFIXES` of the files that it reads; `owns(model)`, whether a live object is one of its own (asked without
importing the framework); and `load(model, name, example_input)`, which gives a graph of floats, or of int8 where the model brings
its scales, legal by `spec.check`. What a framework needs is imported by `load` alone.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from pathlib import Path
from typing import Any, Protocol, cast

from sandgrain.errors import ModelError, UsageError, printable
from sandgrain.ir import Graph


class Source(Protocol):
    TITLE: str
    SUFFIXES: tuple[str, ...]

    def owns(self, model: object) -> bool: ...
    def load(self, model: Any, name: str, example_input: Any = None) -> Graph: ...


SOURCES: tuple[Source, ...] = tuple(
    cast(Source, importlib.import_module(f"{__name__}.{info.name}"))
    for info in pkgutil.iter_modules(__path__)
    if info.name != "base"
)


def load(model: Any, name: str, example_input: Any = None) -> Graph:
    """The graph of a model file or a live model. `example_input`: for models whose shapes are known only when they run.

    Raises ModelError or UnsupportedError for what cannot be read or converted, UsageError for a missing framework or input.
    """
    if isinstance(model, Graph):
        return model
    if isinstance(model, str | os.PathLike):
        return source_of(Path(model)).load(Path(model), name, example_input)
    found = next((s for s in SOURCES if s.owns(model)), None)
    if found is None:
        kind = printable(f"{type(model).__module__}.{type(model).__qualname__}")
        raise UsageError(f"a {kind} is no model; give {_known()}, or a live model of these frameworks")
    return found.load(model, name, example_input)


def source_of(path: Path) -> Source:
    """Who reads a file, by its suffix. Raises ModelError."""
    found = next((s for s in SOURCES if path.suffix.lower() in s.SUFFIXES), None)
    if found is None:
        raise ModelError(f"{printable(path.name)} is none of the known models; give {_known()}")
    return found


def is_float(graph: Graph) -> bool:
    """Whether a graph is still to be quantized."""
    return not any(t.dtype == "int8" for t in graph.tensors)


def _known() -> str:
    return ", ".join(f"a {suffix} file ({s.TITLE})" for s in SOURCES for suffix in s.SUFFIXES)
