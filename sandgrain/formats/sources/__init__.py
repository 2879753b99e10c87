"""Where models come from: one file a source, found by looking.

Each has `TITLE`; `SUFFIXES` of the files that it reads; `owns(model)`, whether a live object is one of its own (asked without
importing the framework); and `load(model, name, example_input)`, which gives a graph of floats or of int8, legal by
`rules.check`, or one of floats with the scales that the model brings (`graph/scales.py`). What a framework needs is imported by `load` alone. One that also has `begins(head)`, for the
first bytes of a file, keeps its files as they are: a bundle's proof holds their bytes. One may say `of_floats(model)`, whether a live model
computes with floats, where that is known without converting it. One may have `REFUSED` as well: suffixes of
files that it does not read -> why, and the way out; or `refusal(path)`, which says so of a file that it has looked into.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from sandgrain.base.errors import ModelError, UnsupportedError, UsageError, printable
from sandgrain.formats.sources.base import contents
from sandgrain.graph import rules
from sandgrain.graph.dtypes import FLOAT32, INT32
from sandgrain.graph.ir import Graph, Node, Tensor
from sandgrain.graph.ops import OPS

HEAD = 16  # bytes that tell a file's kind
MAX_KEPT = 1 << 30  # bytes of a file that `load` has read already


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
SUFFIXES = tuple(suffix for source in SOURCES for suffix in source.SUFFIXES)


def load(model: Any, name: str, example_input: Any = None) -> Graph:
    """The graph of a model file or a live model. `example_input`: for models whose shapes are known only when they run.

    Raises ModelError or UnsupportedError for what cannot be read or converted, UsageError for a missing framework or input.
    """
    if isinstance(model, Graph):
        rules.check(model, "float" if is_float(model) else "imported")
        return model
    if isinstance(model, str | os.PathLike):
        return source_of(Path(model)).load(Path(model), name, example_input)
    found = next((s for s in SOURCES if s.owns(model)), None)
    if found is None:
        if isinstance(model, Mapping) and model and all(hasattr(v, "detach") for v in model.values()):
            raise UsageError("this is a state dict: weights without their network; load it into its module and give the module")
        kind = printable(f"{type(model).__module__}.{type(model).__qualname__}")
        raise UsageError(f"a {kind} is no model; give {_known()}, or a live model of these frameworks")
    return found.load(model, name, example_input)


def source_of(path: Path) -> Source:
    """Who reads a file, by its first bytes where they tell, or else by its suffix. Raises UsageError, and ModelError if nobody."""
    shown = printable(str(path), 200)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError(f"{shown}: is not a file; name a model's file")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the name is not valid"
        raise UsageError(f"{shown}: {reason}; name a model's file that can be read") from None
    found = _beginning(path) or next((s for s in SOURCES if path.suffix.lower() in s.SUFFIXES), None)
    if found is None:
        for source in SOURCES:
            if why := getattr(source, "refusal", lambda _: None)(path):
                raise UnsupportedError(f"{shown} {why}")
            if why := getattr(source, "REFUSED", {}).get(path.suffix.lower()):
                raise UnsupportedError(f"{shown}: {why}")
        raise ModelError(f"{shown} is none of the known models; give {_known()}")
    return found


def kept(model: Any) -> bytes | None:
    """The bytes of a file that is kept as it is; None for other models."""
    if not isinstance(model, str | os.PathLike) or not hasattr(source_of(Path(model)), "begins"):
        return None
    return contents(Path(model), MAX_KEPT)


def _beginning(path: Path) -> Source | None:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return None
    return next((s for s in SOURCES if hasattr(s, "begins") and s.begins(head)), None)


def own_shape(shape: Sequence[int], channels_first: bool) -> tuple[int, ...]:
    """A graph's shape as the model's framework has it."""
    return (shape[0], shape[-1], *shape[1:-1]) if channels_first and len(shape) > 2 else tuple(shape)


def is_float(graph: Graph) -> bool:
    """Whether a graph has to be quantized before it can be compiled: it computes floats, and nothing else but indices.

    A graph that only moves floats (a reshape, a transpose) computes nothing and can be compiled as it is.
    """
    computed = [t for n in graph.nodes for t in _computed(graph, n)]
    if any(t.quant is not None or t.dtype not in (FLOAT32, INT32) for t in computed):
        return False
    return any(t.dtype.is_float for n in graph.nodes if n.op in OPS and not OPS[n.op].moves for t in _computed(graph, n))


def computes_in_float(model: Any) -> bool:
    """Whether a live model is known to compute with floats before it is converted."""
    found = None if isinstance(model, str | os.PathLike | Graph) else next((s for s in SOURCES if s.owns(model)), None)
    return found is not None and getattr(found, "of_floats", lambda _: False)(model)


def _computed(graph: Graph, node: Node) -> list[Tensor]:
    """The tensors of a node that are not constants; indices that name no tensor are for the rules to refuse."""
    named = (graph.tensors[i] for i in (*node.inputs, *node.outputs) if 0 <= i < len(graph.tensors))
    return [t for t in named if t.data is None]


def _known() -> str:
    return ", ".join(f"{' or '.join(s.SUFFIXES)} ({s.TITLE})" for s in SOURCES)
