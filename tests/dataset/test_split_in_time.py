"""A split by time: the first part of each recording trains, the last one tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sandgrain
from sandgrain.base.errors import UsageError
from sandgrain.dataset.records import Record
from sandgrain.dataset.split_in_time import Cutting, cut
from sandgrain.project import inspection
from sandgrain.project.build.samples import Samples
from sandgrain.project.build.store import Store
from sandgrain.project.file.load import load


def record(key: str, samples: int, label: str = "a") -> Record:
    return Record(key, label, "", "motion", (samples, 2), 10.0, key)


def test_parts_follow_one_another_with_a_gap_and_nothing_twice() -> None:
    parts, sides = cut([record("x", 1000)], lambda r: Cutting(0.1, 0.2, gap=15, least=20))
    spans = [(sides[p.key], p.part[1] if p.part else 0, p.shape[0]) for p in parts]
    assert spans == [("train", 0, 700), ("validation", 715, 85), ("test", 815, 185)]
    assert all(p.part is not None and p.part[0].key == "x" and p.label == "a" for p in parts)


def test_without_validation_there_are_two_parts_and_what_is_too_short_trains_whole() -> None:
    parts, sides = cut([record("x", 100), record("y", 30)], lambda r: Cutting(0.0, 0.3, gap=5, least=20))
    assert [(p.key, sides[p.key], p.shape[0]) for p in parts] == [("x@0", "train", 70), ("x@75", "test", 25), ("y", "train", 30)]


def test_where_nothing_can_be_cut_the_way_out_is_said() -> None:
    with pytest.raises(UsageError, match=r"the longest recording has 3 s, .* gap of 5 samples; make window_s"):
        cut([record("y", 30)], lambda r: Cutting(0.0, 0.3, gap=5, least=20))


def machine(folder: Path, runs: int = 1) -> Path:
    """One table: three states of a machine one after the other, each in `runs` runs of 600 rows."""
    rng = np.random.default_rng(0)
    rows = ["state,x,y"]
    for state in np.repeat(["idle", "low", "high"], runs):
        rows += [f"{state},{a:.3f},{b:.3f}" for a, b in rng.normal(0, {"idle": 0.1, "low": 0.5, "high": 1.0}[state], (600, 2))]
    folder.mkdir()
    (folder / "log.csv").write_text("\n".join(rows) + "\n")
    return folder


TABLE = """\
[data]
kind = "motion"
files = ["*.csv"]
columns = ["x", "y"]
label_column = "state"
full_scale = [4]
rate = 100
window_s = 1
stride_s = 0.5

[data.split]
by = "time"
validation = 0.2
test = 0.2
gap_s = 0.1

[[features]]
block = "raw"
"""


def test_a_project_tests_the_later_part_of_each_recording(tmp_path: Path) -> None:
    folder = machine(tmp_path / "m")
    (folder / "sandgrain.toml").write_text(TABLE)
    found = inspection.inspect(load(folder))
    assert (
        found.windows == {key: {"train": 6, "validation": 1, "test": 1} for key in ["high", "idle", "low"]}
        and not found.leaks
        and not found.remarks
    )
    samples = Samples(found, Store(tmp_path / "work"))
    whole = samples.opened(found.records[0].part[0])  # type: ignore[index]
    test = next(r for r in samples.records("test") if r.part is not None and r.part[0] == found.records[0].part[0])  # type: ignore[index]
    assert np.array_equal(samples.opened(test), whole[490:]) and samples.keys("test")[0] == test.key


def test_init_splits_by_time_where_whole_recordings_are_too_few(tmp_path: Path) -> None:
    made = sandgrain.init(machine(tmp_path / "m"), out=tmp_path / "m")
    assert 'by = "time"' in (tmp_path / "m" / "sandgrain.toml").read_text() and made.count == 1
    found = sandgrain.data(tmp_path / "m")
    assert all(sides["train"] > 0 and sides["test"] > 0 for sides in found.windows.values())


def test_pictures_have_no_time(tmp_path: Path) -> None:
    from PIL import Image

    for k in range(4):
        Image.fromarray(np.full((8, 8), 60 * k, np.uint8)).save(tmp_path / f"{k}.png")
    (tmp_path / "sandgrain.toml").write_text('[data]\nkind = "image"\n[data.split]\nby = "time"\n')
    with pytest.raises(UsageError, match="have no time; split by"):
        inspection.inspect(load(tmp_path))
