"""FRICTION: how the commands behave on a terminal: progress in pipes, Ctrl-C at any moment, completion, 80 columns."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pty
import random
import re
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from sandgrain import cli
from sandgrain.base.errors import printable
from sandgrain.cli import _progress
from tests.conftest import ROOT
from tests.support.command import environment, sandgrain
from tests.support.draws import rare, turns
from tests.support.sensor_project import project

DIGITS = ROOT / "sandgrain" / "demo" / "digits.tflite"
SLOW = """
import sys, time
import sandgrain
def slow(project, *, progress, **how):
    progress("training", 3, 40)
    time.sleep({seconds})  # a stage that says nothing
    raise SystemExit(0)
sandgrain.build = slow
sys.argv = ["sandgrain", "build", *sys.argv[1:]]
from sandgrain.cli import main
main()
"""


def start(*arguments: str, cwd: Path, code: str = "", **how: object) -> subprocess.Popen[str]:
    """A command in a process group of its own, its two outputs in one pipe."""
    what = ["-c", code] if code else ["-m", "sandgrain"]
    command = [sys.executable, *what, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **how}
    return subprocess.Popen(command, cwd=cwd, env=environment(cwd, SANDGRAIN_QUIET="0"), start_new_session=True, **pipes)  # type: ignore[call-overload,no-any-return]


# --- progress --------------------------------------------------------------------------------------------------------------


@rare
def test_a_stage_that_says_nothing_is_told_of_at_least_every_five_seconds_in_a_pipe(tmp_path: Path) -> None:
    process = start(cwd=tmp_path, code=SLOW.format(seconds=7.5))
    assert process.stdout is not None
    times, lines = [], []
    for line in process.stdout:
        times.append(time.monotonic())
        lines.append(line)
    times.append(time.monotonic())
    process.stdout.close()
    assert process.wait() == 0 and len(lines) >= 2, lines
    assert all(re.fullmatch(r"\.\.\. training, 3 of 40 \(\d+ s\)\n", line) for line in lines), lines
    assert max(after - before for before, after in pairwise(times)) < 5.0


def test_the_first_line_comes_in_time_too(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    assert _progress.EVERY_S <= 4
    monkeypatch.setattr(_progress, "EVERY_S", 0.1)
    with _progress.progress("reading \x1b[31m") as step:
        time.sleep(0.25)
        step("features", 0, 1)
        time.sleep(0.2)
    out, err = capfd.readouterr()
    assert out == "" and err.startswith("... reading ?[31m (0 s)\n") and "... features (0 s)\n" in err


def test_quiet_and_quick_work_say_nothing_of_progress(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    with _progress.progress("reading") as step:
        step("reading", 1, 2)
    monkeypatch.setattr(_progress, "EVERY_S", 0.05)
    with _progress.progress("reading", quiet=True) as step:
        step("reading", 1, 2)
        time.sleep(0.2)
    assert capfd.readouterr() == ("", "")


def test_every_command_with_progress_can_be_quiet() -> None:
    folder = Path(cli.__file__).parent
    loud = {p.stem for p in folder.glob("[a-z]*.py") if "with progress(" in p.read_text()}
    assert {"build", "demo", "data", "compile", "verify", "features", "quantize", "export", "profile", "inspect"} <= loud
    for name in loud:
        assert any("--quiet" in p.opts for p in cli.Commands()[name].params), name


def test_the_installation_of_make_demo_is_not_silent(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("pip_install", ROOT / "tools" / "pip_install.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.EVERY_S < 5 and "pip install" not in (ROOT / "Makefile").read_text()
    monkeypatch.setattr(tool, "EVERY_S", 0.1)
    slow = [sys.executable, "-c", "import time; print('no such package'); time.sleep(0.5); raise SystemExit(3)"]
    assert tool.install([".[train]"], slow) == 3
    said = capfd.readouterr().err.splitlines()
    assert said[0] == "... installing .[train]" and "... installing .[train] (0 s)" in said and said[-1] == "no such package"


# --- Ctrl-C ----------------------------------------------------------------------------------------------------------------


def interrupted(process: subprocess.Popen[str], after: float) -> str:
    """What the command said when its group was interrupted, as a terminal does it. A command that had ended before says "ended"."""
    try:
        process.communicate(timeout=after)
        return "ended"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=120)[0]
    if process.returncode in (0, 3):  # it was about to end
        return "ended"
    assert process.returncode == 130, said
    assert "Traceback" not in said and "Exception ignored" not in said and "Aborted" not in said, said
    return said.splitlines()[-1]


@pytest.mark.parametrize("command", turns([["build"], ["inspect", str(DIGITS)], ["compile", str(DIGITS), "-o", "out"]]))
def test_ctrl_c_at_any_moment_is_one_line_and_130(command: list[str], tmp_path: Path) -> None:
    folder, draw = project(tmp_path / "waves"), random.Random(command[0])
    said = [interrupted(start(*command, cwd=folder), draw.uniform(0.3, 4.0)) for _ in range(4)]
    assert set(said) <= {"error: interrupted", "error: interrupted; run again to go on", "ended"} and set(said) != {"ended"}, said


def test_a_build_says_that_it_goes_on_and_leaves_no_temporary_files(tmp_path: Path) -> None:
    folder = tmp_path
    process = start(cwd=folder, code=SLOW.format(seconds=60))
    assert process.stdout is not None
    assert process.stdout.readline().startswith("... ")
    assert interrupted(process, 0.1) == "error: interrupted; run again to go on"
    assert not [p for p in folder.iterdir() if p.name.startswith("sandgrain-")]


def test_the_first_line_of_the_command_already_minds_ctrl_c(tmp_path: Path) -> None:
    """While it imports: the import of the command line is made to take long."""
    slow = "import sys, time, runpy\nclass Slow:\n    def find_spec(self, name, *_):\n        if name == 'sandgrain.cli':\n            print('now', flush=True)\n            time.sleep(20)\nsys.meta_path.insert(0, Slow())\nsys.argv = ['sandgrain', 'build']\nrunpy.run_module('sandgrain', run_name='__main__')\n"
    process = start(cwd=tmp_path, code=slow)
    assert process.stdout is not None and process.stdout.readline() == "now\n"
    assert interrupted(process, 0.05) == "error: interrupted"


@rare
@pytest.mark.parametrize("where", ["finalizer", "library"])
def test_ctrl_c_is_not_swallowed(where: str, tmp_path: Path) -> None:
    """Neither by a finalizer, where Python ignores exceptions, nor by a library that catches KeyboardInterrupt."""
    waits = {
        "finalizer": "class F:\n    def __del__(self):\n        time.sleep(1)\n        time.sleep(0)\nF()\ntime.sleep(20)",
        "library": "try:\n    time.sleep(20)\nexcept (Exception, KeyboardInterrupt):\n    pass",
    }[where]
    code = (
        f"import sys, time\nimport sandgrain.cli.inspect as m\ndef command():\n    print('now', flush=True)\n"
        f"    exec({waits!r}, {{'time': time}})\nm.command = command\nsys.argv = ['sandgrain', 'inspect']\nfrom sandgrain.cli import main\nmain()"
    )
    process = start(cwd=tmp_path, code=code)
    assert process.stdout is not None and process.stdout.readline() == "now\n"
    begun = time.monotonic()
    assert interrupted(process, 0.2) == "error: interrupted" and time.monotonic() - begun < 15


def test_the_installed_command_starts_where_python_m_does() -> None:
    import tomllib

    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"sandgrain": "sandgrain.__main__:main"}


# --- completion ------------------------------------------------------------------------------------------------------------


@rare
@pytest.mark.parametrize(
    ("words", "wanted", "unwanted"),
    [
        ("sandgrain co", "compile", "build"),
        ("sandgrain build --ht", "--html", "--seed"),
        ("sandgrain verify --or", "--oracle", "--on"),
    ],
)
def test_the_shell_completes_commands_and_options(words: str, wanted: str, unwanted: str, tmp_path: Path) -> None:
    more = {"_SANDGRAIN_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    code = "import sys; sys.argv = ['sandgrain']; from sandgrain.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(tmp_path, **more), capture_output=True, text=True, check=False
    )
    assert wanted in done.stdout.split() and unwanted not in done.stdout.split(), done


def test_the_script_for_a_shell_is_shown(tmp_path: Path) -> None:
    assert "--install-completion" in sandgrain("--help", cwd=tmp_path).out


# --- names and columns -----------------------------------------------------------------------------------------------------


def test_a_name_that_comes_twice_reads_the_same_everywhere() -> None:
    assert printable("g#2") == "g#2" and printable('"*/\n') == "??/?".replace("??", "?.")


def test_on_a_terminal_the_bar_is_a_bar(tmp_path: Path) -> None:
    """A pseudo terminal: no lines of a log, and nothing is left of the bar."""
    near, far = pty.openpty()
    process = start(cwd=tmp_path, code=SLOW.format(seconds=1), stdout=subprocess.DEVNULL, stderr=far)
    os.close(far)
    shown = b""
    with contextlib.suppress(OSError):  # the end of a pseudo terminal
        while piece := os.read(near, 4096):
            shown += piece
    os.close(near)
    assert process.wait() == 0 and b"training" in shown and b"..." not in shown
