"""`sandgrain build` as its users call it: the page, the JSON, the exit codes; and killed at any moment, it goes on."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import environment, sandgrain, tree
from tests.support.sensor_project import project

KILLS = 20


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a project that was built once into out/, and the page that was printed."""
    folder = project(tmp_path_factory.mktemp("build") / "waves")
    done = sandgrain("build", "-o", "out", "--html", "page.html", cwd=folder)
    assert done.code == 0, done.err
    return folder, done.out


def test_the_page_fits_80_columns_and_says_what_matters(built: tuple[Path, str]) -> None:
    page = built[1]
    assert max(len(line.rstrip()) for line in page.splitlines()) <= 80
    for word in ("cnn1d", "kept", "[budget] flash", "emulated board", "macro F1", "worst-case stack", "battery", "is \\ said",
                 "C in out/", "waves_push", "on the emulated board it prints: "):  # fmt: skip
        assert word in page, word


def test_a_second_build_gives_the_same_page_and_trains_nothing(built: tuple[Path, str]) -> None:
    folder, page = built
    before = tree(folder / "out")
    done = sandgrain("build", "-o", "out", cwd=folder)
    assert done.out.splitlines() == [line for line in page.splitlines() if not line.startswith("Plots in")]
    assert tree(folder / "out") == before


def test_json_ends_with_one_object(built: tuple[Path, str]) -> None:
    found = sandgrain("build", "-o", "out", "--json", cwd=built[0]).json
    for key in ("accuracy", "accuracy_int8_host", "accuracy_float", "ram_bytes", "flash_bytes", "cycles", "latency_ms", "energy_uj", "battery_days", "seed", "dataset_hash"):  # fmt: skip
        assert found[key] is not None, key
    assert found["identical"] and found["missed"] == [] and found["labels"] == ["fast", "slow"]
    assert found["compared"]["emulator"] == found["verified_windows"] == 24


def test_the_html_page_loads_nothing(built: tuple[Path, str]) -> None:
    text = (built[0] / "page.html").read_text()
    assert "<script" not in text and "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")
    for title in (
        "Budget",
        "Confusion matrix",
        "Memory over time",
        "Loss",
        "Cost of each layer",
        "Worst windows",
        "Stages of this build",
    ):
        assert f">{title}</h2>" in text


def test_over_budget_is_exit_3_with_the_excess_and_a_width_that_was_measured(built: tuple[Path, str]) -> None:
    folder = built[0]
    flash = json.loads((folder / "out" / "report.json").read_text())["flash_bytes"]
    text = (folder / "sandgrain.toml").read_text()
    try:
        (folder / "sandgrain.toml").write_text(text.replace('flash = "64K"', f'flash = "{flash - 1}"'))
        done = sandgrain("build", "-o", "out", cwd=folder)
    finally:
        (folder / "sandgrain.toml").write_text(text)
    assert done.code == 3 and "missed by 1 B" in done.out and (folder / "out" / "waves.c").is_file()
    told = f"flash {flash} B exceeds {flash - 1} B ([budget] flash) by 1 B; [model] width = "
    assert done.line.startswith(told) and " gives flash " in done.line


def test_a_folder_with_other_files_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    folder = project(tmp_path / "waves")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    done = sandgrain("build", str(folder), "-o", "mine", cwd=tmp_path)
    assert (done.code, done.line) == (2, "-o mine holds other files; name an empty or new folder")
    assert not (folder / ".sandgrain").exists()


@pytest.mark.slow  # 20 starts of Python and PyTorch
def test_a_build_killed_at_any_moment_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    alone, killed = project(tmp_path / "alone" / "waves"), project(tmp_path / "killed" / "waves")
    assert sandgrain("build", "-o", "out", cwd=alone).code == 0
    wanted, draw, kills = tree(alone / "out"), random.Random(0), 0
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "sandgrain", "build", "-o", "out"]
    while kills < KILLS:
        process = subprocess.Popen(command, cwd=killed, env=environment(temporary), stdout=subprocess.DEVNULL)
        try:
            assert process.wait(timeout=draw.uniform(0.3, 7.0)) == 0
            assert tree(killed / "out") == wanted
            shutil.rmtree(killed / "out")
            shutil.rmtree(killed / ".sandgrain")  # another one from the start
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    assert sandgrain("build", "-o", "out", cwd=killed).code == 0
    assert tree(killed / "out") == wanted
    assert [p.name for p in killed.iterdir() if p.name.startswith(".out.")] == []


def test_the_package_that_is_missing_is_named(tmp_path: Path) -> None:
    """As where only `pip install sandgrain` was run."""
    folder = project(tmp_path / "waves")
    code = """
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "torch" else find(name, *rest)
sys.argv = ["sandgrain", "build"]
from sandgrain.cli import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and done.stderr == "error: build needs the package torch; pip install 'sandgrain[train]'\n"
