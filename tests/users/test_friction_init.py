"""`init` promises nothing that `data` refuses: it tries what it found with the readers of `data`, and says what is missing."""

from __future__ import annotations

import json
import wave
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import sandgrain as api
from sandgrain.base.errors import UsageError
from sandgrain.cli import app
from sandgrain.dataset import ingest
from sandgrain.dataset.decode import describe
from sandgrain.dataset.ingest import Few
from sandgrain.dataset.pool import Reply
from sandgrain.dataset.readers.base import BadFileError
from sandgrain.dataset.records import Layout
from sandgrain.dataset.walk import Found
from sandgrain.project import trial
from sandgrain.project.file.look import look
from tests.support.draws import rare


@pytest.fixture(autouse=True)
def decoded_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are decoded in this process: starting another for each look takes most of a test's time, and is tested elsewhere."""

    def decode_all(
        root: Path, layout: Layout, files: Sequence[Found], modules: object, processes: int
    ) -> Iterator[tuple[Found, Reply, bool]]:
        for file in files:
            try:
                yield file, describe(root, file.path, layout), True
            except BadFileError as error:
                yield file, str(error), True

    monkeypatch.setattr(ingest, "decode_all", decode_all)


RUN = CliRunner()
DRAW = np.random.default_rng(3)


def table(path: Path, rows: int = 200, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(-900, 900, (rows, 2))
    path.write_text("ax,ay\n" + "".join(f"{a},{b}\n" for a, b in values))


def images_of_floats(root: Path) -> str:
    np.savez(root / "a.npz", x=DRAW.normal(size=(12, 5, 4, 3)), y=np.arange(12) % 2)
    return "a.npz: x has recordings of (5, 4, 3); motion takes [samples, channels]"


def pickles_in_labels(root: Path) -> str:
    np.savez(root / "a.npz", x=np.zeros((12, 40), np.int16), y=np.array([{}] * 12, object))
    return "a.npz: cannot be decoded (y.npy holds Python objects, which are never unpickled; save numbers of one type)"


def wav_of_nothing(root: Path) -> str:
    for label in ("yes", "no"):
        (root / label).mkdir()
        for k in range(3):
            with wave.open(str(root / label / f"{k}.wav"), "wb") as out:
                out.setparams((1, 2, 16000, 0, "NONE", ""))
                out.writeframes(b"")
    return "it holds no samples"


@pytest.mark.parametrize("make", [images_of_floats, pickles_in_labels, wav_of_nothing])
def test_init_never_writes_what_data_refuses(make, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    root = tmp_path / "x"
    root.mkdir()
    said = make(root)
    with pytest.raises(UsageError) as refused:
        api.init(root, out=tmp_path / "p")
    assert said in str(refused.value) and "sandgrain data would refuse" in str(refused.value)
    assert "draft= writes it all the same" in str(refused.value)  # as Python calls the option
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    shown = RUN.invoke(app, ["init", str(root), "--explain", "--json"])
    assert shown.exit_code == 2 and said in json.loads(shown.stdout)["problem"]
    draft = RUN.invoke(app, ["init", str(root), "-o", str(tmp_path / "p"), "--draft"])
    assert draft.exit_code != 0 and said in str(draft.exception) and (tmp_path / "p" / "sandgrain.toml").is_file()
    with pytest.raises(UsageError):
        api.data(tmp_path / "p", workers=1)


def test_a_split_that_the_recordings_do_not_allow_is_not_written(tmp_path: Path) -> None:
    for label, count in (("walk", 5), ("fall", 1)):
        for k in range(count):
            table(tmp_path / "x" / label / f"{k}.csv", seed=10 * count + k)
    found = api.init(tmp_path / "x", out=tmp_path / "p")
    assert any("label fall has 1 different recording," in note for note in found.notes)
    assert "stratify = false" in (tmp_path / "p" / "sandgrain.toml").read_text()
    assert len(api.data(tmp_path / "p", workers=1).records) == 6


def test_one_recording_and_labels_of_one_run_each_go_in_and_nothing_is_there_to_test_with(tmp_path: Path) -> None:
    table(tmp_path / "x" / "gas.csv")
    found = api.init(tmp_path / "x", out=tmp_path / "p")
    assert any("there is nothing to test with" in n and "cut the table with label_column" in n for n in found.notes)
    assert len(api.data(tmp_path / "p", workers=1).records) == 1
    rows = "".join(f"{a},{b},{'abcd'[k // 50]}\n" for k, (a, b) in enumerate(DRAW.integers(-900, 900, (200, 2))))
    (tmp_path / "x" / "gas.csv").write_text("x,z,species\n" + rows)
    found = api.init(tmp_path / "x", out=tmp_path / "p", force=True)
    assert any("label a has 1 different recording," in n and "nothing to test with" in n for n in found.notes)
    assert set(api.data(tmp_path / "p", workers=1).sides.values()) == {"train"}


def test_a_list_of_recordings_is_told_from_a_recording(tmp_path: Path) -> None:
    rows = "".join(f"{900 * k},{300 + k},{'abc'[k // 2 % 3]}\n" for k in range(60))
    (tmp_path / "takes.csv").write_text("start,samples,label\n" + rows)
    assert any("recordings of 2 rows are no signal" in note for note in api.init(tmp_path, explain=True).notes)


def test_a_split_by_group_that_loses_a_label_becomes_one_by_file(tmp_path: Path) -> None:
    for g, label in enumerate(("up", "down", "left", "right")):  # each label has a speaker of its own
        for k in range(4):
            table(tmp_path / "x" / f"{label}_s{g}_{k}.csv", seed=10 * g + k)
    found = api.init(tmp_path / "x", out=tmp_path / "p")
    text = (tmp_path / "p" / "sandgrain.toml").read_text()
    assert api.data(tmp_path / "p", workers=1).labels == ("down", "left", "right", "up")
    assert 'by = "file"' in text and (found.groups == 0 or any("missing from training" in note for note in found.notes))


def test_files_that_data_leaves_out_are_told_by_init(tmp_path: Path) -> None:
    for label in ("walk", "run"):
        for k in range(4):
            table(tmp_path / "x" / label / f"{k}.csv", seed=10 * len(label) + k)
    (tmp_path / "x" / "run" / "9.csv").write_text("ax,ay\n1,2\n1,oops\n")
    found = api.init(tmp_path / "x", out=tmp_path / "p")
    (note,) = [note for note in found.notes if "are refused" in note]
    assert note.startswith("1 of 9 files that were tried are refused: run/9.csv: line 3, column ay: 'oops'")


def test_a_trial_is_bounded_and_takes_files_from_all_over() -> None:
    files = [Found(f"{k:04}", 10, 0) for k in range(1000)]
    chosen = Few(5, 1000).of(files)
    assert [f.path for f in chosen] == ["0000", "0249", "0499", "0749", "0999"]
    assert [f.path for f in Few(5, 25).of([Found("a", 30, 0), Found("b", 20, 0), Found("c", 4, 0), Found("d", 9, 0)])] == [
        "c",
        "d",
    ]
    assert Few(5, 5).of(files) == []


def test_files_that_are_all_too_large_to_be_tried_are_no_reason_to_refuse_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "FEW", Few(files=9, size=100))  # smaller than any file
    for label in ("rest", "walk"):
        for k in range(3):
            table(tmp_path / "x" / label / f"{k}.csv", seed=k)
    assert any(n.startswith("nothing was tried") for n in api.init(tmp_path / "x", out=tmp_path / "p").notes)
    with pytest.raises(UsageError, match="holds no audio files"):  # where there is none of the kind, that is said
        ingest.ingest(tmp_path / "x", Layout("audio"), workers=1, few=Few(files=9, size=100))


def test_a_label_in_the_first_column_is_found_by_its_long_runs(tmp_path: Path) -> None:
    values = DRAW.integers(-900, 900, (600, 2))
    (tmp_path / "a.csv").write_text("config,x,z\n" + "".join(f"{k // 100 + 1},{a},{b}\n" for k, (a, b) in enumerate(values)))
    found = look(tmp_path)
    assert dict(found.table)["label_column"] == "config" and dict(found.table)["columns"] == ("x", "z")
    (tmp_path / "a.csv").write_text("device,x,z\n" + "".join(f"{k // 100 + 1},{a},{b}\n" for k, (a, b) in enumerate(values)))
    assert "label_column" not in dict(look(tmp_path).table)


def test_quiet_prints_notes_only(tmp_path: Path) -> None:
    for label in ("walk", "noise"):
        for k in range(4):
            table(tmp_path / "x" / label / f"{k}.csv", seed=10 * len(label) + k)
    said = RUN.invoke(app, ["init", str(tmp_path / "x"), "-o", str(tmp_path / "p"), "--quiet"])
    assert said.exit_code == 0 and (tmp_path / "p" / "sandgrain.toml").is_file()
    lines = said.stdout.replace("\n", " ")
    assert lines.startswith("note: background by its name: noise") and "labels:" not in lines and "written" not in lines


# --- a time without a name ---------------------------------------------------------------------------------------------------


def timed(path: Path, header: str, times: list[object]) -> None:
    values = DRAW.integers(-900, 900, (len(times), 2))
    path.write_text(f"{header},ax,ay\n" + "".join(f"{t},{a},{b}\n" for t, (a, b) in zip(times, values, strict=True)))


@pytest.mark.parametrize("header", ["", "q", "no"])
@pytest.mark.parametrize("gap", [0, 1])
def test_a_nameless_column_that_rises_by_one_is_never_milliseconds(header: str, gap: int, tmp_path: Path) -> None:
    times: list[object] = [k + 7 * gap * (k // 40) for k in range(200)]
    timed(tmp_path / "a.csv", header, times)
    found = look(tmp_path)
    assert found.rate == 0 and "time_column" not in dict(found.table) and dict(found.table)["columns"] == ("ax", "ay")
    (said,) = [note for note in found.notes if "rows or seconds" in note]
    assert 'time_unit = "s" makes 1 Hz of it, "ms" 1000 Hz' in said and ("with gaps" in said) == bool(gap)


def test_a_time_at_about_a_hertz_with_fractions_is_in_seconds(tmp_path: Path) -> None:
    timed(tmp_path / "a.csv", "q", [f"{k + 0.003 * (k % 3):.3f}" for k in range(200)])
    found = look(tmp_path)
    assert found.rate == 1 and dict(found.table)["time_unit"] == "s"
    (said,) = [note for note in found.notes if "does not say its unit" in note]
    assert "1 Hz is a guess" in said and 'time_unit = "ms"' in said


def test_a_time_that_rises_by_one_without_a_unit_is_a_guess_that_is_told(tmp_path: Path) -> None:
    timed(tmp_path / "a.csv", "time", list(range(200)))
    (said,) = [note for note in look(tmp_path).notes if "does not say its unit" in note]
    assert "1000 Hz is a guess" in said and 'time_unit = "s" makes 1 Hz of it' in said
    timed(tmp_path / "a.csv", "t_ms", list(range(200)))
    assert not [note for note in look(tmp_path).notes if "unit" in note]


# --- tables that are not called .csv -----------------------------------------------------------------------------------------


def columns(rows: int, seed: int, mark: str = " ", end: str = "") -> str:
    values = np.random.default_rng(seed).normal(size=(rows, 3))
    return "".join(mark.join(f"{v: .7e}" if mark == " " else f"{v:.6f}" for v in row) + end + "\n" for row in values)


@rare
@pytest.mark.parametrize(("suffix", "mark"), [(".txt", " "), (".dat", "\t"), (".TXT", ",")])
def test_tables_are_read_whatever_their_suffix_where_they_are_tables(suffix: str, mark: str, tmp_path: Path) -> None:
    root = tmp_path / "x"
    root.mkdir()
    for k in range(8):
        name = f"{'walk' if k % 2 else 'sit'}_{k}{suffix}"
        (root / name).write_text(columns(120, k, mark, ";" if mark == "," else ""))
    (root / f"README{suffix}").write_text("Recorded in 2019 by 3 people.\nUnits: g, 50 Hz\n\n1. walk\n2. sit\n")
    found = api.init(root, out=tmp_path / "p")
    assert (found.count, found.labels) == (8, ("sit", "walk"))
    seen = api.data(tmp_path / "p", workers=1)
    assert len(seen.records) == 8 and not seen.manifest.bad and seen.records[0].shape == (120, 3)
    assert sum(seen.manifest.others.values()) == 1


def test_text_that_is_no_table_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("We walked, 3 times, in 2019.\nThen we sat, 4 times.\nIt rained.\n" * 20)
    (tmp_path / "labels.txt").write_text("1 WALKING\n2 SITTING\n")
    with pytest.raises(UsageError, match=r"has no file that is read here \(it has 2 \.txt\)"):
        api.init(tmp_path, explain=True)


def test_packed_tables_that_are_not_read_are_to_be_unpacked(tmp_path: Path) -> None:
    (tmp_path / "room.csv.xz").write_bytes(b"\xfd7zXZ\0")
    with pytest.raises(UsageError, match=r"unpack the \.xz files, and name their folder"):
        api.init(tmp_path, explain=True)


def test_a_project_without_files_does_not_take_every_text_for_data(tmp_path: Path) -> None:
    for k in range(6):
        table(tmp_path / "x" / f"{'ab'[k % 2]}_{k}.csv", seed=k)
    (tmp_path / "x" / "LICENSE.txt").write_text("All rights reserved.\n")
    (tmp_path / "sandgrain.toml").write_text(
        '[data]\npath = "x"\nkind = "motion"\nrate = 50.0\nname = "{label}_{index}"\n[data.split]\nvalidation = 0.2\n'
    )
    assert not api.data(tmp_path, workers=1).manifest.bad


# --- slow sensors ------------------------------------------------------------------------------------------------------------


@rare
@pytest.mark.parametrize("step", [31, 86_400])
def test_a_sensor_of_a_row_a_minute_or_a_day_gets_windows_that_features_can_be_computed_of(step: int, tmp_path: Path) -> None:
    """One table, date and time in two columns, a count of people as the label: rooms, weather stations, meters."""
    start = datetime(2017, 12, 22, 10, 49, 41)
    lines = ["Date,Time,Temp,CO2,Count"]
    for k in range(40 * 24):
        at = start + timedelta(seconds=step * k)
        lines.append(f"{at:%Y/%m/%d},{at:%H:%M:%S},{20 + np.sin(k / 50):.2f},{400 + 7 * k % 90},{k // 40 % 3}")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "room.csv").write_text("\n".join(lines) + "\n")
    found = api.init(tmp_path / "x", out=tmp_path / "p")
    assert dict(found.table)["label_column"] == "Count" and dict(found.table)["time_column"] == ("Date", "Time")
    seen = api.data(tmp_path / "p", workers=1)
    assert len(seen.records) == 24 and not seen.problem and "vibration: 24 values each" in seen.features


def test_copies_do_not_change_how_a_set_is_split(tmp_path: Path) -> None:
    for who in ("ann", "bob", "cyd", "dan"):
        for k in range(3):
            for label in ("up", "down"):
                table(tmp_path / "x" / f"{label}_{who}_{k}.csv", seed=7)
    found = api.init(tmp_path / "x", out=tmp_path / "p")
    assert 'by = "group"' in (tmp_path / "p" / "sandgrain.toml").read_text()
    assert any("copies" in note and 'duplicates = "drop"' in note for note in found.notes)


@pytest.mark.parametrize("stem", ["S{:02}", "user_{}", "machine-{}", "subject{}"])
def test_files_of_a_person_each_are_groups_where_a_column_has_the_label(stem: str, tmp_path: Path) -> None:
    for k in range(1, 6):
        values = np.random.default_rng(k).integers(-900, 900, (120, 2))
        rows = "".join(f"{a},{b},{'ab'[n // 30 % 2]}\n" for n, (a, b) in enumerate(values))
        (tmp_path / "x").mkdir(exist_ok=True)
        (tmp_path / "x" / f"{stem.format(k)}.csv").write_text("eda,temp,stress\n" + rows)
    found = api.init(tmp_path / "x", out=tmp_path / "p")
    assert (found.groups, found.labels) == (5, ("a", "b")) and any("each of 5 files is one" in note for note in found.notes)
    project = (tmp_path / "p" / "sandgrain.toml").read_text()
    assert 'name = "{group}"' in project and 'by = "group"' in project
    assert look(tmp_path / "x").groups == 5


def test_files_that_are_takes_are_no_groups(tmp_path: Path) -> None:
    for k in range(1, 6):
        rows = "".join(f"{n * 7 % 50},{n * 3 % 40},{'ab'[n // 30 % 2]}\n" for n in range(120))
        (tmp_path / f"take{k}.csv").write_text("eda,temp,stress\n" + rows)
    assert look(tmp_path).groups == 0
