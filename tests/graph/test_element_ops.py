"""Facts about the element-wise and data-moving ops that random cases would rarely meet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from sandgrain.base.errors import ModelError, UnsupportedError
from sandgrain.compiler.select import Choice, select
from sandgrain.graph import interpret, rules
from sandgrain.graph.ir import Array, Graph, Tensor, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.table import elu
from sandgrain.graph.quantization import per_tensor
from sandgrain.kernels.layout.gather import gather
from tests.support.draws import SeededDraw
from tests.support.host_batch import SANITIZE, Batch
from tests.support.integers import to_int8

Q = per_tensor(0.1, 3)
ALL = np.arange(-128, 128).astype(np.int8)


def ints(*values: int) -> Tensor:
    return Tensor("constant", (len(values),), "int32", None, np.array(values, np.int32))


def x_of(*shape: int) -> Tensor:
    return Tensor("x", shape, "int8", Q)


def decode_slice(shape: Sequence[int], begin: Sequence[int], end: Sequence[int], stride: Sequence[int], **masks: int) -> Graph:
    """The slice as the front end would build it."""
    op = OPS["strided_slice"]
    options: dict[str, Any] = {o.name: o.default for o in op.foreign[0].options} | masks
    x = Tensor("x", tuple(shape), "int8", Q)
    decoded = op.decode("STRIDED_SLICE", options, (x, ints(*begin), ints(*end), ints(*stride)), ())
    graph = one_op(op.name, (x,), (Tensor("y", op.shapes((x,), decoded.attrs)[0], "int8", Q),), decoded.attrs)
    rules.check(graph)
    return graph


def test_slices_with_any_masks_equal_pythons() -> None:
    draw, compared = SeededDraw(1), 0
    for _ in range(3000):
        shape = [draw.integer(1, 6) for _ in range(draw.integer(1, 5))]
        begin, end = ([draw.integer(-8, 8) for _ in shape] for _ in range(2))
        stride = [draw.choice((1, 2, 3, -1, -2, 9, -9)) for _ in shape]
        masks = [draw.integer(0, 31) for _ in range(2)]
        data = np.arange(np.prod(shape)).astype(np.int8).reshape(shape)
        expected = data[
            tuple(
                slice(None if masks[0] >> k & 1 else b, None if masks[1] >> k & 1 else e, s)
                for k, (b, e, s) in enumerate(zip(begin, end, stride, strict=True))
            )
        ]
        if expected.size == 0:
            with pytest.raises(ModelError, match="is empty"):
                decode_slice(shape, begin, end, stride, begin_mask=masks[0], end_mask=masks[1])
            continue
        graph = decode_slice(shape, begin, end, stride, begin_mask=masks[0], end_mask=masks[1])
        assert np.array_equal(interpret.run(graph, [data])[0], expected)
        compared += 1
    assert compared > 500


def test_a_shrunk_axis_is_one_index_whatever_the_end_says() -> None:
    graph = decode_slice((4, 5), (-1, 1), (0, 4), (1, 2), shrink_axis_mask=1)
    data = np.arange(20).astype(np.int8).reshape(4, 5)
    assert np.array_equal(interpret.run(graph, [data])[0], data[-1, 1:4:2])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"ellipsis_mask": 1}, "ellipsis_mask is not supported"),
        ({"new_axis_mask": 2}, "new_axis_mask is not supported"),
        ({"offset": True}, "offset is not supported"),
        ({"stride": (0, 1)}, "stride 0"),
        ({"begin": (4, 0), "shrink_axis_mask": 1}, "index 4 of an axis of 4"),
        ({"stride": (-1, 1), "shrink_axis_mask": 1}, "negative stride"),
        ({"begin": (0,)}, "1, 2 and 2 values for 2 dimensions"),
        ({"begin": (-(2**31), 2**31 - 1)}, "is empty"),
    ],
)
def test_a_hostile_slice_gives_one_line(change: dict[str, Any], error: str) -> None:
    given = {"begin": (0, 0), "end": (4, 5), "stride": (1, 1)} | change
    with pytest.raises(ModelError, match=error):
        decode_slice((4, 5), given.pop("begin"), given.pop("end"), given.pop("stride"), **given)


@pytest.mark.parametrize(
    ("op", "name", "options", "inputs", "error"),
    [
        ("split", "SPLIT", {"num_splits": 2}, (ints(7), x_of(2, 4)), "axis 7 of a tensor with 2 dimensions"),
        ("split", "SPLIT", {"num_splits": 2}, (ints(), x_of(2, 4)), "the axis has 0 values"),
        ("split", "SPLIT", {"num_splits": 9}, (ints(0), x_of(2, 4)), "9 parts for 1 outputs"),
        ("arg_max", "ARG_MAX", {"output_type": 2}, (x_of(2, 4), ints(-3)), "axis -3"),
        ("arg_max", "ARG_MAX", {"output_type": 2}, (x_of(), ints(0)), "axis 0 of a tensor with 0 dimensions"),
        ("arg_max", "ARG_MAX", {"output_type": 2}, (x_of(4), x_of(1)), "computed at run time"),
        ("concatenation", "CONCATENATION", {"axis": 2, "fused_activation_function": 0}, (x_of(2, 4),), "axis 2"),
        ("concatenation", "CONCATENATION", {"axis": 0, "fused_activation_function": 1}, (x_of(2, 4),), "fused activation"),
        ("concatenation", "CONCATENATION", {"axis": 0, "fused_activation_function": 0}, (), "has 0 inputs"),
        ("pad", "PAD", {}, (x_of(2, 4), ints(1, 1)), "2 paddings for 2 dimensions"),
        ("pad", "PADV2", {}, (x_of(2), ints(1, 1), x_of(1)), "computed at run time"),
        ("leaky_relu", "LEAKY_RELU", {"alpha": float("nan")}, (x_of(2),), "not a finite number"),
        ("transpose", "TRANSPOSE", {}, (x_of(2, 4),), "needs 2"),
    ],
)
def test_a_hostile_node_gives_one_line(
    op: str, name: str, options: dict[str, Any], inputs: tuple[Tensor, ...], error: str
) -> None:
    with pytest.raises(ModelError, match=error):
        OPS[op].decode(name, options, inputs, (x_of(1),))


@pytest.mark.parametrize(
    ("op", "a", "error"),
    [
        ("transpose", {"perm": (0, 0)}, "not an order"),
        ("transpose", {"perm": (0, -1)}, "not an order"),
        ("pad", {"paddings": ((0, -1), (0, 0)), "value": 0}, "below 0"),
        ("reshape", {"shape": (9,)}, "do not fill"),
        ("split", {"axis": 1, "parts": 3}, "equal parts"),
        ("resize_nearest_neighbor", {"size": (1, 1), "align_corners": False, "half_pixel_centers": False}, "4 dimensions"),
        ("strided_slice", {"start": (0, 4), "stride": (1, 1), "size": (1, 1), "drop": ()}, "leave an axis"),
    ],
)
def test_attributes_that_do_not_fit_the_input_are_refused(op: str, a: dict[str, Any], error: str) -> None:
    with pytest.raises(ModelError, match=error):
        OPS[op].shapes((x_of(2, 4),), attrs(**a))


def test_moved_elements_keep_their_quantization() -> None:
    other = Tensor("y", (4, 2), "int8", per_tensor(0.2, 3))
    with pytest.raises(UnsupportedError, match="add a QUANTIZE layer"):
        rules.check(one_op("transpose", (x_of(2, 4),), (other,), attrs(perm=(1, 0))))


def test_gather_merges_the_axes_that_stay_together() -> None:
    (call,) = gather(x_of(2, 3, 4, 5), (3, 2, 4, 5), (20, 60, 5, 1), 0).calls  # the first two axes swapped
    assert call.fields["run"] == 20
    assert call.fields["size"] == (1, 1, 1, 3, 2)


def test_relu_needs_no_table_where_the_quantization_stays() -> None:
    same, other = (one_op("relu", (x_of(4),), (Tensor("y", (4,), "int8", q),), attrs()) for q in (Q, per_tensor(0.2, 3)))
    chosen = [select(g, g.nodes[0], (), Choice()) for g in (same, other)]
    assert [s.kernel.name for s in chosen if s is not None] == ["clamp_s8", "lut_s8"]


def test_the_table_of_elu_does_not_depend_on_the_processor() -> None:
    """numpy's own exp of float32 is off by up to 2.5 ulp where there is AVX; this layer's table then had -49 for -48."""
    values = np.linspace(-20, 0, 20_001, dtype=np.float32)
    assert np.array_equal(elu.exp_once_rounded(values), np.array([math.exp(v) for v in values.tolist()], np.float32))
    quants = per_tensor(0.0013718177915343734, 50), per_tensor(0.0027414239643120137, 0)
    x, y = (Tensor(name, ALL.shape, "int8", quant) for name, quant in zip("xy", quants, strict=True))
    graph = one_op("elu", (x,), (y,), attrs())
    assert interpret.run(graph, [ALL])[0][ALL == -54] == -48


def float_case(values: Array, scale: float, zero_point: int) -> Graph:
    y = Tensor("y", values.shape, "int8", per_tensor(scale, zero_point))
    return one_op("quantize", (Tensor("x", values.shape, "float32"),), (y,), attrs())


def test_quantize_is_defined_for_every_float() -> None:
    special = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, -0.0, 0.0], np.float32)
    halves = (np.arange(-300, 300) + 0.5).astype(np.float32)
    near = np.concatenate([halves, np.nextafter(halves, np.float32(np.inf)), np.nextafter(halves, np.float32(-np.inf))])
    values = np.concatenate([special, near]).astype(np.float32)
    graphs = [float_case(values, 1.0, 3), float_case(values, 0.37, -128), float_case(values, 1e-6, 127)]
    batch = Batch(graphs, flags=("-O1", *SANITIZE))
    for k, graph in enumerate(graphs):
        assert np.array_equal(batch.run(k, [values])[0], interpret.run(graph, [values])[0])


def test_quantize_rounds_the_float_below_a_half_down() -> None:
    assert to_int8(np.array([0.49999997, -0.49999997, 0.5, -0.5], np.float32), per_tensor(1.0, 0)).tolist() == [0, 0, 1, -1]


def test_every_table_entry_is_where_the_kernel_looks() -> None:
    graph = one_op("quantize", (x_of(256),), (Tensor("y", (256,), "int8", per_tensor(0.07, -9)),), attrs())
    assert np.array_equal(Batch([graph]).run(0, [ALL])[0], interpret.run(graph, [ALL])[0])
