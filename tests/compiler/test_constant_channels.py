"""Constant and unread channels go, and no graph output changes by a bit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sandgrain.base.errors import ModelError
from sandgrain.compiler.passes import PIPELINE
from sandgrain.compiler.passes.channel_values import channel_ranges
from sandgrain.compiler.passes.constant_channels import remove_constant_channels
from sandgrain.compiler.passes.remove_dead import remove_dead
from sandgrain.formats.tflite import read
from sandgrain.graph import interpret, rules
from sandgrain.graph.ir import Array, Graph, Node, Tensor, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.conv import windows as win
from sandgrain.graph.quantization import Quantization, per_tensor
from tests.support import effort
from tests.support.draws import SeededDraw, random_inputs, rare
from tests.support.tflite_mutants import MODELS

Q = per_tensor(0.05, -128)  # a relu's output
MIDDLE = per_tensor(0.05, 3)
BLOCKS, NETS = 4, int(os.environ.get("SANDGRAIN_NETS", "50"))  # random nets: so many blocks of so many


class Net:
    """Builds a graph layer by layer; every method gives the index of the tensor that it makes."""

    def __init__(self, shape: Sequence[int], quant: Quantization = Q) -> None:
        self.tensors = [Tensor("x", tuple(shape), "int8", quant)]
        self.nodes: list[Node] = []

    def constant(self, data: Any, dtype: str, quant: Quantization) -> int:
        array = np.asarray(data, dtype)
        self.tensors.append(Tensor(f"k{len(self.tensors)}", array.shape, dtype, quant, array))
        return len(self.tensors) - 1

    def node(self, op: str, inputs: Sequence[int], quant: Quantization, **values: Any) -> int:
        """Adds a node if it is legal; raises ModelError, the net unchanged, if not."""
        a = attrs(**values)
        shapes = OPS[op].shapes([None if i < 0 else self.tensors[i] for i in inputs], a)
        first = len(self.tensors)
        made = [Tensor(f"t{first + k}", tuple(s), "int8", quant) for k, s in enumerate(shapes)]
        node = Node(op, f"{op}{len(self.nodes)}", tuple(inputs), tuple(range(first, first + len(made))), a)
        rules.check_node(Graph("", (*self.tensors, *made), (node,), (0,), node.outputs), node)
        self.tensors += made
        self.nodes.append(node)
        return first

    def conv(self, x: int, weights: Any, bias: Any = None, *, op: str = "conv_2d", stride: int = 1, same: bool = False,
             quant: Quantization = Q, scale: float = 0.05, activation: str = "relu") -> int:  # fmt: skip
        w = self.constant(weights, "int8", per_tensor(scale, 0))
        b = -1 if bias is None else self.constant(bias, "int32", per_tensor(scale * 0.05, 0))
        size, kernel = self.tensors[x].shape[1:3], self.tensors[w].shape[1:3]
        padding = win.explicit_padding(0 if same else 1, size, kernel, (stride, stride))
        return self.node(
            op,
            (x, w, b) if b >= 0 else (x, w),
            quant,
            stride=(stride, stride),
            dilation=(1, 1),
            padding=padding,
            activation=activation,
        )

    def dense(self, x: int, weights: Any, bias: Any, quant: Quantization = MIDDLE) -> int:
        w, b = self.constant(weights, "int8", per_tensor(0.05, 0)), self.constant(bias, "int32", per_tensor(0.0025, 0))
        return self.node("fully_connected", (x, w, b), quant, activation="none", keep_num_dims=False)

    def graph(self, *outputs: int) -> Graph:
        return Graph("net", tuple(self.tensors), tuple(self.nodes), (0,), outputs)


def weights(shape: Sequence[int], seed: int = 0) -> Array:
    """Weights without a zero."""
    return np.random.default_rng(seed).integers(1, 40, tuple(shape)).astype(np.int8)


def dead(shape: Sequence[int], *rows: int, axis: int = 0) -> Array:
    """Weights whose output channels `rows` are all zero."""
    found = np.moveaxis(weights(shape).copy(), axis, 0)
    found[list(rows)] = 0
    return np.moveaxis(found, 0, axis)


def same_answers(before: Graph, after: Graph, samples: int = 8, seed: int = 1) -> None:
    inputs = random_inputs(before, seed, samples)
    for row in zip(*inputs, strict=True):
        for a, b in zip(interpret.run(before, list(row)), interpret.run(after, list(row)), strict=True):
            np.testing.assert_array_equal(a, b)


def shrunk(graph: Graph) -> Graph:
    """The graph after the pass: legal, the same answers, and nothing left to do."""
    rules.check(graph)
    after = remove_constant_channels(graph)
    rules.check(after, "optimized")
    same_answers(graph, after)
    assert remove_constant_channels(after) is after
    return after


def widths(graph: Graph, op: str = "conv_2d") -> list[int]:
    return [graph.tensors[n.outputs[0]].shape[-1] for n in graph.nodes if n.op == op]


# --- what goes, and what stays ---------------------------------------------------------------------------------------


def test_a_constant_channel_goes_into_the_next_bias() -> None:
    net = Net((1, 4, 4, 3))
    t = net.conv(0, dead((5, 3, 3, 3), 1, 3), [9, 400, 0, 700, 5], same=True)
    after = shrunk(net.graph(net.conv(t, weights((2, 1, 1, 5)))))
    assert widths(after) == [3, 2]
    assert after.tensors[after.nodes[1].inputs[2]].data is not None  # the layer had no bias before


def test_a_channel_that_the_clamp_leaves_one_value_is_constant() -> None:
    net = Net((1, 4, 4, 3))
    t = net.conv(0, weights((4, 1, 1, 3)), [0, -(10**6), 0, 10**6])
    assert widths(shrunk(net.graph(net.conv(t, weights((2, 1, 1, 4)))))) == [2, 2]


@pytest.mark.parametrize(("constant", "width"), [(0, 2), (700, 4)])
def test_a_constant_beside_padding_goes_only_if_it_is_the_zero_point(constant: int, width: int) -> None:
    net = Net((1, 5, 5, 3))
    t = net.conv(0, dead((4, 1, 1, 3), 0, 2), [constant, 1, constant, 1])
    assert widths(shrunk(net.graph(net.conv(t, weights((2, 3, 3, 4)), same=True))))[0] == width


def test_a_constant_goes_if_only_taps_that_never_leave_the_input_weigh() -> None:
    net = Net((1, 5, 5, 3))
    t = net.conv(0, dead((4, 1, 1, 3), 0), [700, 1, 1, 1])
    w = weights((2, 3, 3, 4)).copy()
    w[..., 0] *= np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.int8)
    assert widths(shrunk(net.graph(net.conv(t, w, same=True))))[0] == 3


def test_taps_that_only_read_padding_count_for_nothing() -> None:
    net = Net((1, 1, 1, 3))  # of a 3x3 window, only the middle reads the single pixel
    w, middle = weights((5, 3, 3, 3)).copy(), weights((2, 3, 3, 5)).copy()
    w[0, 1, 1] = 0  # constant, and not the zero point
    w[1, 1, 1] = 1  # constant by its clamp
    middle[:, 1, 1, 2] = 0  # not read
    t = net.conv(0, w, [500, -40000, 0, 0, 0], same=True)
    assert widths(shrunk(net.graph(net.conv(t, middle, same=True)))) == [2, 2]


@pytest.mark.parametrize(("biases", "width"), [((700, 300), 4), ((700, 700), 3)])
def test_joined_along_the_height_only_equal_constants_are_one(biases: tuple[int, int], width: int) -> None:
    net = Net((1, 4, 4, 3))
    parts = [net.conv(0, dead((4, 1, 1, 3), 0), [bias, 0, 0, 0]) for bias in biases]
    t = net.node("concatenation", parts, Q, axis=1)
    assert widths(shrunk(net.graph(net.conv(t, weights((2, 1, 1, 4)))))) == [width, width, 2]


@pytest.mark.parametrize(
    ("op", "values"),
    [
        ("transpose", {"perm": (0, 3, 2, 1)}),
        ("mean", {"axes": (2, 3), "keep_dims": False}),
        ("strided_slice", {"start": (0, 0, 0, 3), "stride": (1, 1, 1, -1), "size": (1, 4, 4, 4), "drop": ()}),
        ("softmax", {"beta": 1.0}),
    ],
)
def test_a_layer_that_mixes_channels_keeps_them(op: str, values: dict[str, Any]) -> None:
    net = Net((1, 4, 4, 3))
    t = net.conv(0, dead((4, 1, 1, 3), 1), [0, 300, 0, 0])
    t = net.node(op, (t,), per_tensor(1 / 256, -128) if op == "softmax" else Q, **values)
    w = weights((2, 4)).copy()
    w[:, 1:3] = 0  # not read
    assert widths(shrunk(net.graph(net.dense(t, w, [0, 0]))))[0] == 4


def test_a_channel_that_nobody_reads_goes_with_all_that_only_it_reads() -> None:
    net = Net((1, 4, 4, 3))
    t = net.conv(net.conv(0, weights((6, 1, 1, 3))), np.eye(6, dtype=np.int8).reshape(6, 1, 1, 6) * 20)
    w = weights((2, 1, 1, 6)).copy()
    w[..., [0, 5]] = 0
    assert widths(shrunk(net.graph(net.conv(t, w)))) == [4, 4, 2]


def test_depthwise_takes_its_input_channel_along() -> None:
    net = Net((1, 6, 6, 3))
    t = net.conv(0, weights((5, 1, 1, 3)))
    t = net.conv(t, dead((1, 3, 3, 5), 0, 4, axis=3), [300, 0, 0, 0, 0], op="depthwise_conv_2d", same=True)
    after = shrunk(net.graph(net.conv(t, weights((2, 1, 1, 5)))))
    assert (widths(after), widths(after, "depthwise_conv_2d")) == ([3, 2], [3])


def test_depthwise_of_a_padded_constant_stays() -> None:
    net = Net((1, 6, 6, 3))
    t = net.conv(0, dead((5, 1, 1, 3), 2), [0, 0, 700, 0, 0])
    t = net.conv(t, weights((1, 3, 3, 5)), op="depthwise_conv_2d", same=True)
    assert widths(shrunk(net.graph(net.conv(t, weights((2, 1, 1, 5)))))) == [5, 2]


def test_depthwise_of_one_channel_loses_single_outputs() -> None:
    net = Net((1, 6, 6, 1))
    t = net.conv(0, dead((1, 3, 3, 8), 1, 6, axis=3), op="depthwise_conv_2d", same=True)
    assert widths(shrunk(net.graph(net.conv(t, weights((2, 1, 1, 8))))), "depthwise_conv_2d") == [6]


def test_depthwise_with_a_multiplier_loses_whole_groups() -> None:
    net = Net((1, 6, 6, 3))
    t = net.conv(0, weights((4, 1, 1, 3)))
    t = net.conv(t, dead((1, 3, 3, 8), 0, 2, 3, axis=3), op="depthwise_conv_2d")
    after = shrunk(net.graph(net.conv(t, weights((2, 1, 1, 8)))))
    assert (widths(after)[0], widths(after, "depthwise_conv_2d")) == (3, [6])


@pytest.mark.parametrize(("other", "width"), [((1,), 3), ((2,), 4)])
def test_a_residual_loses_the_channels_that_are_constant_on_both_sides(other: tuple[int, ...], width: int) -> None:
    net = Net((1, 4, 4, 3))
    a = net.conv(0, dead((4, 3, 3, 3), 1), [0, 90, 0, 0], same=True)
    b = net.conv(0, dead((4, 1, 1, 3), *other), [0, 50, 50, 0])
    t = net.node("add", (a, b), Q, activation="relu")
    assert widths(shrunk(net.graph(net.conv(t, weights((2, 1, 1, 4)))))) == [width, width, 2]


def test_concatenation_loses_the_channels_of_each_part() -> None:
    net = Net((1, 4, 4, 3))
    a, b = net.conv(0, dead((4, 1, 1, 3), 1)), net.conv(0, dead((5, 1, 1, 3), 0, 4))
    t = net.node("concatenation", (a, b), Q, axis=3)
    assert widths(shrunk(net.graph(net.conv(t, weights((2, 3, 3, 9)), same=True)))) == [3, 3, 2]


def test_channels_that_a_pad_adds_go_as_well() -> None:
    net = Net((1, 4, 4, 3))
    t = net.node("pad", (net.conv(0, dead((4, 1, 1, 3), 1)),), Q, paddings=((0, 0), (0, 0), (0, 0), (1, 2)), value=-128)
    after = shrunk(net.graph(net.conv(t, weights((2, 1, 1, 7)))))
    assert (widths(after)[0], widths(after, "pad")) == (3, [3])


@pytest.mark.parametrize("reshaped", [True, False])
def test_a_flattened_channel_takes_its_columns_along(reshaped: bool) -> None:
    net = Net((1, 4, 4, 3))
    t = net.conv(0, dead((4, 1, 1, 3), 1, 2), [0, 600, 300, 0])
    t = net.node("max_pool_2d", (t,), Q, kernel=(2, 2), stride=(2, 2), padding=(0, 0, 0, 0), activation="none")
    t = net.node("reshape", (t,), Q, shape=(1, 16)) if reshaped else t
    after = shrunk(net.graph(net.dense(t, weights((3, 16)), [1, 2, 3])))
    assert after.tensors[after.nodes[-1].inputs[1]].shape == (3, 8)


def test_graph_outputs_keep_their_constants() -> None:
    net = Net((1, 4, 4, 3))
    graph = net.graph(net.conv(0, dead((4, 1, 1, 3), 1)))
    assert remove_constant_channels(graph) is graph


def test_one_channel_always_stays() -> None:
    net = Net((1, 4, 4, 3))
    t = net.conv(0, dead((4, 1, 1, 3), 0, 1, 2, 3), [0, 100, 200, 300])
    assert widths(shrunk(net.graph(net.conv(t, weights((2, 1, 1, 4)))))) == [1, 2]


def test_scales_go_with_their_channels() -> None:
    net = Net((1, 4, 4, 3))
    t = net.conv(0, dead((3, 1, 1, 3), 1), [5, 6, 7])
    for index, step in ((1, 1.0), (2, 0.05)):
        scales = tuple(float(np.float32(step * s)) for s in (0.02, 0.03, 0.04))
        net.tensors[index] = replace(net.tensors[index], quant=Quantization(scales, (0, 0, 0), 0))
    graph = net.graph(net.conv(t, weights((2, 1, 1, 3))))
    after = shrunk(graph)
    for k in (1, 2):
        before, left = graph.tensors[graph.nodes[0].inputs[k]].quant, after.tensors[after.nodes[0].inputs[k]].quant
        assert before is not None
        assert left is not None
        assert left.scale == (before.scale[0], before.scale[2])


def test_the_largest_bias_still_fits_after_a_fold() -> None:
    net = Net((1, 1, 1, 2), per_tensor(0.05, 127))
    t = net.conv(0, dead((2, 1, 1, 2), 1), [0, -(10**6)], quant=per_tensor(0.05, 127), activation="none")
    w = np.full((1, 1, 1, 2), -127, np.int8)
    y = net.conv(t, w, [2**31 - 1 - 2 * 127 * 255], quant=MIDDLE, scale=1e-8, activation="none")
    assert widths(shrunk(net.graph(y)))[0] == 1


# --- random graphs ---------------------------------------------------------------------------------------------------


class RandomNet(Net):
    """Layers drawn one after another, with dead rows, saturating biases and unread columns planted."""

    def __init__(self, seed: int) -> None:
        self.draw = SeededDraw(seed)
        self.quants = [per_tensor(self.draw.real(0.02, 0.2), self.draw.choice((-128, -128, 5))) for _ in range(2)]
        super().__init__((1, self.draw.integer(3, 7), self.draw.integer(3, 7), self.draw.integer(1, 4)), self.quants[0])
        self.images = [0]
        for _ in range(self.draw.integer(4, 14)):
            try:
                self.images.append(self.draw.choice(self.CHOICES)(self))
            except ModelError:
                continue

    def pick(self, channels: int | None = None) -> int:
        near = self.images[-4:]
        return self.draw.choice([i for i in near if channels in (None, self.tensors[i].shape[-1])] or near)

    def quant(self) -> Quantization:
        return self.draw.choice(self.quants)

    def planted(self, shape: tuple[int, ...], axis: int) -> tuple[int, int]:
        """Constant weights and bias."""
        draw, count = self.draw, shape[axis]
        w = np.moveaxis(draw.array(shape, -60, 60), axis, 0).copy()
        bias = draw.array((count,), -3000, 3000, "int32")
        for row in range(count):
            kind = draw.integer(0, 5)
            if kind < 2:
                w[row] = 0
            if kind in (1, 2):
                bias[row] = draw.choice((-(10**7), 10**7, 0))
        w = np.moveaxis(w, 0, axis)
        if draw.choice((True, False)):
            w[..., draw.integer(0, shape[-1] - 1)] = 0
        scales = tuple(float(np.float32(draw.real(0.002, 0.02))) for _ in range(count if draw.choice((True, False)) else 1))
        zeros, split = (0,) * len(scales), len(scales) > 1
        quant = Quantization(scales, zeros, axis if split else None)
        return (
            self.constant(np.ascontiguousarray(w), "int8", quant),
            -1 if draw.choice((False, False, True)) else self.constant(bias, "int32", replace(quant, axis=0 if split else None)),
        )

    def window(self, op: str) -> int:
        draw, x = self.draw, self.pick()
        size, channels = self.tensors[x].shape[1:3], self.tensors[x].shape[-1]
        kernel = draw.choice(((1, 1), (1, 1), (3, 3), (2, 3), (size[0], size[1])))
        stride, dilation = draw.choice(((1, 1), (1, 1), (2, 2), (1, 3))), draw.choice(((1, 1), (1, 1), (2, 1)))
        shape, axis = (draw.choice((4, 4, 5, 8)), *kernel, channels), 0
        if op == "depthwise_conv_2d":
            shape, axis = (1, *kernel, channels * draw.choice((1, 1, 2))), 3
        padding = win.explicit_padding(draw.choice((0, 1)), size, kernel, stride, dilation)
        activation = draw.choice(("none", "relu", "relu", "relu6"))
        inputs = (x, *self.planted(shape, axis))
        return self.node(op, inputs, self.quant(), stride=stride, dilation=dilation, padding=padding, activation=activation)

    def pool(self) -> int:
        draw, x = self.draw, self.pick()
        kernel = draw.choice(((2, 2), (3, 3), (1, 2)))
        padding = win.explicit_padding(draw.choice((0, 1)), self.tensors[x].shape[1:3], kernel, (2, 1))
        quant = self.tensors[x].quant
        assert quant is not None
        return self.node(
            draw.choice(("max_pool_2d", "average_pool_2d")),
            (x,),
            quant,
            kernel=kernel,
            stride=(2, 1),
            padding=padding,
            activation=draw.choice(("none", "relu6")),
        )

    def two(self) -> int:
        x, op = self.pick(), self.draw.choice(("add", "add", "sub", "mul"))
        channels = self.tensors[x].shape[-1]
        y = self.draw.choice((self.pick(channels), self.constant(self.draw.array((channels,), -128, 127), "int8", self.quant())))
        return self.node(op, (x, y), self.quant(), activation=self.draw.choice(("none", "relu")))

    def join(self) -> int:
        quant = self.tensors[(x := self.pick())].quant
        assert quant is not None
        return self.node("concatenation", (x, self.pick()), quant, axis=self.draw.choice((3, 3, 1)))

    def moved(self) -> int:
        x, draw = self.pick(), self.draw
        quant, shape = self.tensors[x].quant, self.tensors[x].shape
        assert quant is not None
        cut = draw.integer(1, shape[3])
        start = draw.integer(0, shape[3] - cut)
        op, values = draw.choice((
            ("pad", {"paddings": ((0, 0), (0, 1), (1, 0), draw.choice(((0, 0), (1, 2)))), "value": draw.choice((-128, quant.zero_point[0]))}),
            ("transpose", {"perm": draw.choice(((0, 2, 1, 3), (0, 3, 2, 1)))}),
            ("split", {"parts": draw.choice((2, shape[3])), "axis": draw.choice((3, 3, 2))}),
            ("strided_slice", {"start": (0, 0, 0, 0), "stride": (1, 1, 1, 1), "size": (1, *(s - (s > 3) for s in shape[1:3]), shape[3]), "drop": ()}),
            ("strided_slice", {"start": (0, 0, 0, start), "stride": (1, 1, 1, 1), "size": (*shape[:3], cut), "drop": ()}),
            ("resize_nearest_neighbor", {"size": (shape[1] + 1, shape[2]), "align_corners": False, "half_pixel_centers": False}),
            ("reshape", {"shape": (1, shape[2], shape[1], shape[3])}),
            ("reshape", {"shape": (1, 1, shape[1], shape[2] * shape[3])}),
        ))  # fmt: skip
        return self.node(op, (x,), quant, **values)

    def unary(self) -> int:
        op = self.draw.choice(("relu", "relu6", "hard_swish", "quantize", "logistic"))
        return self.node(op, (self.pick(),), per_tensor(1 / 256, -128) if op == "logistic" else self.quant())

    CHOICES = (
        lambda net: net.window("conv_2d"), lambda net: net.window("conv_2d"), lambda net: net.window("conv_2d"),
        lambda net: net.window("depthwise_conv_2d"), lambda net: net.window("depthwise_conv_2d"),
        pool, two, two, join, moved, unary,
    )  # fmt: skip

    def finished(self) -> Graph:
        """The last image, or a dense layer on it, and sometimes another image; nothing that is not read."""
        draw, last = self.draw, self.images[-1]
        shape = self.tensors[last].shape
        if draw.choice((True, True, False)):
            if draw.choice((True, False)):
                last = self.node(
                    "mean", (last,), self.quant(), axes=draw.choice(((1, 2), (1,), (2, 3))), keep_dims=draw.choice((True, False))
                )
            shape = self.tensors[last].shape
            depth = draw.choice((self.tensors[last].size, shape[-1]))
            last = self.node(
                "fully_connected", (last, *self.planted((3, depth), 0)), self.quant(), activation="none", keep_num_dims=False
            )
        others = [i for i in self.images[1:] if i != last]
        outputs = {last, draw.choice(others)} if others and draw.choice((True, False, False)) else {last}
        return self.graph(*sorted(outputs - {0}))


def random_graph(seed: int) -> Graph:
    """A legal net with at least one layer, all of it read."""
    net = RandomNet(seed)
    try:
        return remove_dead(net.finished()) if len(net.images) > 1 else random_graph(seed + 10**6)
    except ModelError:
        return random_graph(seed + 10**6)


@rare
@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_nets_answer_the_same(block: int) -> None:
    smaller = 0
    for seed in range(block * NETS, block * NETS + NETS):
        graph = random_graph(seed)
        try:
            smaller += shrunk(graph) is not graph
        except Exception as error:
            raise AssertionError(f"net {seed}") from error
    assert smaller > NETS // 4  # the planted channels are there


def test_values_never_leave_their_ranges() -> None:
    constants = 0
    for seed in range(NETS):
        graph = random_graph(seed)
        ranges = channel_ranges(graph)
        constants += sum(int(r.constant.sum()) for r in ranges.values())
        for row in zip(*random_inputs(graph, seed, 4), strict=True):
            for index, value in enumerate(interpret.trace(graph, list(row))):
                if index in ranges:
                    assert value is not None
                    assert (value >= ranges[index].low).all(), (seed, index)
                    assert (value <= ranges[index].high).all(), (seed, index)
    assert constants > NETS


# --- a real model ----------------------------------------------------------------------------------------------------


def test_visual_wake_words_loses_half_its_work() -> None:
    path = MODELS / "vww_96_int8.tflite"
    if not path.is_file():
        pytest.skip(f"{path.name} is not in the models folder")
    graph = read.read(path.read_bytes(), "vww")
    for step in PIPELINE[: PIPELINE.index(remove_constant_channels)]:
        graph = step(graph)
    after = remove_constant_channels(graph)
    assert effort.seconds(lambda: remove_constant_channels(graph), enough=1) < 1
    same_answers(graph, after, samples=4)
    layers = [after.view(n) for n in after.nodes if "conv_2d" in n.op]
    assert sum(OPS[v.node.op].macs(v) for v in layers) <= 3_780_000
    assert sum(v.input(1).size for v in layers) <= 31_018
