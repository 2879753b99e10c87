"""Intervals in a file beside a recording, as init finds them and data reads them: tables in seconds and in samples."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest

from sandgrain.dataset.ingest import ingest
from sandgrain.dataset.readers import keys_of, make_layout
from sandgrain.project.file.init import How, write

DRAW = np.random.default_rng(2)


def stream(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(DRAW.integers(-9000, 9000, 80_000).astype("<i2").tobytes())


def table(rows: list[tuple[float, float, str]]) -> str:
    return "start_s,end_s,label,clip\n" + "".join(f"{a},{b},{label},x.wav\n" for a, b, label in rows)


def document(rows: list[tuple[float, float, str]]) -> str:
    return json.dumps([{"start": a, "end": b, "label": label} for a, b, label in rows])


@pytest.mark.parametrize(("suffix", "written"), [(".csv", table), (".labels.csv", table), (".json", document)])
def test_stretches_in_a_file_beside_a_recording_are_its_labels(suffix: str, written, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for name in ("stream_a", "stream_b", "stream_c"):
        stream(tmp_path / f"{name}.wav")
        rows = [(1.5 + k, 2.25 + k, ("yes", "no")[k % 2]) for k in range(6)]
        (tmp_path / f"{name}{suffix}").write_text(written(rows))
    found = write(tmp_path, tmp_path / "sandgrain.toml", How(dry=True))
    assert found.labels == ("no", "yes") and not found.problem and not found.others
    assert dict(found.table)["track_suffix"] == suffix and found.groups == 3
    read = ingest(tmp_path, make_layout("audio", label_tracks=True, track_suffix=suffix), workers=1)
    assert len(read.records) == 18 and not read.bad
    assert {r.shape for r in read.records} == {(6000, 1)} and {r.label for r in read.records} == {"no", "yes"}


def test_stretches_that_count_samples_cut_a_stream_of_an_npz(tmp_path: Path) -> None:
    walk = np.cumsum(DRAW.integers(-40, 40, (1200, 3)), axis=0).clip(-30000, 30000).astype(np.int16)
    for name in ("exercises", "gestures"):
        np.savez(tmp_path / f"{name}.npz", x=walk)
        rows = "".join(f"2025-01-0{k + 1},{('squat', 'lunge')[k % 2]},{200 * k},200\n" for k in range(6))
        (tmp_path / f"{name}.csv").write_text("time,label,start,samples\n" + rows)
    (tmp_path / "README.md").write_text("100 Hz, a wrist.\n")
    found = write(tmp_path, tmp_path / "sandgrain.toml", How(dry=True))
    assert found.labels == ("lunge", "squat") and not found.problem and found.rate == 100
    assert dict(found.table)["track_suffix"] == ".csv"
    layout = make_layout("motion", stream=True, rate=100.0, files=("*.npz",), label_tracks=True, track_suffix=".csv")
    read = ingest(tmp_path, layout, workers=1)
    assert len(read.records) == 12 and {r.shape for r in read.records} == {(200, 3)} and not read.bad


def test_a_track_that_is_damaged_or_missing_is_one_line(tmp_path: Path) -> None:
    stream(tmp_path / "a.wav")
    stream(tmp_path / "b.wav")
    (tmp_path / "a.csv").write_text("start,end,label\n3,1,yes\n")
    read = ingest(tmp_path, make_layout("audio", label_tracks=True, track_suffix=".csv"), workers=1)
    why = {b.path: b.reason for b in read.bad}
    assert "goes from 3 s to 1 s" in why["a.wav"] and "b.csv is not there" in why["b.wav"]
    assert keys_of(read.layout)["track_suffix"] == ".csv"
