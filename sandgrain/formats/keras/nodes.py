"""The calls of layers in a functional model's configuration: who reads what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sandgrain.base.errors import ModelError, UnsupportedError
from sandgrain.formats.aten.builder import Value
from sandgrain.formats.keras.config import MOST, Config

History = tuple[str, int, int]  # a layer's name, which of its calls, which of the outputs
OPERATION_MODULES = ("keras.src.ops.", "keras.ops", "keras.src.activations.")
MAX_NODES = 1 << 12
MAX_NESTED = 12  # lists in lists among a call's arguments


@dataclass(frozen=True, slots=True)
class Missing:
    """What could not be computed; `shape`: what the configuration says of it."""

    shape: Any


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """Call `index` of the layer `name`. `args`, `kwargs`: as the configuration has them. `reads`: whose values it takes."""

    name: str
    index: int
    kind: str
    entry: Mapping[str, Any]
    args: Any
    kwargs: Any
    reads: tuple[History, ...]

    @property
    def is_operation(self) -> bool:
        return is_operation(self.entry)


KERAS_2 = (
    "layer calls are lists, as Keras 2 writes them; build the same model in Keras 3, load the weights into it (load_weights) and save"
    " that as .keras"
)


def is_operation(entry: Mapping[str, Any]) -> bool:
    """Whether a class comes from keras.ops or keras.activations: what `x + y` is in a functional model."""
    return str(entry.get("module")).startswith(OPERATION_MODULES)


def nodes_of(config: Config) -> list[Node]:
    """Every call of every layer, in the configuration's order. A layer without calls, such as an input, has one that reads nothing."""
    found: list[Node] = []
    layers = config.values.get("layers")
    names: set[str] = set()
    for raw in layers if isinstance(layers, list | tuple) else []:
        entry = Config(raw).values
        name, kind = entry.get("name"), entry.get("class_name")
        calls = entry.get("inbound_nodes") or [{}]
        if not isinstance(name, str) or not isinstance(kind, str) or not isinstance(calls, list | tuple) or name in names:
            raise ModelError("a layer without a name of its own; save the model again")
        names.add(name)
        for index, call in enumerate(calls):
            if isinstance(call, list | tuple):
                raise UnsupportedError(KERAS_2)
            call = Config(call).values
            args, kwargs = call.get("args") or [], call.get("kwargs") or {}
            if not isinstance(args, list | tuple) or not isinstance(kwargs, dict):
                raise ModelError("a layer called with something else than arguments; save the model again")
            reads: list[History] = []
            _collect([args, kwargs], reads, 0)
            found.append(Node(name, index, kind, entry, args, kwargs, tuple(reads)))
            if len(found) > MAX_NODES:
                raise ModelError("too many layers; use a smaller model")
    return found


def _collect(value: Any, reads: list[History], depth: int) -> None:
    """Add every tensor's history within `value`."""
    if depth > MAX_NESTED or len(reads) > MAX_NODES:
        raise ModelError("a layer with too many arguments; use a smaller model")
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        reads.append(_history(Config(value.get("config")).values.get("keras_history")))
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            _collect(inner, reads, depth + 1)


def _history(value: Any) -> History:
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise ModelError("a value without a source; save the model again")
    name, node, tensor = value
    if not isinstance(name, str) or not isinstance(node, int) or not isinstance(tensor, int):
        raise ModelError("a value without a source; save the model again")
    return name, node, tensor


def histories(value: Any) -> list[History]:
    """A model's inputs or outputs: one, a list of them, or named ones."""
    if isinstance(value, dict):
        return [h for v in value.values() for h in histories(v)]
    if isinstance(value, list | tuple) and value and not isinstance(value[0], str):
        if len(value) > MAX_NODES:
            raise ModelError("too many inputs or outputs; use a smaller model")
        return [h for v in value for h in histories(v)]
    return [_history(value)]


def resolved(value: Any, known: Mapping[History, Any], stand_in: Callable[[tuple[int, ...]], Value]) -> Any:
    """Arguments as a layer takes them: tensors, slices, arrays and numbers in place of their descriptions."""
    if isinstance(value, Missing):
        shape = value.shape
        fits = isinstance(shape, list | tuple) and all(isinstance(n, int) and 0 < n <= MOST for n in shape[1:])
        return stand_in((1, *shape[1:])) if fits and shape else value
    if isinstance(value, list | tuple):
        return [resolved(v, known, stand_in) for v in value]
    if not isinstance(value, dict):
        return value
    kind, inner = value.get("class_name"), value.get("config")
    if kind == "__keras_tensor__":
        config = Config(inner).values
        found = known.get(_history(config.get("keras_history")))
        return found if isinstance(found, Value) else resolved(Missing(config.get("shape")), known, stand_in)
    if kind == "__slice__":
        parts = [Config(inner).values.get(n) for n in ("start", "stop", "step")]
        if not all(p is None or (isinstance(p, int) and abs(p) <= MOST) for p in parts) or parts[2] == 0:
            raise ModelError("a slice by other than whole numbers; save the model again")
        return slice(*parts)
    if kind == "__ellipsis__":
        return Ellipsis
    if kind == "__tuple__":
        items = value.get("items")
        return [resolved(v, known, stand_in) for v in items] if isinstance(items, list) else []
    if kind in ("__tensor__", "__numpy__"):
        try:
            return np.asarray(Config(inner).values.get("value"), np.float64)
        except (TypeError, ValueError):
            raise ModelError("a constant that is no array of numbers; save the model again") from None
    return {k: resolved(v, known, stand_in) for k, v in value.items()}
