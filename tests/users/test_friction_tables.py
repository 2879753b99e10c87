"""Tables on the terminal: 80 columns, no blanks at the ends of lines, and only what somebody reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import sandgrain
from sandgrain.base.tables import Table, drawn
from sandgrain.base.words import command_line
from sandgrain.cli import _terminal, app

RUN = CliRunner()
DIGITS = Path(sandgrain.__file__).parent / "demo" / "digits.tflite"


def ragged(text: str) -> list[str]:
    return [line for line in text.splitlines() if line != line.rstrip() or len(line) > 80]


@pytest.mark.parametrize("last", ["what it is", "it is a sentence that goes on and on until it has to be wrapped, and ends"])
def test_no_line_of_a_table_ends_in_blanks(last: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(["check", "found", last], [["copies", "1", "short"], ["leaks", "22", last], ["none", "", ""]], (1,))
    _terminal.lines([table, "", "end"])
    said = capsys.readouterr().out
    assert not ragged(said) and not ragged(drawn([table])) and said.endswith("\n\nend\n")
    assert drawn([table]) in said and "\nnone\n" in said


@pytest.mark.parametrize("args", [["targets"], ["inspect", str(DIGITS)], ["inspect", str(DIGITS), "--all-boards"]])
def test_commands_print_no_blanks_at_the_ends_of_lines(args: list[str]) -> None:
    done = RUN.invoke(app, args, env={"COLUMNS": "80"})
    rows = [line for line in done.stdout.splitlines() if "  " in line.strip()]
    assert done.exit_code == 0 and len(rows) > 10 and not ragged("\n".join(rows))


def test_inspect_shows_the_smallest_boards_that_fit_and_counts_the_others() -> None:
    found = sandgrain.inspect(DIGITS)
    short, whole = "\n".join(drawn(found.lines()).split()), "\n".join(drawn(found.lines(all_boards=True)).split())
    shown = [f for f in found.fits if f.board in short.split("\n")]
    assert len(shown) == 6 and all(f.verdict != "no" for f in shown)
    sizes = [f.ram_bytes + f.flash_bytes for f in found.fits if f.verdict != "no"]
    assert sorted(f.ram_bytes + f.flash_bytes for f in shown) == sorted(sizes)[:6]
    assert all(f.board in whole.split("\n") for f in found.fits)
    told = " ".join(short.split("\n"))
    said = f"It fits {len(sizes)} of {len(found.fits)} boards; these are the 6 smallest, "
    assert f"{said}.fits shows all" in told and "--all" not in told
    assert str(found) == drawn(found.lines())
    with command_line():
        assert f"{said}--all-boards shows all" in " ".join(str(found).split())


def test_the_tables_of_data_fit_80_columns_whatever_labels_are_called(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    for k in range(8):
        folder = tmp_path / "x" / ("a_label_with_a_name_of_more_than_forty_characters" + "ab"[k % 2])
        folder.mkdir(parents=True, exist_ok=True)
        rows = "".join(f"{a},{b}\n" for a, b in draw.integers(-900, 900, (100, 2)))
        (folder / f"a_recording_whose_name_is_long_as_well_and_goes_on_{k}.csv").write_text("ax,ay\n" + rows)
    (folder / "bad_one_with_a_name_that_is_no_shorter_than_the_others_are.csv").write_text("ax,ay\n1,2\nx,y\n")
    sandgrain.init(tmp_path / "x", out=tmp_path / "p")
    done = RUN.invoke(app, ["data", str(tmp_path / "p"), "--quiet"], env={"COLUMNS": "80"})
    tables = [part for part in done.stdout.split("\n\n") if part.startswith(("label ", "check "))]
    rows = [line for table in tables for line in table.splitlines() if not line.startswith(("  ", "note:"))]
    assert done.exit_code == 0 and len(tables) == 2 and len(rows) > 10 and not ragged("\n".join(rows)), done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 81  # a blank where a line was cut
