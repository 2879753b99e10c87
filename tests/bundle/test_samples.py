"""Data sets: fitted to the model's inputs, floats quantized, order and labels kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sandgrain.base.errors import UsageError
from sandgrain.bundle import samples
from sandgrain.graph.ir import Graph, Node, Tensor, attrs
from sandgrain.graph.quantization import per_tensor
from tests.support.integers import to_int8

Q = per_tensor(0.5, 3)
ONE = Graph(
    "one", (Tensor("x", (1, 2, 3), "int8", Q), Tensor("y", (1, 2, 3), "int8", Q)), (Node("relu", "r", (0,), (1,)),), (0,), (1,)
)
TWO = Graph(
    "two",
    (Tensor("a", (1, 4), "int8", Q), Tensor("b", (1, 4), "int8", Q), Tensor("y", (1, 4), "int8", Q)),
    (Node("add", "s", (0, 1), (2,), attrs(activation="none")),),
    (0, 1),
    (2,),
)


def save(path: Path, **arrays: object) -> Path:
    np.savez(path / "x.npz", **arrays)  # type: ignore[arg-type]
    return path / "x.npz"


def test_int8_samples_are_taken_as_they_are(tmp_path: Path) -> None:
    x = np.arange(-12, 12, dtype=np.int8).reshape(4, 2, 3)
    data = samples.load(save(tmp_path, x=x, y=np.arange(4, dtype=np.uint8), labels=np.array(["a", "b"])), ONE)
    assert data.samples == 4 and data.inputs[0].shape == (4, 1, 2, 3)
    assert np.array_equal(data.inputs[0].reshape(4, 2, 3), x)
    assert data.labels is not None and data.labels.tolist() == [0, 1, 2, 3] and data.names == ("a", "b")


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_float_samples_are_quantized_by_the_inputs_scale(dtype: str, tmp_path: Path) -> None:
    x = np.linspace(-80, 80, 30).reshape(5, 2, 3).astype(dtype)
    data = samples.load(save(tmp_path, x=x), ONE)
    assert data.inputs[0].dtype == np.int8 and data.labels is None
    assert np.array_equal(data.inputs[0].reshape(-1), to_int8(x.reshape(-1), Q))


def test_fortran_order_and_compression_make_no_difference(tmp_path: Path) -> None:
    x = np.arange(24, dtype=np.int8).reshape(4, 2, 3)
    np.savez_compressed(tmp_path / "f.npz", x=np.asfortranarray(x))
    assert np.array_equal(samples.load(tmp_path / "f.npz", ONE).inputs[0].reshape(4, 2, 3), x)


def test_several_inputs_have_several_arrays(tmp_path: Path) -> None:
    a, b = np.zeros((3, 4), np.int8), np.ones((3, 4), np.int8)
    data = samples.load(save(tmp_path, x_0=a, x_1=b), TWO)
    assert data.inputs[0].max() == 0 and data.inputs[1].min() == 1
    with pytest.raises(UsageError, match="x_1"):
        samples.load(save(tmp_path, x_0=a), TWO)
    with pytest.raises(UsageError, match="3, 2 samples"):
        samples.load(save(tmp_path, x_0=a, x_1=b[:2]), TWO)


def test_head_takes_the_first_samples_and_their_labels(tmp_path: Path) -> None:
    data = samples.load(save(tmp_path, x=np.zeros((5, 2, 3), np.int8), y=np.arange(5)), ONE)
    assert data.head(None).samples == data.head(9).samples == 5
    assert data.head(2).samples == 2 and data.head(2).labels.tolist() == [0, 1]  # type: ignore[union-attr]


def test_random_inputs_are_seeded_and_cover_the_whole_range() -> None:
    first, again, other = (samples.random(ONE, 500, seed).inputs[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.min() == -128 and first.max() == 127


def test_members_that_nobody_asks_for_are_not_read(tmp_path: Path) -> None:
    path = save(tmp_path, x=np.zeros((1, 2, 3), np.int8), junk=np.array([{}], object))
    assert samples.load(path, ONE).samples == 1
