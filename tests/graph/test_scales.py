"""Float graphs that bring their scales: nobody loses them by overlooking them."""

from __future__ import annotations

import numpy as np
import pytest

from sandgrain.base.errors import ModelError
from sandgrain.graph import rules
from sandgrain.graph.ir import Graph, Node, Tensor, attrs
from sandgrain.graph.quantization import per_tensor
from sandgrain.graph.scales import bring_scales, brings_scales, channel_scales, split_scales
from sandgrain.graph.text import dump
from sandgrain.quantization import quantize
from sandgrain.quantization.keep import with_scales_kept

WEIGHTS = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]], np.float32)
SCALES = {0: per_tensor(0.1, 3), 1: channel_scales(np.array([0.5, 1.0], np.float32), 0), 2: per_tensor(0.25, -4)}


def dense() -> Graph:
    tensors = (
        Tensor("x", (1, 3), "float32"),
        Tensor("w", (2, 3), "float32", None, WEIGHTS),
        Tensor("y", (1, 2), "float32"),
    )
    node = Node("fully_connected", "d", (0, 1), (2,), attrs(activation="none", keep_num_dims=False))
    return Graph("g", tensors, (node,), (0,), (2,))


def test_what_was_brought_is_split_off_again() -> None:
    scaled = bring_scales(dense(), SCALES)
    assert brings_scales(scaled) and not brings_scales(dense())
    graph, scales = split_scales(scaled)
    assert dump(graph, data=True) == dump(dense(), data=True) and scales == SCALES


def test_every_scale_and_weight_is_kept() -> None:
    made = with_scales_kept(bring_scales(dense(), SCALES))
    rules.check(made)
    x, w, y = (next(t for t in made.tensors if t.name == name) for name in "xwy")
    assert (x.quant, w.quant, y.quant) == (SCALES[0], SCALES[1], SCALES[2])
    np.testing.assert_array_equal(w.data, np.array([[2, -4, 6], [4, 5, -6]], np.int8))


@pytest.mark.parametrize("stage", ["float", "imported", "optimized"])
def test_rules_and_calibration_refuse_scales_that_they_would_lose(stage: str) -> None:
    scaled = bring_scales(dense(), SCALES)
    with pytest.raises(ModelError):
        rules.check(scaled, stage)
    with pytest.raises(ModelError, match="with a scale"):
        quantize(scaled, [np.zeros((4, 1, 3), np.float32)])


def test_indices_have_no_scale() -> None:
    tensors = (Tensor("x", (1, 3), "int32"), Tensor("y", (3, 1), "int32"))
    graph = Graph("g", tensors, (Node("reshape", "r", (0,), (1,), attrs(shape=(3, 1))),), (0,), (1,))
    assert not brings_scales(bring_scales(graph, {0: SCALES[0]}))
