"""Every link and every path that the documentation names leads to something that exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {p.name for p in (ROOT / "sandgrain").iterdir() if p.is_dir()}
IGNORED = set((ROOT / ".gitignore").read_text("utf-8").split())  # what benchmarks and builds leave here
TOP = {p.name for p in ROOT.iterdir() if p.is_dir() and not p.name.startswith(".") and f"/{p.name}/" not in IGNORED}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").glob("*/README.md"))]
FENCE = re.compile(r"^(```|~~~).*?^\1[ ]*$", re.MULTILINE | re.DOTALL)
OF_OTHERS = {"benchmark/training/keyword_spotting/get_dataset.py"}  # a file of mlcommons/tiny
WRITTEN = re.compile(r"^(NAME|model)\.")  # what Sandgrain writes for a user


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", page.read_text("utf-8"))


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, as GitHub makes them; a second heading of one name ends in -1."""
    seen: dict[str, int] = {}
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        count = seen.get(anchor, 0)
        seen[anchor] = count + 1
        if count:
            seen[f"{anchor}-{count}"] = 1
    return frozenset(seen)


def broken_links(page: Path) -> Iterator[str]:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            yield link
        elif anchor and anchor not in anchors(target):
            yield f"{link}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    assert list(broken_links(page)) == []


@cache
def code_files() -> frozenset[str]:
    """Every source file of the project, each path with all of its endings: a/b/c.py, b/c.py and c.py."""
    paths = [
        p.relative_to(ROOT)
        for top in ("sandgrain", "tests", "tools", "bench", "examples")
        for p in (ROOT / top).rglob("*")
        if p.suffix in {".py", ".h", ".toml"}
    ]
    return frozenset("/".join(p.parts[k:]) for p in paths for k in range(len(p.parts)))


def exists(path: str) -> bool:
    """Whether `path` is one of the project's: from the root, or from a room of the package. `<family>` and `*` stand for any name."""
    first, _, rest = path.rstrip("/").partition("/")
    pattern = re.sub(r"<\w+>", "*", path.rstrip("/"))
    if first in TOP or (first in ROOMS and rest):
        return any(any(base.glob(pattern)) for base in (ROOT, ROOT / "sandgrain"))
    if path.endswith((".py", ".h")):
        return any(fnmatchcase(file, pattern) for file in code_files()) or path in OF_OTHERS or bool(WRITTEN.match(path))
    return True  # a file of the user, or not a path at all


def missing_paths(page: Path) -> Iterator[str]:
    text = prose(page)
    new = set(re.findall(r"^New file `([^`]+)`", page.read_text("utf-8"), re.MULTILINE))
    for path in re.findall(r"`([\w.*<>-]+(?:/[\w.*<>-]+)*/?)`", text):
        if path not in new and not exists(path):
            yield path


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_paths_of_the_code_exist(page: Path) -> None:
    assert list(missing_paths(page)) == []


def test_the_code_names_pages_that_exist() -> None:
    named = re.compile(r"\bdocs/[\w./-]+\.md\b")
    files = [
        p
        for top in ("sandgrain", "tests", "tools", "bench", "examples")
        for p in (ROOT / top).rglob("*")
        if p.suffix in {".py", ".h", ".c", ".md", ".toml", ".j2"}
    ]
    files += [ROOT / "pyproject.toml", ROOT / "Makefile", ROOT / "README.md"]
    assert [f"{name(p)}: {m}" for p in files for m in named.findall(p.read_text("utf-8")) if not (ROOT / m).is_file()] == []


def test_a_missing_heading_file_or_path_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One thing\n\n[a](#one-thing) [b](#two) [c](page.md#one-thing) [d](no.md) `graph/no.py` `conv_none_s8.h` `graph/ir.py`\n"
    )
    assert list(broken_links(page)) == ["#two: no such heading", "no.md"]
    assert list(missing_paths(page)) == ["graph/no.py", "conv_none_s8.h"]


def test_every_page_is_in_the_table_of_contents() -> None:
    contents = (ROOT / "docs" / "README.md").read_text("utf-8")
    pages = {p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs").rglob("*.md")} - {"README.md"}
    assert pages == set(re.findall(r"\]\(([^)#]+)\)", contents))
