"""Rules that hold for every file of the project."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve()
MAX_LINES = 450  # a file beyond this usually holds two ideas
MAX_BYTES = 400_000  # the repository stays quick to clone

# An absolute path of somebody's machine. Spelled so that this file does not match itself.
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:work|home|root|Users|mnt|tmp/[a-z])/[\w.-]+")
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b")


@cache
def tracked() -> tuple[Path, ...]:
    """The files under version control, and new ones that are not ignored; every file where there is no git."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode:
        found = (p for p in ROOT.rglob("*") if not {".venv", "__pycache__", ".git"} & set(p.parts))
    else:
        found = (ROOT / name for name in listing.stdout.split("\0") if name)
    return tuple(sorted(p for p in found if p.is_file()))


@cache
def texts() -> dict[str, str]:
    """Path -> text of each text file."""
    found = {}
    for path in tracked():
        data = path.read_bytes()
        if b"\0" not in data and path.suffix not in {".npz", ".tflite", ".bin"}:
            found[path.relative_to(ROOT).as_posix()] = data.decode("utf-8")
    return found


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:80]}"
        for path, text in texts().items()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_the_rules_see_the_project() -> None:
    assert {"pyproject.toml", "sandgrain/graph/ir.py", "sandgrain/kernels/shared/sg_math.h"} <= texts().keys()


def test_no_file_names_a_machine() -> None:
    assert lines_with(MACHINE_PATH) == []


def test_no_test_has_left_a_project_at_the_top() -> None:
    """What a command writes where nobody said is written into the folder that one is in: of tests, this one."""
    assert [p.name for p in tracked() if p.parent == ROOT and p.suffix == ".toml"] == ["pyproject.toml"]


def test_nothing_is_left_unfinished() -> None:
    assert lines_with(UNFINISHED) == []


def test_modules_stay_short() -> None:
    long = {p: t.count("\n") for p, t in texts().items() if p.startswith("sandgrain/") and p.endswith(".py")}
    assert {p: n for p, n in long.items() if n > MAX_LINES} == {}


def test_files_stay_small() -> None:
    assert {p.name: p.stat().st_size for p in tracked() if p.stat().st_size > MAX_BYTES} == {}


def test_text_files_end_in_one_newline_and_have_no_carriage_returns() -> None:
    assert [p for p, t in texts().items() if t and (not t.endswith("\n") or t.endswith("\n\n") or "\r" in t)] == []


def test_c_files_are_ascii() -> None:
    assert [p for p, t in texts().items() if p.endswith((".c", ".h", ".S", ".ld")) and not t.isascii()] == []


def test_the_firmware_compiler_has_one_version() -> None:
    assert re.search(r'"ziglang==\d+\.\d+\.\d+"', texts()["pyproject.toml"])
