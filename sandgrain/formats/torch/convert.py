"""A torch program to a float graph, one operator after another.

The module is fed batches of one. torch keeps channels at axis 1, Sandgrain last:

    example_input     graph input
    [1, n]            [1, n]
    [1, C, L]         [1, L, C]
    [1, C, H, W]      [1, H, W, C]

A module that itself takes channels last (Sandgrain's catalogue does, and transformers do) keeps its input as it is:
`channels_first=False`. Outputs of as many axes as an input follow the same rule, others stay as torch has them. Weights are permuted here, so that no transpose is left
where an order can be chosen.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sandgrain.base.errors import SandgrainError, UnsupportedError, UsageError, unsupported
from sandgrain.base.text import ascii_line, internal
from sandgrain.formats.aten.builder import Builder, Value
from sandgrain.formats.aten.layout import dense
from sandgrain.formats.aten.ops import HANDLERS, HINTS, Arguments
from sandgrain.formats.torch import program as programs
from sandgrain.formats.torch import pt2, pt2e
from sandgrain.formats.torch.program import Program, bound, flat, is_operator, layer_of, line_of, operator_name, shape_of
from sandgrain.formats.torch.pt2e import Scales
from sandgrain.graph import rules
from sandgrain.graph.ir import Graph

INTEGERS = (torch.int32, torch.int64)  # what positions for an embedding come as
MAX_FACT = 300  # characters of what is said of one operator
MAX_FAULTS = 64  # after so many the walk ends: what follows from them says little


def convert(module: Any, example_input: Any, name: str, *, channels_first: bool | None = None) -> Graph:
    """The float graph of `module`, as it computes in eval mode.

    `example_input`: a float tensor (or a tuple of them, one for each argument of forward) of batch 1; only its shape counts.
    `channels_first`: whether the inputs have their channels at axis 1. None asks the module's attribute `channels_last`,
    and without one takes what leaves fewer transposes, channels first where both leave as many.
    Raises UnsupportedError, naming every layer that cannot be converted, and UsageError for inputs that do not fit.
    """
    program = programs.of_module(module, _examples(module, example_input))
    if channels_first is None and hasattr(module, "channels_last"):
        channels_first = not module.channels_last
    return graph_of(program, name, channels_first)


def convert_exported(exported: Any, name: str, *, channels_first: bool | None = None) -> Graph:
    """The graph of a live torch.export.ExportedProgram, as `convert` makes it."""
    return graph_of(programs.of_exported(exported), name, channels_first)


def convert_file(path: Path, name: str, *, channels_first: bool | None = None) -> Graph:
    """The graph of a .pt2 file, as `convert` makes it. Raises ModelError for a file that is no .pt2 or is damaged."""
    return graph_of(pt2.read(path), name, channels_first)


def graph_of(program: Program, name: str, channels_first: bool | None) -> Graph:
    """The float graph of a program, its inputs laid out for the fewest transposes where `channels_first` does not say."""
    if channels_first is None and all(len(n.meta["val"].shape) < 3 for n in program.nodes if n.name in program.inputs):
        channels_first = False
    if channels_first is not None:
        return _Walk(program, channels_first).run(name)[0]
    found = [_Walk(program, first).run(name) for first in (True, False)]
    return min(found, key=lambda pair: pair[1])[0]  # the first of equals


def _examples(module: Any, example: Any) -> tuple[Any, ...]:
    examples = example if isinstance(example, tuple | list) else (example,)
    parameter = next(iter(module.parameters()), None)
    found = []
    for x in examples:
        x = torch.as_tensor(x)
        if not (x.is_floating_point() or x.dtype in INTEGERS) or x.dim() < 1 or x.numel() == 0:
            raise UsageError(f"an example input of {x.dtype} {list(x.shape)}; give a float tensor [1, ...], or an integer one")
        x = x[:1]
        dtype = x.dtype if parameter is None or x.dtype in INTEGERS else parameter.dtype
        found.append(x if parameter is None else x.to(parameter.device, dtype))
    return tuple(found)


class _Walk:
    """One conversion of a program: every operator in order, what cannot be converted collected on the way."""

    def __init__(self, program: Program, channels_first: bool) -> None:
        self.program, self.builder, self.channels_first = program, Builder(), channels_first
        self.scales = Scales(self.builder)
        self.known: dict[Any, Any] = {}
        self.faults: list[str] = []

    def run(self, name: str) -> tuple[Graph, int]:
        """(the graph, the transposes in it)."""
        with np.errstate(all="ignore"):  # what is not finite is found afterwards
            outputs = self._nodes()
        if self.faults:
            raise unsupported(self.faults)
        graph = replace(self.builder.graph(name, outputs), channels_first=self.channels_first)
        rules.check(graph, "float")
        return self.scales.finish(graph), self.builder.transposes

    def _nodes(self) -> list[int]:
        """Convert every node; the outputs' tensors."""
        for node in self.program.nodes:
            if len(self.faults) > MAX_FAULTS:
                return []
            if node.op == "placeholder":
                self.known[node] = self._placeholder(node)
            elif node.op == "call_function":
                self.known[node] = self._operator(node)
            elif node.op == "output":
                continue
            else:
                self.faults.append(f"{node.name} ({node.op})")
            if len(node.users) > 1 and isinstance(self.known.get(node), Value):
                self.builder.shared.add(self.known[node].tensor)
        try:
            return self._outputs(self.program.outputs)
        except SandgrainError as error:
            if not self.faults:
                raise
            self.faults.append(str(error))
            return []

    # --- one node ------------------------------------------------------------------------------------------------------

    def _placeholder(self, node: Any) -> Any:
        if node.name not in self.program.inputs:
            return self.program.constants[node.name]
        shape = tuple(node.meta["val"].shape)
        order = (0, *range(2, len(shape)), 1) if self.channels_first and len(shape) > 2 else tuple(range(len(shape)))
        dtype = "float32" if node.meta["val"].dtype.is_floating_point else "int32"
        return self.builder.input(node.target, [shape[k] for k in order], dense(shape, order), dtype)

    def _operator(self, node: Any) -> Any:
        if node.target is operator.getitem:
            return self.known[node.args[0]][node.args[1]]
        if "fault" in node.meta:
            self._fault(node, node.meta["fault"])
            return self._stand_in(node)
        if not is_operator(node):
            self._fault(node, "it is no operator; build the layer from others")
            return self._stand_in(node)
        values = bound(node, self.known)
        key = operator_name(node.target)
        self.builder.place = layer_of(node) or key
        try:
            if node.target.namespace == pt2e.NAMESPACE:
                return self.scales.mark(key, values, node)
            if not any(isinstance(v, Value) for v in flat(values.values())):
                return self._folded(node)
            if key not in HANDLERS:
                raise UnsupportedError(HINTS.get(key, "there is no such layer; build the model from others"))
            shape = shape_of(node)
            overload = node.target._overloadname
            result = self.scales.watched(
                lambda b, given: HANDLERS[key](b, Arguments(overload, dict(given), shape)), _numpy(values), node
            )
            first = result[0] if isinstance(result, tuple) else result
            if isinstance(first, Value) and first.shape != shape:
                raise UnsupportedError(f"gives {list(first.shape)} where the program says {list(shape)}; export it again")
        except (SandgrainError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            self._fault(node, str(error) if isinstance(error, SandgrainError) else internal(error))
            return self._stand_in(node)
        return result

    def _folded(self, node: Any) -> Any:
        """An operator on constants alone, computed now."""
        args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda n: self.known[n])
        with torch.no_grad():
            self.scales.moved(node, node.all_input_nodes)
            return node.target(*args, **kwargs)

    def _stand_in(self, node: Any) -> Any:
        """A value of the right shape for what could not be converted, so that all faults come out at once."""
        found = node.meta.get("val")
        if isinstance(found, tuple | list):
            return tuple(self.builder.missing(getattr(t, "shape", ())) for t in found)
        return self.builder.missing(getattr(found, "shape", ()))

    def _fault(self, node: Any, fact: str) -> None:
        layer, line = layer_of(node), line_of(node)
        where = f"{layer} " if layer else ""
        key = operator_name(node.target) if is_operator(node) else getattr(node.target, "__name__", node.name)
        self.faults.append(f"{where}({key}{', ' + line if line else ''}): {ascii_line(fact, MAX_FACT)}")

    def _outputs(self, nodes: Sequence[Any]) -> list[int]:
        found: list[int] = []
        ranks = {len(self.builder.shape(i)) for i in self.builder.inputs} - {1, 2}
        for node in nodes:
            value = self.known.get(node) if isinstance(node, torch.fx.Node) else None
            if not isinstance(value, Value):
                raise UnsupportedError("an output that does not depend on the input; return what the layers compute")
            rank = len(value.shape)
            order = (0, *range(2, rank), 1) if self.channels_first and rank in ranks else tuple(range(rank))
            self.builder.place = "output"
            tensor = self.builder.arrange(value, order).tensor
            tensor = self.builder.view(tensor, [value.shape[k] for k in order] or [1])
            if not self.faults and self.builder.maker(tensor) is None:
                raise UnsupportedError("the module returns its input; return what its layers compute")
            if tensor in found:
                raise UnsupportedError("the module returns one value twice; return it once")
            found.append(tensor)
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
