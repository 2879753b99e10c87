"""Graphs that somebody has broken on purpose, one small change each, and what the rules say of them.

`python [-O] -m tests.support.hostile_graphs FIRST COUNT` prints a line of JSON per graph, so that a run without assertions can be compared.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from sandgrain.base.errors import SandgrainError
from sandgrain.graph import rules
from sandgrain.graph.dtypes import DTYPES
from sandgrain.graph.ir import Graph, Node, Tensor, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import Quantization, per_tensor
from tests.support.draws import SeededDraw

Change = Callable[[Graph, random.Random], Graph]
VALUES: tuple[Any, ...] = (None, -1, 0, 1, 3, 2**31, 2**70, 1.5, float("nan"), float("inf"), "x", (), (0,), (1, 2, 3, 4, 5), True)


def _with_tensor(graph: Graph, index: int, tensor: Tensor) -> Graph:
    return replace(graph, tensors=tuple(tensor if k == index else t for k, t in enumerate(graph.tensors)))


def _with_node(graph: Graph, node: Node) -> Graph:
    return replace(graph, nodes=(node, *graph.nodes[1:]))


def _quant(graph: Graph, rng: random.Random) -> Graph:
    """Another quantization: none, one per channel, or an extreme one."""
    index = rng.randrange(len(graph.tensors))
    tensor = graph.tensors[index]
    axis = rng.randrange(max(len(tensor.shape), 1))
    count = tensor.shape[axis] if tensor.shape else 1
    quants = (
        None,
        Quantization((0.5,) * count, (0,) * count, axis),
        Quantization((0.5,) * count, (3,) * count, axis),
        Quantization((), ()),
        Quantization((0.5, 0.25), (0, 0), axis),
        per_tensor(1e-30, 0),
        per_tensor(1e30, -128),
        per_tensor(0.3, 127),
    )
    return _with_tensor(graph, index, replace(tensor, quant=rng.choice(quants)))


def _dtype(graph: Graph, rng: random.Random) -> Graph:
    index = rng.randrange(len(graph.tensors))
    tensor, kind = graph.tensors[index], rng.choice(list(DTYPES.values()))
    data = None if tensor.data is None else tensor.data.astype(kind.numpy)
    return _with_tensor(graph, index, replace(tensor, dtype=kind, data=data))


def _shape(graph: Graph, rng: random.Random) -> Graph:
    index = rng.randrange(len(graph.tensors))
    tensor = graph.tensors[index]
    shape = list(tensor.shape)
    change = rng.randrange(4)
    if change == 0 or not shape:
        shape.insert(rng.randrange(len(shape) + 1), rng.choice((1, 2, 7)))
    elif change == 1:
        del shape[rng.randrange(len(shape))]
    elif change == 2:
        shape[rng.randrange(len(shape))] = rng.choice((1, 2, 3, 64))
    else:
        rng.shuffle(shape)
    data = None if tensor.data is None else np.resize(tensor.data, shape)
    return _with_tensor(graph, index, replace(tensor, shape=tuple(shape), data=data))


def _constant(graph: Graph, rng: random.Random) -> Graph:
    """A constant becomes computed, or a computed value a constant."""
    index = rng.randrange(len(graph.tensors))
    tensor = graph.tensors[index]
    if tensor.data is not None:
        inputs = (*graph.inputs, index)
        return replace(_with_tensor(graph, index, replace(tensor, data=None)), inputs=inputs)
    made = _with_tensor(graph, index, replace(tensor, data=np.ones(tensor.shape, tensor.dtype.numpy)))
    return replace(made, inputs=tuple(i for i in graph.inputs if i != index))


def _values(graph: Graph, rng: random.Random) -> Graph:
    """The values of a constant become extreme."""
    known = [k for k, t in enumerate(graph.tensors) if t.data is not None]
    if not known:
        return _quant(graph, rng)
    index = rng.choice(known)
    tensor = graph.tensors[index]
    value = rng.choice((0, tensor.dtype.low, tensor.dtype.high, -1))
    return _with_tensor(graph, index, replace(tensor, data=np.full(tensor.shape, value).astype(tensor.dtype.numpy)))


def _inputs(graph: Graph, rng: random.Random) -> Graph:
    node = graph.nodes[0]
    inputs = list(node.inputs)
    change = rng.randrange(4)
    if change == 0 or not inputs:
        inputs.append(rng.choice((-1, *graph.inputs)))
    elif change == 1:
        inputs[rng.randrange(len(inputs))] = -1
    elif change == 2:
        del inputs[rng.randrange(len(inputs))]
    else:
        inputs[rng.randrange(len(inputs))] = rng.randrange(len(graph.tensors))
    return _with_node(graph, replace(node, inputs=tuple(inputs)))


def _attribute(graph: Graph, rng: random.Random) -> Graph:
    node = graph.nodes[0]
    if not node.attrs:
        return _inputs(graph, rng)
    name = rng.choice(sorted(node.attrs))
    values = {k: v for k, v in node.attrs.items() if k != name}
    if rng.random() < 0.8:
        values[name] = rng.choice(VALUES)
    return _with_node(graph, replace(node, attrs=attrs(**values)))


def _op(graph: Graph, rng: random.Random) -> Graph:
    return _with_node(graph, replace(graph.nodes[0], op=rng.choice(sorted(OPS))))


CHANGES: tuple[Change, ...] = (_quant, _dtype, _shape, _constant, _values, _inputs, _attribute, _op)


def broken(seed: int) -> Graph:
    """A sample of an op with one to three changes; the same for a seed on every machine."""
    rng, names = random.Random(seed), sorted(OPS)
    graph = OPS[names[seed % len(names)]].sample(SeededDraw(seed % 1000))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        graph = rng.choice(CHANGES)(graph, rng)
    return graph


def verdict(graph: Graph) -> str:
    """What the rules say: "" for a legal graph, their message, or the exception that got out."""
    try:
        rules.check(graph)
    except SandgrainError as error:
        return str(error)
    except Exception as error:
        return f"!{type(error).__name__}: {error}"
    return ""


def verdicts(first: int, count: int) -> Iterator[str]:
    for seed in range(first, first + count):
        yield verdict(broken(seed))


if __name__ == "__main__":
    for line in verdicts(int(sys.argv[1]), int(sys.argv[2])):
        print(json.dumps(line))
