"""Entry 13 of the cases that failed for users: where what is printed cannot be written, a command says so in one line."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandgrain import cli
from tests.bundle.test_store import DIGITS
from tests.support.command import environment
from tests.support.draws import rare

COMMANDS = [["--help"], ["--version"], ["targets"], ["targets", "--json"], ["ops"], *([name, "--help"] for name in cli.NAMES)]


def ended(arguments: list[str], out: str, folder: Path, err: str | None = None) -> tuple[int, str]:
    """(exit code, what stands on stderr) of a command whose stdout is the file `out`; a fork, which has everything imported."""
    said = folder / "said"
    for name in {*arguments} & {*cli.NAMES}:
        importlib.import_module(f"sandgrain.cli.{name}")  # once, not in each child
    child = os.fork()
    if not child:
        try:
            for number, path in ((1, out), (2, err or str(said))):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
            sys.stdout = os.fdopen(1, "w", closefd=False)
            sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
            sys.argv = ["sandgrain", *arguments]
            os.chdir(folder)
            try:
                cli.main()
            except SystemExit as end:
                sys.stdout.flush()  # as Python does at the end
                os._exit(int(end.code or 0))
        finally:
            os._exit(99)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, said.read_text() if said.exists() else ""


@rare
@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_13_a_full_disk_under_stdout_is_one_line(arguments: list[str], tmp_path: Path) -> None:
    code, said = ended(arguments, "/dev/full", tmp_path)
    assert code == 5 and said.count("\n") == 1 and "No space left on device" in said, said
    assert arguments[-1] == "--help" or ended(arguments, "/dev/null", tmp_path)[0] == 0


@rare
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_13_so_it_is_for_a_command_that_works(more: list[str], tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(DIGITS)
    for command in (["inspect", "m.tflite"], ["compile", "m.tflite", "-o", "out", "--no-measure"]):
        code, said = ended([*command, *more], "/dev/full", tmp_path)
        assert code == 5 and said.count("\n") == 1 and "cannot be written" in said, said
    assert (tmp_path / "out" / "proof" / "build.json").is_file()


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_13_an_errors_own_line_and_code_stay(more: list[str], tmp_path: Path) -> None:
    code, said = ended(["inspect", "nothing.tflite", *more], "/dev/full", tmp_path)
    assert code == 2 and said.count("\n") == 1 and "nothing.tflite" in said
    assert ended(["inspect", "nothing.tflite", *more], "/dev/full", tmp_path, "/dev/full")[0] == 2


def test_13_python_itself_has_no_second_complaint(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "sandgrain", "targets"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(tmp_path),
            text=True,
            check=False,
        )
    assert done.returncode == 5 and done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")


def test_13_a_reader_that_stops_is_no_error(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "sandgrain", "targets"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path)
    )
    assert child.stdout is not None and child.stderr is not None
    child.stdout.close()
    assert child.stderr.read() == b"" and child.wait() in (0, 1)
    child.stderr.close()


def test_13_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the file: the last resort of every command."""

    def broken() -> None:
        raise PermissionError(13, "Permission denied", "/some/file")

    monkeypatch.setattr(cli, "app", broken)
    assert ended([], "/dev/null", tmp_path) == (2, "error: /some/file: Permission denied\n")
