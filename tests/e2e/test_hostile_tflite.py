"""Mutated model files: each gives a graph or exactly one line, in time, and nothing else happens.

SANDGRAIN_MUTANTS sets how many mutants are tried (400 by default, 10000 on demand).
"""

from __future__ import annotations

import os
import time
import warnings
from functools import cache

import numpy as np
import pytest

from sandgrain.base.errors import SandgrainError, UnsupportedError
from sandgrain.compiler import pipeline
from sandgrain.compiler.emit import bundle
from sandgrain.compiler.emit.model import Options
from sandgrain.device import targets
from sandgrain.formats.tflite import read
from sandgrain.graph import interpret
from tests.support.tflite_mutants import MODELS, mutant, seeds

MUTANTS = int(os.environ.get("SANDGRAIN_MUTANTS", "400"))
GROUPS = 8  # so that the work spreads over test processes
SECONDS = 10.0
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


def complaint(data: bytes) -> str:
    """What breaks the promise about hostile files, "" when it is kept."""
    begin = time.process_time()  # wall time would blame the file for a busy machine
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            message = consume(data)
    except Exception as error:  # whatever it is, it is a finding
        return f"{type(error).__name__}: {error}"
    if time.process_time() - begin > SECONDS:
        return "took too long"
    if "please report" in message:
        return f"an op slipped: {message}"
    if message and (len(message.splitlines()) != 1 or not message.isprintable() or len(message) > 2000):
        return f"not one line: {message!r}"
    return ""


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_mutant_gives_a_graph_or_one_line(group: int) -> None:
    found = {seed: c for seed in range(group, MUTANTS, GROUPS) if (c := complaint(mutant(models(), seed)))}
    assert not found, f"{len(found)} of {MUTANTS // GROUPS}: {dict(list(found.items())[:5])}"


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
def test_a_stub_of_a_file_gives_one_line(size: int) -> None:
    assert complaint(models()[0][:size]) == ""
    assert consume(models()[0][:size])
