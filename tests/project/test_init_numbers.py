"""init proposes a number as the target where a column says so by its name and takes too many values for classes; never where labels are few."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sandgrain.project.file import init
from sandgrain.project.file.column import Column
from sandgrain.project.file.columns import judge
from sandgrain.project.file.questions import Ask, Question

Rows = dict[str, list[str]]


def waves(rows: int = 300, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    return {name: [f"{v:.4f}" for v in rng.normal(0, 2, rows)] for name in ("s1", "s2", "s3")}


def roles(columns: Rows) -> dict[str, str]:
    judged = judge([Column(name, [cells]) for name, cells in columns.items()])
    return {name: verdict.role for name, verdict in judged.verdicts.items()}


def fine(rows: int = 300) -> list[str]:
    return [f"{v:.2f}" for v in np.random.default_rng(9).normal(5, 2, rows)]


@pytest.mark.parametrize("name", ["target", "CO_GT", "label", "y", "ground_truth", "groundtruth"])
def test_a_column_of_many_numbers_whose_name_says_so_is_the_target(name: str) -> None:
    found = roles({**waves(), name: fine()})
    assert found[name] == "number" and list(found.values()).count("channel") == 3


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("label", lambda: [str(k // 30) for k in range(300)]),
        ("target", lambda: ["rest" if k < 150 else "walk" for k in range(300)]),
        ("class", lambda: [f"{k // 100}.5" for k in range(300)]),
        ("gt", lambda: [str(k // 100) for k in range(300)]),
    ],
)
def test_few_labels_are_never_a_target(name: str, cells: Callable[[], list[str]]) -> None:
    assert "number" not in roles({**waves(), name: cells()}).values()


def test_an_axis_a_second_label_and_a_plain_channel_are_no_target() -> None:
    assert "number" not in roles({"x": fine(), "y": fine(), "z": fine()}).values(), "axes"
    labelled = {**waves(), "target": fine(), "activity": [str(k // 75) for k in range(300)]}
    assert roles(labelled)["activity"] == "label" and "number" not in roles(labelled).values(), "there is a label"
    assert "number" not in roles({**waves(), "voltage": fine()}).values()


def test_of_several_the_others_are_left_out_with_the_key_that_takes_them() -> None:
    judged = judge([Column(n, [c]) for n, c in {**waves(), "CO_GT": fine(), "NO2_GT": fine()[::-1]}.items()])
    assert judged.of("number") == ("CO_GT",) and judged.verdicts["NO2_GT"].role == "unused"
    assert "NO2_GT may be it as well" in judged.verdicts["CO_GT"].why and "target_column" in judged.verdicts["NO2_GT"].why
    assert judged.verdicts["CO_GT"].key == "target_column"


def test_what_init_writes_passes_data(tmp_path: Path) -> None:
    """A reading an hour, some of them without the number: windows of one row, split in time, no augmentation."""
    folder = tmp_path / "air"
    folder.mkdir()
    numbers = [n if k % 7 else "" for k, n in enumerate(fine())]
    hours = [f"2024-03-{1 + k // 24:02} {k % 24:02}:00:00" for k in range(300)]
    columns = {"time": hours, **waves(), "CO_GT": numbers}
    (folder / "all.csv").write_text("\n".join([",".join(columns), *map(",".join, zip(*columns.values(), strict=True))]))
    look = init.write(folder, tmp_path / "sandgrain.toml")
    text = (tmp_path / "sandgrain.toml").read_text()
    assert not look.problem and 'target_column = "CO_GT"' in text and "bad_rows" not in text
    assert "43 of 300 rows have none, and stay input" in "\n".join(v.text for v in look.columns)
    assert 'name = "mlp"' in text and 'by = "time"' in text and "[[augment]]" not in text and "# mae = 1" in text


# --- index files and arrays --------------------------------------------------------------------------------------------------


def tables(folder: Path, columns: Rows, files: int = 30) -> Path:
    """Recordings of two sensors, and an index of them with further columns."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    for k in range(files):
        rows = "".join(f"{a:.3f},{b:.3f}\n" for a, b in rng.normal(0, 1, (60, 2)))
        (folder / f"r{k:02}.csv").write_text(f"a,b\n{rows}")
    names = [f"r{k:02}.csv" for k in range(files)]
    lines = zip(names, *columns.values(), strict=True)
    (folder / "index.csv").write_text("\n".join([",".join(["file", *columns]), *map(",".join, lines)]) + "\n")
    return folder


def seen(folder: Path, ask: Ask | None = None) -> tuple[str, str]:
    """(the keys that were written, the notes)."""
    look = init.write(folder, folder.parent / f"{folder.name}.toml", init.How(ask=ask, force=True))
    text = (folder.parent / f"{folder.name}.toml").read_text()
    assert not look.problem
    return "\n".join(line for line in text.splitlines() if not line.startswith("#")), "\n".join(look.notes)


def some(low: float, high: float, count: int = 30) -> list[str]:
    return [f"{v:.2f}" for v in np.random.default_rng(4).uniform(low, high, count)]


def test_a_column_of_many_numbers_in_an_index_is_the_target_beside_the_persons(tmp_path: Path) -> None:
    people = [f"p{k % 5}" for k in range(30)]
    keys, notes = seen(tables(tmp_path / "kg", {"kg": some(40, 90), "who": people}))
    assert 'target_column = "kg"' in keys and 'group_column = "who"' in keys and "[[augment]]" not in keys
    assert "kg is the number to give, for it takes 30 different values, too many for classes (target_column)" in notes


def test_of_several_numbers_the_one_whose_name_says_so_is_taken_and_the_others_told(tmp_path: Path) -> None:
    keys, notes = seen(tables(tmp_path / "two", {"pitch": some(60, 180), "target": some(0, 1)}))
    assert 'target_column = "target"' in keys and "pitch may be it as well" in notes


@pytest.mark.parametrize(
    "columns",
    [
        {"id": [str(1000 + k) for k in range(30)]},
        {"clip": [str(7 * k % 31 + 500) for k in range(30)]},
        {"recorded": [str(100 + 60 * k) for k in range(30)]},
        {"duration": some(1, 9), "latitude": some(40, 50)},
        {"session_id": some(1, 9)},
    ],
)
def test_ids_times_and_what_is_about_a_file_are_no_target(columns: Rows, tmp_path: Path) -> None:
    keys, _ = seen(tables(tmp_path / "none", columns))
    assert "target_column" not in keys


def number(question: Question) -> str:
    return next((c for c in question.choices if c.startswith("the number")), question.choices[0])


def test_a_label_beside_a_target_is_asked_for_and_yes_takes_the_label(tmp_path: Path) -> None:
    folder = tables(tmp_path / "torn", {"activity": ["walk", "run"] * 15, "target": some(0, 9)})
    keys, notes = seen(folder)
    assert "target_column" not in keys and "target may be the number to give, instead of a label (target_column)" in notes
    keys, notes = seen(folder, number)
    assert 'target_column = "target"' in keys and "label_column =" not in keys
    assert "target is the number to give, as was answered (target_column)" in notes and "may be the number" not in notes


def test_text_whose_name_says_no_label_beside_any_number_is_asked_for(tmp_path: Path) -> None:
    folder = tables(tmp_path / "weak", {"site": ["north", "south", "east"] * 10, "level": some(0, 9)})
    assert "target_column" not in seen(folder)[0]
    assert 'target_column = "level"' in seen(folder, number)[0]


def test_folders_that_say_labels_stay_labels(tmp_path: Path) -> None:
    folder = tmp_path / "animals"
    lines = []
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for k, loud in enumerate(some(0, 30, 12)):
            (folder / name / f"{k}.csv").write_text("a,b\n" + f"1.5,{k}.25\n2.5,0.5\n" * 20)
            lines.append(f"{name}/{k}.csv,{loud},s{k % 4}")
    (folder / "about.csv").write_text("\n".join(["file,loudness,speaker", *lines]))
    assert "target_column" not in seen(folder)[0]


def archive(folder: Path, **arrays: object) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(2)
    x = {"x": rng.normal(0, 1, (60, 50, 3)).astype(np.float32)} if "x" not in arrays else {}
    np.savez(folder / "all.npz", **{**x, **arrays})  # type: ignore[arg-type]
    return folder


def test_an_array_of_floats_with_one_value_a_piece_is_the_target(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    keys, notes = seen(archive(tmp_path / "y", y=rng.normal(3, 1, 60), subject=np.repeat(np.arange(6), 10)))
    assert 'target_array = "y"' in keys and 'group_array = "subject"' in keys and "y_array =" not in keys
    assert "y is the number to give, for its name, and it has many different values" in notes
    keys, _ = seen(archive(tmp_path / "named", glucose=rng.normal(3, 1, 60)))
    assert 'target_array = "glucose"' in keys
    keys, _ = seen(archive(tmp_path / "clock", times=np.arange(60) / 8))
    assert "target_array" not in keys


def test_an_array_of_floats_with_one_value_a_row_of_a_stream_is_the_target(tmp_path: Path) -> None:
    rng, t = np.random.default_rng(3), np.arange(3000)
    wave = np.stack([np.sin(t / 20), np.cos(t / 30)], 1).astype(np.float32)
    keys, _ = seen(archive(tmp_path / "stream", x=wave, rate=10.0, level=np.cumsum(rng.normal(0, 1, 3000)), time=t / 10))
    assert 'target_array = "level"' in keys and "stream = true" in keys and "{label}" not in keys


def test_labels_beside_an_array_called_target_are_asked_for(tmp_path: Path) -> None:
    folder = archive(tmp_path / "both", y=np.arange(60) % 3, target=np.random.default_rng(3).normal(3, 1, 60))
    keys, notes = seen(folder)
    assert "target_array" not in keys and "target may be the number to give, instead of a label (target_array)" in notes
    assert 'target_array = "target"' in seen(folder, number)[0]


def test_an_index_of_recordings_within_an_archive_may_say_their_numbers(tmp_path: Path) -> None:
    folder = archive(tmp_path / "rows")
    lines = [f"{k},{v},s{k % 4}" for k, v in enumerate(some(90, 160, 60))]
    (folder / "about.csv").write_text("\n".join(["row,pressure,subject", *lines]))
    keys, _ = seen(folder)
    assert 'target_column = "pressure"' in keys and 'row_column = "row"' in keys
