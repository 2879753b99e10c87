"""Mutated model files: each gives a graph or exactly one line, in time, and nothing else happens.

SANDGRAIN_MUTANTS sets how many mutants are tried (300 by default).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from sandgrain.base.errors import ModelError, SandgrainError, UnsupportedError
from sandgrain.compiler import pipeline
from sandgrain.compiler.emit import bundle
from sandgrain.compiler.emit.model import Options
from sandgrain.device import targets
from sandgrain.formats.tflite import read
from sandgrain.graph import interpret
from tests.support import campaign
from tests.support.campaign import Format
from tests.support.tflite_mutants import MODELS, mutant, seeds

USUAL = 300  # mutants in `make test`
BOARDS = ("cortex-m0plus", "cortex-m4")  # with and without the kernels of a core that has more
SMALL = 50_000  # elements of a model that is also run: what is accepted must have a meaning


@cache
def models() -> tuple[bytes, ...]:
    return tuple(seeds())


def consume(data: bytes) -> str:
    """What a user's command does with a file, the C compiler left out. "" for a legal model, otherwise the message."""
    board = targets.load(BOARDS[len(data) % len(BOARDS)])
    try:
        compiled = pipeline.compile_bytes(data, board, Options("mutant"))
    except UnsupportedError as error:
        return str(error)
    except SandgrainError as error:
        with pytest.raises(type(error)):  # or a pass broke the graph of a file that is legal
            read.read(data, "mutant")
        return str(error)
    graph, optimized = compiled.imported, compiled.graph
    assert all(text.isascii() for text in bundle.files(compiled.source).values())
    if sum(t.size for t in graph.tensors) <= SMALL:
        inputs = [np.full(graph.tensors[i].shape, 1, graph.tensors[i].dtype) for i in graph.inputs]
        for before, after in zip(interpret.run(graph, inputs), interpret.run(optimized, inputs), strict=True):
            assert np.array_equal(before, after, equal_nan=before.dtype.kind == "f"), "a pass changed the meaning"
    return ""


def _consume(path: Path) -> None:
    message = consume(path.read_bytes())
    if message:
        raise ModelError(message)


FORM = Format("mutant.tflite", models, lambda data, rng, seeds: mutant(seeds, rng.getrandbits(40)), _consume)


def complaint(data: bytes, path: Path) -> str:
    """What breaks the promise about hostile files, "" when it is kept."""
    path.write_bytes(data)
    return campaign.complaint(FORM, path)


@pytest.mark.parametrize("part", campaign.PARTS)
def test_a_mutant_gives_a_graph_or_one_line(part: int, record_property: Callable[[str, object], None]) -> None:
    tally = campaign.run("tflite", campaign.forked(FORM, models()), USUAL, record_property, part)
    assert tally.accepted and tally.refused


def test_the_models_that_are_mutated_are_legal() -> None:
    own = [m for m in models() if b"Sandgrain" in m]
    assert own
    assert [consume(m) for m in own] == [""] * len(own)


def test_models_of_others_are_mutated_too() -> None:
    if not MODELS.is_dir():
        pytest.skip(f"no models in {MODELS}; name their folder in SANDGRAIN_MODELS")
    assert len(models()) > len([m for m in models() if b"Sandgrain" in m])


def test_mutants_are_the_same_on_every_run() -> None:
    assert [mutant(models(), s) for s in range(20)] == [mutant(models(), s) for s in range(20)]


@pytest.mark.parametrize("size", [0, 1, 3, 4, 7, 8, 12])
def test_a_stub_of_a_file_gives_one_line(size: int, tmp_path: Path) -> None:
    assert complaint(models()[0][:size], tmp_path / "m.tflite") == ""
    assert consume(models()[0][:size])
