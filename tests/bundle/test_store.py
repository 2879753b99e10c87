"""A bundle is written whole or not at all, and says when its C is no longer what was generated."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from sandgrain.base.errors import RunError, UsageError
from sandgrain.bundle import store
from sandgrain.bundle.measure import Build
from sandgrain.compiler import pipeline
from sandgrain.compiler.emit.model import Options
from sandgrain.device import targets
from sandgrain.device.toolchain import Toolchain
from tests.conftest import ROOT

DIGITS = (ROOT / "sandgrain" / "demo" / "digits.tflite").read_bytes()
BOARD = targets.load("cortex-m0plus")


def save(out: Path, measure: object = lambda build: None, labels: tuple[str, ...] = ()) -> None:
    compiled = pipeline.compile_bytes(DIGITS, BOARD, Options("digits"), labels)
    store.save(Build(compiled, BOARD, title="digits.tflite"), store.Origin(DIGITS), out, measure)  # type: ignore[arg-type]


def test_a_bundle_reads_back_as_it_was_written(tmp_path: Path) -> None:
    save(tmp_path / "a" / "b", labels=("null", "eins", 'q"'))
    again = store.load_bundle(tmp_path / "a" / "b")
    assert (again.board, again.build.toolchain, again.build.title, again.edited) == (
        BOARD,
        Toolchain("zig", "-O2"),
        "digits.tflite",
        False,
    )
    assert again.compiled.graph.labels == ("null", "eins", 'q"')
    assert sorted(p.name for p in (tmp_path / "a" / "b").iterdir()) == sorted(["digits.c", "digits.h", "kernels", "proof"])
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b"]


def test_nothing_is_left_when_the_measurement_refuses(tmp_path: Path) -> None:
    def refuse(build: Build) -> None:
        assert build.folder is not None and (build.folder / "digits.c").is_file()
        raise RunError("no")

    with pytest.raises(RunError):
        save(tmp_path / "not" / "yet" / "there", refuse)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(build: Build) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save(tmp_path / "out", interrupt)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["digits.c", "digits.h", "kernels/softmax*.h"])
def test_an_edit_is_noticed(path: str, tmp_path: Path) -> None:
    save(tmp_path / "out")
    with next((tmp_path / "out").glob(path)).open("a") as file:
        file.write("\n")
    assert store.load_bundle(tmp_path / "out").edited


@pytest.mark.parametrize("path", ["digits.c", "kernels/softmax*.h", "proof/model.tflite", "proof/build.json"])
def test_a_bundle_with_a_missing_file_is_refused(path: str, tmp_path: Path) -> None:
    save(tmp_path / "out")
    next((tmp_path / "out").glob(path)).unlink()
    with pytest.raises(UsageError, match=r"sandgrain compile|compile the model again"):
        store.load_bundle(tmp_path / "out")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", 3),
        ("name", "a;b"),
        ("target", "nowhere"),
        ("labels", None),
        ("arena", []),
        ("section", '"'),
        ("sandgrain", "9"),
        ("opt", 1),
    ],
)
def test_an_edited_proof_is_refused_in_one_line(key: str, value: object, tmp_path: Path) -> None:
    save(tmp_path / "out")
    path = tmp_path / "out" / "proof" / "build.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(UsageError) as caught:
        store.load_bundle(tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_a_bundle_is_replaced_with_every_kernel_of_the_old_one_gone(tmp_path: Path) -> None:
    save(tmp_path / "out")
    (tmp_path / "out" / "kernels" / "old.h").write_text("")
    save(tmp_path / "out")
    assert not (tmp_path / "out" / "kernels" / "old.h").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("n" * 300), tmp_path / "nul\0"):
        with pytest.raises(UsageError, match="-o "):
            save(out)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_others_may_read_a_bundle(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        save(tmp_path / "out")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o755
