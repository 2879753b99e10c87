"""What is written about Sandgrain is what Sandgrain does."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from sandgrain.cli import app

ROOT = Path(__file__).resolve().parents[2]


def render(app: typer.Typer) -> str:
    spec = importlib.util.spec_from_file_location("cli_docs", ROOT / "tools" / "cli_docs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text: str = module.render(app)
    return text


def commands() -> set[str]:
    return set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_cli_page_is_what_help_prints() -> None:
    assert (ROOT / "docs" / "reference" / "cli.md").read_text() == render(app), "run `make docs`"


@pytest.mark.parametrize("name", sorted(commands()))
def test_help_page_of_a_command_is_the_documented_one(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"], prog_name="sandgrain", env={"COLUMNS": "80"}).output
    text = "\n".join(line.rstrip() for line in shown.rstrip().splitlines())
    assert f"## `sandgrain {name}`\n\n```text\n{text}\n```\n" in render(app)


def test_every_command_says_what_it_does() -> None:
    assert [name for name, c in typer.main.get_command(app).commands.items() if not c.help] == []  # type: ignore[attr-defined]


def test_readme_names_only_commands_that_exist() -> None:
    named = set(re.findall(r"^\s*(?:\$ )?sandgrain ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert named
    assert named <= commands()


def test_makefile_has_the_commands_that_the_readme_opens_with() -> None:
    text = (ROOT / "README.md").read_text()
    first_block = text.split("```")[1]
    assert re.findall(r"^make (\w+)$", first_block, re.MULTILINE) == ["demo", "test"]
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{name}:", makefile, re.MULTILINE) for name in re.findall(r"`make ([a-z-]+)`", text))
