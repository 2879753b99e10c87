"""Loops over broadcast shapes visit what numpy's broadcasting pairs up."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sandgrain.base.errors import ModelError
from sandgrain.graph.ops.elementwise.broadcast import broadcast_shape, loops

SHAPES = [(), (1,), (3,), (2, 3), (2, 1), (1, 3), (4, 1, 3), (4, 2, 1), (5, 1, 2, 1), (5, 4, 2, 3), (1, 4, 1, 3)]


@pytest.mark.parametrize(("a", "b"), list(itertools.product(SHAPES, SHAPES)))
def test_loops_pair_elements_as_numpy_does(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    out = np.broadcast_shapes(a, b)
    assert broadcast_shape(a, b) == out
    found = loops(a, b)
    pairs = [
        (sum(i * f[1] for i, f in zip(at, found, strict=True)), sum(i * f[2] for i, f in zip(at, found, strict=True)))
        for at in itertools.product(*(range(f[0]) for f in found))
    ]
    left = np.broadcast_to(np.arange(int(np.prod(a))).reshape(a), out).reshape(-1)
    right = np.broadcast_to(np.arange(int(np.prod(b))).reshape(b), out).reshape(-1)
    assert pairs == list(zip(left.tolist(), right.tolist(), strict=True))


def test_equal_shapes_need_one_loop() -> None:
    assert loops((2, 3, 4), (2, 3, 4)) == [(24, 1, 1)]


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ModelError, match="do not broadcast"):
        broadcast_shape((2, 3), (2,))
