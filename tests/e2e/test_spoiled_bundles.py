"""How much `verify` finds of what can be wrong: single bits of tables, bugs in kernels. Figures with `pytest -s`."""

from __future__ import annotations

from pathlib import Path

import pytest

import sandgrain as api
from sandgrain.bundle.runners import Board, Host
from tests.conftest import ROOT
from tests.support.shared_files import MODELS, shared_model
from tests.support.spoiled import Samples, Spoil, bugs, flips

NAMES = ("hello_world_int8", "kws_ref_model", "micro_speech_quantized", "ad01_int8")
DIGITS = ROOT / "sandgrain" / "demo" / "digits.tflite"
LONG = 100  # samples of the run that tells a change without effect from one that was not found


def made(name: str, place: Path, target: str) -> Path:
    shared_model(name)
    labels = ("zero", "one") if name.startswith("micro") else ()
    labels = tuple(f"class {k}" for k in range(4)) if labels else ()
    api.compile(MODELS / f"{name}.tflite", target=target, out=place / name, name="model", labels=labels, measure=False)
    return place / name


def missed(samples: Samples, spoils: list[Spoil], place: Path, on: tuple[type[Host] | type[Board], ...]) -> list[Spoil]:
    """The changes that the samples do not notice."""
    found = []
    for spoil in spoils:
        spoil.put(samples.made, place / "spoiled")
        if not samples.notice(samples.job(place / "spoiled"), on):
            found.append(spoil)
    return found


def effect(spoil: Spoil, long: Samples, place: Path, on: tuple[type[Host] | type[Board], ...]) -> bool:
    """Whether a change alters any answer over a long run of other samples."""
    spoil.put(long.made, place / "spoiled")
    return long.notice(long.job(place / "spoiled"), on)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spoiled") / "digits"
    api.compile(DIGITS, target="host", out=folder, measure=False)
    return folder


def test_the_samples_find_six_bugs_in_kernels(digits: Path, tmp_path: Path) -> None:
    path = digits / "kernels" / "sg_math.h"
    spoils = [s for s in bugs(digits, 10_000, 0) if "sg_math.h" in s.says or "conv" in s.says]
    chosen = spoils[:: max(len(spoils) // 6, 1)][:6]
    assert path.is_file() and len(chosen) == 6
    ten = Samples(digits, 10, 1)
    assert not ten.notice(ten.job(digits), (Host,))  # a bundle that nobody spoiled
    for spoil in missed(ten, chosen, tmp_path, (Host,)):
        assert not effect(spoil, Samples(digits, LONG, 2), tmp_path, (Host,)), spoil.says


@pytest.mark.slow
def test_a_hundred_flipped_bits_of_four_models_are_all_found(tmp_path: Path) -> None:
    alone = total = 0
    for seed, name in enumerate(NAMES):
        bundle, spoils = made(name, tmp_path, "cortex-m4"), []
        spoils = flips(bundle, 25, seed)
        ten = Samples(bundle, 10, seed + 100)
        for spoil in spoils:
            spoil.put(bundle, tmp_path / "flipped")
            verdict = api.verify(tmp_path / "flipped")
            assert not verdict.identical and verdict.edited, spoil.says
        left = missed(ten, spoils, tmp_path, (Host,))
        print(f"{name}: 25 of 25 found; by the samples alone {25 - len(left)}; not by them: {[s.says for s in left]}")
        alone, total = alone + 25 - len(left), total + 25
    print(f"{total} of {total} found; by the samples alone {alone}")
    assert total == 100 and alone >= 76  # what ten uniform samples, of which only the outputs were compared, found


@pytest.mark.slow
def test_two_hundred_bugs_in_kernels_are_found_where_they_change_an_answer(tmp_path: Path) -> None:
    counts = {"found": 0, "no effect": 0, "missed": 0}
    for seed, name in enumerate(NAMES):
        target, on = ("host", (Host,)) if seed % 2 else ("cortex-m4", (Host, Board))
        bundle = made(name, tmp_path, target)
        spoils = bugs(bundle, 50, seed)
        assert len(spoils) == 50
        left, long = missed(Samples(bundle, 10, seed + 200), spoils, tmp_path, on), Samples(bundle, LONG, seed + 300)
        wrong = [s for s in left if effect(s, long, tmp_path, on)]
        counts["found"] += 50 - len(left)
        counts["no effect"] += len(left) - len(wrong)
        counts["missed"] += len(wrong)
        print(
            f"{name} on {target}: {50 - len(left)} found, {len(left) - len(wrong)} without effect, missed: {[s.says for s in wrong]}"
        )
    print(counts)
    assert counts["missed"] == 0
