"""Mutants of .npz, CSV, WAV, JSON, TOML, manifests, cache entries and bundles: each is taken or refused in one line, in time and in
512 MiB, and nothing is left behind.

SANDGRAIN_MUTANTS sets how many of each format are tried (200 by default, 10,000 in `make test-all`).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandgrain.base.errors import SandgrainError, UsageError
from tests.support.file_mutants import FORMATS, Format, complaint, mutant, tried

MUTANTS = int(os.environ.get("SANDGRAIN_MUTANTS", "200"))
names = pytest.mark.parametrize("name", FORMATS)


@names
def test_a_mutant_is_taken_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    found = tried(FORMATS[name], 0, MUTANTS, tmp_path)
    assert not found, "\n".join(f"{name} {seed}: {said}" for seed, said in found.items())


@names
def test_the_files_that_are_mutated_are_legal_and_some_mutants_are_not(name: str, tmp_path: Path) -> None:
    """A mutant that changes nothing, or a seed that is refused, would test nothing."""
    form = FORMATS[name]
    seeds, path = [*form.seeds()], tmp_path / form.name
    for data in seeds[:1]:
        path.write_bytes(data)
        if name != "toml":
            form.consume(path)
    damaged = [mutant(form, seeds, k) for k in range(60)]
    assert damaged == [mutant(form, seeds, k) for k in range(60)] and len({*damaged} - {*seeds}) > 40
    if name == "cache":  # never refused: it is made again
        return
    refused = 0
    for data in damaged:
        path.write_bytes(data)
        try:
            form.consume(path)
        except SandgrainError:
            refused += 1
    assert refused >= 10


def fails(error: BaseException) -> Format:
    def consume(path: Path) -> object:
        raise error

    return Format("x", lambda: [b"x"], lambda *_: b"y", consume)


@pytest.mark.parametrize(
    "error", [KeyError("x"), MemoryError(), RecursionError(), UsageError("two\nlines"), UsageError("\x1b"), UsageError("cannot (KeyError: x)"), SystemExit(1)]
)  # fmt: skip
def test_what_breaks_the_promise_is_told(error: BaseException, tmp_path: Path) -> None:
    assert complaint(fails(error), tmp_path / "x")
    assert not complaint(fails(UsageError("one line; mend it")), tmp_path / "x")
