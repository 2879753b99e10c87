"""Hostile .onnx files: mutants of valid ones. `python -m tests.support.hostile_onnx FOLDER FIRST COUNT` tries them: see tests/support/hostile_archives.py."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import onnx
from google.protobuf.descriptor import FieldDescriptor

from sandgrain.formats.onnx.fold import FOLDS
from sandgrain.formats.onnx.ops import HINTS, TRANSLATORS
from tests.support.hostile_archives import serve
from tests.support.onnx_builder import Net, qdq
from tests.support.onnx_models import MODELS
from tests.support.tflite_mutants import INTERESTING, MUTATIONS

OPERATORS = sorted({*FOLDS, *TRANSLATORS, *HINTS})
FLOATS = (0.0, -1.0, float("nan"), float("inf"), 1e-45, 1e-30, 0.5, 1.0, 1e9, 3e38)
TEXTS = ("", "x", "../x", "a" * 1000, "SAME_UPPER", "linear", "DCR", "bidirectional", "\x00\n\u2028", "com.microsoft")


@cache
def seeds() -> tuple[bytes, ...]:
    """Valid files: networks of floats, a QDQ model, a QOperator model."""
    found = [MODELS[name].model() for name in ("cnn1d", "transformer", "lstm_gestures", "unet", "mobilenet_v3")]
    net = Net(1, 3, 6, 6)
    kernel = net.constant(net.rng.integers(-127, 128, (4, 3, 3, 3)), np.int8)
    weights = net.op("DequantizeLinear", kernel, net.constant(np.full(4, 0.01)), net.constant(np.zeros(4), np.int8), axis=0)
    y = qdq(net, net.op("Relu", net.op("Conv", qdq(net, "x", 0.05), weights)), 0.1, 128, np.uint8)
    y = qdq(net, net.op("MaxPool", y, kernel_shape=[2, 2]), 0.12, 3)
    found.append(net.model(qdq(net, net.op("Concat", y, qdq(net, net.op("Sigmoid", y), 1 / 256, -128), axis=1), 0.2)))
    net = Net(1, 3, 6, 6)
    a, b = ((net.constant(s), net.constant(z, np.uint8)) for s, z in ((0.05, 128), (0.1, 7)))
    x, w = net.op("QuantizeLinear", "x", *a), net.constant(net.rng.integers(-127, 128, (3, 3, 3, 3)), np.int8)
    scale, zero, bias = net.constant(0.01), net.constant(0, np.int8), net.constant(np.arange(3), np.int32)
    y = net.op("QLinearConv", x, *a, w, scale, zero, *b, bias, pads=[1] * 4)
    y = net.op("QLinearAdd", x, *a, y, *b, *b, domain="com.microsoft")
    y = net.op("QLinearGlobalAveragePool", y, *b, *b, domain="com.microsoft")
    found.append(net.model(net.op("DequantizeLinear", y, *b)))
    return tuple(model.SerializeToString(deterministic=True) for model in found)


def mutant(bases: Sequence[bytes], seed: int) -> bytes:
    """One mutant, the same for a seed on every machine: values of its messages, whole messages, or bytes of the file."""
    rng = random.Random(seed)
    base = bases[seed % len(bases)]
    if rng.random() < 0.2:
        data = bytearray(base)
        for _ in range(rng.choice((1, 1, 2, 4))):
            rng.choice(MUTATIONS)(data, rng, bases)
        return bytes(data)
    model = onnx.ModelProto.FromString(base)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        with contextlib.suppress(ValueError, TypeError):  # a value that the message cannot hold
            rng.choice((_structure, _value, _number, _number))(model, rng)
    return model.SerializeToString(deterministic=True)


def _structure(model: onnx.ModelProto, rng: random.Random) -> None:
    """A node changes its operator, its place or its inputs; a message is lost or comes twice."""
    graph = model.graph
    node, other = rng.choice(graph.node), rng.choice(graph.node)
    change = rng.randrange(7)
    if change < 2:
        operator = rng.choice(OPERATORS)
        node.domain, _, node.op_type = operator.rpartition(".") if "." in operator else ("", "", operator)
    elif change == 2:
        node.input[rng.randrange(len(node.input))] = rng.choice([*other.input, *other.output, "", "nobody"])
    elif change == 3:
        node.attribute.add().CopyFrom(rng.choice([a for n in graph.node for a in n.attribute]))
    elif change == 4:
        lists = (
            graph.node,
            graph.initializer,
            node.attribute,
            node.input,
            node.output,
            graph.output,
            graph.input,
            model.opset_import,
        )
        chosen: Any = rng.choice([items for items in lists if len(items)])
        del chosen[rng.randrange(len(chosen))]
    elif change == 5:
        chosen = rng.choice((graph.node, graph.initializer))
        chosen.add().CopyFrom(rng.choice(chosen))
    else:
        tensor = rng.choice(graph.initializer)
        tensor.dims[:] = rng.choice(([], [0], [-1], [2**31, 2**31], [1 << 40], list(tensor.dims)[::-1], [*tensor.dims, 1]))


def _number(model: onnx.ModelProto, rng: random.Random) -> None:
    """A number that says what a layer does: in an attribute, or in a constant that holds whole numbers or a single one."""
    numbers = [(a.ints, k) for n in model.graph.node for a in n.attribute for k in range(len(a.ints))]
    few = [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.INT64 or len(t.raw_data) == 4]
    chosen = rng.randrange(len(numbers) + 2 * len(few))
    if chosen < len(numbers):
        items, k = numbers[chosen]
        items[k] = _other(items[k], rng)
        return
    tensor = rng.choice(few)
    values = onnx.numpy_helper.to_array(tensor).copy().reshape(-1)
    k = rng.randrange(len(values))
    new = rng.choice(FLOATS) if values.dtype.kind == "f" else _other(int(values[k]), rng)
    values[k] = new if values.dtype.kind == "f" else max(np.iinfo(values.dtype).min, min(new, np.iinfo(values.dtype).max))
    tensor.raw_data = values.tobytes()


def _other(old: int, rng: random.Random) -> int:
    choices = (old + 1, old - 1, -old, old * 2, 0, -1, rng.choice(INTERESTING), 2**63 - 1, -(2**63), rng.randint(-3, 12))
    return max(-(2**63), min(rng.choice(choices), 2**63 - 1))


def _value(model: onnx.ModelProto, rng: random.Random) -> None:
    """One number or text becomes another."""
    leaves = list(_leaves(model))
    message, field, index = rng.choice(leaves)
    other = rng.choice(leaves)
    old = getattr(message, field.name) if index is None else getattr(message, field.name)[index]
    given = getattr(other[0], other[1].name) if other[2] is None else getattr(other[0], other[1].name)[other[2]]
    if field.type == FieldDescriptor.TYPE_STRING:
        choices: list[Any] = [*TEXTS, given]
    elif field.type == FieldDescriptor.TYPE_BYTES:
        choices = [
            b"",
            old[: rng.randrange(len(old) + 1)],
            old * 2,
            rng.choice(TEXTS).encode(),
            rng.randbytes(len(old)),
            bytes(len(old)),
        ]
    elif field.type in (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE):
        choices = [*FLOATS, -old]
    else:
        choices = [*(_other(old, rng) for _ in range(8)), given]
    if rng.random() < 0.1:
        message.ClearField(field.name)
    elif index is None:
        setattr(message, field.name, rng.choice(choices))
    else:
        getattr(message, field.name)[index] = rng.choice(choices)


def _leaves(message: Any) -> Iterator[tuple[Any, Any, int | None]]:
    """(message, field, index or None) of every value that is no message; the first few of each list."""
    for field, value in message.ListFields():
        many = not isinstance(value, bytes | str) and hasattr(value, "__len__") and field.name not in ("raw_data",)
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for each in value if many else (value,):
                yield from _leaves(each)
        elif many:
            yield from ((message, field, k) for k in range(min(len(value), 6)))
        else:
            yield message, field, None


if __name__ == "__main__":
    serve(".onnx", mutant)
