"""FRICTION: documentation that a pip user has. The tutorials run word for word."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import sandgrain as api
from sandgrain.base.errors import UsageError
from tests.conftest import ROOT
from tests.support.command import environment, sandgrain

DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"Save\s+(?:it|this)\s+as\s+`([\w./-]+)`")


def steps(page: Path) -> list[tuple[str, str, str]]:
    """(language, file, text) of a tutorial's blocks; `file`: what the prose before it says to save it as, "" if nothing."""
    text, found, last = page.read_text(), [], 0
    for block in BLOCK.finditer(text):
        names = NAMED.findall(text[last : block.start()])
        found.append((block[1], names[-1] if names else "", block[2]))
        last = block.end()
    return found


def follow(page: Path, folder: Path, leave_out: str = "") -> str:
    """Do in `folder` what the page says, block by block; blocks with `leave_out` are not run. What was printed, in one line."""
    bin_ = folder.parent / f"{folder.name}-bin"
    bin_.mkdir()
    for name, command in (("sandgrain", f'"{sys.executable}" -m sandgrain'), ("python", f'"{sys.executable}"')):
        (bin_ / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        (bin_ / name).chmod(0o755)
    temporary = folder.parent / f"{folder.name}-tmp"
    temporary.mkdir()
    env = environment(temporary, PATH=f"{bin_}{os.pathsep}{os.environ['PATH']}")
    said = []
    for language, file, text in steps(page):
        if file:
            (folder / file).write_text(text)
        elif language == "sh" and not (leave_out and leave_out in text):
            done = subprocess.run(
                ["sh", "-e", "-c", text], cwd=folder, env=env, capture_output=True, text=True, timeout=900, check=False
            )
            assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
            said.append(done.stdout + done.stderr)
    return " ".join(" ".join(said).split())


def test_the_tutorials_blocks_are_all_understood() -> None:
    for name in ("recordings", "model"):
        found = steps(DOCS / "tutorial" / f"{name}.md")
        assert len(found) >= 7
        for language, file, _ in found:
            assert language == "sh" or file, (name, language)


def test_the_tutorial_from_recordings_up_to_the_build(tmp_path: Path) -> None:
    said = follow(DOCS / "tutorial" / "recordings.md", tmp_path, leave_out="sandgrain build")
    assert "108 recordings, motion at 100 Hz, 3 labels, 6 groups" in said and "sandgrain.toml written" in said
    project = tomllib.loads((tmp_path / "sandgrain.toml").read_text())
    assert project["data"]["split"]["by"] == "group" and project["data"]["time_unit"] == "ms"
    assert project["budget"] == {"ram": "8K", "latency": "20ms", "accuracy": 0.9} and project["train"]["epochs"] == 12


@pytest.mark.slow  # it trains
def test_the_tutorial_from_recordings_word_for_word(tmp_path: Path) -> None:
    said = follow(DOCS / "tutorial" / "recordings.md", tmp_path)
    assert "accuracy at least 90.0 %" in said and "every byte is the reference's" in said
    assert "error: before training: latency " in said and "exit code 3" in said
    assert (tmp_path / "out" / "example" / "main.c").is_file() and (tmp_path / "build.html").is_file()


@pytest.mark.slow  # it trains
def test_the_tutorial_from_a_model_word_for_word(tmp_path: Path) -> None:
    said = follow(DOCS / "tutorial" / "model.md", tmp_path)
    assert "397 of 397 identical to the reference" in said and "it says " in said


# --- sandgrain docs --------------------------------------------------------------------------------------------------------


def test_the_list_names_every_page() -> None:
    found = api.docs()
    assert {p.path for p in found.pages} == set(DOCS.rglob("*.md")) and found.pages[0].name == "index"
    assert all(p.title and p.name == p.name.casefold() for p in found.pages)


@pytest.mark.parametrize(
    ("asked", "name"),
    [("tutorial", "tutorial"), ("guide/import", "guide/import"), ("Pico", "boards/pico"), ("glossary.md", "glossary")],
)
def test_a_page_is_found_by_its_name_or_the_end_of_it(asked: str, name: str) -> None:
    assert [p.name for p in api.docs(asked).pages] == [name]


def test_a_page_that_is_not_there_is_told_with_those_that_are_near() -> None:
    with pytest.raises(UsageError, match="no page is called tutrial; did you mean tutorial"):
        api.docs("tutrial")
    with pytest.raises(UsageError, match=r"several pages are called project; did you mean guide/project or reference/project\?"):
        api.docs("project")


def test_a_page_is_printed_in_a_pipe(tmp_path: Path) -> None:
    assert sandgrain("docs", "arduino", cwd=tmp_path).out == (DOCS / "boards" / "arduino.md").read_text()
    listed = sandgrain("docs", cwd=tmp_path)
    assert "tutorial/recordings" in listed.out and max(map(len, listed.out.splitlines())) <= max(80, len(str(DOCS)) + 3)
    assert sandgrain("docs", "tutorial", "--json", cwd=tmp_path).json["pages"][0]["name"] == "tutorial"


def test_the_wheel_holds_the_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {"docs": "sandgrain/docs"}
    made = importlib.import_module("sandgrain.api.docs")
    package = tmp_path / "site-packages" / "sandgrain"  # as it is installed
    (package / "docs").mkdir(parents=True)
    (package / "docs" / "README.md").write_text("# Documentation\n")
    monkeypatch.setattr(made, "PACKAGE", package)
    assert json.dumps(api.docs().to_json()) and [p.name for p in api.docs().pages] == ["index"]
