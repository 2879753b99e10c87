"""A project of streams whose windows run over the changes of their label."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sandgrain
from sandgrain.project import inspection, sample
from sandgrain.project.build import folds
from sandgrain.project.build.samples import Samples
from sandgrain.project.build.store import Store
from sandgrain.project.file.load import load

RATE = 50


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six people, a minute each, who rest, walk and turn for a second or two at a time; no two stretches are alike."""
    folder = tmp_path_factory.mktemp("streams")
    rng = np.random.default_rng(7)
    for person in range(6):
        y = np.concatenate([np.full(int(rng.integers(60, 160)), k % 3) for k in range(24)])
        at = np.arange(len(y)) / RATE
        wave = np.sin(2 * np.pi * np.array([0.3, 1.7, 4.0])[y] * at) * np.array([300, 4000, 9000])[y]
        x = np.stack([wave, 0.5 * wave + 500], 1) + rng.normal(0, 60, (len(y), 2)).cumsum(axis=0) * 0.2
        np.savez(folder / f"s{person:02}_watch.npz", x=x.astype(np.int16), y=y, labels=["rest", "walk", "turn"], rate=RATE)
    return folder


def test_init_lets_windows_run_over_changes_and_all_of_them_count(streams: Path, tmp_path: Path) -> None:
    sandgrain.init(streams, out=tmp_path)
    text = (tmp_path / "sandgrain.toml").read_text("utf-8")
    assert "purity = 0.6" in text and "stream = true" in text
    shown = sandgrain.data(tmp_path).to_json()["windows"]
    found = inspection.inspect(load(tmp_path))
    samples = Samples(found, Store(tmp_path / "store"))
    pure = Samples(inspection.inspect(load(_without(tmp_path, text))), Store(tmp_path / "store"))
    for side in ("train", "test"):
        cuts = list(samples.windows(side))
        assert samples.keys(side) == [c.record.key for c in cuts] and samples.count(side) == len(cuts)
        _, y = samples.features(side)
        assert [found.labels[k] for k in y] == [c.record.label for c in cuts]
        assert {label: sides[side] for label, sides in shown.items()} == Counter(c.record.label for c in cuts)
        assert len(cuts) > 1.2 * pure.count(side)  # of stretches of two seconds many windows are over a change
    assert samples.key != pure.key


@pytest.mark.parametrize("purity", [0.0, 0.6])
def test_windows_are_counted_once_and_cut_alike_for_recordings_of_one_rate(
    purity: float, streams: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandgrain.init(streams, out=tmp_path)
    file = tmp_path / "sandgrain.toml"
    file.write_text(file.read_text("utf-8").replace("purity = 0.6", f"purity = {purity}"), "utf-8")
    found = inspection.inspect(load(tmp_path))
    asked, own = list[float](), inspection.features.windowing_of
    monkeypatch.setattr(inspection.features, "windowing_of", lambda *given: (asked.append(given[-1]), own(*given))[1])
    first = found.windows
    assert len(asked) <= 3 and asked, "once a side, not once for each of some hundred recordings"
    asked.clear()
    assert found.windows == first and found.window_balance and not asked
    assert replace(found, remarks=()).windows == first and asked, "another inspection counts anew"


@pytest.mark.parametrize("by", ["group", "file"])
def test_windows_of_folds_are_those_that_the_firmware_is_proven_on(streams: Path, tmp_path: Path, by: str) -> None:
    """Split by file, the pieces of one stream lie in several folds, and other windows run over their changes than in the whole."""
    sandgrain.init(streams, out=tmp_path)
    file = tmp_path / "sandgrain.toml"
    file.write_text(file.read_text("utf-8").replace('by = "group"', f'by = "{by}"'), "utf-8")
    found = inspection.inspect(load(tmp_path))
    store = Store(tmp_path / "store")
    tested = []
    for _, sides in folds.assignments(found, folds.Cut(3), 0):
        part = Samples(replace(found, sides=sides), store)
        tested.append(folds.Tested(part, folds.InFold({})))
    crossed = folds.Crossed(folds.Folds("3 folds", (), None), tuple(tested))
    whole = Samples(found, store, 0, crossed.items)
    assert whole.keys("test") == [key for fold in tested for key in fold.samples.keys("test")]
    cuts = [cut.x for cut in whole.windows("test")]
    own = [cut.x for fold in tested for cut in fold.samples.windows("test")]
    assert len(cuts) == len(own) == whole.count("test") and all(map(np.array_equal, cuts, own))
    assert whole.key != Samples(found, store).key


def test_a_sample_of_windows_over_changes_has_their_labels(streams: Path, tmp_path: Path) -> None:
    sandgrain.init(streams, out=tmp_path)
    found = inspection.inspect(load(tmp_path))
    every = {}
    for side in ("train", "validation", "test"):
        for cut in Samples(found, Store(tmp_path / "store")).windows(side):
            every[cut.x.tobytes()] = cut.record
    some = sample.sampled(found, found.records, 90)
    assert some is not None and 85 <= len(some.x) <= 95 and some.total > 500
    known = [every[x.tobytes()] for x in some.x if x.tobytes() in every]  # streams of one side are whole there, too
    assert len(known) > 80
    for x, y, k in zip(some.x, some.y, some.records, strict=True):
        record = every.get(x.tobytes())
        assert record is None or (record.label, record.key) == (some.labels[y], found.records[k].key)


def _without(folder: Path, text: str) -> Path:
    other = folder / "pure" / "sandgrain.toml"
    other.parent.mkdir()
    other.write_text(text.replace("purity = 0.6", "purity = 0").replace('path = "', 'path = "../'), "utf-8")
    return other
