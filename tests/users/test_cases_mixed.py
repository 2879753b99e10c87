"""Cases 3 and 11, neighbours: rows of several sensors in one table, labels under short names, and pipes where files are expected."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import sandgrain as api
from sandgrain.base.errors import SandgrainError
from sandgrain.project.file.look import look
from tests.conftest import ROOT
from tests.support import sensor_project

DIGITS = ROOT / "sandgrain" / "demo" / "digits.tflite"
RNG = np.random.default_rng(2)


def table(path: Path, head: str, row: Callable[[int], str], rows: int = 300) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + "\n" + "".join(f"{row(k)}\n" for k in range(rows)))


@pytest.mark.parametrize("sensors", [("acc", "gyro"), ("acc", "gyro", "mag"), ("left wrist", "right wrist")])
def test_03_rows_of_several_sensors_in_turn_are_told(sensors: tuple[str, ...], tmp_path: Path) -> None:
    values = RNG.normal(0, 5, (300, 3)).round(3)
    for label in ("walk", "sit"):
        table(
            tmp_path / f"{label}.csv",
            "time,sensor,x,y,z",
            lambda k: f"{k * 10},{sensors[k % len(sensors)]},{','.join(map(str, values[k]))}",
        )
    said = " ".join(look(tmp_path).notes)
    assert "rows of several sensors are mixed" in said and f"column sensor says {sensors[0]}" in said


def test_03_a_text_that_seldom_changes_is_no_sensor(tmp_path: Path) -> None:
    for label in ("walk", "sit"):
        table(tmp_path / f"{label}.csv", "firmware,x,y", lambda k: f"v{k // 150},{k % 17},{k % 11}")
    assert "mixed" not in " ".join(look(tmp_path).notes)


@pytest.mark.parametrize("name", ["cls_id", "cls", "lbl", "tag", "annotation"])
def test_03_a_label_is_found_under_other_names_wherever_it_stands(name: str, tmp_path: Path) -> None:
    table(tmp_path / "log.csv", f"ax,{name},ay", lambda k: f"{k % 23},{k // 100},{(k * 7) % 41}", rows=1200)
    found = look(tmp_path)
    assert dict(found.table)["label_column"] == name and len(found.labels) == 12


# --- pipes -------------------------------------------------------------------------------------------------------------


def labels(place: Path) -> object:
    os.mkfifo(place / "labels.txt")
    return api.compile(DIGITS, target="host", measure=False, labels=place / "labels.txt")


def board(place: Path) -> object:
    os.mkfifo(place / "board.toml")
    return api.compile(DIGITS, target=str(place / "board.toml"), measure=False)


def project(place: Path) -> object:
    os.mkfifo(place / "sandgrain.toml")
    return api.data(place)


def features(place: Path) -> object:
    os.mkfifo(place / "features.json")
    return api.compile(DIGITS, target="host", measure=False, features=place / "features.json")


def samples(place: Path) -> object:
    os.mkfifo(place / "x.npz")
    return api.inspect(DIGITS, calibration=place / "x.npz")


def recordings(place: Path) -> object:
    os.mkfifo(place / "log.csv")
    return api.init(place / "log.csv", out=place / "p")


def lists(place: Path) -> object:
    folder = sensor_project.project(place / "waves")
    text = (
        (folder / "sandgrain.toml")
        .read_text()
        .replace("validation = 0.2\ntest = 0.3", 'by = "given"\nlists = { test = "test.txt" }')
    )
    (folder / "sandgrain.toml").write_text(text)
    os.mkfifo(folder / "test.txt")
    return api.data(folder)


def proof(place: Path) -> object:
    api.compile(DIGITS, target="host", measure=False, out=place / "out")
    (place / "out" / "proof" / "build.json").unlink()
    os.mkfifo(place / "out" / "proof" / "build.json")
    return api.verify(place / "out")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="only where there are pipes")
@pytest.mark.parametrize("read", [labels, board, project, features, samples, recordings, lists, proof])
def test_11_a_pipe_where_a_file_is_expected_is_not_waited_for(read: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(SandgrainError) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="only where there are pipes")
def test_11_pipes_among_recordings_are_left_alone(tmp_path: Path) -> None:
    for label in ("up", "down"):
        for take in range(3):
            table(tmp_path / label / f"{take}.csv", "x,y", lambda k: f"{k % 17},{(k * k) % 23}")
        for name in ("pipe.csv", "pipe.npz", "pipe.txt", "labels.csv"):
            os.mkfifo(tmp_path / label / name)
    assert look(tmp_path).count == 6
