"""What is written about Sandgrain is what Sandgrain does."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from sandgrain.cli import app
from sandgrain.graph.ops import OPS
from sandgrain.kernels import kernels_of
from tests.support.draws import rare

ROOT = Path(__file__).resolve().parents[2]


def tool(name: str) -> Any:
    """A module of tools/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def render(app: typer.Typer) -> str:
    text: str = tool("cli_docs").render(app)
    return text


def commands() -> set[str]:
    return set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_cli_page_is_what_help_prints() -> None:
    assert (ROOT / "docs" / "reference" / "cli.md").read_text() == render(app), "run `make docs`"


@rare
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


def test_page_of_ops_and_kernels_is_what_the_registry_says() -> None:
    pytest.importorskip("onnx", reason="needs ONNX: pip install 'sandgrain[onnx]'")
    assert (ROOT / "docs" / "reference" / "ops-and-kernels.md").read_text() == tool("op_docs").render(), "run `make docs`"


def test_page_of_ops_and_kernels_names_every_op_and_kernel_once() -> None:
    page = (ROOT / "docs" / "reference" / "ops-and-kernels.md").read_text()
    assert sorted(re.findall(r"^### `(\w+)`$", page, re.MULTILINE)) == sorted(OPS)
    for op in OPS:
        section = page.partition(f"### `{op}`\n")[2].partition("\n### ")[0]
        assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [k.name for k in kernels_of(op)]


def test_every_trait_of_an_op_is_in_words() -> None:
    """A trait that `Op` declares and the page does not know would be missing without a word."""
    from sandgrain.graph.ops.base import Op

    told = inspect.getsource(tool("op_docs").traits)
    silent = {"name", "summary", "foreign", "instead"} | {
        "data_inputs",
        "enlarges",
    }  # shown elsewhere; of interest to passes alone
    declared = {name for name in Op.__annotations__ if not name.startswith("_")} - silent
    assert [name for name in sorted(declared) if f"op.{name}" not in told] == []


def test_glossary_is_sorted_and_says_each_word_once() -> None:
    words = re.findall(r"^\| ([a-z][a-z ,]*) \|", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)[1:]
    assert len(words) > 30
    assert words == sorted(set(words))
