"""Arrays of .npz files under other names, found by their shapes: streams with events, offsets and labels a row; channels of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sandgrain.dataset.ingest import ingest
from sandgrain.dataset.readers import make_layout
from sandgrain.project.file.init import How, render, write

DRAW = np.random.default_rng(5)


def walk(rows: int, channels: int = 1) -> np.ndarray:
    """A signal whose rows follow each other."""
    steps = DRAW.integers(-40, 41, (rows, channels))
    return (np.cumsum(steps, axis=0) % 8000 - 4000).astype(np.int16)


def beats(rows: int) -> np.ndarray:
    return np.cumsum(DRAW.integers(80, 120, rows // 110)).astype(np.int32)[:-1]


@pytest.mark.parametrize("names", [("ecg", "r_peak", "pvc"), ("signal", "onsets", "is_step"), ("data", "idx", "annotation")])
def test_events_of_a_long_signal_are_recordings_around_them(names: tuple[str, str, str], tmp_path: Path) -> None:
    signal, event, label = names
    for who in ("100", "105", "117"):
        at = beats(6000)
        np.savez(
            tmp_path / f"{who}.npz",
            **{signal: walk(6000)[:, 0], event: at, label: (np.arange(len(at)) % 5 == 0).astype(np.uint8)},
        )
    (tmp_path / "README.txt").write_text("one lead at 200 Hz\n")
    found = write(tmp_path, tmp_path / "sandgrain.toml", How(dry=True))
    keys = dict(found.table)
    assert (keys["x_array"], keys["event_array"], keys["y_array"]) == (signal, event, label)
    assert found.labels == ("0", "1") and found.rate == 200 and found.groups == 3 and not found.problem
    assert keys["event_s"] == pytest.approx(1.5, abs=0.15) and found.rhythm
    assert any(note.startswith("they follow each other evenly, so a recording holds about 3") for note in found.notes)
    assert 'factor = 2\n\n[[features]]\nblock = "beats"' in render(found, ".", "arduino-nano-33-ble-sense")
    for key in ("x_array", "event_array", "y_array"):
        assert any(f"({key})" in note for note in found.notes)
    layout = make_layout(
        "motion", stream=True, rate=200.0, name="{group}", x_array=(signal,), event_array=event, y_array=label, event_s=0.4
    )
    read = ingest(tmp_path, layout, workers=1)
    assert (
        {r.shape for r in read.records} == {(80, 1)} and {r.group for r in read.records} == {"100", "105", "117"} and not read.bad
    )


def test_events_that_come_now_and_then_are_no_rhythm(tmp_path: Path) -> None:
    at = np.cumsum(DRAW.integers(20, 600, 60)).astype(np.int32)
    kind = (np.arange(len(at)) % 3 == 0).astype(np.uint8)
    np.savez(tmp_path / "a.npz", acc=walk(int(at[-1]) + 50), hit=at, kind=kind)
    found = write(tmp_path, tmp_path / "sandgrain.toml", How(dry=True))
    keys = dict(found.table)
    assert not found.rhythm and keys["event_s"] == pytest.approx(float(np.median(np.diff(at))) / 50, rel=0.1)
    assert '"beats"' not in render(found, ".", "arduino-nano-33-ble-sense")


def test_pieces_at_offsets_have_a_label_each_or_are_cut_where_that_of_the_rows_changes(tmp_path: Path) -> None:
    offset = np.array([0, 200, 500, 900])
    np.savez(tmp_path / "a.npz", acc=walk(900, 3), start=offset[:3], act=np.array(["sit", "walk", "sit"]))
    np.savez(tmp_path / "b.npz", acc=walk(900, 3), start=offset, act=np.array(["walk", "sit", "walk"]))
    found = write(tmp_path, tmp_path / "sandgrain.toml", How(dry=True))
    keys = dict(found.table)
    assert (keys["x_array"], keys["offset_array"], keys["y_array"]) == ("acc", "start", "act") and not found.problem
    layout = make_layout("motion", stream=True, rate=50.0, x_array=("acc",), offset_array="start", y_array="act")
    read = ingest(tmp_path, layout, workers=1)
    assert [(r.label, r.shape) for r in read.records][:3] == [("sit", (200, 3)), ("walk", (300, 3)), ("sit", (400, 3))]
    assert len(read.records) == 6
    rows = np.repeat([0, 1, 0], 300)
    np.savez(tmp_path / "a.npz", acc=walk(900, 3), start=offset, act=rows)
    (tmp_path / "b.npz").unlink()
    read = ingest(tmp_path, layout, workers=1)
    assert [(r.label, r.shape[0]) for r in read.records] == [("0", 200), ("0", 100), ("1", 200), ("1", 100), ("0", 300)]


def test_arrays_of_one_shape_are_channels_of_a_stream_beside_its_time_and_labels(tmp_path: Path) -> None:
    for k in range(2):
        one = walk(1200, 3).astype(np.float32) / 1000
        state = np.repeat(["idle", "run"] * 3, 200)
        np.savez(tmp_path / f"log{k}.npz", t=np.arange(1200) / 25.0, ax=one[:, 0], ay=one[:, 1], az=one[:, 2], state=state)
    found = write(tmp_path, tmp_path / "sandgrain.toml", How(dry=True))
    keys = dict(found.table)
    assert keys["x_array"] == ("ax", "ay", "az") and keys["y_array"] == "state" and found.rate == 25
    assert found.labels == ("idle", "run") and not found.problem
    assert any("t is the time" in note for note in found.notes)


def test_recordings_with_the_channels_first_and_labels_of_another_name(tmp_path: Path) -> None:
    x = DRAW.normal(0, 1, (40, 3, 64)).astype(np.float32)
    np.savez(
        tmp_path / "set.npz", signals=x, targets=np.arange(40) % 2 * 1.0, label_names=np.array(["no", "yes"]), fs=np.array(100)
    )
    found = write(tmp_path, tmp_path / "sandgrain.toml", How(dry=True))
    keys = dict(found.table)
    assert keys["channels_first"] is True and keys["y_array"] == "targets" and found.labels == ("no", "yes") and found.rate == 100
    assert "A window is a whole recording" in render(found, ".", "cortex-m4") and len(keys["full_scale"]) == 3
    layout = make_layout("motion", x_array=("signals",), y_array="targets", channels_first=True, full_scale=keys["full_scale"])
    read = ingest(tmp_path, layout, workers=1)
    assert {r.shape for r in read.records} == {(64, 3)} and {r.label for r in read.records} == {"no", "yes"} and not read.bad


BAD = {
    "no such array": ({"x_array": ("nope",)}, "has no array nope (x_array); it has acc, at, y"),
    "events that do not grow": ({"event_array": "y"}, "does not grow"),
    "events beyond the end": ({"event_array": "far"}, "from row 0 to row 300"),
    "other shapes": ({"x_array": ("acc", "at")}, "arrays of one shape"),
    "labels that are no numbers": ({"y_array": "real"}, "not whole"),
}


@pytest.mark.parametrize("case", BAD)
def test_arrays_that_do_not_fit_are_one_line(case: str, tmp_path: Path) -> None:
    keys, said = BAD[case]
    arrays = {"acc": walk(300)[:, 0], "at": np.array([50, 100, 250]), "y": np.array([0, 1, 0])}
    arrays |= (
        {"far": np.array([5, 900])}
        if "far" in keys.values()
        else {"real": np.array([0.5, 1.5])}
        if "real" in keys.values()
        else {}
    )
    np.savez(tmp_path / "a.npz", **arrays)
    read = ingest(
        tmp_path, make_layout("motion", stream=True, rate=50.0, **{"x_array": ("acc",), "event_array": "at", **keys}), workers=1
    )
    assert not read.records and said in read.bad[0].reason
