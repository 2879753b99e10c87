"""Index files whose lines are recordings within .npz files: by number, by order, by file and number; and labels that are numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sandgrain.base.errors import UsageError
from sandgrain.dataset.ingest import ingest
from sandgrain.dataset.readers import make_layout
from sandgrain.project.file.init import How, write

DRAW = np.random.default_rng(3)
KINDS = {"walk": "daily", "sit": "daily", "trip": "fall", "slip": "fall"}


def rows(count: int, shape: tuple[int, ...] = (40, 3)) -> np.ndarray:
    return DRAW.integers(-9000, 9000, (count, *shape)).astype(np.int16)


def acts(count: int) -> list[tuple[str, str]]:
    """(activity, subject) of each recording: six people, four activities."""
    return [(list(KINDS)[k % 4], f"p{k // 4 % 6}") for k in range(count)]


def test_lines_that_number_the_rows_of_several_files_label_each_of_them(tmp_path: Path) -> None:
    for name in ("wrist", "waist"):
        np.savez(tmp_path / f"{name}.npz", x=rows(48))
    said = [f"{k},{who},{KINDS[act]},{act},{20 + k % 6}" for k, (act, who) in enumerate(acts(48))]
    (tmp_path / "trials.csv").write_text("\n".join(["row,subject,kind,activity,age", *said]) + "\n")
    found = write(tmp_path, tmp_path / "sandgrain.toml", How(dry=True))
    assert found.labels == ("daily", "fall") and found.groups == 6 and not found.problem
    keys = dict(found.table)
    assert keys["labels"] == "trials.csv" and keys["row_column"] == "row" and keys["label_column"] == "kind"
    assert any("activity says it in 4 finer ones" in note for note in found.notes)
    read = ingest(
        tmp_path, make_layout("motion", labels="trials.csv", row_column="row", label_column="kind", rate=20.0), workers=1
    )
    assert len(read.records) == 96 and not read.bad
    assert {r.key: (r.label, r.group) for r in read.records if r.key.startswith("wrist")} == {
        f"wrist.npz#{k + 1}": (KINDS[act], who) for k, (act, who) in enumerate(acts(48))
    }


def test_lines_in_the_order_of_the_recordings_of_arrays_that_are_channels(tmp_path: Path) -> None:
    np.savez(tmp_path / "rig.npz", **{f"ts{k}": rows(60, (12,)).astype(np.float32) / 100 for k in (1, 2, 3)})
    said = [f"{(3, 20, 100)[k // 20]},{k // 6 % 2},{70 + k % 30 / 7}" for k in range(60)]
    (tmp_path / "profile.csv").write_text("\n".join(["cooler_pct,leak,load", *said]) + "\n")
    found = write(tmp_path, tmp_path / "sandgrain.toml", How(dry=True))
    keys = dict(found.table)
    assert found.labels == ("3", "20", "100") and keys["row_column"] == "line" and not found.problem
    assert keys["x_array"] == ("ts1", "ts2", "ts3")
    assert any("may be the label as well: leak" in note for note in found.notes)


def test_lines_that_name_a_file_and_a_number_from_one(tmp_path: Path) -> None:
    for name in ("one", "two"):
        np.savez(tmp_path / f"{name}.npz", x=rows(24))
    said = [f"{name};{k + 1};{act};{who}" for name in ("one", "two") for k, (act, who) in enumerate(acts(24))]
    (tmp_path / "list.csv").write_text("\n".join(["archive;segment;gesture;who", *said]) + "\n")
    found = write(tmp_path, tmp_path / "sandgrain.toml", How(dry=True))
    keys = dict(found.table)
    assert (keys["file_column"], keys["row_column"], keys["group_column"]) == ("archive", "segment", "who")
    assert found.labels == tuple(sorted(KINDS)) and not found.problem


def test_lines_and_recordings_that_do_not_meet_are_counted(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=rows(5))
    (tmp_path / "i.csv").write_text("row,label\n0,a\n1,b\n2,a\n9,b\nx,b\n1,a\n")
    layout = make_layout("motion", labels="i.csv", row_column="row", rate=10.0)
    read = ingest(tmp_path, layout, workers=1)
    assert [r.label for r in read.records] == ["a", "b", "a"]
    said = [b.reason for b in read.bad]
    assert "i.csv says nothing about 2 of its recordings, such as number 4" in said
    assert "1 of its lines name recordings that are not there" in said
    assert any("'x' is no number" in s for s in said) and any("names recording 1 a second time" in s for s in said)
    with pytest.raises(UsageError, match="row_column is a column of an index file; name that in labels"):
        ingest(tmp_path, make_layout("motion", row_column="row", rate=10.0), workers=1)


def test_labels_that_are_numbers_get_their_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=rows(6), y=np.array([0, 1, 2, 0, 1, 7]))
    read = ingest(tmp_path, make_layout("motion", rate=10.0, label_names=("sit", "", "walk")), workers=1)
    assert [r.label for r in read.records] == ["sit", "1", "walk", "sit", "1", "7"]
