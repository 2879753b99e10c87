"""The emitted C is what it was: of the shared models on five cores with three settings, and of every op with every kernel.

A change on purpose refreshes the golden files with `python tools/golden_c.py --write` (--all for the measured ones), and its commit says what changed.
"""

from __future__ import annotations

import pytest

from sandgrain.compiler.emit.part import part_types
from tests.golden import emitted
from tests.golden.emitted import BUNDLES, FEW, MEASURED, OPS_GOLDEN, PARTS, SEEDS, Golden
from tests.support.draws import turns

REFRESH = "where this is meant: python tools/golden_c.py --write, with --all for the measured ones"


def check_model(golden: Golden, name: str) -> None:
    if name not in emitted.models():
        pytest.skip(f"no {name} beside the project; name the folder that has it in SANDGRAIN_MODELS")
    if golden.read()[name]["file"] != emitted.file_hash(name):
        pytest.skip(f"{name} is another file than the one whose C is frozen")
    old, new = golden.read()[name], golden.hashes(name)
    if golden is MEASURED:  # without the cores that cannot be emulated here
        unseen = set(emitted.OTHER_CORES.get(name, ())) - set(emitted.cores_of(name, measure=True))
        old = {entry: hashes for entry, hashes in old.items() if entry.split()[0] not in unseen}
    assert emitted.changes(golden, name, old, new) == [], REFRESH


def check_op(op: str, *counts: int) -> None:
    new = emitted.op_hashes(op, *counts)
    old = OPS_GOLDEN.read()[op]
    assert emitted.changes(OPS_GOLDEN, op, {entry: old[entry] for entry in new}, new) == [], REFRESH


@pytest.mark.parametrize("name", turns(list(BUNDLES.read()), 8))
def test_models(name: str) -> None:
    check_model(BUNDLES, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", MEASURED.read())
def test_models_with_measured_kernels(name: str) -> None:
    check_model(MEASURED, name)


@pytest.mark.parametrize("op", OPS_GOLDEN.read())
def test_ops(op: str) -> None:
    check_op(op, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("op", OPS_GOLDEN.read())
def test_ops_in_many_samples(op: str) -> None:
    check_op(op, FEW, SEEDS)


@pytest.mark.parametrize("name", PARTS.read())
def test_parts(name: str) -> None:
    assert emitted.changes(PARTS, name, PARTS.read()[name], PARTS.hashes(name)) == [], REFRESH


def test_every_part_of_the_interface_is_frozen() -> None:
    assert set(PARTS.read()) == set(emitted.part_sources())
    assert emitted.part_names() == {part.name for part in part_types()}


def test_most_of_the_registry_is_frozen() -> None:
    assert len(set(OPS_GOLDEN.read()) & set(emitted.op_names())) > 60


def test_a_changed_byte_is_seen() -> None:
    files = {"model.c": "int a;\n", "model.h": "int b;\n", "kernels/sg_math.h": "int c;\n"}
    old = {"cortex-m4 size": " ".join(emitted.parts_of(files))}
    for name in files:
        new = {"cortex-m4 size": " ".join(emitted.parts_of({**files, name: files[name].replace("int", "long")}))}
        word = "kernels" if name.startswith("kernels/") else name
        assert emitted.changes(BUNDLES, "kws", old, new) == [f"kws: {word} changed (all)"]
    assert emitted.changes(BUNDLES, "kws", old, old) == []
    renamed = {("kernels/sg_other.h" if n.startswith("kernels/") else n): text for n, text in files.items()}
    assert emitted.parts_of(renamed)[2] != emitted.parts_of(files)[2]


def test_a_changed_sample_is_told_apart_from_changed_c() -> None:
    first, second = emitted.Draws(), emitted.Draws()
    assert first.begin(3).integer(0, 1 << 30) == second.begin(3).integer(0, 1 << 30)
    assert first.digest() == second.digest()
    second.integer(0, 1)
    assert first.digest() != second.digest()
