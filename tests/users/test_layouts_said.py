"""What is done to recordings without being asked for is said, and what nobody can know is no finding."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

import sandgrain as api
from sandgrain.project.file.init import How, write

DRAW = np.random.default_rng(4)


def clip(path: Path, channels: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, 8000, 0, "NONE", ""))
        file.writeframes(DRAW.integers(-9000, 9000, 4000 * channels).astype("<i2").tobytes())


def project(folder: Path, data: str) -> Path:
    (folder / "sandgrain.toml").write_text(f'[data]\npath = "."\n{data}\n\n[[features]]\nblock = "raw"\n')
    return folder


def tables(folder: Path, most: int) -> None:
    """Twelve recordings of 200 rows, each drawn by itself."""
    for label in ("off", "on"):
        for k in range(6):
            rows = "".join(f"{a},{b}\n" for a, b in DRAW.integers(-most, most, (200, 2)))
            (folder / f"{label}_{k}.csv").write_text("ax,ay\n" + rows)


def test_12_a_stride_that_is_no_whole_number_of_samples_is_said(tmp_path: Path) -> None:
    tables(tmp_path, 900)
    keys = 'kind = "motion"\nname = "{label}_{index}"\nrate = 50\nwindow_s = 1\nstride_s = '
    said = [r for r in api.data(project(tmp_path, keys + "0.25"), workers=1).remarks if "samples at" in r]
    assert said == ["stride_s = 0.25 is 12 samples at 50 Hz, so it is 0.24 s"]
    assert not [r for r in api.data(project(tmp_path, keys + "0.2"), workers=1).remarks if "samples at" in r]


def test_12_stereo_that_is_averaged_is_said(tmp_path: Path) -> None:
    for label in ("no", "yes"):
        for k in range(6):
            clip(tmp_path / label / f"{k}.wav", 1 + (k == 0))
    notes = api.data(project(tmp_path, 'kind = "audio"\nwindow_s = 0.5'), workers=1).manifest.notes
    assert [(n.path, n.text) for n in notes] == [
        ("no/0.wav", "2 channels are averaged into one"),
        ("yes/0.wav", "2 channels are averaged into one"),
    ]


def test_12_raw_counts_that_hardly_move_and_single_rows_are_no_finding(tmp_path: Path) -> None:
    tables(tmp_path, 3)
    keys = 'kind = "motion"\nname = "{label}_{index}"\nrate = 50\nwindow_s = 1'
    found = api.data(project(tmp_path, keys), workers=1)
    assert not [f for f in found.judgement.findings if f.topic in ("silent", "constant") and f.count]
    found = api.data(project(tmp_path, keys + "\nfull_scale = 32767"), workers=1)
    assert next(f for f in found.judgement.findings if f.topic == "silent").count == 12
    (tmp_path / "off_9.csv").write_text("ax,ay\n3,4\n")
    found = api.data(project(tmp_path, keys), workers=1)
    assert not [f for f in found.judgement.findings if f.topic in ("silent", "constant") and f.count]


def test_12_files_that_stay_the_same_are_still_found(tmp_path: Path) -> None:
    tables(tmp_path, 900)
    (tmp_path / "off_9.csv").write_text("ax,ay\n" + "3,4\n" * 100)
    keys = 'kind = "motion"\nname = "{label}_{index}"\nrate = 50\nwindow_s = 1'
    found = api.data(project(tmp_path, keys), workers=1)
    assert next(f for f in found.judgement.findings if f.topic == "constant").count == 1


def test_labels_that_are_only_the_names_of_files_are_said(tmp_path: Path) -> None:
    for name in ("ambient", "machine"):
        (tmp_path / f"{name}_temperature.csv").write_text("value\n" + "".join(f"{20 + k % 17}\n" for k in range(200)))
    found = write(tmp_path, tmp_path / "sandgrain.toml", How(dry=True))
    assert any("each file is taken for a label of its own" in note for note in found.notes)


def test_an_index_that_gives_a_rate_is_believed_and_several_are_asked_for(tmp_path: Path) -> None:
    tables(tmp_path, 900)
    names = [f"{label}_{k}" for label in ("off", "on") for k in range(6)]
    (tmp_path / "index.csv").write_text("file,label,rate_hz\n" + "".join(f"{n}.csv,{n[:-2]},26\n" for n in names))
    (tmp_path / "README.md").write_text("The first tests were at 105 Hz.\n")
    assert write(tmp_path, tmp_path / "a.toml", How(dry=True)).rate == 26
    (tmp_path / "index.csv").write_text(
        "file,label,rate_hz\n" + "".join(f"{n}.csv,{n[:-2]},{(26, 104)[k % 2]}\n" for k, n in enumerate(names))
    )
    found = write(tmp_path, tmp_path / "a.toml", How(dry=True))
    assert not found.rate and any("says 26, 104 Hz, file by file" in note for note in found.notes)
