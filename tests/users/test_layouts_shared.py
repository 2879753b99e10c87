"""One file with the stretches of many recordings, in the shapes that tools write; files of other rates; names of labels beside the data."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sandgrain as api
from sandgrain.dataset.ingest import ingest
from sandgrain.dataset.readers import make_layout
from sandgrain.project.file.init import How, write
from sandgrain.project.file.look import look

DRAW = np.random.default_rng(4)


def hourly(path: Path, hours: int, step: int = 60) -> None:
    """A row every `step` minutes from the first of May."""
    rows = []
    for k in range(hours * 60 // step):
        day, minute = divmod(k * step, 24 * 60)
        rows.append(f"2024-05-{day + 1:02} {minute // 60:02}:{minute % 60:02}:00,{20 + np.sin(k / 9) + DRAW.normal(0, 0.1):.3f}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["timestamp,value", *rows]) + "\n")


SPANS = {"pump": [("2024-05-03 06:00:00", "2024-05-04 05:00:00")], "fan": [("2024-05-05 00:00", "2024-05-06 00:00")]}


def as_windows() -> Any:
    return {f"{name}.csv": {"windows": spans, "labels": [spans[0][0]]} for name, spans in SPANS.items()}


def as_lists() -> Any:
    return {f"real/{name}.csv": spans for name, spans in SPANS.items()}


def as_objects() -> Any:
    return {
        "annotations": [
            {"file": name, "start": a, "end": b, "label": "anomaly"} for name, spans in SPANS.items() for a, b in spans
        ]
    }


@pytest.mark.parametrize("written", [as_windows, as_lists, as_objects])
def test_dates_of_stretches_of_several_tables_in_one_document(written: Any, tmp_path: Path) -> None:
    for name in SPANS:
        hourly(tmp_path / f"{name}.csv", 10 * 24)
    (tmp_path / "anomaly_windows.json").write_text(json.dumps(written()))
    found = write(tmp_path, tmp_path / "sandgrain.toml")
    assert found.labels == ("anomaly", "normal") and dict(found.table)["track_file"] == "anomaly_windows.json"
    assert any("(track_file)" in note and "(rest_label)" in note for note in found.notes)
    seen = api.data(tmp_path, workers=1)
    assert not seen.manifest.bad and seen.labels == ("anomaly", "normal")
    pump = [(r.label, r.shape[0]) for r in seen.manifest.records if r.key.startswith("pump")]
    assert pump == [("normal", 54), ("anomaly", 23), ("normal", 163)]


def test_a_gap_in_a_table_leaves_its_stretches_where_they_are(tmp_path: Path) -> None:
    hourly(tmp_path / "a.csv", 10 * 24)
    lines = (tmp_path / "a.csv").read_text().splitlines()
    (tmp_path / "a.csv").write_text("\n".join([*lines[:50], *lines[120:], ""]))  # from 2024-05-03 01:00 to 2024-05-05 23:00
    (tmp_path / "faults.json").write_text(
        json.dumps({"a.csv": [["2024-05-02 00:00", "2024-05-02 12:00"], ["2024-05-06 22:00", "2024-05-07 22:00"]]})
    )
    layout = make_layout(
        "motion", rate=1 / 3600, resample=True, time_column=("timestamp",), full_scale=(100.0,), columns=("value",), label_tracks=True,
        track_file="faults.json", stretch_label="fault", rest_label="normal",
    )  # fmt: skip
    read = ingest(tmp_path, layout, workers=1)
    assert [(r.label, r.shape[0]) for r in read.records] == [
        ("normal", 24), ("fault", 12), ("normal", 13), ("normal", 23), ("fault", 24), ("normal", 74),
    ]  # fmt: skip
    assert not any("beyond" in note.text for note in read.notes)


def clip(path: Path, seconds: float = 10.0) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(DRAW.integers(-9000, 9000, int(8000 * seconds)).astype("<i2").tobytes())


TABLES = {
    "sound events": "filename,onset,offset,event_label\n{a}.wav,1.0,2.5,dog\n{a}.wav,4,5.5,bell\n{b}.wav,3.0,4.0,dog\n{b}.wav,7,8,bell\n",
    "durations": "recording;start;duration;label\n{a};1.0;1.5;dog\n{a};4;1.5;bell\n{b};3.0;1.0;dog\n{b};7;1;bell\n",
}


@pytest.mark.parametrize("case", TABLES)
def test_one_table_of_the_events_of_several_recordings(case: str, tmp_path: Path) -> None:
    for name in ("yard", "door"):
        clip(tmp_path / f"{name}.wav")
    (tmp_path / "events.csv").write_text(TABLES[case].format(a="yard", b="door"))
    found = write(tmp_path, tmp_path / "sandgrain.toml", How(dry=True))
    assert found.labels == ("bell", "dog") and dict(found.table)["track_file"] == "events.csv" and not found.problem
    read = ingest(tmp_path, make_layout("audio", label_tracks=True, track_file="events.csv"), workers=1)
    assert [(r.label, r.shape[0]) for r in read.records] == [("dog", 8000), ("bell", 8000), ("dog", 12000), ("bell", 12000)]


def test_names_are_found_by_the_end_of_their_path(tmp_path: Path) -> None:
    long = "recorded by the machine " * 6
    for place in ("one", "two", long):
        (tmp_path / place).mkdir()
        clip(tmp_path / place / "a.wav")
    said = {f"C:\\rec\\{place}\\a.wav": [[1, 2, label]] for place, label in (("one", "dog"), ("two", "bell"))} | {
        f"/x/{long}/a": [[1, 2, "owl"]]
    }
    (tmp_path / "t.json").write_text(json.dumps(said))
    read = ingest(tmp_path, make_layout("audio", label_tracks=True, track_file="t.json"), workers=1)
    assert sorted((r.key.split("/")[0], r.label) for r in read.records) == sorted(
        [("one", "dog"), ("two", "bell"), (long, "owl")]
    )


def test_windows_without_a_label_are_called_by_the_word_of_their_key(tmp_path: Path) -> None:
    clip(tmp_path / "stream.wav")
    clip(tmp_path / "other.wav", 1.0)
    said = [{"wav_file": "stream.wav", "length_sec": 10.0, "detection_windows": [[1.0, 1.6], [4.0, 4.7], [7, 7.5]]}]
    (tmp_path / "test.json").write_text(json.dumps(said))
    (tmp_path / "long.json").write_text(json.dumps([{"wav_file": "elsewhere.wav", "detection_windows": [[1.0, 1.6]]}]))
    found = write(tmp_path, tmp_path / "sandgrain.toml", How(dry=True))
    assert found.labels == ("detection", "rest") and dict(found.table)["stretch_label"] == "detection"
    layout = make_layout("audio", label_tracks=True, track_file="test.json", stretch_label="marvin", rest_label="rest")
    read = ingest(tmp_path, layout, workers=1)
    assert [r.label for r in read.records] == ["rest", "marvin"] * 3 + ["rest"]
    assert [b.reason for b in read.bad] == ["track_file test.json does not name it"]


BAD: dict[str, tuple[Any, str]] = {
    "no json": ("{", "is no JSON"),
    "ends before it begins": ({"a.wav": [[3, 1]]}, "goes from 3 s to 1 s"),
    "no times": ({"a.wav": [["soon", "later"]]}, "is no time in seconds"),
    "dates and numbers": ({"a.wav": [["2024-05-01", "2024-05-02"], [1, 2]]}, "is no date, while others are"),
    "dates, and rows without a time": ({"a.wav": [["2024-05-01", "2024-05-02"]]}, "set time_column"),
    "no label": ({"a.wav": [[1, 2]]}, "stretch_label"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_shared_file_that_says_nothing_sensible_is_one_line(case: str, tmp_path: Path) -> None:
    document, said = BAD[case]
    clip(tmp_path / "a.wav")
    (tmp_path / "t.json").write_text(document if isinstance(document, str) else json.dumps(document))
    own = "" if case == "no label" else "event"
    read = ingest(tmp_path, make_layout("audio", label_tracks=True, track_file="t.json", stretch_label=own), workers=1)
    assert not read.records and said in read.bad[0].reason


def test_files_of_other_rates_are_brought_to_the_slowest(tmp_path: Path) -> None:
    hourly(tmp_path / "a.csv", 100)
    hourly(tmp_path / "b.csv", 100, step=5)
    found = look(tmp_path)
    assert found.resample and found.rate == pytest.approx(1 / 3600, rel=1e-3)
    assert any("files have other rates: b.csv has a row every 300 s, a.csv every 3600 s" in note for note in found.notes)


WORDS = {
    "labels.json": '["sit", "walk", "run"]',
    "class_names.txt": "sit\nwalk\nrun\n",
    "activity_labels.txt": "0 sit\n1 walk\n2 run\n",
    "label_map.json": '{"sit": 0, "walk": 1, "run": 2}',
}


@pytest.mark.parametrize("name", WORDS)
def test_names_of_labels_that_are_numbers_lie_beside_the_data(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(WORDS[name])
    np.savez(tmp_path / "a.npz", x=DRAW.integers(-99, 99, (30, 40, 3)).astype(np.int16), y=np.arange(30) % 3)
    found = look(tmp_path)
    assert found.labels == ("run", "sit", "walk") and dict(found.table)["label_names"] == ("sit", "walk", "run")
    assert any("(label_names)" in note for note in found.notes)


def test_a_list_that_lacks_a_name_is_no_list_of_the_labels(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text('["sit", "walk"]')
    np.savez(tmp_path / "a.npz", x=DRAW.integers(-99, 99, (30, 40, 3)).astype(np.int16), y=np.arange(30) % 3)
    assert look(tmp_path).labels == ("0", "1", "2")
