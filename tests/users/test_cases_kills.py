"""Entries 13 and 31 of the cases that failed for users: whatever a killed process was doing, a folder holds the whole old bundle or
the whole new one, and the next run removes what is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sandgrain
from sandgrain.base import claims, files, scratch, swap, together
from sandgrain.base.errors import UsageError
from sandgrain.bundle import store
from sandgrain.bundle.measure import Build
from sandgrain.compiler import pipeline
from sandgrain.compiler.emit.model import Options
from sandgrain.device import targets
from sandgrain.graph.ir import Graph, attrs
from sandgrain.project.build import place
from sandgrain.project.build.store import Store
from sandgrain.project.file import init
from tests.bundle.test_costs import dense
from tests.bundle.test_store import BOARD, DIGITS
from tests.support.command import environment, tree
from tests.support.file_mutants import BOARD_FILE
from tests.support.float_graphs import floated

CALLS = ("rename", "replace", "link", "mkdir", "unlink", "rmdir", "open")  # of the operating system, that change a disk
KILLED = 77
Swap = Callable[[Path, Path], bool]


@cache
def build(name: str, labels: tuple[str, ...] = ()) -> Build:
    return Build(pipeline.compile_bytes(DIGITS, BOARD, Options(name), labels), BOARD, title="digits.tflite")


def save(out: Path, name: str, labels: tuple[str, ...] = ()) -> None:
    store.save(build(name, labels), store.Origin(DIGITS), out, lambda _: None)


def dies(work: Callable[[], object], step: int, calls: tuple[str, ...] = CALLS) -> bool:
    """Whether `work`, in a process of its own, came as far as its `step`-th call of the system and was killed there."""
    child = os.fork()
    if not child:
        left = [step]

        def counted(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                os._exit(KILLED)
            return call(*arguments, **options)

        def wrapped(call: Callable[..., Any]) -> Callable[..., Any]:
            return lambda *arguments, **options: counted(call, *arguments, **options)

        for name in calls:
            setattr(os, name, wrapped(getattr(os, name)))
        exchange = swap._exchange
        swap._exchange = wrapped(exchange)
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, KILLED)
    return status == KILLED


RENAMES = ("rename", "replace", "link")


@pytest.fixture(params=["exchanged", "moved"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With and without a system that exchanges names."""
    if request.param == "moved":
        monkeypatch.setattr(swap, "_exchange", lambda *_: False)
    return str(request.param)


def test_31_a_new_bundle_is_there_whole_or_not_at_all_at_any_kill(tmp_path: Path) -> None:
    save(tmp_path / "whole", "digits")
    wanted, step = tree(tmp_path / "whole"), 0
    for parents in ("out", "a/b/out"):
        step = 0
        out = tmp_path / parents
        while dies(lambda out=out: save(out, "digits"), step, RENAMES):  # type: ignore[misc]
            assert not out.exists() or tree(out) == wanted
            step += 1
        assert step >= 1 and tree(out) == wanted
    save(tmp_path / "out", "digits")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "out", "whole"]


def test_31_over_an_older_bundle_all_is_old_or_all_is_new(way: str, tmp_path: Path) -> None:
    """Killed at each rename, of a bundle with another prefix and other files beside it."""
    out, step, seen = tmp_path / "out", 0, set()

    def again() -> dict[str, bytes]:
        save(out, "older", ("a", "b"))
        (out / "src").mkdir(exist_ok=True)
        (out / "src" / "main.c").write_text("int main(void) { return 0; }")
        (out / "notes.txt").write_text("mine")
        return tree(out)

    def new() -> None:
        save(out, "newer")

    old = again()
    new()
    fresh = tree(out)
    assert {"newer.c", "notes.txt", "src/main.c"} <= fresh.keys() and not {"older.c", "older.h"} & fresh.keys()
    old = again()
    while dies(new, step, RENAMES if way == "exchanged" else RENAMES[:2]):
        if way == "moved":
            swap.settle(out)  # as whoever reads the bundle does first
        now = tree(out)
        assert now in (old, fresh), step
        seen.add(now == fresh)
        assert again() == old and [p.name for p in tmp_path.iterdir()] == ["out"]
        step += 1
    assert step >= 2 and tree(out) == fresh
    assert way == "exchanged" or seen == {False, True}
    assert again() == old and [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("part", range(0, 16, 4))
def test_31_at_every_call_of_the_system_too(part: int, tmp_path: Path) -> None:
    """One in sixteen of some hundred calls in each part: files that are made, removed, linked."""
    out = tmp_path / "out"
    save(out, "older")
    (out / "notes.txt").write_text("mine")
    old = tree(out)
    save(out, "newer")
    fresh, step = tree(out), part
    while dies(lambda: save(out, "newer"), step):
        assert tree(out) in (old, fresh)
        step += 16
    assert step > 24
    save(out, "older")
    assert tree(out) == old and [p.name for p in tmp_path.iterdir()] == ["out"]


def test_31_a_folder_that_is_the_working_directory_stays_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell that stands in it must not find itself in a folder that is gone."""
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.chdir(out)
    number = out.stat().st_ino
    for name in ("one", "two"):
        save(Path(), name)
        assert out.stat().st_ino == number
        assert sorted(p.name for p in out.iterdir()) == sorted([f"{name}.c", f"{name}.h", "kernels", "proof"])


def test_31_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    for name in ("one", "two"):
        save(tmp_path / "out", name)
        assert (tmp_path / "out").is_symlink() and (tmp_path / "disk" / f"{name}.c").is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["disk", "out"]


@pytest.mark.parametrize(
    "note",
    [
        '{"from": "../../etc", "old": [], "new": []}',
        '{"from": ".out.1-0123456789ab", "old": ["../secret"], "new": []}',
        '{"from": ".out.1-0123456789ab/..", "old": ["secret"], "new": []}',
        '{"from": ".out.1-0123456789ab", "old": ["secret/x"], "new": ["a.txt"]}',
        "[" * 100_000,
        "[]",
        '{"from": 1, "old": 2, "new": 3}',
    ],
)
def test_31_a_strangers_note_moves_nothing(note: str, tmp_path: Path) -> None:
    save(tmp_path / "out", "digits")
    (tmp_path / "secret").write_text("x")
    before = tree(tmp_path / "out")
    (tmp_path / "out" / swap.NOTE).write_text(note)
    store.load_bundle(tmp_path / "out")
    assert tree(tmp_path / "out") == before and (tmp_path / "secret").read_text() == "x"


def test_31_what_a_running_process_makes_is_left_alone(tmp_path: Path) -> None:
    with swap.draft(tmp_path / "out") as work:
        swap.settle(tmp_path / "out")
        save(tmp_path / "out", "digits")
        assert work.is_dir()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_31_only_what_processes_left_is_removed(tmp_path: Path) -> None:
    mine = (".out.2024", ".out.old", ".out.7-backup", ".sandgrain-notes", ".outer.999999999-0123456789ab")
    for name in mine:
        (tmp_path / name).mkdir()
    for name in (".out.999999999-0123456789ab", ".out.999999998-ba9876543210"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.c").touch()
    save(tmp_path / "out", "digits")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*mine, "out"])


# --- temporary folders and files ---------------------------------------------------------------------------------------

HOLD = """\
import sys
from sandgrain.base import scratch, files
from pathlib import Path
with scratch.scratch() as f, files.atomic(Path(sys.argv[1]) / "report.json") as draft:
    (f / "firmware.elf").write_text("x")
    print("here", flush=True)
    sys.stdin.read()
"""


def test_31_the_next_run_removes_the_temporary_files_of_a_killed_one(tmp_path: Path) -> None:
    temporary, folder = tmp_path / "tmp", tmp_path / "work"
    temporary.mkdir()
    (temporary / "sandgrain-demo").mkdir()  # somebody's own

    def start() -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(folder)], env=environment(temporary), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert child.stdout is not None and child.stdout.readline()
        return child

    with start() as killed:
        killed.send_signal(signal.SIGKILL)
    assert len(list(temporary.iterdir())) == 2 and len(list(folder.iterdir())) == 1
    with start() as other, start() as last:
        assert len(list(temporary.iterdir())) == 3  # those of two that live
        for child in (other, last):
            assert child.stdin is not None
            child.stdin.close()
    assert [p.name for p in temporary.iterdir()] == ["sandgrain-demo"]
    files.remove_drafts(folder)
    assert [p.name for p in folder.iterdir()] == ["report.json"]


def test_31_a_projects_results_lose_their_drafts_at_the_next_build(tmp_path: Path) -> None:
    kept = Store(tmp_path / "build")
    kept.put(kept.path("fit", "a", ".json"), 1)
    made = kept.path("fit", "b", ".json")
    step = 0
    while dies(lambda: kept.put(made, list(range(9))), step):
        assert kept.peek(kept.path("fit", "a", ".json")) == 1 and kept.peek(made) in (None, list(range(9)))
        step += 1
    assert step >= 2 and sorted(p.name for p in kept.folder.iterdir()) == ["fit-a.json", "fit-b.json"]
    out = tmp_path / "out"
    out.mkdir()
    (out / f"{files.DRAFT}999999999-0123456789ab").touch()
    place.leftovers(out)
    assert list(out.iterdir()) == []


def test_31_files_that_are_written_together_lose_their_drafts(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"old")
    step = 0
    while dies(lambda: together.write_all({path: b"new"}), step):
        assert path.read_bytes() in (b"old", b"new")
        step += 1
    together.write_all({path: b"new"})
    assert step >= 2 and tree(tmp_path) == {"model.tflite": b"new"}


def test_31_two_files_are_both_old_or_both_new_at_any_kill(tmp_path: Path) -> None:
    """NAME.cc beside NAME.h of another model would compile, and be wrong. The next run goes on where a killed one was."""
    both, step, seen = [tmp_path / "net.cc", tmp_path / "net.h"], 0, set()

    def write(text: bytes) -> None:
        together.write_all(dict.fromkeys(both, text))

    write(b"old")
    while dies(lambda: write(b"new"), step):
        together.settle(both[0])
        (now,) = {path.read_bytes() for path in both}
        seen.add(now)
        write(b"old")
        assert tree(tmp_path) == {"net.cc": b"old", "net.h": b"old"}, step
        step += 1
    assert step > 10 and seen == {b"old", b"new"}


def test_31_of_two_new_files_none_or_both_are_there_at_any_kill(tmp_path: Path) -> None:
    both, step = [tmp_path / "net.cc", tmp_path / "net.h"], 0
    while dies(lambda: together.write_all(dict.fromkeys(both, b"new")), step, RENAMES):
        together.settle(both[0])
        assert len({path.exists() for path in both}) == 1
        for path in both:
            path.unlink(missing_ok=True)
        step += 1
    assert step >= 3


@pytest.mark.parametrize("old", [b"old", None])
def test_31_two_files_stay_as_they_were_where_one_cannot_be_replaced(
    old: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the second is another user's, in a folder such as /tmp."""
    both = [tmp_path / "net.cc", tmp_path / "net.h"]
    if old is not None:
        together.write_all(dict.fromkeys(both, old))
    before, usual = tree(tmp_path), Path.replace

    def refuse(path: Path, target: Path) -> Path:
        if Path(target) == both[1]:
            raise PermissionError(1, "Operation not permitted")
        return usual(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(UsageError, match=r"Operation not permitted; name a file that can be written"):
        together.write_all(dict.fromkeys(both, b"new"))
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "note",
    [
        '{"../secret": "net.cc"}', '{"secret": "net.cc"}', '{".net.cc.1-0123456789ab": "secret"}', '{".net.cc.1-0123456789ab/../secret": "net.cc"}',
        "[" * 100_000, "[]", "3", '{"a": 1}', "",
    ],
)  # fmt: skip
def test_31_a_strangers_note_beside_files_moves_nothing(note: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for path in (home / "secret", tmp_path / "secret", home / "net.cc"):
        path.write_text(path.name)
    before = tree(tmp_path)
    (home / ".sandgrain-commit-net.cc").write_text(note)
    together.settle(home / "net.cc")
    assert tree(tmp_path) == before


# --- whatever writes: killed at every rename ------------------------------------------------------------------------------


def _board(out: Path, number: int) -> None:
    targets.write(out / "mine.toml", {**tomllib.loads(BOARD_FILE.decode()), "clock_hz": 84_000_000 + number}, force=True)


def _init(out: Path, number: int) -> None:
    data = out.parent / "data" / f"data{number}"
    for label in ("a", "b"):
        (data / label).mkdir(parents=True, exist_ok=True)
        (data / label / "1.csv").write_text("\n".join(f"{k},{k % 5}" for k in range(40)))
    init.write(data, out / "sandgrain.toml", force=True)


def _graph(number: int) -> Graph:
    """Each with other weights."""
    graph = dense((8, 4 + number))
    return replace(graph, nodes=(replace(graph.nodes[0], attrs=attrs(activation="none", keep_num_dims=False)),))


def _export(suffix: str) -> Callable[[Path, int], None]:
    return lambda out, number: void(sandgrain.export(_graph(number), out / f"net{suffix}"))


def _quantize(out: Path, number: int) -> None:
    samples = np.random.default_rng(number).standard_normal((12, 8)).astype(np.float32)
    sandgrain.quantize(floated(_graph(number)), samples, out / "net.tflite")


def _report(out: Path, number: int) -> None:
    with files.output(out / "report.json") as file:
        file.write(b"%d" % number * 100)


def void(value: object) -> None:
    """A value that nobody wants."""


WRITERS: dict[str, Callable[[Path, int], None]] = {
    "targets --new": _board,
    "init": _init,
    "export .cc": _export(".cc"),
    "export .tflite": _export(".tflite"),
    "quantize": _quantize,
    "build, compare, data: a report": _report,
}


@pytest.mark.slow
@pytest.mark.parametrize("calls", [RENAMES, CALLS], ids=["renames", "all-calls"])
@pytest.mark.parametrize("name", WRITERS)
def test_31_what_a_command_writes_is_old_or_new_at_any_kill(name: str, calls: tuple[str, ...], tmp_path: Path) -> None:
    """At every rename; of the other calls at one in seven, for most of them only read."""
    out, write = tmp_path / "out", WRITERS[name]
    out.mkdir()
    write(out, 0)
    old = tree(out)
    write(out, 1)
    new = tree(out)
    assert old.keys() == new.keys() and old != new
    write(out, 0)
    step = 0
    while dies(lambda: write(out, 1), step, calls):
        together.settle(out / "net.cc")
        now = {k: v for k, v in tree(out).items() if k in old}
        assert now in (old, new), step
        step += 1 if calls == RENAMES else 7
    assert step and tree(out) == new, "and what was left is gone"


def test_31_the_lock_tells_a_living_process_from_one_of_the_same_number(tmp_path: Path) -> None:
    """In containers, each run has the number of the one before."""
    path = tmp_path / claims.name("x-")
    path.mkdir()
    os.utime(path, (0, 0))
    lock = claims.hold(path)
    assert not claims.is_abandoned(path, "x-")
    claims.release(lock)
    assert claims.is_abandoned(path, "x-")


def test_13_a_killed_runs_folder_is_no_reason_to_refuse(tmp_path: Path) -> None:
    """A folder of somebody's own still is."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(UsageError, match="holds other files"):
        save(tmp_path / "mine", "digits")
    assert dies(lambda: save(tmp_path / "out", "digits"), 0, RENAMES)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".out.")]
    save(tmp_path / "out", "digits")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "out"]
    assert scratch.folder().is_dir()
