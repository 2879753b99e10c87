"""Weights rounded for what they multiply: the outputs' error falls, means are kept, levels stay int8."""

from __future__ import annotations

import numpy as np
import pytest

from sandgrain.graph import reals
from sandgrain.graph.ir import Array, Graph
from sandgrain.graph.ops import OPS
from sandgrain.quantization.report import snr_db
from sandgrain.quantization.rounding import compensated, round_weights
from sandgrain.quantization.weights import spread, weight_scales
from tests.support.float_graphs import Net


def layered(kind: str) -> tuple[Graph, Array]:
    """One layer of `kind` on 60 smooth pictures."""
    net = Net((1, 9, 9, 6), seed=4)
    x = {
        "conv_2d": lambda: net.conv(0, 5, "none", kernel=3),
        "depthwise_conv_2d": lambda: net.depthwise(0, "none"),
        "fully_connected": lambda: net.dense(0, 7),
    }[kind]()
    smooth = net.samples(60).cumsum(axis=2).cumsum(axis=3)
    smooth[..., 1:] = smooth[..., :1] + 0.1 * smooth[..., 1:]  # channels that have much in common
    return net.graph(x), (smooth + 3).astype(np.float32)


@pytest.mark.parametrize("kind", ["conv_2d", "depthwise_conv_2d", "fully_connected"])
def test_the_error_of_unseen_outputs_falls(kind: str) -> None:
    graph, x = layered(kind)
    made = round_weights(graph, [x[:40]])
    ((index, scales),) = made.scales.items()
    weights, linear = made.graph.tensors[index].data, OPS[kind].linear
    assert weights is not None and linear is not None
    axis = linear.channel_axis
    levels = weights / spread(scales, weights.ndim, axis)
    assert np.abs(levels - np.rint(levels)).max() < 1e-4 and np.abs(levels).max() < 127.5
    wanted, found = (reals.outputs(g, x[40:])[0] for g in (graph, made.graph))
    plain = np.asarray(graph.tensors[index].data)
    step = spread(weight_scales(plain, axis), plain.ndim, axis)
    tensors = list(graph.tensors)
    tensors[index] = type(tensors[index])("w", plain.shape, "float32", None, (np.rint(plain / step) * step).astype(np.float32))
    nearest = reals.outputs(Graph("n", tuple(tensors), graph.nodes, graph.inputs, graph.outputs), x[40:])[0]
    assert snr_db(wanted, found) > snr_db(wanted, nearest) + 4
    assert np.abs((found - wanted).mean(axis=(0, 1, 2, 3))).max() < 0.2 * np.abs(nearest - wanted).max()


def test_weights_on_levels_stay_where_they_are() -> None:
    rng = np.random.default_rng(0)
    levels = rng.integers(-127, 128, (2, 3, 5)).astype(float)
    moments = np.stack([np.cov(rng.standard_normal((5, 40))) for _ in range(2)])
    scale = rng.uniform(0.01, 0.1, (2, 3))
    assert np.array_equal(compensated(levels * scale[:, :, None], scale, moments), levels)


def test_two_inputs_that_are_one_share_their_error() -> None:
    """0.3 + 0.3 levels of the same input: one of the two weights is rounded up."""
    twice = np.ones((1, 2, 2)) + 1e-6 * np.eye(2)
    assert compensated(np.full((1, 1, 2), 0.3), np.ones((1, 1)), twice).sum() == 1


def test_inputs_that_are_always_zero_are_rounded_to_the_nearest() -> None:
    net = Net((1, 4))
    graph = net.graph(net.dense(0, 3))
    made = round_weights(graph, [np.zeros((5, 1, 4), np.float32)])
    ((index, scales),) = made.scales.items()
    weights, rounded = graph.tensors[index].data, made.graph.tensors[index].data
    assert weights is not None and rounded is not None
    assert np.array_equal(rounded, (np.rint(weights / scales[:, None]) * scales[:, None]).astype(np.float32))


def test_weights_of_several_layers_stay_as_they_are() -> None:
    net = Net((1, 4))
    x = net.dense(0, 4)
    shared = net.nodes[0].inputs
    x = net.node("fully_connected", (x, *shared[1:]), (1, 4), activation="none", keep_num_dims=True)
    graph = net.graph(x)
    made = round_weights(graph, [net.samples(5)])
    assert made.scales == {} and made.graph.tensors == graph.tensors
