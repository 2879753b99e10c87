"""The walk over a model's configuration: every layer in order, what cannot be converted collected on the way."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np

from sandgrain.base.errors import ModelError, SandgrainError, UnsupportedError, UsageError, printable, unsupported
from sandgrain.base.text import internal
from sandgrain.formats.aten.builder import Builder, Value
from sandgrain.formats.aten.layout import dense
from sandgrain.formats.keras.config import MOST, Config
from sandgrain.formats.keras.layers import HANDLERS, HINTS, OPERATIONS, Layer
from sandgrain.formats.keras.nodes import History, Missing, Node, histories, is_operation, nodes_of, resolved
from sandgrain.formats.keras.weights import Weights
from sandgrain.graph import rules
from sandgrain.graph.ir import Graph

MODELS = ("Functional", "Sequential", "Model")
MAX_DEPTH = 16  # models and wrappers in each other
MAX_CALLS = 1 << 12  # of layers
MAX_ELEMENTS = 1 << 24  # of one value
MAX_CONSTANTS = 1 << 24  # elements of all weights
NO_HINT = "there is no such layer here; build the model from others"
SUBCLASS = "a model with a class of its own has no configuration; build it with keras.Sequential or with keras.Input and layers"


def convert(entry: dict[str, Any], weights: Weights, name: str, example_input: Any = None) -> Graph:
    """The float graph of a model. `entry`: its configuration, as config.json has it; `example_input`: an array [1, ...] or a tuple of
    them, for sizes that the model leaves open.

    Raises UnsupportedError with all layers that cannot be converted, ModelError for what is damaged, UsageError for open sizes.
    """
    walk = _Walk(_shapes(example_input))
    with np.errstate(all="ignore"):  # what is not finite is found afterwards
        outputs = walk.root(entry, weights)
    graph = walk.b.graph(name, outputs)
    rules.check(graph, "float")
    return graph


def _shapes(example: Any) -> list[tuple[int, ...]]:
    if example is None:
        return []
    try:
        return [tuple(int(n) for n in x.shape) for x in (example if isinstance(example, tuple | list) else [example])]
    except (AttributeError, TypeError, ValueError):
        raise UsageError("example_input is no array; give numpy.zeros((1, ...)), or a tuple of arrays") from None


class _Walk:
    def __init__(self, examples: Sequence[tuple[int, ...]]) -> None:
        self.b, self.examples = Builder(), list(examples)
        self.faults: list[str] = []
        self.places: list[str] = []  # of the models and wrappers that we are in
        self.calls = self.checked = self.constants = 0

    def root(self, entry: Any, weights: Weights) -> list[int]:
        """Convert the whole; the outputs' tensors."""
        config = Config(entry)
        kind = config.values.get("class_name")
        if not _is_keras(config) or kind not in MODELS:
            raise UnsupportedError(f"{printable(str(kind))}: {SUBCLASS}")
        values = self.model(config.values.get("config"), str(kind), weights, None)
        if self.faults:
            raise unsupported(self.faults)
        return self._outputs(values)

    def _outputs(self, values: Sequence[Any]) -> list[int]:
        found: list[int] = []
        self.b.place = "output"
        for value in values:
            if not isinstance(value, Value):
                raise UnsupportedError("the model returns a constant; return what its layers compute")
            tensor = self.b.view(self.b.plain(value).tensor, value.shape)
            if self.b.maker(tensor) is None:
                raise UnsupportedError("the model returns its input; return what its layers compute")
            if tensor in found:
                raise UnsupportedError("the model returns one value twice; return it once")
            found.append(tensor)
        return found

    # --- models ------------------------------------------------------------------------------------------------------

    def model(self, raw: Any, kind: str, weights: Weights, given: Sequence[Any] | None) -> list[Any]:
        """What a model's outputs are, a Value or Missing each. `given`: its inputs; None for those of the graph."""
        config = Config(raw)
        if kind == "Sequential":
            return [self._sequential(config, weights, given)]
        if "input_layers" not in config.values or "output_layers" not in config.values:
            raise UnsupportedError(SUBCLASS)
        nodes = nodes_of(config)
        inner = weights.layers([(n.name, n.kind) for n in nodes if n.index == 0 and not n.is_operation])
        inputs, outputs = histories(config.values["input_layers"]), histories(config.values["output_layers"])
        shifted = {n.name for n in nodes if n.kind == "Functional"}  # here alone Keras counts these models' own making as a call
        outputs = [(name, index - (name in shifted), k) for name, index, k in outputs]
        counts = Counter(h for n in nodes for h in n.reads) + Counter(outputs)
        known: dict[History, Any] = {}
        self._bind(nodes, inputs, given, known)
        table = {(n.name, n.index): n for n in nodes}
        for key in _ordered(table):
            node = table[key]
            result = known[*key, 0] if (*key, 0) in known else self._node(node, inner, known)
            for k, value in enumerate(result if isinstance(result, list | tuple) else [result]):
                known[(*key, k)] = value
                if isinstance(value, Value) and counts[(*key, k)] > 1:
                    self.b.shared.add(value.tensor)
        if not outputs or any(h not in known for h in outputs):
            raise ModelError("an output that no layer computes; save the model again")
        return [known[h] for h in outputs]

    def _node(self, node: Node, inner: dict[str, Weights], known: dict[History, Any]) -> Any:
        args, kwargs = (resolved(v, known, self._stand_in) for v in (node.args, node.kwargs))
        return self.call(node.entry, inner.get(node.name), args, kwargs, node.name)

    def _stand_in(self, shape: tuple[int, ...]) -> Value:
        """For what could not be converted, of the shape that the configuration says: so that all faults come out at once."""
        self.b.place = "missing"
        return self.b.missing(shape)

    def _bind(
        self, nodes: Sequence[Node], inputs: Sequence[History], given: Sequence[Any] | None, known: dict[History, Any]
    ) -> None:
        """Give every input layer its value."""
        if given is not None and len(given) != len(inputs):
            raise ModelError(f"{len(given)} inputs where the model has {len(inputs)}; save the model again")
        entries = {n.name: n for n in nodes}
        for k, history in enumerate(inputs):
            if history[0] not in entries or history in known:
                raise ModelError("an input that is no layer; save the model again")
            readers = [n for n in nodes if history in n.reads]
            positions = bool(readers) and all(n.kind == "Embedding" for n in readers)
            config = Config(entries[history[0]].entry.get("config"))
            known[history] = given[k] if given is not None else self._input(history[0], config, k, positions)

    def _input(self, name: str, config: Config, number: int, positions: bool) -> Value:
        """A graph input: int32 where an embedding takes positions from it."""
        if any(config.flag(flag) for flag in ("sparse", "ragged", "optional")):
            raise UnsupportedError(f"the input {printable(name)} is sparse, ragged or optional; use a plain one")
        shape = self._input_shape(name, config.values.get("batch_shape"), number)
        return self.b.input(name, shape, dense(shape), "int32" if positions else "float32")

    def _input_shape(self, name: str, wish: Any, number: int) -> tuple[int, ...]:
        """With a batch of 1; open sizes are those of the example."""
        shown = f"the input {printable(name)} has the shape {printable(str(wish)[:60])}"
        if not isinstance(wish, list | tuple) or len(wish) < 2 or wish[0] not in (None, 1):
            raise UnsupportedError(f"{shown}; leave the batch open, and give every other size")
        example = self.examples[number] if number < len(self.examples) else None
        if example is not None and (
            len(example) != len(wish) or any(w not in (None, n) for w, n in zip(wish[1:], example[1:], strict=False))
        ):
            raise UsageError(f"{shown}, the example {list(example)}; give an example of the model's shape")
        whole = [1, *(example[k] if w is None and example is not None else w for k, w in enumerate(wish[1:], 1))]
        if None in whole:
            raise UsageError(f"{shown}; give example_input=numpy.zeros((1, ...)), or every size but the batch in keras.Input")
        if (
            not all(isinstance(n, int) and not isinstance(n, bool) and 0 < n <= MOST for n in whole)
            or math.prod(whole) > MAX_ELEMENTS
        ):
            raise ModelError(f"{shown}; use a smaller input")
        return tuple(whole)

    def _sequential(self, config: Config, weights: Weights, given: Sequence[Any] | None) -> Any:
        entries = [Config(e) for e in _list(config.values.get("layers"))]
        names = [str(Config(e.values.get("config")).values.get("name")) for e in entries]
        inner = weights.layers([(n, str(e.values.get("class_name"))) for n, e in zip(names, entries, strict=True)])
        first = bool(entries) and entries[0].values.get("class_name") == "InputLayer"
        if given is not None and len(given) != 1:
            raise ModelError(f"{len(given)} inputs where the model has 1; save the model again")
        if given is not None:
            (value,) = given
        else:
            start = (
                Config(entries[0].values.get("config"))
                if first
                else Config({"batch_shape": config.values.get("build_input_shape")})
            )
            if not first and not start.has("batch_shape"):
                raise UsageError("the model does not know its input's shape; put keras.Input(...) in front, and save it again")
            reader = entries[int(first)].values.get("class_name") if len(entries) > int(first) else None
            value = self._input(names[0] if first else "input", start, 0, reader == "Embedding")
        for name, entry in zip(names[first:], entries[first:], strict=True):
            if isinstance(value, Missing):  # the layer behind knows what it was built for
                shape = Config(entry.values.get("build_config") or {}).values.get("input_shape")
                value = resolved(Missing(shape), {}, self._stand_in)
            value = self.call(entry.values, inner.get(name), [value], {}, name)
            value = value[0] if isinstance(value, list) and len(value) == 1 else value
        return value

    # --- layers ------------------------------------------------------------------------------------------------------

    def call(self, raw: Any, weights: Weights | None, args: Any, kwargs: Any, name: str) -> Any:
        """What a layer gives for these arguments; Missing, and a fault, where it cannot be converted."""
        entry = Config(raw)
        kind = str(entry.values.get("class_name"))
        self.calls += 1
        if self.calls > MAX_CALLS or len(self.places) >= MAX_DEPTH:
            raise ModelError("too many layers, or too many in each other; use a smaller model")
        self.places.append(printable(name))
        place = self.b.place = "/".join(self.places)
        before = len(self.faults)
        try:
            return self._converted(entry, kind, weights, args, kwargs)
        except (SandgrainError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            fact = str(error) if isinstance(error, SandgrainError) else internal(error)
            if len(self.faults) == before:
                self.faults.append(f"{place} ({printable(kind)}): {fact}")
            return Missing(None)
        finally:
            self.places.pop()

    def _converted(self, entry: Config, kind: str, weights: Weights | None, args: Any, kwargs: Any) -> Any:
        table = OPERATIONS if is_operation(entry.values) else HANDLERS
        if not _is_keras(entry):
            raise UnsupportedError("a class of its own, which is not run; build it from Keras's layers")
        if kind not in table and kind not in MODELS:
            raise UnsupportedError(HINTS.get(kind, NO_HINT))
        if _missing(args) or _missing(kwargs):
            return Missing(None)
        raw = entry.values.get("config")
        if weights is None and table is not OPERATIONS:
            raise ModelError("it has no weights in the file; save the model again")
        if weights is not None and kind in MODELS and table is HANDLERS:
            values = self.model(raw, kind, weights, list(_flat(args)))
            return values[0] if len(values) == 1 else values
        config = Config(raw)
        config.check_all()

        def inside(other: Any, inner: Weights, given: Sequence[Any]) -> Any:
            found = self.call(other, inner, given, {}, str(Config(Config(other).values.get("config")).values.get("name")))
            if isinstance(found, Missing):
                raise UnsupportedError("a layer inside it cannot be converted; see there")
            return found

        result = table[kind](Layer(self.b, config, weights, args, kwargs, inside))  # type: ignore[arg-type]
        self._check_sizes(result)
        return result

    def _check_sizes(self, result: Any) -> None:
        for value in _flat(result):
            if not isinstance(value, Value) or math.prod(value.shape) != self.b.tensors[value.tensor].size:
                raise ModelError("its weights and its configuration do not fit together; save the model again")
        new = self.b.tensors[self.checked :]
        self.checked = len(self.b.tensors)
        self.constants += sum(t.size for t in new if t.data is not None)
        if self.constants > MAX_CONSTANTS or any(math.prod(t.shape) > MAX_ELEMENTS for t in new):
            raise ModelError("its weights or its output are too large; use a smaller model")


def _is_keras(entry: Config) -> bool:
    return str(entry.values.get("module")).split(".")[0] == "keras"


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ModelError("a model without layers; save the model again")
    if len(value) > MAX_CALLS:
        raise ModelError("too many layers; use a smaller model")
    return list(value)


def _flat(values: Any) -> list[Any]:
    if isinstance(values, list | tuple):
        return [x for v in values for x in _flat(v)]
    return [x for v in values.values() for x in _flat(v)] if isinstance(values, dict) else [values]


def _missing(values: Any) -> bool:
    return any(isinstance(v, Missing) for v in _flat(values))


def _ordered(table: dict[tuple[str, int], Node]) -> list[tuple[str, int]]:
    """Calls in an order in which each comes after what it reads."""
    sorter: TopologicalSorter[tuple[str, int]] = TopologicalSorter()
    for key, node in table.items():
        sorter.add(key, *dict.fromkeys(h[:2] for h in node.reads if h[:2] in table))
    try:
        return list(sorter.static_order())
    except CycleError:
        raise ModelError("layers that wait for each other; save the model again") from None
