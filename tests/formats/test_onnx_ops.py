"""Each ONNX operator over its attributes: what ONNX Runtime computes is what the float graph computes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

pytest.importorskip("onnx", reason="needs ONNX: pip install 'sandgrain[onnx]'")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime, the oracle of these tests")
from sandgrain.base.errors import UnsupportedError
from sandgrain.formats.onnx.ops import HINTS, TRANSLATORS
from sandgrain.graph.ir import Graph
from tests.support.einsum_equations import ELLIPSES, MOST, products
from tests.support.onnx_builder import Net, agree, convert

Draw = st.DataObject
OPSETS = st.sampled_from((11, 13, 17, 18, 21))
SEEN: set[str] = set()  # operators that a test has compared


def same(net: Net, *outputs: str, samples: int = 2, span: float = 2.0) -> Graph:
    """Compare a net on random samples."""
    shape = [d.dim_value for d in net.inputs[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(3).normal(0, span, (samples, *shape[1:])).astype(np.float32)
    SEEN.update(n.op_type for n in net.nodes)
    return agree(net.model(*outputs), x)


def started(net: Net) -> str:
    """A computed value of the input's shape: a node that only moves its input would give the input back."""
    found: str = net.op("LeakyRelu", "x", alpha=0.5)
    return found


def sizes(data: Draw, rank: int, least: int = 5, most: int = 9) -> list[int]:
    return [data.draw(st.integers(least, most)) for _ in range(rank)]


def window(data: Draw, size: list[int], *, dilated: bool = True) -> dict[str, Any]:
    """A kernel that fits, strides, and one of the ways to pad."""
    rank = len(size)
    kernel = [data.draw(st.integers(1, 3)) for _ in size]
    attrs: dict[str, Any] = {"kernel_shape": kernel, "strides": [data.draw(st.integers(1, 3)) for _ in size]}
    way = data.draw(st.sampled_from(("pads", "VALID", "SAME_UPPER", "SAME_LOWER", "")))
    if way == "pads":
        attrs["pads"] = [data.draw(st.integers(0, max(0, kernel[k % rank] - 1))) for k in range(2 * rank)]
    elif way:
        attrs["auto_pad"] = way
    if dilated and not way.startswith("SAME"):
        attrs["dilations"] = [data.draw(st.integers(1, 2)) for _ in size]
    assume(
        not way.startswith("SAME") or all(k >= s for k, s in zip(kernel, attrs["strides"], strict=True))
    )  # ONNX Runtime's own limit
    return attrs


# --- windows -----------------------------------------------------------------------------------------------------------


@given(st.data())
def test_convolutions(data: Draw) -> None:
    rank, groups = data.draw(st.integers(1, 2)), data.draw(st.sampled_from((1, 1, 2, 4)))
    size, depthwise = sizes(data, rank), data.draw(st.booleans())
    cin = groups if depthwise else 2 * groups
    cout = cin * data.draw(st.integers(1, 2)) if depthwise else groups * data.draw(st.integers(1, 3))
    net = Net(1, cin, *size)
    attrs = window(data, size)
    inputs = [net.weight(cout, cin // groups, *attrs["kernel_shape"])] + ([net.small(cout)] if data.draw(st.booleans()) else [])
    same(net, net.op("Conv", "x", *inputs, group=groups, **attrs))


@given(st.data())
def test_transposed_convolutions(data: Draw) -> None:
    rank, groups = data.draw(st.integers(1, 2)), data.draw(st.sampled_from((1, 1, 2)))
    size = sizes(data, rank, 3, 5)
    net = Net(1, 2 * groups, *size)
    attrs = window(data, size, dilated=False)
    if "auto_pad" not in attrs:
        attrs["output_padding"] = [data.draw(st.integers(0, s - 1)) for s in attrs["strides"]]
    inputs = [net.weight(2 * groups, 3, *attrs["kernel_shape"])] + ([net.small(3 * groups)] if data.draw(st.booleans()) else [])
    same(net, net.op("ConvTranspose", "x", *inputs, group=groups, **attrs))


@given(st.data())
def test_pools(data: Draw) -> None:
    rank = data.draw(st.integers(1, 2))
    size, kind = sizes(data, rank), data.draw(st.sampled_from(("MaxPool", "AveragePool")))
    net = Net(1, 3, *size)
    attrs = window(data, size, dilated=False)
    if "auto_pad" not in attrs:
        attrs["ceil_mode"] = data.draw(st.integers(0, 1))
    if kind == "AveragePool" and not attrs.get("ceil_mode"):
        attrs["count_include_pad"] = data.draw(st.integers(0, 1))
    same(net, net.op(kind, "x", **attrs))


@given(st.data())
def test_means_sums_and_maxima(data: Draw) -> None:
    rank, opset = data.draw(st.integers(2, 4)), data.draw(OPSETS)
    kind, keep = data.draw(st.sampled_from(("ReduceMean", "ReduceSum", "ReduceMax"))), data.draw(st.integers(0, 1))
    axes = data.draw(st.lists(st.integers(1, rank - 1), unique=True, min_size=1))
    axes = [k - rank if data.draw(st.booleans()) else k for k in axes]
    net = Net(1, *sizes(data, rank - 1, 2, 5), opset=opset)
    as_input = opset >= (13 if kind == "ReduceSum" else 18)
    given_axes = ([net.ints(*axes)], {}) if as_input else ([], {"axes": axes})
    same(net, net.op(kind, "x", *given_axes[0], keepdims=keep, **given_axes[1]))


@pytest.mark.parametrize("shape", [(1, 3, 5), (1, 2, 3, 4)])
@pytest.mark.parametrize("kind", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global_pools(kind: str, shape: tuple[int, ...]) -> None:
    net = Net(*shape)
    same(net, net.op(kind, "x"))


# --- matrices ----------------------------------------------------------------------------------------------------------


@given(st.data())
def test_gemm(data: Draw) -> None:
    trans_a, trans_b = data.draw(st.integers(0, 1)), data.draw(st.integers(0, 1))
    net = Net(1, 6)
    x = net.op("Reshape", started(net), net.ints(3, 2)) if trans_a else started(net)
    rows, depth = (2, 3) if trans_a else (1, 6)
    weight = net.weight(4, depth) if trans_b else net.weight(depth, 4)
    bias = data.draw(st.sampled_from(((), (1,), (4,), (1, 4), (rows, 4), (rows, 1), None)))
    inputs = [] if bias is None else [net.constant(net.rng.normal(size=bias))]
    attrs = {"alpha": data.draw(st.sampled_from((1.0, 0.5))), "beta": data.draw(st.sampled_from((1.0, 2.0)))}
    same(net, net.op("Gemm", x, weight, *inputs, transA=trans_a, transB=trans_b, **attrs))


@pytest.mark.parametrize(
    ("shape", "other"), [((1, 4), (4, 3)), ((1, 2, 4), (4, 3)), ((1, 2, 3, 4), (4, 5)), ((1, 4), (4,)), ((1, 2, 4), (1, 4, 3)), ((1, 2, 3, 4), (2, 4, 3))]
)  # fmt: skip
def test_products_with_constants(shape: tuple[int, ...], other: tuple[int, ...]) -> None:
    net = Net(*shape)
    same(net, net.op("MatMul", "x", net.weight(*other)))


@pytest.mark.parametrize("perm", [(0, 1, 3, 2), (0, 2, 3, 1), (0, 3, 1, 2)])
def test_products_of_values(perm: tuple[int, ...]) -> None:
    net = Net(1, 2, 4, 4)
    y = net.op("Transpose", net.op("Sigmoid", "x"), perm=perm)
    y = net.op("Reshape", y, net.ints(1, 2, 4, 4))
    same(net, net.op("MatMul", started(net), y))


def test_a_constant_matrix_times_a_value() -> None:
    net = Net(1, 4)
    y = net.op("Transpose", started(net), perm=[1, 0])
    same(net, net.op("MatMul", net.weight(3, 4), y))


@given(products(), st.sampled_from((None, None, 0, 1)), st.sampled_from((12, 17, 21)))
def test_einsums_that_are_matrix_products(drawn: tuple[str, list[list[int]]], constant: int | None, opset: int) -> None:
    equation, shapes = drawn
    net = Net(1, MOST + 1, opset=opset)
    given_ = [
        net.weight(*shape)
        if k == constant
        else net.op(
            "Reshape", net.op("Slice", started(net), net.ints(k), net.ints(k + math.prod(shape)), net.ints(1)), net.ints(*shape)
        )
        for k, shape in enumerate(shapes)
    ]
    same(net, net.op("Reshape", net.op("Einsum", *given_, equation=equation), net.ints(1, -1)))


@pytest.mark.parametrize(("equation", "shape"), ELLIPSES)
def test_einsums_with_an_ellipsis(equation: str, shape: tuple[int, ...]) -> None:
    net = Net(1, *shape)
    same(net, net.op("Einsum", *[started(net), net.op("Sigmoid", "x")][: equation.count(",") + 1], equation=equation))


# --- element by element ------------------------------------------------------------------------------------------------

CURVES: list[tuple[str, dict[str, Any], int]] = [
    ("Relu", {}, 11), ("Sigmoid", {}, 13), ("Tanh", {}, 13), ("HardSwish", {}, 14), ("Elu", {}, 11), ("Softplus", {}, 11),
    ("LeakyRelu", {}, 11), ("LeakyRelu", {"alpha": 0.3}, 16), ("HardSigmoid", {}, 11), ("HardSigmoid", {"alpha": 1 / 6}, 11),
    ("HardSigmoid", {"alpha": 0.4, "beta": 0.3}, 11), ("Gelu", {}, 20), ("Gelu", {"approximate": "tanh"}, 20), ("Celu", {}, 12),
    ("Celu", {"alpha": 0.6}, 12), ("Elu", {"alpha": 0.4}, 11), ("Elu", {"alpha": -0.2}, 14), ("Selu", {}, 11), ("Selu", {"alpha": 0.7, "gamma": 1.3}, 11),
    ("Exp", {}, 13), ("Mish", {}, 18),
    ("Neg", {}, 13), ("Identity", {}, 13), ("Dropout", {}, 13), ("Cast", {"to": 1}, 13),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "attrs", "opset"), CURVES)
def test_functions_of_one_value(kind: str, attrs: dict[str, Any], opset: int) -> None:
    net = Net(1, 3, 4, 5, opset=opset)
    same(net, net.op(kind, started(net), **attrs))


@given(st.sampled_from((None, -1.0, 0.0, 0.5)), st.sampled_from((None, 1.0, 6.0, 2.5)), OPSETS)
def test_clips(low: float | None, high: float | None, opset: int) -> None:
    net = Net(1, 3, 4, opset=opset)
    ends = ["" if v is None else net.constant(v) for v in (low, high)]
    same(net, net.op("Clip", started(net), *ends), span=4)


@pytest.mark.parametrize("slope", [(1,), (3, 1, 1), (1, 3, 1, 1)])
def test_slopes(slope: tuple[int, ...]) -> None:
    net = Net(1, 3, 4, 5)
    same(net, net.op("PRelu", "x", net.constant(net.rng.uniform(0.1, 0.5, slope))))


@given(st.data())
def test_sums_and_products_broadcast(data: Draw) -> None:
    kind = data.draw(st.sampled_from(("Add", "Sub", "Mul", "Div")))
    shape, x = (1, 3, 4, 5), None
    net = Net(*shape)
    other = data.draw(st.sampled_from(((), (1,), (5,), (4, 1), (3, 1, 1), (1, 3, 1, 1), (1, 1, 4, 5), shape)))
    constant = net.constant(net.rng.uniform(0.5, 2, other))
    x = started(net)
    swap = kind != "Div" and data.draw(st.booleans())
    same(net, net.op(kind, *((constant, x) if swap else (x, constant))))


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul", "Sum", "Mean", "Max", "Min"])
def test_two_computed_values(kind: str) -> None:
    net = Net(1, 3, 4, 5)
    side = net.op("GlobalAveragePool", net.op("Tanh", "x"))
    same(net, net.op(kind, started(net), side))


@pytest.mark.parametrize("exponent", [1, 2, 3])
def test_powers(exponent: int) -> None:
    net = Net(1, 3, 4)
    same(net, net.op("Pow", started(net), net.constant(exponent)))


@pytest.mark.parametrize(("kind", "level"), [("Max", 0.0), ("Max", -0.5), ("Min", 1.0)])
def test_a_maximum_with_a_number_is_a_clip(kind: str, level: float) -> None:
    net = Net(1, 3, 4)
    same(net, net.op(kind, started(net), net.constant(level)))


@given(st.data())
def test_softmax_of_old_and_new_opsets(data: Draw) -> None:
    opset, rank = data.draw(OPSETS), data.draw(st.integers(2, 4))
    net = Net(1, *sizes(data, rank - 1, 2, 4), opset=opset)
    axis = data.draw(st.sampled_from((None, *range(-rank, rank))))
    assume(axis is None or axis % rank > 0)
    same(net, net.op("Softmax", started(net), **({} if axis is None else {"axis": axis})))


@pytest.mark.parametrize(("shape", "folds"), [((1, 3, 4, 5), True), ((1, 3, 5), True), ((1, 3), False)])
def test_batch_norms(shape: tuple[int, ...], folds: bool) -> None:
    net = Net(*shape)
    graph = same(net, net.norm(net.conv("x", 3, 3, rank=len(shape) - 2) if folds else started(net), 3))
    assert not folds or [n.op for n in graph.nodes if n.op != "reshape"] == ["conv_2d"]


@given(st.sampled_from((1, 2, 3, 6)), st.sampled_from(((5, 4), (7,))))
def test_norms_of_groups(groups: int, places: tuple[int, ...]) -> None:
    net = Net(1, 6, *places, opset=21)
    sides = [net.constant(net.rng.normal(1, 0.3, 6)) for _ in range(2)]
    y = net.op("GroupNormalization", started(net), *sides, num_groups=groups, epsilon=1e-3)
    sides = [net.constant(net.rng.normal(1, 0.3, 6)) for _ in range(2)]
    same(net, y, net.op("InstanceNormalization", started(net), *sides))


def test_a_group_norm_as_exporters_write_it() -> None:
    net = Net(1, 6, 4, 5)
    rows = net.op("Reshape", net.conv("x", 6, 6), net.ints(0, 2, -1))
    rows = net.op("InstanceNormalization", rows, net.constant(np.ones(2)), net.constant(np.zeros(2)))
    y = net.op("Reshape", rows, net.ints(1, 6, 4, 5))
    y = net.op("Mul", y, net.constant(net.rng.uniform(0.5, 1.5, (6, 1, 1))))
    same(net, net.op("Add", y, net.constant(net.rng.normal(size=(6, 1, 1)))))


def test_rms_norms() -> None:
    net = Net(1, 4, 6, opset=23)
    same(net, net.op("RMSNormalization", started(net), net.constant(net.rng.uniform(0.5, 1.5, 6)), epsilon=1e-3))


@pytest.mark.parametrize("bias", [True, False])
def test_layer_norm(bias: bool) -> None:
    net = Net(1, 4, 8)
    ends = [net.constant(net.rng.uniform(0.5, 1.5, 8)), *([net.small(8)] if bias else [])]
    same(net, net.op("LayerNormalization", started(net), *ends, axis=-1, epsilon=1e-3))


# --- moves -------------------------------------------------------------------------------------------------------------


@given(st.data())
def test_slices(data: Draw) -> None:
    shape = (1, 3, 6, 7)
    net = Net(*shape)
    axes = data.draw(st.lists(st.integers(1, 3), unique=True, min_size=1))
    starts, ends, steps = [], [], []
    for axis in axes:
        n = shape[axis]
        step = data.draw(st.sampled_from((1, 1, 2, -1, -2)))
        first, last = (data.draw(st.integers(-n - 1, n + 1)) for _ in range(2))
        last = data.draw(st.sampled_from((last, 2**31 - 1 if step > 0 else -(2**31))))
        assume(len(range(*slice(first, last, step).indices(n))) > 0)
        starts.append(first), ends.append(last), steps.append(step)
    same(net, net.op("Slice", started(net), net.ints(*starts), net.ints(*ends), net.ints(*axes), net.ints(*steps)))


@given(st.data())
def test_splits(data: Draw) -> None:
    opset, axis = data.draw(OPSETS), data.draw(st.sampled_from((1, 2, -1)))
    net = Net(1, 6, 6, 6, opset=opset)
    parts = data.draw(st.sampled_from(((3, 3), (1, 5), (2, 2, 2))))
    if opset < 13:
        found = net.op("Split", started(net), outputs=len(parts), axis=axis, split=list(parts))
    elif opset >= 18 and len(set(parts)) == 1 and data.draw(st.booleans()):
        found = net.op("Split", started(net), outputs=len(parts), axis=axis, num_outputs=len(parts))
    else:
        found = net.op("Split", started(net), net.ints(*parts), outputs=len(parts), axis=axis)
    same(net, *found)


@given(st.data())
def test_pads(data: Draw) -> None:
    net = Net(1, 2, 4, 5)
    pads = [0, *(data.draw(st.integers(-1, 2)) for _ in range(3)), 0, *(data.draw(st.integers(-1, 2)) for _ in range(3))]
    assume(2 + pads[1] + pads[5] > 0 and any(pads))
    same(net, net.op("Pad", started(net), net.ints(*pads), net.constant(0)))


@given(st.data())
def test_shapes(data: Draw) -> None:
    opset = data.draw(OPSETS)
    net = Net(1, 4, 6, opset=opset)

    def squeeze(kind: str, x: str, *axes: int) -> str:
        found: str = net.op(kind, x, net.ints(*axes)) if opset >= 13 else net.op(kind, x, axes=list(axes))
        return found

    x = started(net)
    x = squeeze("Unsqueeze", x, data.draw(st.sampled_from((1, 2, -1))))
    x = net.op("Transpose", x, perm=data.draw(st.permutations((0, 1, 2, 3))))
    x = net.op("Reshape", x, net.ints(*data.draw(st.sampled_from(((1, -1, 4), (-1, 6, 2, 2), (1, 24), (1, 3, 2, 4))))))
    x = net.op("Flatten", x, axis=data.draw(st.sampled_from((1, -1))))
    x = squeeze("Unsqueeze", x, 0)
    same(net, squeeze("Squeeze", x, 0))


@given(st.data())
def test_gathers_by_constants(data: Draw) -> None:
    net = Net(1, 4, 5, 6)
    axis = data.draw(st.sampled_from((1, 2, 3, -1)))
    at = data.draw(st.sampled_from((0, 2, -1, [1], [1, 2], [3, 0, 0], [[0, 1], [2, 3]], [-1, 1])))
    same(net, net.op("Gather", started(net), net.constant(at, np.int64), axis=axis))


@given(st.sampled_from((1, 2, 3, -1)), st.booleans())
def test_concatenations(axis: int, constant: bool) -> None:
    net = Net(1, 3, 4, 5)
    parts = [started(net), net.op("Sigmoid", "x"), *([net.constant(net.rng.normal(size=(1, 3, 4, 5)))] if constant else [])]
    same(net, net.op("Concat", *parts, axis=axis))


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space_and_back(mode: str) -> None:
    net = Net(1, 8, 3, 4)
    y = net.op("DepthToSpace", started(net), blocksize=2, mode=mode)
    same(net, y, net.op("SpaceToDepth", net.op("Tanh", y), blocksize=2))


@given(st.data())
def test_resizes(data: Draw) -> None:
    rank = data.draw(st.integers(1, 2))
    size = sizes(data, rank, 3, 6)
    net = Net(1, 2, *size, opset=data.draw(st.sampled_from((11, 13, 18))))
    linear = data.draw(st.booleans())
    where = ("half_pixel", "pytorch_half_pixel", "align_corners") if linear else ("asymmetric", "half_pixel", "align_corners")
    attrs = {"mode": "linear" if linear else "nearest", "coordinate_transformation_mode": data.draw(st.sampled_from(where))}
    if not linear:
        attrs["nearest_mode"] = data.draw(st.sampled_from(("floor", "round_prefer_floor", "round_prefer_ceil")))
    empty = net.constant(np.zeros(0))
    if data.draw(st.booleans()):
        factors = [1.0, 1.0, *(data.draw(st.sampled_from((2.0, 3.0, 0.5, 1.5))) for _ in size)]
        x = net.op("Resize", started(net), empty, net.constant(factors), **attrs)
        out = [math.floor(n * f) for n, f in zip(size, factors[2:], strict=True)]
    else:
        out = [n * data.draw(st.integers(1, 2)) for n in size]
        x = net.op("Resize", started(net), empty, empty, net.ints(1, 2, *out), **attrs)
    assume(min(out) > 1)
    try:
        convert(net.model(x))
    except UnsupportedError as error:
        SKIPPED.append(str(error))
    else:
        same(net, x)
        DONE.append(x)


SKIPPED: list[str] = []
DONE: list[str] = []


def test_most_resizes_can_be_done() -> None:
    if not DONE:
        pytest.skip("runs after test_resizes")
    assert len(DONE) > len(SKIPPED) and all("; use " in text for text in SKIPPED)


# --- sequences ---------------------------------------------------------------------------------------------------------


@given(st.data())
def test_recurrent_layers(data: Draw) -> None:
    kind, direction = (
        data.draw(st.sampled_from(("GRU", "LSTM"))),
        data.draw(st.sampled_from(("forward", "reverse", "bidirectional"))),
    )
    ways, units, steps, depth = 1 + (direction == "bidirectional"), 3, data.draw(st.integers(1, 4)), 2
    rows = (3 if kind == "GRU" else 4) * units
    net = Net(1, steps, depth)
    x = net.op("Transpose", started(net), perm=[1, 0, 2])
    inputs = [net.constant(net.rng.normal(0, 0.6, s)) for s in ((ways, rows, depth), (ways, rows, units), (ways, 2 * rows))]
    inputs = inputs[: 3 if data.draw(st.booleans()) else 2]
    attrs = {"linear_before_reset": data.draw(st.integers(0, 1))} if kind == "GRU" and data.draw(st.booleans()) else {}
    whole, last = net.op(kind, x, *inputs, outputs=2, hidden_size=units, direction=direction, **attrs)
    same(net, net.op("Transpose", whole, perm=[2, 1, 0, 3]), net.op("Transpose", last, perm=[1, 0, 2]))


def test_every_operator_of_floats_has_been_compared() -> None:
    if len(SEEN) < 20:
        pytest.skip("runs after the other tests of this file")
    plain = {k for k in TRANSLATORS if "." not in k and "Linear" not in k}
    assert sorted(plain - SEEN - {"Swish", "Expand"}) == []


def test_no_operator_has_both_a_translator_and_a_hint() -> None:
    assert HINTS.keys() & TRANSLATORS.keys() == set()
