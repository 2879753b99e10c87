"""init asks a question or two where data can be read in two ways: a function of the caller's, or somebody at a terminal; nobody else."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import sandgrain
from sandgrain.base.errors import UsageError
from sandgrain.cli import _terminal, app
from sandgrain.project.file.questions import Question

DRAW = np.random.default_rng(3)


def two_labels(folder: Path, names: tuple[str, str] = ("class", "activity")) -> Path:
    """A table with two columns that call themselves labels."""
    folder.mkdir()
    for who in range(4):
        lines = [",".join(("x", "y", *names))]
        for k in range(8):
            values = DRAW.normal(0, 1, (60, 2)).round(3)
            lines += [f"{a},{b},{'ab'[k % 2]},{('sit', 'walk', 'run')[k % 3]}" for a, b in values]
        (folder / f"S{who}.csv").write_text("\n".join(lines) + "\n")
    return folder


def index_of_two(folder: Path) -> Path:
    """An index file with two such columns."""
    folder.mkdir()
    rows = ["file,label,activity"]
    for k in range(12):
        (folder / f"r{k}.csv").write_text("x,y\n" + "\n".join(f"{a},{b}" for a, b in DRAW.normal(0, 1, (80, 2)).round(3)) + "\n")
        rows.append(f"r{k}.csv,{'ab'[k % 2]},{('sit', 'walk', 'run')[k % 3]}")
    (folder / "index.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.mark.parametrize("make", [two_labels, index_of_two])
def test_which_column_is_the_label_is_asked_with_the_best_guess_first(make: Any, tmp_path: Path) -> None:
    asked: list[Question] = []

    def second(question: Question) -> str:
        asked.append(question)
        return question.choices[1]

    data = make(tmp_path / "data")
    guess = sandgrain.init(data, out=tmp_path / "a.toml")
    found = sandgrain.init(data, out=tmp_path / "b.toml", ask=second)
    assert [(q.key, q.text) for q in asked] == [("label_column", "Which column is the label?")] and asked[0].why
    assert set(asked[0].choices) == ({"class", "activity"} if make is two_labels else {"label", "activity"})
    assert dict(found.table)["label_column"] == asked[0].choices[1] != dict(guess.table).get("label_column", "label")
    assert {guess.labels, found.labels} == {("a", "b"), ("run", "sit", "walk")}
    assert any("as was answered (label_column)" in note for note in found.notes)
    first = sandgrain.init(data, out=tmp_path / "c.toml", ask=lambda q: q.choices[0])
    assert first == guess and (tmp_path / "c.toml").read_text() == (tmp_path / "a.toml").read_text()


def test_whether_names_are_labels_or_groups_is_asked_where_each_file_is_one(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("anna", "bert", "cleo"):
        rows = "\n".join(f"{a},{b}" for a, b in DRAW.normal(0, 1, (200, 2)).round(3))
        (tmp_path / "data" / f"{name}.csv").write_text(f"x,y\n{rows}\n")
    asked = []
    found = sandgrain.init(tmp_path / "data", out=tmp_path, ask=lambda q: asked.append(q) or q.choices[1])
    assert [q.key for q in asked] == ["name"] and "anna" in asked[0].text
    assert found.name == "{group}" and found.groups == 3 and 'name = "{group}"' in (tmp_path / "sandgrain.toml").read_text()
    with pytest.raises(UsageError, match="perhaps is no answer"):
        sandgrain.init(tmp_path / "data", out=tmp_path / "x.toml", ask=lambda q: "perhaps")
    assert not (tmp_path / "x.toml").exists()


def test_nothing_is_asked_where_nothing_is_torn(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for label in ("walk", "run"):
        for k in range(3):
            (data / label).mkdir(parents=True, exist_ok=True)
            (data / label / f"{k}.csv").write_text(
                "x,y\n" + "\n".join(f"{a},{b}" for a, b in DRAW.normal(0, 1, (90, 2)).round(3))
            )
    sandgrain.init(data, out=tmp_path, ask=lambda q: pytest.fail(q.text))


@pytest.mark.parametrize(
    ("flags", "asks"), [((), True), (("--yes",), False), (("--quiet",), False), (("--json",), False), (("--explain",), False)]
)
def test_a_terminal_is_asked_unless_it_says_otherwise(
    flags: tuple[str, ...], asks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = two_labels(tmp_path / "data")
    monkeypatch.setattr(_terminal, "interactive", lambda: True)
    given: dict[str, Any] = {}

    def init(*_: object, **keys: Any) -> None:
        given.update(keys)
        raise UsageError("enough")

    monkeypatch.setattr(sandgrain, "init", init)
    CliRunner().invoke(app, ["init", str(data), "--out", str(tmp_path / "p.toml"), *flags])
    assert (given["ask"] is not None) == asks


def test_a_pipe_is_never_asked(tmp_path: Path) -> None:
    data = two_labels(tmp_path / "data")
    said = CliRunner().invoke(app, ["init", str(data), "--out", str(tmp_path / "p.toml")], input="2\n")
    assert said.exit_code == 0 and "Which column" not in said.output


@pytest.mark.parametrize(("typed", "answer"), [("\n", "a"), ("2\n", "b"), ("b\n", "b"), ("9\nx\n2\n", "b"), ("", "a")])
def test_answers_are_numbers_or_words_and_nothing_is_the_best_guess(
    typed: str, answer: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert _terminal.choose(Question("label_column", "Which column is the label?", ("a", "b"), "its name")) == answer
    shown = capsys.readouterr().out
    assert (
        "best guess: its name" in shown
        and "(label_column)" in shown
        and shown.count("nothing takes 1") == typed.count("\n2") + (typed[0:1] == "9")
    )
