"""One table with a label column as it lies: a setting is a group, labels are of the whole file, a rate is what a text says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sandgrain as api
from sandgrain.project.file.init import How, write
from sandgrain.project.file.look import Look, look

DRAW = np.random.default_rng(5)


def fan(folder: Path, settings: tuple[str, ...], rows: int = 120, head: str = "wconfid,pctid,x,y,z") -> None:
    lines = [head]
    for label in ("1", "2", "3"):
        for setting in settings:
            values = DRAW.normal(0, 1, (rows, 3)).round(3)
            lines += [f"{label},{setting},{a},{b},{c}" for a, b, c in values]
    (folder / "accelerometer.csv").write_text("\n".join(lines) + "\n")


def roles(found: Look) -> dict[str, str]:
    return {v.column: v.role for v in found.columns}


@pytest.mark.parametrize(
    ("label", "settings"),
    [
        ("wconfid", tuple(str(s) for s in range(20, 60, 5))),
        ("class", ("slow", "medium", "fast")),
        ("wconfid", ("7", "11", "12", "30")),
    ],
)
def test_a_column_that_is_constant_in_the_runs_of_a_label_is_a_group_with_its_reason(
    label: str, settings: tuple[str, ...], tmp_path: Path
) -> None:
    fan(tmp_path, settings, head=f"{label},pctid,x,y,z")
    found = look(tmp_path)
    assert roles(found) == {label: "label", "pctid": "group", "x": "channel", "y": "channel", "z": "channel"}
    why = next(v for v in found.columns if v.column == "pctid")
    assert f"takes {len(settings)} values" in why.text and why.key == "group_column"
    assert found.groups == len(settings) and dict(found.table)["group_column"] == "pctid"
    told = write(tmp_path, tmp_path / "sandgrain.toml", How(dry=True))
    assert not told.problem and told.labels == ("1", "2", "3")


def test_a_sensor_of_few_values_that_comes_and_goes_is_a_channel(tmp_path: Path) -> None:
    rows = (f"{(k // 60) % 5 * 10},{(k // 100) % 2},{20 + (k % 977) / 100},{(k // 500) % 2}" for k in range(4000))
    lines = ["light,door,temp,state", *rows]
    (tmp_path / "room.csv").write_text("\n".join(lines) + "\n")
    assert roles(look(tmp_path)) == {"light": "channel", "door": "channel", "temp": "channel", "state": "label"}


def test_labels_are_counted_over_the_whole_file(tmp_path: Path) -> None:
    fan(tmp_path, ("20", "25", "30", "35"), rows=9000)
    assert (tmp_path / "accelerometer.csv").stat().st_size > 1 << 20
    found = look(tmp_path)
    assert found.labels == ("1", "2", "3") and found.groups == 4


RATES = {
    "a sample every 20 ms, 1 minute for each run": 50.0,
    "The sensor was sampled at 104 Hz.": 104.0,
    "one row each 5 minutes": 1 / 300,
}


@pytest.mark.parametrize("words", RATES)
def test_a_rate_is_taken_from_the_words_beside_the_data(words: str, tmp_path: Path) -> None:
    fan(tmp_path, ("20", "25", "30"))
    (tmp_path / "README.md").write_text(f"# Fan\n\n{words}\n")
    found = look(tmp_path)
    assert found.rate == pytest.approx(RATES[words], rel=1e-4)
    assert any("README.md says" in note and "(" not in note[:4] for note in found.notes)


@pytest.mark.parametrize(
    "words", ["sampled at 100 Hz, resampled to 50 Hz", "from 44.1 kHz recordings", "rows in order of time", ""]
)
def test_a_rate_is_never_invented(words: str, tmp_path: Path) -> None:
    fan(tmp_path, ("20", "25", "30"))
    (tmp_path / "README.md").write_text(f"# Fan\n\n{words}\n")
    found = look(tmp_path)
    assert not found.rate and any("a guess" in str(line) for line in found.lines())
    assert any("speaks of 100 Hz, 50 Hz" in note for note in found.notes) == ("50 Hz" in words)


def test_a_second_label_is_no_channel(tmp_path: Path) -> None:
    rows = "".join(f"{k % 41},{k % 37},{(k // 90) % 2}.0,{int(k % 90 == 0)}.0\n" for k in range(900))
    (tmp_path / "a.csv").write_text("pressure,flow,anomaly,changepoint\n" + rows)
    assert roles(look(tmp_path)) == {"pressure": "channel", "flow": "channel", "anomaly": "label", "changepoint": "unused"}


def as_parquet(path: Path, names: tuple[str, ...], rows: list[str]) -> None:
    """Lines of numbers, and a text behind them, in groups of 50 rows."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    *numbers, texts = zip(*(row.split(",") for row in rows), strict=True)
    columns = [[float(cell) for cell in column] for column in numbers]
    parquet.write_table(pyarrow.table(dict(zip(names, [*columns, texts], strict=True))), path, row_group_size=50)


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("gone", ["-200", "999.0", "-9999"])
def test_a_number_that_stands_for_a_missing_value_is_found_and_its_rows_left_out(gone: str, form: str, tmp_path: Path) -> None:
    rows = [
        f"{k},{20 + np.sin(k / 5):.2f},{1000 + 300 * np.cos(k / 9):.1f},{k // 9 if k > 360 else gone},{'ab'[k // 50 % 2]}"
        for k in range(400)
    ]
    for k in (7, 120, 121, 300):
        rows[k] = f"{k},{gone},{gone},{gone},{'ab'[k // 50 % 2]}"
    if form == "csv":
        (tmp_path / "x.csv").write_text("t_s,temp,gas,rare,label\n" + "\n".join(rows) + "\n")
    else:
        as_parquet(tmp_path / "x.parquet", ("t_s", "temp", "gas", "rare", "label"), rows)
    found = write(tmp_path, tmp_path / "sandgrain.toml")
    assert dict(found.table)["missing"] == (float(gone),) and any("(missing)" in note for note in found.notes)
    assert dict(found.table)["full_scale"] == (40.0, 2000.0) and roles(found)["rare"] == "unused"
    seen = api.data(tmp_path, workers=1)
    assert sum(r.shape[0] for r in seen.records) == 396 and not seen.manifest.bad
    assert any("4 of 400 rows left out" in note.text and "a value is missing" in note.text for note in seen.manifest.notes)


def test_values_at_the_end_of_a_range_are_values(tmp_path: Path) -> None:
    rows = [f"{k},{min(1000, 400 + 5 * (k % 160))},{(k // 30 % 2) * 100},{'ab'[k // 50 % 2]}" for k in range(400)]
    (tmp_path / "x.csv").write_text("t_s,clipped,switch,label\n" + "\n".join(rows) + "\n")
    found = write(tmp_path, tmp_path / "sandgrain.toml", How(dry=True))
    assert "missing" not in dict(found.table)


def test_all_of_several_parquet_tables_is_looked_at(tmp_path: Path) -> None:
    rows = [f"{k % 41},{k % 37},{'ab'[k // 200]}" for k in range(400)]
    as_parquet(tmp_path / "1.parquet", ("x", "y", "label"), rows)
    as_parquet(tmp_path / "2.parquet", ("x", "y", "label"), [row[:-1] + "c" for row in rows])
    as_parquet(tmp_path / "3.parquet", ("x", "other", "label"), rows)
    (tmp_path / "4.parquet").write_bytes((tmp_path / "1.parquet").read_bytes()[:-3])
    found = look(tmp_path)
    assert found.labels == ("a", "b", "c") and found.kind == "motion"
    assert any("1 of 4 files cannot be read, the first is 4.parquet: it is cut short" in note for note in found.notes)
    assert any("1 of 3 files have other columns (such as 3.parquet)" in note for note in found.notes)


def strayed(folder: Path, strays: int, far: float, swing: float) -> Path:
    """A table of two channels of 3000 rows about 4000; `strays` readings of the first are `far`."""
    values = 4000 + DRAW.normal(0, swing, (3000, 2))
    values[np.linspace(50, 2950, strays).astype(int), 0] = far
    rows = (f"{a:.2f},{b:.2f},{k // 500 % 2}" for k, (a, b) in enumerate(values))
    (folder / "table.csv").write_text("\n".join(["one,two,state", *rows]) + "\n")
    return folder


def test_a_few_readings_far_off_do_not_take_the_range_from_all_others(tmp_path: Path) -> None:
    found = write(strayed(tmp_path, 2, 700000.5, 20), tmp_path / "sandgrain.toml", How())
    assert dict(found.table)["full_scale"] == (5000.0, 5000.0)
    assert any(note.startswith("one: up to 2 readings of 3000 so far off") for note in found.notes)
    parts = api.data(tmp_path).manifest.records
    assert sum(r.clipped for r in parts) == 2


@pytest.mark.parametrize(
    ("strays", "far", "swing"),
    [
        (300, 700000.5, 20.0),  # too many to be strays
        (2, 20000.5, 20.0),  # a range with them has steps enough
        (2, 700000.5, 1500.0),  # the others are told well enough with them
    ],
)
def test_readings_far_off_that_cost_nothing_or_are_many_stay_in_range(
    strays: int, far: float, swing: float, tmp_path: Path
) -> None:
    found = look(strayed(tmp_path, strays, far, swing))
    assert dict(found.table)["full_scale"][0] > far and not any("far off" in note for note in found.notes)


def sided(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        rows = (f"{DRAW.normal():.3f},{DRAW.normal():.3f},{('on', 'off')[k // 60 % 2]}" for k in range(480))
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("\n".join(["a,b,state", *rows]) + "\n")
    return folder


@pytest.mark.parametrize(
    "names",
    [
        ("datatraining.csv", "datatest.csv", "datatest2.csv"),
        ("pump_train_1.csv", "pump_train_2.csv", "pump_test.csv"),
        ("train.csv", "val.csv", "test.csv"),
        ("training/a.csv", "training/b.csv", "testing/c.csv"),
    ],
)
def test_names_of_tables_that_say_train_and_test_are_the_split(names: tuple[str, ...], tmp_path: Path) -> None:
    write(sided(tmp_path, names), tmp_path / "sandgrain.toml", How())
    found = api.data(tmp_path)
    sides = {name: {side for key, side in found.sides.items() if key.startswith(name)} for name in names}
    drawn = {"validation"} if "/" in names[0] else set()
    for name, side in sides.items():
        want = "test" if "test" in name else "validation" if "val" in name else "train"
        assert side - drawn == {want}, name


@pytest.mark.parametrize("names", [("train.csv", "latest_b.csv", "other.csv"), ("test1.csv", "test2.csv", "test3.csv")])
def test_names_of_which_some_say_no_side_or_all_the_same_are_no_split(names: tuple[str, ...], tmp_path: Path) -> None:
    assert not look(sided(tmp_path, names)).chosen


@pytest.mark.parametrize(("first", "second", "told"), [("1234", "12", "2 of 4"), ("1234", "56", ""), ("abcd", "ab", "")])
def test_numbers_of_groups_that_are_in_several_files_are_told(first: str, second: str, told: str, tmp_path: Path) -> None:
    for name, who in (("room1", first), ("room2", second)):
        rows = (f"{g},{DRAW.normal():.3f},{('lie', 'sit')[k // 20 % 2]}" for g in who for k in range(60))
        (tmp_path / f"{name}.csv").write_text("\n".join(["trial,a,label", *rows]) + "\n")
    found = look(tmp_path)
    assert dict(found.table)["group_column"] == "trial"
    said = [note for note in found.notes if "numbers in trial are in several files" in note]
    assert [note[: len(told)] for note in said] == ([told] if told else [])
