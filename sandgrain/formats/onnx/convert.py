"""An ONNX program to a graph, one operator after another: of floats, with the scales that the model brings.

ONNX keeps channels at axis 1, Sandgrain last; the layouts are those of `frontends/torch/convert.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sandgrain.base.errors import SandgrainError, UnsupportedError, printable, unsupported
from sandgrain.base.text import ascii_line
from sandgrain.formats.aten.builder import Builder, Value
from sandgrain.formats.aten.layout import dense
from sandgrain.formats.onnx.fold import FOLDS
from sandgrain.formats.onnx.ops import HINTS, TRANSLATORS, Call, Marks
from sandgrain.formats.onnx.program import MAX_ELEMENTS, OnnxNode, Program
from sandgrain.graph import rules
from sandgrain.graph.ir import Graph
from sandgrain.graph.ops import OPS
from sandgrain.graph.scales import bring_scales, channel_scales

MAX_FACT = 240  # characters
MAX_FAULTS = 64  # after so many the walk ends: what follows from them says little
MAX_NODES = 5000
MAX_FOLDED = 1 << 26  # elements of all folded constants
# Inputs that become weights, and what may stand between a constant and them.
WEIGHTS = {"Conv": (1,), "ConvTranspose": (1,), "Gemm": (1,), "MatMul": (0, 1), "Einsum": (0, 1), "GRU": (1, 2), "LSTM": (1, 2)}
PASSES_ON = ("Transpose", "Reshape", "Identity", "Squeeze", "Unsqueeze")


def graph_of(program: Program, name: str) -> Graph:
    """The graph of a program, its inputs laid out for the fewest transposes, channels first where both leave as many.

    Raises UnsupportedError, naming every node that cannot be converted.
    """
    wide = any(len(i.shape) > 2 for i in program.inputs)
    walks = [_Walk(program, first) for first in ((True, False) if wide else (False,))]
    found = [(walk, walk.run(name)) for walk in walks]
    walk, graph = min(found, key=lambda pair: pair[0].builder.transposes)  # the first of equals
    if not walk.marks.quants:
        return graph
    scales = _Walk(program, walk.channels_first, only_scales=True)
    return _with_scales(walk, graph, scales.run(name))


def _with_scales(walk: _Walk, graph: Graph, twin: Graph) -> Graph:
    """The graph with its scales. `twin`: the same graph with the scales of its weights as its weights."""
    place = {id(t): k for k, t in enumerate(graph.tensors)}
    marked = ((place.get(id(walk.builder.tensors[i])), quant) for i, quant in walk.marks.quants.items())
    brought = {i: quant for i, quant in marked if i is not None and graph.tensors[i].data is None}
    alike = [(n.op, n.inputs, n.outputs) for n in graph.nodes] == [(n.op, n.inputs, n.outputs) for n in twin.nodes]
    for node in graph.nodes if alike else ():
        for weight in OPS[node.op].weights:
            index = node.inputs[weight.position]
            steps, weights = (np.abs(np.asarray(g.tensors[index].data)) for g in (twin, graph))
            rows = np.moveaxis(steps, weight.channel_axis, 0).reshape(steps.shape[weight.channel_axis], -1)
            quantized = not np.array_equal(steps, weights)  # others are in the twin what they are in the graph
            if quantized and (rows == rows[:, :1]).all() and (rows[:, 0] > 0).all():
                brought[index] = channel_scales(rows[:, 0].astype(np.float32), weight.channel_axis)
    return bring_scales(graph, brought)


class _Walk:
    """One conversion of a program: every node in order, what cannot be converted collected on the way."""

    def __init__(self, program: Program, channels_first: bool, *, only_scales: bool = False) -> None:
        self.program, self.channels_first = program, channels_first
        self.builder, self.marks = Builder(), Marks(only_scales)
        self.known: dict[str, Any] = dict(program.constants) | {"": None}
        self.faults: list[str] = []
        self.folded = 0
        self.nodes = _live(program)
        self.users = Counter(name for n in self.nodes for name in n.inputs) + Counter(program.outputs)
        self.positions = _reach(
            self.nodes, {n.inputs[1] for n in self.nodes if n.op == "Gather" and len(n.inputs) > 1}, ("Cast",)
        )
        weights = {n.inputs[k] for n in self.nodes for k in WEIGHTS.get(n.op, ()) if k < len(n.inputs)}
        self.weights = _reach(self.nodes, weights, ())

    def run(self, name: str) -> Graph:
        if len(self.nodes) > MAX_NODES:
            raise UnsupportedError(f"it has {len(self.nodes)} nodes, at most {MAX_NODES} are read; use a smaller model")
        with np.errstate(all="ignore"):  # what is not finite is found afterwards
            outputs = self._outputs_of_nodes()
        if self.faults:
            raise unsupported(self.faults)
        graph = replace(self.builder.graph(name, outputs), channels_first=self.channels_first)
        rules.check(graph, "float")
        return graph

    def _outputs_of_nodes(self) -> list[int]:
        for given in self.program.inputs:
            rank, whole = len(given.shape), given.name in self.positions
            order = (0, *range(2, rank), 1) if self.channels_first and rank > 2 else tuple(range(rank))
            dtype = "int32" if whole else "float32"
            value = self.builder.input(given.name, [given.shape[k] for k in order], dense(given.shape, order), dtype)
            self._give(given.name, value)
        for node in self.nodes:
            if len(self.faults) > MAX_FAULTS:
                return []
            results = self._node(node)
            for name, result in zip(node.outputs, results, strict=False):
                if name:
                    self._give(name, result)
        try:
            found = [self._output(name) for name in self.program.outputs]
            if len(set(found)) < len(found):
                raise UnsupportedError("the model gives back one value twice; give it back once")
            return found
        except SandgrainError as error:
            if not self.faults:
                raise
            self.faults.append(str(error))
            return []

    def _give(self, name: str, result: Any) -> None:
        self.known[name] = result
        if self.users[name] > 1 and isinstance(result, Value):
            self.builder.shared.add(result.tensor)

    # --- one node ------------------------------------------------------------------------------------------------------

    def _node(self, node: OnnxNode) -> Sequence[Any]:
        self.builder.place = node.name
        try:
            if any(name not in self.known for name in node.inputs):
                raise UnsupportedError("it reads what no node before it computes; sort the model's nodes")
            args = tuple(self.known[name] for name in node.inputs)
            found = self._result(node, args)
            results = found if isinstance(found, tuple | list) else (found,)
            if len(results) < len([o for o in node.outputs if o]):
                raise UnsupportedError("it has an output that is not computed; leave that output out")
        except (SandgrainError, ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            known = isinstance(error, SandgrainError)
            detail = (
                "its attributes and shapes do not fit together; onnx.checker.check_model(model, full_check=True) may name the one"
            )
            fact = str(error) if known else detail
            self.faults.append(f"{node.name} ({printable(node.op)}): {ascii_line(fact, MAX_FACT)}")
            return [self.builder.missing(self.program.shapes.get(o, ())) for o in node.outputs]
        return results

    def _result(self, node: OnnxNode, args: tuple[Any, ...]) -> Any:
        if node.op in ("Shape", "Size") and isinstance(args[0], Value):
            args = (np.broadcast_to(np.float32(0), args[0].shape),)
        if node.op in FOLDS and not any(isinstance(a, Value) for a in args):
            found = FOLDS[node.op](args, node.attrs)
            self.folded += found.size
            if self.folded > MAX_FOLDED:
                raise UnsupportedError(f"its constants hold over {MAX_FOLDED} elements; use a smaller model")
            return found
        if node.op not in TRANSLATORS:
            raise UnsupportedError(HINTS.get(node.op, "there is no such layer; build the model from others"))
        weighs = bool(self.weights.intersection(node.outputs))
        found = TRANSLATORS[node.op](Call(self.builder, self.marks, self.program.opset, node, args, weighs))
        for value in found if isinstance(found, tuple | list) else (found,):
            if isinstance(value, Value) and int(np.prod(value.shape, dtype=np.float64)) > MAX_ELEMENTS:
                raise UnsupportedError(f"it gives over {MAX_ELEMENTS} elements; use a smaller model")
        return found

    def _output(self, name: str) -> int:
        value = self.known.get(name)
        if not isinstance(value, Value):
            raise UnsupportedError(f"the output {printable(name)} does not depend on the input; leave it out")
        rank = len(value.shape)
        ranks = {len(i.shape) for i in self.program.inputs} - {1, 2}
        order = (0, *range(2, rank), 1) if self.channels_first and rank in ranks else tuple(range(rank))
        self.builder.place = "output"
        before = value.tensor
        tensor = self.builder.arrange(value, order).tensor
        tensor = self.builder.view(tensor, [value.shape[k] for k in order] or [1])
        if tensor != before and before in self.marks.quants:
            self.marks.quants[tensor] = self.marks.quants[before]
        if not self.faults and self.builder.maker(tensor) is None:
            raise UnsupportedError("the model gives back its input; end it with a layer")
        return tensor


def _live(program: Program) -> tuple[OnnxNode, ...]:
    """The nodes that lead to an output."""
    wanted, kept = set(program.outputs), list[OnnxNode]()
    for node in reversed(program.nodes):
        if wanted.intersection(node.outputs):
            kept.append(node)
            wanted.update(name for name in node.inputs if name)
    return tuple(kept[::-1])


def _reach(nodes: Sequence[OnnxNode], names: set[str], more: Sequence[str]) -> set[str]:
    """`names` and the values that become them by moves alone."""
    found = set(names)
    for node in reversed(nodes):
        if found.intersection(node.outputs) and node.op in (*PASSES_ON, *more):
            found.update(node.inputs[:1])
    return found
