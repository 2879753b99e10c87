"""`predict` runs C that anybody may have written: what it does wrong is one error, and the user's Python goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import sandgrain
from sandgrain.device.run import host_process
from tests.conftest import ROOT
from tests.support.command import environment
from tests.support.draws import rare

DIGITS = ROOT / "sandgrain" / "demo" / "digits.tflite"
IMAGES = np.load(DIGITS.with_suffix(".npz"))["x"][:6]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("predict") / "digits"
    sandgrain.compile(DIGITS, target="host", measure=False, out=out)
    return out


@pytest.fixture
def bundle(compiled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(compiled, tmp_path / "digits"))


@pytest.fixture(scope="module")
def kept(compiled: Path) -> sandgrain.Result:
    """Built once; its child stays."""
    found = sandgrain.load(compiled)
    found.predict(IMAGES)
    return found


def put(bundle: Path, code: str) -> None:
    """Statements at the start of digits_run."""
    path = bundle / "digits.c"
    text = path.read_text()
    at = text.index("{\n", text.index("int digits_run(")) + 2
    path.write_text(text[:at] + code + "\n" + text[at:])


def below(pid: int) -> list[int]:
    """The host builds that run below a process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rsplit(")", 1)[1].split()
            if int(words[1]) == pid and b"host_child" in (path.parent / "cmdline").read_bytes() and words[0] != "Z":
                found.append(int(path.parent.name))
        except (OSError, IndexError):
            continue
    return found


def gone(pids: list[int], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


@rare
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("    if (input_0[0] == 1) {\n        *(volatile int *)(uintptr_t)64 = 1;\n    }", r"digits\.c crashed \(SIGSEGV\)"),
        ("    extern void exit(int);\n    if (input_0[0] == 1) {\n        exit(0);\n    }", r"digits\.c ended with exit code 0"),
        ("    for (volatile int i = 0; input_0[0] == 1; i = 1) {\n    }", r"were not done in \d+ s"),
    ],
)
def test_c_that_does_wrong_is_one_error_and_the_next_call_is_answered(
    code: str, said: str, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_process, "BASE", 1)
    put(bundle, code)
    found, bad = sandgrain.load(bundle), IMAGES.copy()
    bad[:, 0] = 1
    good = IMAGES.copy()
    good[:, 0] = 0
    wanted = found.predict(good)
    with pytest.raises(sandgrain.RunError, match=said) as caught:
        found.predict(bad)
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(found.predict(good), wanted)


@rare
def test_what_a_bundle_runs_when_it_is_loaded_does_not_run_here(bundle: Path) -> None:
    sign = bundle.parent / "ran"
    code = f"""
extern int creat(const char *, unsigned);
extern int getpid(void);
extern long write(int, const void *, unsigned long);
__attribute__((constructor)) static void hello(void)
{{
    const int pid = getpid();
    (void)write(creat("{sign}", 0600), &pid, sizeof pid);
}}
"""
    (bundle / "digits.c").write_text((bundle / "digits.c").read_text() + code)
    sandgrain.load(bundle).predict(IMAGES)
    assert int.from_bytes(sign.read_bytes(), "little") != os.getpid()


@rare
def test_a_child_that_was_killed_is_started_again(kept: sandgrain.Result) -> None:
    wanted, others = kept.predict(IMAGES), []
    for child in below(os.getpid()):  # those of other tests' results, which may still be there, as well
        os.kill(child, signal.SIGKILL)
        others.append(child)
    time.sleep(0.1)
    np.testing.assert_array_equal(kept.predict(IMAGES), wanted)
    assert others and not set(others) & set(below(os.getpid()))


def test_threads_may_share_a_result(kept: sandgrain.Result) -> None:
    wanted, found = kept.predict(IMAGES), [None] * 8

    def ask(k: int) -> None:
        found[k] = kept.predict(IMAGES[k % 6 : k % 6 + 1])

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for k, row in enumerate(found):
        np.testing.assert_array_equal(row, wanted[k % 6 : k % 6 + 1])


def test_many_samples_go_in_portions(kept: sandgrain.Result, monkeypatch: pytest.MonkeyPatch) -> None:
    from sandgrain.device.run import host_kept

    wanted = kept.predict(IMAGES)
    monkeypatch.setattr(host_kept, "PORTION", 200)  # two samples
    np.testing.assert_array_equal(kept.predict(IMAGES), wanted)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes fork")
def test_a_fork_has_a_child_of_its_own(kept: sandgrain.Result) -> None:
    wanted = kept.predict(IMAGES)
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if np.array_equal(kept.predict(IMAGES), wanted) else 1)
        except BaseException:
            os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0
    np.testing.assert_array_equal(kept.predict(IMAGES), wanted)


@rare
@pytest.mark.parametrize("end", ["", "raise SystemExit(3)", "import os; os.kill(os.getpid(), 9)"])
def test_the_child_ends_with_python(end: str, compiled: Path, tmp_path: Path) -> None:
    script = (
        "import sys, numpy, sandgrain\n"
        f"found = sandgrain.load({str(compiled)!r})\n"
        f"found.predict(numpy.load({str(DIGITS.with_suffix('.npz'))!r})['x'][:2])\n"
        "print('ready', flush=True)\nsys.stdin.read(1)\n" + end
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(tmp_path), cwd=tmp_path
    ) as python:
        assert python.stdin is not None and python.stdout is not None
        assert python.stdout.readline() == b"ready\n"
        children = below(python.pid)
        assert children
        python.stdin.close()
        python.wait(60)
    assert gone(children)
