"""Layers that exporters write as several nodes, put together again: GELU, SiLU, hard swish, layer norm.

    before: Mul(Mul(x, Add(Erf(Div(x, 1.414)), 1)), 0.5)      after: Gelu(x)

The last node of a pattern is replaced; what only it needed is dropped with the other nodes that lead nowhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from sandgrain.base.errors import SandgrainError
from sandgrain.formats.onnx.fold import FOLDS, listed
from sandgrain.formats.onnx.program import OnnxNode, Program

NEAR = 1e-3  # relative, between a constant that a file holds and the exact one
MAX_FACTORS = 3  # products that the end of a GELU may be written as


def simplified(program: Program) -> Program:
    """The program with its patterns as single nodes, and every Constant node as a constant."""
    view = _View(_hoisted(program))
    found: dict[int, OnnxNode] = {}
    for node in view.program.nodes:
        for last, made in PATTERNS[node.op](view, node) if node.op in PATTERNS else ():
            found.setdefault(id(last), made)
    return replace(view.program, nodes=tuple(found.get(id(n), n) for n in view.program.nodes))


def _hoisted(program: Program) -> Program:
    constants, kept = dict(program.constants), []
    for node in program.nodes:
        try:
            if node.op != "Constant" or len(node.outputs) != 1:
                raise KeyError
            constants[node.outputs[0]] = FOLDS["Constant"]((), node.attrs)
        except (SandgrainError, KeyError):
            kept.append(node)  # the walk says what is wrong with it
    return replace(program, constants=constants, nodes=tuple(kept))


class _View:
    """Who computes a value and who reads it."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.made = {o: n for n in program.nodes for o in n.outputs}
        self.readers: dict[str, list[OnnxNode]] = {}
        for node in program.nodes:
            for name in dict.fromkeys(node.inputs):
                self.readers.setdefault(name, []).append(node)

    def number(self, name: str) -> float | None:
        """The one number that a constant holds."""
        data = self.program.constants.get(name)
        return float(data.reshape(-1)[0]) if data is not None and data.size == 1 else None

    def near(self, name: str, wanted: float) -> bool:
        found = self.number(name)
        return found is not None and abs(found - wanted) <= NEAR * abs(wanted)

    def maker(self, name: str, *ops: str) -> OnnxNode | None:
        """The node that computes `name`, if it is one of `ops` with its first two inputs there."""
        node = self.made.get(name)
        return node if node is not None and node.op in ops and node.inputs else None

    def times(self, name: str, factor: float) -> str | None:
        """x where `name` is x * factor, or x / (1 / factor)."""
        node = self.maker(name, "Mul", "Div")
        if node is None or len(node.inputs) != 2:
            return None
        a, b = node.inputs
        if node.op == "Div":
            return a if self.near(b, 1 / factor) else None
        return a if self.near(b, factor) else b if self.near(a, factor) else None

    def plus(self, name: str, term: float) -> str | None:
        """x where `name` is x + term."""
        node = self.maker(name, "Add")
        if node is None or len(node.inputs) != 2:
            return None
        a, b = node.inputs
        return a if self.near(b, term) else b if self.near(a, term) else None

    def products(self, name: str) -> Iterator[tuple[OnnxNode, str]]:
        """(node, the other factor) for each product with `name`."""
        for node in self.readers.get(name, ()):
            if node.op == "Mul" and len(node.inputs) == 2:
                yield node, node.inputs[1] if node.inputs[0] == name else node.inputs[0]


def _instead(op: str, x: str, last: OnnxNode, **attrs: object) -> tuple[OnnxNode, OnnxNode]:
    return last, OnnxNode(op, last.name, (x,), last.outputs[:1], attrs)


Found = Iterator[tuple[OnnxNode, OnnxNode]]  # (the node to replace, what comes in its place)


def _half_times_one_plus(view: _View, name: str, x: str, kind: str) -> Found:
    """0.5 x (1 + `name`), its factors in any order."""
    for plus in view.readers.get(name, ()):
        if view.plus(plus.outputs[0], 1.0) != name:
            continue
        waiting = [(plus.outputs[0], False, False, 0)]
        while waiting:
            product, has_x, has_half, count = waiting.pop()
            for node, other in view.products(product):
                now_x = has_x or other == x or view.times(other, 0.5) == x
                now_half = has_half or view.near(other, 0.5) or view.times(other, 0.5) == x
                if now_x and now_half:
                    yield _instead("Gelu", x, node, approximate=kind)
                elif (now_x, now_half) != (has_x, has_half) and count < MAX_FACTORS:
                    waiting.append((node.outputs[0], now_x, now_half, count + 1))


def _gelu(view: _View, erf: OnnxNode) -> Found:
    x = view.times(erf.inputs[0], math.sqrt(0.5))
    if x is not None:
        yield from _half_times_one_plus(view, erf.outputs[0], x, "none")


def _tanh_gelu(view: _View, tanh: OnnxNode) -> Found:
    """0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))."""
    inner = view.times(tanh.inputs[0], math.sqrt(2 / math.pi))
    total = None if inner is None else view.maker(inner, "Add")
    for x, cubic in () if total is None or len(total.inputs) != 2 else (total.inputs, total.inputs[::-1]):
        cube = view.times(cubic, 0.044715)
        if cube is not None and _is_cube(view, cube, x):
            yield from _half_times_one_plus(view, tanh.outputs[0], x, "tanh")


def _is_cube(view: _View, name: str, x: str) -> bool:
    node = view.maker(name, "Pow", "Mul")
    if node is None or len(node.inputs) != 2:
        return False
    if node.op == "Pow":
        return node.inputs[0] == x and view.near(node.inputs[1], 3.0)
    square = next((n for n in node.inputs if n != x), "")
    return x in node.inputs and _is_square(view, square, x)


def _is_square(view: _View, name: str, x: str) -> bool:
    node = view.maker(name, "Pow", "Mul")
    if node is None or len(node.inputs) != 2 or node.inputs[0] != x:
        return False
    return view.near(node.inputs[1], 2.0) if node.op == "Pow" else node.inputs[1] == x


def _silu(view: _View, gate: OnnxNode) -> Found:
    x = gate.inputs[0]
    for node, other in view.products(gate.outputs[0]):
        if other == x:
            yield _instead("Swish", x, node)


def _mish(view: _View, tanh: OnnxNode) -> Found:
    """x tanh(softplus(x)), as exporters write it below opset 18."""
    soft = view.maker(tanh.inputs[0], "Softplus")
    x = None if soft is None else soft.inputs[0]
    for node, other in view.products(tanh.outputs[0]):
        if other == x:
            yield _instead("Mish", other, node)


def _of_tanh(view: _View, tanh: OnnxNode) -> Found:
    yield from _tanh_gelu(view, tanh)
    yield from _mish(view, tanh)


def _hard_swish(view: _View, gate: OnnxNode) -> Found:
    x, alpha, beta = gate.inputs[0], gate.attrs.get("alpha", 0.2), gate.attrs.get("beta", 0.5)
    if abs(alpha - 1 / 6) > NEAR / 6 or beta != 0.5:
        return
    for node, other in view.products(gate.outputs[0]):
        if other == x:
            yield _instead("HardSwish", x, node)


def _clipped_swish(view: _View, clip: OnnxNode) -> Found:
    """x clip(x + 3, 0, 6) / 6, the division before or after."""
    bounds = [view.number(n) for n in clip.inputs[1:3]]
    x = view.plus(clip.inputs[0], 3.0) if bounds == [0, 6] else None
    if x is None:
        return
    for node, other in view.products(clip.outputs[0]):
        for last in view.readers.get(node.outputs[0], ()) if other == x else ():
            if view.times(last.outputs[0], 1 / 6) == node.outputs[0]:
                yield _instead("HardSwish", x, last)
    for gate in view.readers.get(clip.outputs[0], ()):
        if view.times(gate.outputs[0], 1 / 6) == clip.outputs[0]:
            for node, other in view.products(gate.outputs[0]):
                if other == x:
                    yield _instead("HardSwish", x, node)


def _layer_norm(view: _View, root: OnnxNode) -> Found:
    """(x - mean) / sqrt(mean of squares + eps), then the weight and the bias where they follow."""
    total = view.maker(root.inputs[0], "Add")
    for variance, eps in () if total is None or len(total.inputs) != 2 else (total.inputs, total.inputs[::-1]):
        squares = _mean_of(view, variance)
        small = view.number(eps)
        if squares is None or small is None:
            continue
        for node, centred in _quotients(view, root.outputs[0]):
            minus = view.maker(centred, "Sub")
            if minus is None or not _is_square(view, squares, centred) or _mean_of(view, minus.inputs[1]) != minus.inputs[0]:
                continue
            last, weight, bias = node, "", ""
            for product, other in view.products(last.outputs[0]):
                if _is_row(view, other) and len(view.readers[last.outputs[0]]) == 1:
                    last, weight = product, other
                    break
            for sum_ in view.readers.get(last.outputs[0], ()):
                others = [n for n in sum_.inputs if n != last.outputs[0]]
                if sum_.op == "Add" and len(others) == 1 and _is_row(view, others[0]) and len(view.readers[last.outputs[0]]) == 1:
                    last, bias = sum_, others[0]
                    break
            inputs = (minus.inputs[0], weight, bias)
            yield last, OnnxNode("LayerNormalization", last.name, inputs, last.outputs[:1], {"axis": -1, "epsilon": small})


def _quotients(view: _View, root: str) -> Iterator[tuple[OnnxNode, str]]:
    """(node, x) for each x / root, or x * (1 / root)."""
    for node in view.readers.get(root, ()):
        if node.op == "Div" and node.inputs[1] == root:
            if view.near(node.inputs[0], 1.0):
                yield from view.products(node.outputs[0])
            else:
                yield node, node.inputs[0]
        elif node.op == "Reciprocal":
            yield from view.products(node.outputs[0])


def _mean_of(view: _View, name: str) -> str | None:
    """x where `name` is the mean of x over its last axis, which stays."""
    node = view.maker(name, "ReduceMean")
    if node is None or not node.attrs.get("keepdims", 1):
        return None
    axes = listed([view.program.constants.get(n) for n in node.inputs], node.attrs, 1, "axes")
    rank = len(view.program.shapes.get(node.inputs[0], ())) or -1
    return node.inputs[0] if axes in ([-1], [rank - 1]) else None


def _is_row(view: _View, name: str) -> bool:
    """Whether a constant has one number for each place along the last axis."""
    data = view.program.constants.get(name)
    return data is not None and data.dtype == np.float32 and data.size > 1 and data.shape[-1] == data.size


PATTERNS = {
    "Erf": _gelu,
    "Tanh": _of_tanh,
    "Sigmoid": _silu,
    "HardSigmoid": _hard_swish,
    "Clip": _clipped_swish,
    "Sqrt": _layer_norm,
}
