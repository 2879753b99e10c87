"""A kernel's proof of a layer is kept by the layer's content."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sandgrain.compiler import select
from sandgrain.graph.ir import Graph, Node, Tensor, attrs
from sandgrain.graph.quantization import Quantization, per_tensor
from sandgrain.kernels import Kernel, kernels_of
from tests.support.draws import rare


def dense(**changes: Any) -> Graph:
    """A fully connected layer; `changes`: name of a tensor -> its other fields."""
    rng = np.random.default_rng(0)
    tensors = [
        Tensor("x", (1, 8), "int8", per_tensor(0.05, 3)),
        Tensor("w", (4, 8), "int8", Quantization((0.01,), (0,)), rng.integers(-127, 128, (4, 8)).astype(np.int8)),
        Tensor("b", (4,), "int32", Quantization((0.0005,), (0,)), rng.integers(-99, 99, 4).astype(np.int32)),
        Tensor("y", (1, 4), "int8", per_tensor(0.05, 3)),
    ]
    tensors = [replace(t, **changes.get(t.name, {})) for t in tensors]
    node = Node("fully_connected", "n", (0, 1, 2), (3,), attrs(activation=changes.get("activation", "none"), keep_num_dims=False))
    return Graph("g", tuple(tensors), (node,), (0,), (3,))


def content(graph: Graph) -> Any:
    return select.layer_content(graph, graph.nodes[0])


def test_names_do_not_matter() -> None:
    named = dense(x={"name": "other"})
    named = replace(named, name="h", nodes=(replace(named.nodes[0], name="m"),))
    assert content(named) == content(dense())


@pytest.mark.parametrize(
    "changes",
    [
        {"x": {"shape": (1, 9)}},
        {"x": {"quant": per_tensor(0.05, 4)}},
        {"y": {"quant": per_tensor(0.06, 3)}},
        {"w": {"data": np.zeros((4, 8), np.int8)}},
        {"w": {"data": None}},
        {"b": {"data": np.zeros(4, np.int32)}},
        {"activation": "relu"},
    ],
    ids=str,
)
def test_all_that_a_kernel_may_read_matters(changes: dict[str, Any]) -> None:
    assert content(dense(**changes)) != content(dense())


def test_one_tensor_read_twice_is_not_two_alike() -> None:
    alike = [Tensor(name, (1, 4), "int8", per_tensor(0.1, 0)) for name in "aby"]
    twice, two = (Graph("g", tuple(alike), (Node("add", "n", inputs, (2,)),), (0, 1), (2,)) for inputs in ((0, 0), (0, 1)))
    assert content(twice) != content(two)


@rare
def test_an_array_is_digested_once_and_forgotten_with_its_graph() -> None:
    graph = dense()
    before = len(select._DIGESTS)
    data = graph.tensors[1].data
    assert data is not None
    assert select.digest(data) is select.digest(data)
    assert select.digest(data) == select.digest(data.copy()) != select.digest(data.astype(np.int16))
    del graph, data
    gc.collect()
    assert len(select._DIGESTS) <= before


def test_proofs_are_kept_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "MAX_FITS", 3)
    kernel: Kernel = kernels_of("fully_connected")[-1]
    for zero in range(5):
        graph = dense(x={"quant": per_tensor(0.05, zero)})
        select.fit(graph, graph.nodes[0], kernel, ())
    assert len(select._FITS) <= 3
