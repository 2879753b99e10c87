"""Where random cases take their choices from: hypothesis in the property tests, a seeded generator in long runs.

Every run of the tests draws new cases. They all come from one seed, which pytest prints first; SANDGRAIN_SEED=N draws those of
seed N again. A test whose statement is about samplers or averages, and not about each case, keeps fixed seeds.
"""

from __future__ import annotations

import os
import secrets
import zlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import strategies as st

from sandgrain.base.arrays import Array
from sandgrain.graph.ops.layout.gather import choices

T = TypeVar("T")

# Set for the processes that this one starts, pytest's workers among them: all draw from one seed.
RUN_SEED = int(os.environ.setdefault("SANDGRAIN_SEED", str(secrets.randbelow(1_000_000_000))))
CASES = int(os.environ.get("SANDGRAIN_OP_CASES", "16"))  # of an op, or a kernel

RARELY = 12  # a run of `make test` takes one in this many of the tests marked as rare

# For a test of a second or more whose fact is not the core of the promise: each run of `make test` draws some of them by its
# seed, `make test-all` and a command that names the test take all. tests/conftest.py draws.
rare = pytest.mark.rare


def has_its_turn(nodeid: str) -> bool:
    """Whether a rare test belongs to this run."""
    return zlib.crc32(f"{RUN_SEED} {nodeid}".encode()) % RARELY == 0


def new_seed(case: int) -> int:
    """The seed of a case (below 2^32) that is another one in every run."""
    return (RUN_SEED << 32) + case


def turns(options: Sequence[Any], at_once: int = 1, same: Callable[[Any], object] = lambda option: None) -> list[Any]:
    """Options for `parametrize` of which each run of `make test` takes a few; the others get the mark `slow`.

    Options with the same value of `same` take turns: the run's seed draws `at_once` of them. `make test-all` takes all. For facts that
    several cores, compilers or models show alike, so that one of them a run is enough, and all get their turn over the runs.
    """
    drawn: set[int] = set()
    for value in dict.fromkeys(map(same, options)):
        group = [k for k, option in enumerate(options) if same(option) == value]
        rng = np.random.default_rng((RUN_SEED, zlib.crc32(repr((value, options)).encode())))
        drawn |= {group[k] for k in rng.permutation(len(group))[:at_once]}
    return [
        pytest.param(*(o if isinstance(o, tuple) else (o,)), marks=[] if k in drawn else [pytest.mark.slow])
        for k, o in enumerate(options)
    ]


class HypothesisDraw:
    """`Draw` on a hypothesis data object, so that failures shrink."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def integer(self, low: int, high: int) -> int:
        return self._data.draw(st.integers(low, high))

    def choice(self, options: Sequence[T]) -> T:
        return self._data.draw(st.sampled_from(list(options)))

    def real(self, low: float, high: float) -> float:
        return self._data.draw(st.floats(low, high, allow_nan=False, width=64))

    def array(self, shape: Sequence[int], low: int, high: int, dtype: str = "int8") -> Array:
        seed = self._data.draw(st.integers(0, 2**32 - 1))
        return SeededDraw(seed).array(shape, low, high, dtype)


class SeededDraw:
    """`Draw` on a numpy generator: fast, for thousands of cases."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def integer(self, low: int, high: int) -> int:
        return int(self._rng.integers(low, high, endpoint=True))

    def choice(self, options: Sequence[T]) -> T:
        return options[int(self._rng.integers(len(options)))]

    def real(self, low: float, high: float) -> float:
        return float(self._rng.uniform(low, high))

    def array(self, shape: Sequence[int], low: int, high: int, dtype: str = "int8") -> Array:
        values: Array = self._rng.integers(low, high, size=tuple(shape), endpoint=True)
        return values.astype(dtype)


def random_inputs(graph: Any, seed: int, samples: int) -> list[Array]:
    """[samples, *shape] for every graph input: full-range integers (positions where a gather wants them), or floats of a few units around zero."""
    rng = np.random.default_rng(seed)
    found = []
    for index in graph.inputs:
        tensor = graph.tensors[index]
        shape = (samples, *tensor.shape)
        if tensor.dtype == "float32":
            found.append((rng.standard_normal(shape) * 8).astype(np.float32))
        else:
            low, high = np.iinfo(tensor.dtype.numpy).min, np.iinfo(tensor.dtype.numpy).max
            rows = choices(graph, index)
            low, high = (low, high) if rows is None else (0, rows - 1)
            found.append(rng.integers(low, high, size=shape, endpoint=True).astype(tensor.dtype.numpy))
    return found
