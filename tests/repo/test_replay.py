"""A run of the tests draws new random cases from one seed, prints it, and draws the same ones again where it is told to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import pytest_collection_modifyitems
from tests.support.draws import RUN_SEED, SeededDraw, has_its_turn, new_seed, rare

CONFTEST = "from tests.conftest import pytest_configure, pytest_runtest_makereport, pytest_sessionstart\n"
PROBE = """
import pathlib
import pytest
from hypothesis import given, strategies as st
from tests.conftest import pytest_collection_modifyitems
from tests.support.draws import RUN_SEED, SeededDraw, has_its_turn, new_seed, rare

HERE = pathlib.Path(__file__).parent


def note(name, value):
    with (HERE / name).open("a") as file:
        file.write(f"{value}\\n")


@given(st.integers(0, 1 << 60))
def test_drawn_by_hypothesis(x):
    note("hypothesis", x)


@pytest.mark.parametrize("case", range(4))
def test_seeded(case):
    note(f"seeded_{case}", SeededDraw(new_seed(case)).integer(0, 1 << 60))


@given(st.integers(0, 1 << 60))
def test_fails(x):
    note("fails", x)
    assert x < 0
"""


def drawn(folder: Path, root: Path, seed: str | None, *options: str) -> tuple[dict[str, str], str]:
    """What the probe's tests drew, and what pytest printed."""
    folder.mkdir()
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_probe.py").write_text(PROBE)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SANDGRAIN_SEED", "PYTEST_"))}
    env |= {"PYTHONPATH": str(root)} | ({} if seed is None else {"SANDGRAIN_SEED": seed})
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        f"--rootdir={folder}",
        "-c",
        os.devnull,
        *options,
        str(folder / "test_probe.py"),
    ]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stdout + done.stderr  # of test_fails
    notes = {path.name: path.read_text() for path in folder.iterdir() if path.is_file() and not path.suffix}
    assert notes.keys() == {"hypothesis", "fails", *(f"seeded_{k}" for k in range(4))}
    return notes, done.stdout


@rare
def test_a_run_is_new_and_can_be_replayed_by_its_seed(root: Path, tmp_path: Path) -> None:
    first, printed = drawn(tmp_path / "first", root, None)
    (seed,) = set(re.findall(r"SANDGRAIN_SEED=(\d+)", printed))
    assert printed.startswith("random cases: SANDGRAIN_")
    assert re.search(rf"SANDGRAIN_SEED={seed}.* python -m pytest \S*test_probe.py::test_fails\n", printed)
    again, _ = drawn(tmp_path / "again", root, seed, "-n", "2")  # in workers
    assert again == first
    here = {f"seeded_{k}": f"{SeededDraw(new_seed(k)).integer(0, 1 << 60)}\n" for k in range(4)}  # this run has a seed of its own
    assert seed != str(RUN_SEED) and all(first[name] != value for name, value in here.items())


class Item:
    """What the hook of tests/conftest.py sees of a test."""

    def __init__(self, nodeid: str, marked: bool) -> None:
        self.nodeid, self.marked, self.added = nodeid, marked, list[str]()

    def get_closest_marker(self, name: str) -> bool:
        return self.marked and name == "rare"

    def add_marker(self, name: str) -> None:
        self.added.append(name)


def test_a_twelfth_of_the_rare_tests_has_its_turn_and_every_other_test_always() -> None:
    items = [Item(f"tests/test_x.py::test_{k}", marked=k % 2 == 0) for k in range(2000)]
    pytest_collection_modifyitems(items)  # type: ignore[arg-type]
    assert all(not item.added for item in items if not item.marked)
    waiting = [item for item in items if item.added]
    assert all(item.added == ["slow"] for item in waiting) and 870 < len(waiting) < 960
    assert [i.nodeid for i in items if i.marked and not i.added] == [
        i.nodeid for i in items if i.marked and has_its_turn(i.nodeid)
    ]
