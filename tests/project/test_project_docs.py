"""What the pages say of the project file is what the schema knows: every block of TOML is read, every key that is named exists."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from sandgrain.base.errors import UsageError
from sandgrain.dataset.augment import STEPS
from sandgrain.frontend.blocks import BLOCKS
from sandgrain.project.file.init import How, place_of, write
from sandgrain.project.file.load import parse, parse_blocks
from sandgrain.project.file.schema import Project
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]
FENCED = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(?:\[\[?([a-z.]+)\]\]? ?)?(?:([a-z_]+) = ([^`]+))?`")
SECTIONS = {name.split(".")[0] for name in Project.model_fields}
HOUSE = ("guide/adding.md",)  # speaks of boards and cores, and of Python


def sections(model: type[BaseModel], name: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Every section, by its name in TOML."""
    if name:
        yield name, model
    for key, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from sections(field.annotation, f"{name}.{key}" if name else key)


def known() -> dict[str, set[str]]:
    """Section -> its keys; those of every block and every variation together."""
    found = {name: set(model.model_fields) for name, model in sections(Project)}
    found["features"] = {"block"}.union(*(set(block.model_fields) for block in BLOCKS.values()))
    found["augment"] = {"kind"}.union(*({f.name for f in fields(step)} for step in STEPS.values()))
    return found


def projects(page: Path) -> list[dict[str, Any]]:
    """The blocks of TOML that are of a project file."""
    found = [tomllib.loads(text) for text in FENCED.findall(page.read_text("utf-8"))]
    return [block for block in found if any(isinstance(block.get(section), dict) for section in SECTIONS)]


def named(page: Path) -> list[tuple[str, str, str]]:
    """(section or "", key or "", value) in the running text."""
    if str(page).endswith(HOUSE):
        return []
    found = [match.groups(default="") for match in INLINE.finditer(page.read_text("utf-8")) if match[1] or match[2]]
    return [(section, key, value) for section, key, value in found if not (key and "(" in value)]


def test_every_block_of_toml_in_the_pages_is_a_project_that_can_be_read() -> None:
    read = 0
    for page in PAGES:
        for block in projects(page):
            whole = {"data": {"path": ".", "kind": "motion"}, "features": [{"block": "raw"}], "model": {"name": "mlp"}} | block
            project = parse(whole)
            parse_blocks(project.features)
            read += 1
    assert read >= 1


def test_no_two_sections_mean_the_same_by_a_key() -> None:
    """A key that was copied into a second section is read there by nobody."""
    said = [(key, field.description) for _, model in sections(Project) for key, field in model.model_fields.items()]
    assert sorted(said) == sorted(set(said))


def test_every_key_that_a_page_names_is_one_of_the_schema() -> None:
    keys, seen = known(), set()
    for page in PAGES:
        for section, key, _ in named(page):
            if not section and page.name == "boards.md":
                continue  # of a board's file
            if section and section.split(".")[0] in ("cycles",):
                continue
            assert not section or section in keys, (page.name, section)
            assert not key or any(key in of for name, of in keys.items() if section in ("", name)), (page.name, section, key)
            seen.add(section or key)
    assert {"decide", "augment", "label_tracks"} <= seen


@pytest.mark.parametrize("spoiled", ["window_sec = 1", "[budget]\nmemory = 3", "[nothing]\nx = 1"])
def test_a_key_that_is_no_longer_there_would_be_found(spoiled: str) -> None:
    text = FENCED.findall((ROOT / "docs" / "guide" / "project.md").read_text("utf-8"))[0]
    head, budget = text.split("[budget]")
    broken = (
        f"{head}{spoiled}\n"
        if spoiled.startswith("[budget]")
        else f"{spoiled}\n{text}"
        if "[" not in spoiled
        else f"{text}\n{spoiled}\n"
    )
    assert budget
    with pytest.raises(UsageError):
        parse(tomllib.loads(broken))


def test_every_key_that_init_can_write_is_one_of_the_schema(tmp_path: Path) -> None:
    """Those in comments as well: whoever takes the `#` away must not get an error."""
    (tmp_path / "set").mkdir()
    for label in ("up", "down"):
        rows = "".join(f"{k * 10},{(k * 7) % 50},{k % 9}\n" for k in range(300))
        for take in range(4):
            (tmp_path / "set" / f"{label}_{take}.csv").write_text(f"ms,x,y_axis\n{rows}")
    write(tmp_path / "set", place_of(tmp_path), How())
    text = (tmp_path / "sandgrain.toml").read_text("utf-8")
    asked, section = 0, ""
    for line in text.splitlines():
        if head := re.match(r"\[\[?([a-z.]+)\]\]?", line):
            section = head[1]
        elif found := re.match(r"# ([a-z_]+) = ", line):
            assert found[1] in known()[section], line
            asked += 1
    assert asked >= 4
