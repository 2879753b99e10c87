"""Sensors in files of their own: joined by name and time into one recording, cut to what they share; what does not match is told."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sandgrain.base.errors import UsageError
from sandgrain.base.progress import silent
from sandgrain.dataset.ingest import ingest, open_record
from sandgrain.dataset.readers import make_layout
from sandgrain.dataset.records import Manifest
from sandgrain.frontend.signal import Channel, Signal
from sandgrain.project import recordings
from sandgrain.project.file.init import How, render, write
from sandgrain.project.file.load import parse
from sandgrain.project.file.look import Look
from sandgrain.project.streams import Stream

DRAW = np.random.default_rng(7)

KEYS: dict[str, Any] = {
    "name": "{label}_{index}_{sensor}",
    "sensors": ("acc", "gyro"),
    "time_column": ("t",),
    "rate": 50.0,
    "full_scale": (10.0,),
}


def table(
    path: Path, rate: float, seconds: float, start: float = 0.0, *, unit: float = 1.0, columns: str = "x,y,z", slope: float = 0.1
) -> None:
    """Rows whose values are the time since 0 on straight lines, which a grid leaves as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = start + np.arange(round(seconds * rate)) / rate
    width = len(columns.split(","))
    rows = [f"{t * unit:.9f}," + ",".join(f"{slope * (t - int(start)) + k:.6f}" for k in range(width)) for t in times]
    path.write_text("\n".join([f"t,{columns}", *rows]) + "\n")


def read(folder: Path, cache: Path | None = None, **keys: Any) -> Manifest:
    return ingest(folder, make_layout("motion", **(KEYS | keys)), workers=1, cache=cache)


@pytest.mark.parametrize("epoch", [0.0, 1_700_000_000.0])
@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("{label}_{index}_{sensor}", "{label}_{k}_{sensor}.csv"),
        ("{label}_{index}/{sensor}", "{label}_{k}/{sensor}.csv"),
        ("{sensor}/{label}-{index}", "{sensor}/{label}-{k}.csv"),
        ("{sensor}_{label}_{index}", "{sensor}_{label}_{k}.csv"),
    ],
)
def test_sensors_of_two_rates_are_one_recording_on_one_grid(name: str, files: str, epoch: float, tmp_path: Path) -> None:
    for label in ("walk", "run"):
        for k in (1, 2):
            table(tmp_path / files.format(label=label, k=k, sensor="acc"), 100, 4.0, epoch)
            table(tmp_path / files.format(label=label, k=k, sensor="gyro"), 50, 4.0, epoch + 0.5, slope=0.2)
    found = read(tmp_path, name=name)
    assert not found.bad and sorted({r.label for r in found.records}) == ["run", "walk"] and len(found.records) == 4
    assert {r.shape for r in found.records} == {(175, 6)} and {r.rate for r in found.records} == {50.0}
    assert all("cut to the 3.49 s that all sensors share, of 3.99 s of acc" in note.text for note in found.notes)
    data = open_record(found, found.records[0]).astype(float) * 10 / 32768
    at = 0.5 + np.arange(175) / 50
    expected = np.concatenate([0.1 * at[:, None] + np.arange(3), 0.2 * at[:, None] + np.arange(3)], axis=1)
    assert np.abs(data - expected).max() < 1e-3


def test_what_does_not_match_is_counted_and_told(tmp_path: Path) -> None:
    for name in ("walk_1", "walk_2", "run_1", "run_2"):
        table(tmp_path / f"{name}_acc.csv", 100, 2)
        table(tmp_path / f"{name}_gyro.csv", 50, 2)
    (tmp_path / "walk_2_gyro.csv").unlink()
    table(tmp_path / "run_2_gyro.csv", 50, 2, 100)
    table(tmp_path / "run_1_baro.csv", 1, 2, columns="p")
    found = read(tmp_path)
    assert [r.key for r in found.records] == ["run_1_acc.csv", "walk_1_acc.csv"]
    bad = {b.path: b.reason for b in found.bad}
    assert bad["walk_2_acc.csv"] == "has no file of sensor gyro beside it (walk_2_gyro.csv)"
    assert "no time is shared by its sensors (acc 0 to 1.99 s, gyro 100 to 101.98 s)" in bad["run_2_acc.csv"]
    assert dict(found.others) == {(".csv", ""): 1}


def test_a_change_in_any_sensor_is_seen_and_a_broken_one_is_named(tmp_path: Path) -> None:
    data, cache = tmp_path / "data", tmp_path / "cache"
    for name in ("walk_1", "run_1"):
        table(data / f"{name}_acc.csv", 100, 2)
        table(data / f"{name}_gyro.csv", 50, 2)
    before = read(data, cache)
    assert read(data, cache) == before
    table(data / "run_1_gyro.csv", 50, 2, slope=0.7)
    after = read(data, cache)
    assert [a == b for a, b in zip(before.records, after.records, strict=True)] == [False, True]
    with pytest.raises(UsageError, match="no longer what it was"):
        open_record(before, before.records[0])
    (data / "run_1_gyro.csv").write_text("t,x,y\n0,1\n1,oops,3\n2,4,4\n")
    assert read(data, cache).bad[0].reason.startswith("sensor gyro (run_1_gyro.csv): ")


def test_without_times_rows_belong_together_by_their_number_or_are_refused(tmp_path: Path) -> None:
    for name, rows in (("walk_1", 200), ("run_1", 199), ("run_2", 100)):
        for sensor, count in (("acc", 200), ("gyro", rows)):
            (tmp_path / f"{name}_{sensor}.csv").write_text("x,y\n" + "".join(f"{k},{k % 7}\n" for k in range(count)))
    found = read(tmp_path, time_column=(), full_scale=())
    assert [(r.key, r.shape) for r in found.records] == [("run_1_acc.csv", (199, 4)), ("walk_1_acc.csv", (200, 4))]
    assert "other numbers of rows (acc 200, gyro 100) and no times" in found.bad[0].reason
    assert [n.text for n in found.notes] == ["the last 1 rows of the longer sensor are left out"]


def test_columns_and_scales_are_named_by_sensor(tmp_path: Path) -> None:
    for name in ("walk_1", "run_1"):
        table(tmp_path / f"{name}_acc.csv", 50, 2)
        table(tmp_path / f"{name}_gyro.csv", 50, 2)
    keys = {"columns": ("gyro.z", "acc.x"), "full_scale": (5.0, 10.0)}
    found = read(tmp_path, **keys)
    data = open_record(found, found.records[0]).astype(float)
    assert data.shape == (100, 2)
    assert np.abs(data[0] - [2 / 5 * 32768, 0]).max() <= 1 or np.abs(data[0] - [0, 2 / 5 * 32768]).max() <= 1


@pytest.mark.parametrize("times", ["t", "acc.t,gyro.when,labels.from"])
def test_a_file_of_labels_beside_the_sensors_says_what_holds_from_when(times: str, tmp_path: Path) -> None:
    for k in (1, 2):
        for sensor, rate in (("acc", 100), ("gyro", 50)):
            table(tmp_path / f"day_{k}" / f"{sensor}.csv", rate, 6)
        own = dict(part.split(".") for part in times.split(",")) if "." in times else {}
        gyro = tmp_path / f"day_{k}" / "gyro.csv"
        gyro.write_text(gyro.read_text().replace("t,", f"{own.get('gyro', 't')},", 1))
        (tmp_path / f"day_{k}" / "labels.csv").write_text(f"{own.get('labels', 't')},what\n1,sit\n3,walk\n5,sit\n")
    found = read(tmp_path, name="{group}/{sensor}", label_column="labels.what", time_column=tuple(times.split(",")))
    assert [(r.label, r.shape[0]) for r in found.records] == [("sit", 100), ("walk", 100), ("sit", 50)] * 2
    assert {r.group for r in found.records} == {"day_1", "day_2"} and not found.bad and not found.others
    assert all("50 samples have no label, and are left out" in note.text for note in found.notes)


@pytest.mark.parametrize("epoch", [0.0, 1_700_000_000.0])
def test_stretches_beside_the_sensors_count_from_the_first_of_them_or_from_1970(epoch: float, tmp_path: Path) -> None:
    table(tmp_path / "day_1" / "acc.csv", 100, 6, epoch)
    table(tmp_path / "day_1" / "gyro.csv", 50, 6, epoch + 0.5)
    (tmp_path / "day_1" / "labels.csv").write_text(
        f"start,end,label\n{epoch + 1},{epoch + 2},sit\n{epoch + 2},{epoch + 4},walk\n"
    )
    found = read(tmp_path, name="{group}/{sensor}", label_tracks=True, track_suffix="labels.csv")
    assert [(r.label, r.shape[0]) for r in found.records] == [("sit", 50), ("walk", 100)]
    data = open_record(found, found.records[0]).astype(float) * 10 / 32768
    assert data[0, 0] == pytest.approx(0.1, abs=1e-3)  # the second after the beginning of acc


def test_empaticas_first_lines_are_start_and_rate(tmp_path: Path) -> None:
    for who in ("S1", "S2"):
        for sensor, width, rate, start in (
            ("ACC", 3, 32, 1_500_000_000.0),
            ("EDA", 1, 4, 1_500_000_000.0),
            ("HR", 1, 1, 1_500_000_010.0),
        ):
            rows = [[start] * width, [float(rate)] * width, *([k % 60 + c for c in range(width)] for k in range(30 * rate))]
            (tmp_path / who).mkdir(exist_ok=True)
            (tmp_path / who / f"{sensor}.csv").write_text("\n".join(", ".join(f"{v:.6f}" for v in row) for row in rows) + "\n")
        (tmp_path / who / "tags.csv").write_text("1500000012.5\n")
    keys = {"name": "{group}/{sensor}", "sensors": ("ACC", "EDA", "HR"), "time_column": (), "start_and_rate": True, "rate": 32.0}
    found = read(tmp_path, **keys, full_scale=(100.0,))
    assert [(r.group, r.shape) for r in found.records] == [("S1", (633, 5)), ("S2", (633, 5))] and not found.bad
    (tmp_path / "S1" / "EDA.csv").write_text("1,2\n3,4\n5,6\n7,8\n")
    with pytest.raises(UsageError, match="start_and_rate"):
        ingest(tmp_path, make_layout("motion", **(KEYS | keys)), workers=1, bad="refuse")


def test_rows_of_several_sensors_in_one_table_are_joined(tmp_path: Path) -> None:
    for label in ("walk", "run"):
        rows = [(k / 100, "acc", 1 + k / 1000, 2.0, 3.0) for k in range(400)] + [
            (k / 50 + 0.003, "gyro", 4.0, 5.0, 60.0) for k in range(200)
        ]
        rows += [(k / 10, "light", 7.0, "", "") for k in range(40)]
        text = "".join(",".join(map(str, row)) + "\n" for row in sorted(rows, key=lambda r: r[0]))
        (tmp_path / f"{label}_1.csv").write_text("t,what,x,y,z\n" + text)
    keys: dict[str, Any] = {"name": "{label}_{index}", "sensor_column": "what", "sensors": ("gyro", "acc", "light")}
    keys |= {"columns": ("gyro.x", "gyro.z", "acc.x", "light.x"), "full_scale": (10.0, 100.0, 10.0, 10.0)}
    found = read(tmp_path, **keys)
    assert (
        [r.label for r in found.records] == ["run", "walk"] and {r.shape for r in found.records} == {(195, 4)} and not found.bad
    )
    data = open_record(found, found.records[0]).astype(float)
    assert np.abs(data[0] - [0.4 * 32768, 0.6 * 32768, 0.1 * 32768, 0.7 * 32768]).max() < 3


def test_a_gap_in_one_sensor_is_a_gap_of_the_recording(tmp_path: Path) -> None:
    table(tmp_path / "walk_1_acc.csv", 100, 10)
    table(tmp_path / "walk_1_gyro.csv", 50, 10)
    lines = (tmp_path / "walk_1_gyro.csv").read_text().splitlines()
    (tmp_path / "walk_1_gyro.csv").write_text("\n".join([*lines[:201], *lines[301:]]) + "\n")
    found = read(tmp_path)
    assert [(r.key, r.shape[0]) for r in found.records] == [("walk_1_acc.csv#1", 200), ("walk_1_acc.csv#3", 200)]
    assert "gyro: 1 gaps, the longest 2.02 s" in found.notes[0].text


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"name": "{label}_{index}"}, "needs {sensor} in name"),
        ({"rate": 0.0}, "set rate"),
        ({"columns": ("x",)}, "is of none of the sensors"),
        ({"sensors": ("acc", "../x")}, "is no sensor"),
        ({"sensors": ("acc", "acc")}, "names one twice"),
        ({"segment": 4}, "do not go with sensors"),
        ({"target_column": "x"}, "target_column does not go with sensors"),
    ],
)
def test_layouts_that_contradict_themselves(keys: dict[str, Any], said: str, tmp_path: Path) -> None:
    table(tmp_path / "walk_1_acc.csv", 100, 1)
    with pytest.raises(UsageError) as error:
        read(tmp_path, **keys)
    assert said in str(error.value)


def test_times_that_claim_years_take_no_memory(tmp_path: Path) -> None:
    (tmp_path / "walk_1_acc.csv").write_text("t,x\n0,1\n1e12,2\n")
    (tmp_path / "walk_1_gyro.csv").write_text("t,x\n0,1\n1e12,2\n")
    assert "too long" in read(tmp_path).bad[0].reason


def look_at(folder: Path) -> tuple[Look, dict[str, Any]]:
    """What init sees, which `data` must take."""
    found = write(folder, folder.parent / "sandgrain.toml", How(dry=True))
    assert not found.problem, found.problem
    return found, dict(found.table)


@pytest.mark.parametrize(
    ("files", "name", "sensors"),
    [
        ("{label}_{k:02}_{s}.csv", "{label}_{index}_{sensor}", ("acc", "gyro")),
        ("{label}_{k:02}/{s}.csv", "{label}_{index}/{sensor}", ("Accelerometer", "Gyroscope")),
        ("{s}/{label}-{k}.csv", "{sensor}/{label}-{index}", ("accel", "gyr")),
        ("{s}_{label}_{k}.csv", "{sensor}_{label}_{index}", ("acc", "mag")),
        ("{label}/take{k}_{s}.csv", "{label}/{index}_{sensor}", ("acc", "lin_acc")),
        ("{label}/{k}/{s}.csv", "{label}/{index}/{sensor}", ("left_acc", "right_acc", "left_gyro")),
        ("{label}_{k}_{s}.csv", "{label}_{index}_{sensor}", ("accel_phone", "accel_watch", "gyro_watch")),
    ],
)
def test_init_finds_sensors_by_the_words_that_names_differ_in(
    files: str, name: str, sensors: tuple[str, ...], tmp_path: Path
) -> None:
    for label in ("walk", "run", "sit"):
        for k in range(1, 4):
            for place, sensor in enumerate(sensors):
                table(tmp_path / "data" / files.format(label=label, k=k, s=sensor), 100 / (place + 1), 2, k)
    found, keys = look_at(tmp_path / "data")
    assert found.name == name and set(keys["sensors"]) == set(sensors) and found.labels == ("run", "sit", "walk")
    assert keys["time_column"] == "t" and found.rate == pytest.approx(100 / len(sensors), rel=0.01)
    assert len(keys["columns"]) == 3 * len(sensors) and f"{sensors[0]}.x" in keys["columns"]
    assert any("differ in the sensor that their names say" in note and "(sensors, name)" in note for note in found.notes)
    text = render(found, "data", "cortex-m4")
    data = parse(tomllib.loads(text)).data
    read = ingest(tmp_path / "data", data.layout, workers=1)
    assert len(read.records) == 9 and not read.bad and read.records[0].shape[1] == 3 * len(sensors)


def test_init_takes_a_loggers_folders_and_leaves_its_notes_alone(tmp_path: Path) -> None:
    for k, label in enumerate(["walking", "running", "walking", "running"]):
        folder = tmp_path / "data" / f"{label}-2023-05-0{k + 1}_10-22-3{k}"
        for sensor, rate in (("Accelerometer", 100), ("Gyroscope", 100), ("TotalAcceleration", 50)):
            folder.mkdir(parents=True, exist_ok=True)
            times = 1_683_000_000 + 1000 * k + np.arange(5 * rate) / rate + DRAW.normal(0, 0.0005, 5 * rate)
            lines = [
                f"{int(t * 1e9)},{t - times[0]:.6f},{DRAW.normal():.6f},{DRAW.normal():.6f},{DRAW.normal():.6f}" for t in times
            ]
            (folder / f"{sensor}.csv").write_text("\n".join(["time,seconds_elapsed,z,y,x", *lines]) + "\n")
        (folder / "Metadata.csv").write_text("version,device name\n3,Pixel\n")
    found, keys = look_at(tmp_path / "data")
    assert keys["sensors"] == ("Accelerometer", "TotalAcceleration", "Gyroscope") and found.labels == ("running", "walking")
    assert keys["time_column"] == "time" and keys["time_unit"] == "ns" and found.rate == 50
    assert keys["columns"][:3] == ("Accelerometer.z", "Accelerometer.y", "Accelerometer.x")
    assert any("Metadata" in note and "(sensors)" in note for note in found.notes)


@pytest.mark.parametrize("stretches", [True, False])
def test_init_takes_labels_beside_the_sensors(stretches: bool, tmp_path: Path) -> None:
    for who in ("S1", "S2", "S3", "S4"):
        for sensor, rate in (("acc", 100), ("gyro", 50)):
            table(tmp_path / "data" / who / f"{sensor}.csv", rate, 20)
        text = "start,end,label\n0,10,sit\n10,20,walk\n" if stretches else "t,what\n0,sit\n10,walk\n"
        (tmp_path / "data" / who / "labels.csv").write_text(text)
    found, keys = look_at(tmp_path / "data")
    assert found.labels == ("sit", "walk") and found.name == "{group}/{sensor}" and found.groups == 4
    assert keys.get("track_suffix", "") == ("labels.csv" if stretches else "")
    assert keys.get("label_column", "") == ("" if stretches else "labels.what")


def test_init_takes_wristbands(tmp_path: Path) -> None:
    for who in ("S1", "S2", "S3"):
        for sensor, width, rate in (("ACC", 3, 32), ("EDA", 1, 4), ("BVP", 1, 64)):
            rows = [[1.5e9] * width, [float(rate)] * width, *(list(DRAW.integers(-90, 90, width)) for _ in range(30 * rate))]
            (tmp_path / "data" / who).mkdir(exist_ok=True, parents=True)
            (tmp_path / "data" / who / f"{sensor}.csv").write_text(
                "\n".join(", ".join(f"{v:.6f}" for v in row) for row in rows) + "\n"
            )
        (tmp_path / "data" / who / "tags.csv").write_text("1500000012.5\n")
    found, keys = look_at(tmp_path / "data")
    assert keys["start_and_rate"] is True and keys["sensors"] == ("ACC", "BVP", "EDA") and found.rate == 32 and found.groups == 3
    assert "tags" in " ".join(found.notes)


def test_folders_of_people_with_a_file_an_activity_are_no_sensors(tmp_path: Path) -> None:
    for who in ("s1", "s2", "s3"):
        for label in ("walk", "run", "light"):
            table(tmp_path / "data" / who / f"{label}.csv", 50, 4)
    assert "sensors" not in look_at(tmp_path / "data")[1]


@pytest.mark.parametrize("who", ["run", "run_5.62kg", "subject_1_left"])
def test_a_name_that_holds_more_than_its_pattern_needs_still_finds_its_sensors(who: str, tmp_path: Path) -> None:
    for sensor in ("acc", "left_gyro"):
        table(tmp_path / f"{who}_{sensor}.csv", 50, 2)
    found = read(tmp_path, name="{recording}_{sensor}", sensors=("acc", "left_gyro"))
    assert not found.bad and [r.shape for r in found.records] == [(100, 6)]


def test_score_joins_sensors_as_the_project_does(tmp_path: Path) -> None:
    lines = (
        'path = "train"\nkind = "motion"\nname = "{label}_{index}_{sensor}"\nsensors = ["acc", "gyro"]\ntime_column = ["t"]\n'
        "rate = 50\nfull_scale = [10]\n"
    )
    (tmp_path / "sandgrain.toml").write_text(f'[data]\n{lines}\n[[features]]\nblock = "raw"\n')
    for k, label in enumerate(("walk", "run")):
        table(tmp_path / "new" / f"{label}_{k}_acc.csv", 100, 4.0)
        table(tmp_path / "new" / f"{label}_{k}_gyro.csv", 50, 4.0, slope=0.2)
    own = recordings.of_project(tmp_path)
    names = ("acc.x", "acc.y", "acc.z", "gyro.x", "gyro.y", "gyro.z")
    signal = Signal("motion", (50, 6), 50.0, tuple(Channel(name, "", 10.0) for name in names))

    def heard(place: Path, signal: Signal) -> list[Stream]:
        return recordings.streams(
            [place], signal, labels=None, label_column="", rest="", resample=False, own=own, progress=silent
        )[0]

    found = heard(tmp_path / "new", signal)
    whole = read(tmp_path / "new")
    assert [s.name for s in found] == [r.key for r in whole.records] and [s.truth[0].label for s in found] == ["run", "walk"]
    assert all(np.array_equal(s.open(), open_record(whole, r)) for s, r in zip(found, whole.records, strict=True))
    with pytest.raises(UsageError, match="lie in a file for each sensor; name their folder"):
        heard(tmp_path / "new" / "walk_0_acc.csv", signal)
    with pytest.raises(UsageError, match="has 6 channels, and the model takes 3"):
        heard(tmp_path / "new", Signal("motion", (50, 3), 50.0))
    (tmp_path / "new" / "sandgrain.toml").write_text('[data]\npath = "."\nkind = "motion"\n[[features]]\nblock = "raw"\n')
    assert recordings.of_project(tmp_path / "new") is None and recordings.of_project(tmp_path / "none") is None
