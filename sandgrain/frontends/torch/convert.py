"""A torch module to a float graph: exported by `torch.export`, then one operator after another.

The module is fed batches of one. torch keeps channels at axis 1, Sandgrain last:

    example_input     graph input
    [1, n]            [1, n]
    [1, C, L]         [1, L, C]
    [1, C, H, W]      [1, H, W, C]

A module that itself takes channels last (Sandgrain's catalogue does, and transformers do) keeps its input as it is:
`channels_first=False`. Outputs follow the same rule as inputs. Weights are permuted here, so that no transpose is left
where an order can be chosen.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sandgrain import spec
from sandgrain.errors import ModelError, SandgrainError, UnsupportedError, UsageError, printable
from sandgrain.frontends.aten.builder import Builder, Value
from sandgrain.frontends.aten.layout import dense
from sandgrain.frontends.aten.ops import HANDLERS, HINTS, Arguments
from sandgrain.ir import Graph

TORCH = Path(torch.__file__).parent
MAX_NAMED = 12  # layers that one message names


def convert(module: Any, example_input: Any, name: str, *, channels_first: bool | None = None) -> Graph:
    """The float graph of `module`, as it computes in eval mode.

    `example_input`: a float tensor (or a tuple of them, one for each argument of forward) of batch 1; only its shape counts.
    `channels_first`: whether the inputs have their channels at axis 1. None asks the module's attribute `channels_last`,
    and without one takes what leaves fewer transposes, channels first where both leave as many.
    Raises UnsupportedError, naming every layer that cannot be converted, and UsageError for inputs that do not fit.
    """
    examples = _examples(module, example_input)
    program = _Program.of(module, examples)
    if channels_first is None and hasattr(module, "channels_last"):
        channels_first = not module.channels_last
    if channels_first is not None:
        return program.graph(name, channels_first)[0]
    if all(x.dim() < 3 for x in examples):
        return program.graph(name, False)[0]
    found = [program.graph(name, first) for first in (True, False)]
    return min(found, key=lambda pair: pair[1])[0]  # the first of equals


def _examples(module: Any, example: Any) -> tuple[Any, ...]:
    examples = example if isinstance(example, tuple | list) else (example,)
    parameter = next(iter(module.parameters()), None)
    found = []
    for x in examples:
        x = torch.as_tensor(x)
        if not x.is_floating_point() or x.dim() < 1 or x.numel() == 0:
            raise UsageError(f"an example input of {x.dtype} {list(x.shape)}; give a float tensor [1, ...]")
        x = x[:1]
        found.append(x if parameter is None else x.to(parameter.device, parameter.dtype))
    return tuple(found)


@contextmanager
def _eval(module: Any) -> Iterator[None]:
    """The module in eval mode, and afterwards as it was."""
    before = {m: m.training for m in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for m, training in before.items():
            m.training = training


@dataclass(frozen=True, slots=True, eq=False)
class _Program:
    """An exported program: its operators, and its parameters, buffers and constants by placeholder."""

    nodes: tuple[Any, ...]
    constants: dict[str, Any]
    inputs: tuple[str, ...]

    @classmethod
    def of(cls, module: Any, examples: tuple[Any, ...]) -> _Program:
        with _eval(module), warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            try:
                exported = torch.export.export(module, examples)
                if any(_mutates_shared(n) for n in exported.graph.nodes):
                    exported = exported.run_decompositions({})
                missing = {_key(n.target) for n in exported.graph.nodes if _is_operator(n)} - HANDLERS.keys()
                if missing:  # some are made of others that are known
                    table = torch.export.default_decompositions()
                    wanted = {op: rule for op, rule in table.items() if _key(op) in missing - HINTS.keys()}
                    exported = exported.run_decompositions(wanted)
            except SandgrainError:
                raise
            except Exception as error:  # whatever torch raises, or the module itself
                fact = " ".join(str(error).split())[:200] or type(error).__name__
                raise ModelError(
                    f"{type(module).__name__}: torch.export failed ({printable(fact, 200)}); run forward on the example first"
                ) from error
        signature = exported.graph_signature
        sources = {**signature.inputs_to_parameters, **signature.inputs_to_buffers, **signature.inputs_to_lifted_tensor_constants}
        state = {**exported.state_dict, **exported.constants}
        constants = {name: state[source].detach().cpu() for name, source in sources.items()}
        return cls(tuple(exported.graph.nodes), constants, tuple(signature.user_inputs))

    def graph(self, name: str, channels_first: bool) -> tuple[Graph, int]:
        """(graph, transposes in it)."""
        walk = _Walk(self, Builder(), channels_first)
        return walk.run(name), walk.builder.transposes


class _Walk:
    """One conversion of a program: every operator in order, what cannot be converted collected on the way."""

    def __init__(self, program: _Program, builder: Builder, channels_first: bool) -> None:
        self.program, self.builder, self.channels_first = program, builder, channels_first
        self.known: dict[Any, Any] = {}
        self.faults: list[str] = []

    def run(self, name: str) -> Graph:
        for node in self.program.nodes:
            if node.op == "placeholder":
                self.known[node] = self._placeholder(node)
            elif node.op == "call_function":
                self.known[node] = self._operator(node)
            elif node.op == "output":
                outputs = self._outputs([v for v in _flat(node.args) if v is not None])
            else:
                self.faults.append(f"{node.name} ({node.op})")
            if len(node.users) > 1 and isinstance(self.known.get(node), Value):
                self.builder.shared.add(self.known[node].tensor)
        if self.faults:
            more = f" and {len(self.faults) - MAX_NAMED} more" if len(self.faults) > MAX_NAMED else ""
            count = "1 layer" if len(self.faults) == 1 else f"{len(self.faults)} layers"
            raise UnsupportedError(f"{count} cannot be converted: {'; '.join(self.faults[:MAX_NAMED])}{more}")
        graph = self.builder.graph(name, outputs)
        spec.check(graph, "float")
        return graph

    # --- one node ------------------------------------------------------------------------------------------------------

    def _placeholder(self, node: Any) -> Any:
        if node.name not in self.program.inputs:
            return self.program.constants[node.name]
        shape = tuple(node.meta["val"].shape)
        order = (0, *range(2, len(shape)), 1) if self.channels_first and len(shape) > 2 else tuple(range(len(shape)))
        return self.builder.input(node.name, [shape[k] for k in order], dense(shape, order))

    def _operator(self, node: Any) -> Any:
        if node.target is operator.getitem:
            return self.known[node.args[0]][node.args[1]]
        if not _is_operator(node):
            self._fault(node, f"{getattr(node.target, '__name__', node.target)} is not an operator")
            return self._stand_in(node)
        values = _bound(node, self.known)
        if not any(isinstance(v, Value) for v in _flat(values.values())):
            return self._folded(node)
        key = _key(node.target)
        self.builder.place = _layer(node) or key
        try:
            if key not in HANDLERS:
                raise UnsupportedError(HINTS.get(key, "there is no such layer; build the model from others"))
            shape = _shape(node)
            result = HANDLERS[key](self.builder, Arguments(node.target._overloadname, _numpy(values), shape))
            first = result[0] if isinstance(result, tuple) else result
            assert not isinstance(first, Value) or first.shape == shape, (key, first.shape, shape)
        except (SandgrainError, AssertionError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            known = isinstance(error, SandgrainError)
            self._fault(node, str(error) if known else f"cannot be understood ({type(error).__name__} {error}); please report it")
            return self._stand_in(node)
        return result

    def _folded(self, node: Any) -> Any:
        """An operator on constants alone, computed now."""
        args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda n: self.known[n])
        with torch.no_grad():
            return node.target(*args, **kwargs)

    def _stand_in(self, node: Any) -> Any:
        """A value of the right shape for what could not be converted, so that all faults come out at once."""

        def value(t: Any) -> Any:
            shape = tuple(getattr(t, "shape", ()))
            return Value(self.builder.constant(np.zeros(shape, np.float32), "missing"), dense(shape))

        found = node.meta.get("val")
        return tuple(value(t) for t in found) if isinstance(found, tuple | list) else value(found)

    def _fault(self, node: Any, fact: str) -> None:
        line = _line(node)
        where = f"{_layer(node)} " if _layer(node) else ""
        key = _key(node.target) if _is_operator(node) else node.name
        self.faults.append(f"{where}({key}{', ' + line if line else ''}): {printable(fact, 200)}")

    def _outputs(self, nodes: Sequence[Any]) -> list[int]:
        found: list[int] = []
        for node in nodes:
            value = self.known.get(node) if isinstance(node, torch.fx.Node) else None
            if not isinstance(value, Value):
                raise UnsupportedError("an output that does not depend on the input; return what the layers compute")
            rank = len(value.shape)
            first = self.channels_first and rank > 2
            order = (0, *range(2, rank), 1) if first else tuple(range(rank))
            self.builder.place = "output"
            tensor = self.builder.arrange(value, order).tensor
            tensor = self.builder.view(tensor, [value.shape[k] for k in order] or [1])
            if not self.faults and self.builder.maker(tensor) is None:
                raise UnsupportedError("the module returns its input; return what its layers compute")
            if tensor in found:
                raise UnsupportedError("the module returns one value twice; return it once")
            found.append(tensor)
        return found


# --- what torch says of a node -------------------------------------------------------------------------------------------


def _is_operator(node: Any) -> bool:
    return node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload)


def _mutates_shared(node: Any) -> bool:
    """Whether an in-place operator changes what another operator may still read under its old name."""
    if not (_is_operator(node) and node.target._schema.is_mutable):
        return False
    source = node.args[0]
    while isinstance(source, torch.fx.Node):
        if len(source.users) > 1 or source.op == "placeholder":
            return True
        if not (_is_operator(source) and any(a.alias_info is not None for a in source.target._schema.arguments)):
            return False
        source = source.args[0]
    return True


def _key(target: Any) -> str:
    """aten.relu_.default -> relu."""
    name: str = target._opname if isinstance(target, torch._ops.OpOverload) else str(target)
    return name.removesuffix("_")


def _shape(node: Any) -> tuple[int, ...]:
    """What comes out, the first of several."""
    value = node.meta["val"]
    return tuple((value[0] if isinstance(value, tuple | list) else value).shape)


def _bound(node: Any, known: dict[Any, Any]) -> dict[str, Any]:
    """Arguments by name, defaults filled in, nodes replaced by what they gave."""
    args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda n: known[n])
    found = {}
    for k, argument in enumerate(node.target._schema.arguments):
        if k < len(args) and not argument.kwarg_only:
            found[argument.name] = args[k]
        elif argument.name in kwargs:
            found[argument.name] = kwargs[argument.name]
        else:
            found[argument.name] = argument.default_value if argument.has_default_value() else None
    return found


def _numpy(value: Any) -> Any:
    """Tensors as arrays: float32 where they are floats."""
    if isinstance(value, torch.Tensor):
        return (value.float() if value.is_floating_point() else value).numpy()
    if isinstance(value, dict):
        return {k: _numpy(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_numpy(v) for v in value)
    return value


def _flat(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _flat(value)
        else:
            yield value


def _layer(node: Any) -> str:
    """The innermost module that a node belongs to: features.3."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [entry[0] for entry in stack.values()]
    return printable(str(paths[-1]).removeprefix("L['self'].")) if paths and paths[-1] else ""


def _line(node: Any) -> str:
    """file.py:12, the innermost line that is not torch's own."""
    frames = [f.strip() for f in (node.meta.get("stack_trace") or "").splitlines() if f.strip().startswith("File ")]
    for frame in reversed(frames):
        path, _, rest = frame.removeprefix('File "').partition('", line ')
        if TORCH not in Path(path).parents:
            return printable(f"{Path(path).name}:{rest.split(',')[0]}")
    return ""
