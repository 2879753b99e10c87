"""docs/guide/adding.md is true: its code, put into a copy of the package, works, and takes the files that its table promises."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import adding

pytest.importorskip("jinja2", reason="needs Jinja: pip install 'sandgrain[train]'")
ROOT = adding.ROOT
STEPS = adding.steps()
WORDS = 5  # formats that have a word for the new op, and its gradient: a line each
# Files at most: what the review of the architecture asked for.
BARS = {
    "an op": 1 + WORDS,
    "a kernel": 2,
    "a board": 1,
    "a core": 1,
    "a format": 2,
    "a command": 2,
    "a task": 3,
    "a data type": 1,
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with every step of the page."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "sandgrain", root / "sandgrain", ignore=shutil.ignore_patterns("__pycache__"))
    for step in (s for section in STEPS.values() for s in section):
        step.apply(root)
    return root


@pytest.fixture(scope="module")
def given(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the checks of tests/support/adding_checks.py saw in the copy."""
    path = os.pathsep.join([str(copy), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-P", str(ROOT / "tests" / "support" / "adding_checks.py"), str(tmp_path_factory.mktemp("work"))],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    assert answer.pop("package").startswith(str(copy))
    return answer


def test_the_table_counts_the_files_and_they_are_few() -> None:
    counted = {thing: len({step.path for step in section}) for thing, section in STEPS.items()}
    assert adding.promised() == counted
    assert counted == {thing: min(files, BARS[thing]) for thing, files in counted.items()} and counted.keys() == BARS.keys()


def test_only_an_op_and_a_data_type_change_files_that_exist() -> None:
    changed = {thing: sorted({s.path for s in section if not s.new}) for thing, section in STEPS.items()}
    assert {thing for thing, paths in changed.items() if paths} == {"an op", "a data type"}
    lines = [line for step in STEPS["an op"] if not step.new for line in step.text.splitlines() if line.startswith(("+", "-"))]
    assert len(lines) == WORDS and all(line.startswith("+") for line in lines), "a line per format, and the gradient"


def test_all_python_of_the_page_compiles(copy: Path) -> None:
    for step in (s for section in STEPS.values() for s in section if s.path.endswith(".py")):
        compile((copy / step.path).read_text("utf-8"), step.path, "exec")


def test_a_new_op_is_listed_and_its_c_is_its_reference(given: dict[str, Any]) -> None:
    assert given["an op"] == {"listed": True, "c is the reference": True, "real": True}


def test_a_new_kernel_takes_the_layers_that_fit(given: dict[str, Any]) -> None:
    seen = given["a kernel"]
    assert seen.pop("layers that fit") > 3
    assert seen == {"takes only equal shapes": True, "asks for dsp": True, "c is the reference": True, "explained": True}


@pytest.mark.parametrize("thing", ["a board", "a core"])
def test_a_new_board_or_core_is_listed_compiled_for_and_emulated(given: dict[str, Any], thing: str) -> None:
    seen = given[thing]
    assert seen["listed"] and seen["identical"] and seen["instructions"] > 100


def test_a_new_format_is_read_and_refuses_bad_files(given: dict[str, Any]) -> None:
    seen = given["a format"]
    assert seen["listed"] and seen["output"] == [6, 16] and "not a linear model" in seen["refusal"]


def test_a_new_command_is_in_the_help_and_in_python(given: dict[str, Any]) -> None:
    seen = given["a command"]
    assert seen.pop("bytes") > 1000
    assert seen == {"listed": True, "same": True, "public": True}


def test_a_new_task_takes_its_models(given: dict[str, Any]) -> None:
    seen = given["a task"]
    assert seen["listed"] == ["anomalies", "classes", "line", "regression"] and seen["chosen"] == "line"
    assert seen["templates"] == ["line.c.j2", "line.html.j2", "line.py"]


def test_the_task_is_the_one_that_a_test_builds() -> None:
    extra = ROOT / "tests" / "project" / "tasks_extra"
    page = {Path(step.path).name: step.text for step in STEPS["a task"]}
    assert page == {p.name: p.read_text("utf-8") for p in extra.iterdir() if p.is_file()}, "run `make docs`"


def test_a_new_data_type_packs(given: dict[str, Any]) -> None:
    assert given["a data type"] == {"bytes": 2, "back": [-8, 7, 3], "range": [-8, 7]}
