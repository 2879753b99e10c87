"""Temporary folders go with their `with`, with the process, and when somebody else was tidier."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandgrain.base import scratch

HOLD = """\
import signal, time
from sandgrain.base import scratch
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
    text = f"from sandgrain.base import scratch\nprint(scratch.folder())\n{code}"
    child = subprocess.run(
        [sys.executable, "-c", text], env={"TMPDIR": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert Path(child.stdout.strip()).is_relative_to(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_the_system_folder_was_tried(how: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    """`gettempdir` leaves its file there where an exception comes before it removes that."""
    events = []

    def tried() -> str:
        signal.raise_signal(how)
        for _ in range(100):  # a handler runs between two steps
            pass
        events.append("tried")
        return "/"

    def handler(*args: object) -> None:
        events.append("signal")
        raise KeyboardInterrupt

    before = signal.signal(how, handler)
    monkeypatch.setattr("tempfile.gettempdir", tried)
    try:
        with pytest.raises(KeyboardInterrupt):
            scratch.system()
    finally:
        signal.signal(how, before)
    assert events == ["tried", "signal"]


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
