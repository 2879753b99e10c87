"""Temporary folders go with their `with`, with the process, and when somebody else was tidier."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandgrain import scratch

HOLD = """\
import signal, time
from sandgrain import scratch
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's children begin without it
with scratch.scratch() as f:
    (f / 'x').write_text('x')
    print(f, flush=True)
    time.sleep(60)
"""


def test_a_scratch_folder_is_empty_and_gone_after_its_with() -> None:
    with scratch.scratch() as one, scratch.scratch() as other:
        assert one != other and list(one.iterdir()) == []
        (one / "file").write_text("x")
    assert not one.exists() and not other.exists()


def test_a_root_that_somebody_removed_is_made_again() -> None:
    shutil.rmtree(scratch.folder().parent)
    assert scratch.folder().is_dir()


@pytest.mark.parametrize("code", ["", "raise SystemExit(3)", "raise KeyboardInterrupt"])
def test_nothing_is_left_when_the_process_ends(code: str, tmp_path: Path) -> None:
    text = f"from sandgrain import scratch\nprint(scratch.folder())\n{code}"
    child = subprocess.run(
        [sys.executable, "-c", text], env={"TMPDIR": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert Path(child.stdout.strip()).is_relative_to(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_after_an_interrupt(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD], env={"TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert child.stdout is not None
    with child, child.stdout as lines:
        assert lines.readline().strip()
        child.send_signal(signal.SIGINT)
    assert child.returncode != 0
    assert list(tmp_path.iterdir()) == []
