"""Entries 12 and 32 of the cases that failed for users: what lies in a cache is believed only where it is whole, likely and ours."""

from __future__ import annotations

import json
import os
import resource
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandgrain.base import cache, files
from sandgrain.bundle import costs, measured
from sandgrain.bundle.measure import Build
from sandgrain.bundle.measured import Frame, Part, Program, Step
from sandgrain.compiler.emit.model import Options
from sandgrain.compiler.pipeline import outlined
from sandgrain.compiler.plan import Choice
from sandgrain.device import targets
from sandgrain.device.run import counter
from sandgrain.device.toolchain import DEFAULT, Toolchain, build, process
from tests.bundle.test_costs import dense
from tests.support.draws import rare

BOARD = targets.load("cortex-m4")
STEP = Step(900, 1200.5, 64)
ENTRIES = (
    Program(2000, 16, 120, 40, 55.5, 96, (STEP, STEP), {0: (880, 900.5, 912), -1: (1800, 1801.0, 1802)}, 6),
    Program(2000, 16, 120, 0, 0.0, None, ()),
    Part(300, 12, {"memcpy": 40}, 48, 900, 1200.5),
    Frame(2, -18, 16, -4, 40, 55.5),
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, in which nothing is known."""
    monkeypatch.setattr(measured, "_folder", lambda: tmp_path)
    monkeypatch.setattr(measured, "_FOUND", {})
    monkeypatch.setattr(costs, "_MEMO", {})
    return tmp_path


def put(path: Path, key: str, kind: type[Any], figures: Any) -> None:
    """An entry as somebody would forge it: with the digest that belongs to it."""
    text = json.dumps({"sha256": measured._sealed(key, kind, figures), "figures": figures})
    (path / f"{key}.json").write_text(text)


def kept(entry: Program | Part | Frame) -> dict[str, Any]:
    """The figures of an entry as they lie on disk."""
    measured.keep("whole", entry)
    figures = json.loads((measured._folder() / "whole.json").read_text())["figures"]
    assert isinstance(figures, dict)
    measured._FOUND.clear()
    return figures


@pytest.mark.parametrize("entry", ENTRIES)
def test_12_what_was_kept_is_read_again(entry: Program | Part | Frame) -> None:
    kept(entry)
    assert measured.load("whole", type(entry)) == entry


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("value", [-99999999999999999999, -1 - (1 << 32), 1 << 60, True, "5", 1e300, None, [], {}, float("nan")])
def test_12_figures_that_no_measurement_gives_are_not_believed(entry: Any, value: Any, own_cache: Path) -> None:
    figures = kept(entry)
    for name, old in figures.items():
        if (name, value) in (("painted", None), ("layers", []), ("spread", {}), ("common", {})):
            continue
        put(own_cache, "forged", type(entry), {**figures, name: value})
        assert measured.load("forged", type(entry)) is None, (name, old)


@pytest.mark.parametrize(
    "row", [{"instructions": -1}, {"code": True}, {"cycles": -0.5}, {"cycles": float("inf")}, {"code": 1 << 40}]
)
def test_12_so_are_those_of_a_layer(row: dict[str, Any], own_cache: Path) -> None:
    figures = kept(ENTRIES[0])
    layer = {**figures["layers"][0], **row}
    put(own_cache, "forged", Program, {**figures, "layers": [layer, layer]})
    assert measured.load("forged", Program) is None


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "{}",
        "[]",
        "null",
        "3",
        "",
        "\0" * 400,
        '{"sha256": null, "figures": null}',
        '{"sha256": 1, "figures": ' + "[" * 900 + "]" * 900 + "}",
        '{"instructions": -99999999999999999999, "code": true}',
        '{"sha256": "", "figures": ' + "9" * 5000 + "}",
    ],
)
def test_12_text_that_is_no_entry_is_no_error(text: str, own_cache: Path) -> None:
    (own_cache / "odd.json").write_text(text)
    for kind in (Program, Part, Frame):
        assert measured.load("odd", kind) is None


def test_12_an_entry_of_300_mb_is_not_read(own_cache: Path) -> None:
    with (own_cache / "large.json").open("wb") as file:
        file.write(b'{"sha256": "')
        file.truncate(300 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert measured.load("large", Part) is None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 << 10  # KiB


def test_12_a_pipe_in_place_of_an_entry_is_not_waited_for(own_cache: Path) -> None:
    os.mkfifo(own_cache / "pipe.json")
    assert measured.load("pipe", Part) is None


def test_12_a_folder_in_place_of_an_entry_leaves_no_files(own_cache: Path) -> None:
    (own_cache / "taken.json" / "inner").mkdir(parents=True)
    measured.keep("taken", ENTRIES[2])
    measured._FOUND.clear()
    assert measured.load("taken", Part) is None
    assert sorted(p.name for p in own_cache.rglob("*")) == ["inner", "taken.json"]


def damage_text(path: Path) -> None:
    path.write_text("[" * 100_000)


def damage_figure(path: Path) -> None:
    path.write_text(path.read_text().replace("1", "2", 1))


def swap(path: Path) -> None:
    """The entry of another key: whole, and not what belongs here."""
    other = next(p for p in sorted(path.parent.iterdir()) if p != path)
    path.write_bytes(other.read_bytes())


def half(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


@rare
def test_12_a_damaged_cache_is_measured_again_and_mended(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One build for four kinds of damage: what was believed would differ from what was measured."""
    graph = dense((8, 6))
    first = costs.cost(graph, BOARD)
    links: list[int] = []
    original = Build.link
    monkeypatch.setattr(Build, "link", lambda *a, **k: (links.append(1), original(*a, **k))[1])
    good = {path: path.read_bytes() for path in sorted(own_cache.iterdir())}
    harms: tuple[Callable[[Path], None], ...] = (damage_text, damage_figure, swap, half)
    for harm in harms:
        for path, data in good.items():
            measured._FOUND.clear()
            harm(path)
            assert all(measured.load(path.stem, kind) is None for kind in (Program, Part, Frame)), harm.__name__
            path.write_bytes(data)
    for path in good:
        half(path)
    monkeypatch.setattr(costs, "_MEMO", {})
    assert costs.cost(graph, BOARD).report == first.report and links == [1]
    assert {path: path.read_bytes() for path in sorted(own_cache.iterdir())} == good


@pytest.mark.parametrize("change", ["compiler", "flags", "emulator", "sandgrain", "core", "startup"])
def test_32_a_key_names_the_tools_and_their_versions(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = dense((8, 6))

    def keys(toolchain: Toolchain = DEFAULT, board: targets.Board = BOARD) -> set[str]:
        made = Build(outlined(graph, board, Options(costs.NAME), Choice()), board, toolchain)
        layers = measured.layer_keys(made)
        return {*layers.values(), measured.frame_key(made), measured.program_key(made, layers.values())}

    before = keys()
    assert keys() == before
    if change == "flags":
        after = keys(Toolchain("zig", "-O3"))
    elif change == "core":
        after = keys(board=replace(BOARD, core=replace(BOARD.core, cycles={**BOARD.core.cycles, "mul": 9.0})))
    else:
        names = {"compiler": "compiler_version", "emulator": "emulator_version", "startup": "startup_digest"}
        if change == "sandgrain":
            monkeypatch.setattr(measured, "__version__", "another")
        else:
            monkeypatch.setattr(measured, names[change], lambda *_: "another")
        after = keys()
    assert not before & after


def test_32_the_version_of_a_compiler_is_its_own_word() -> None:
    assert build.compiler_version("zig", BOARD.core)[:1].isdigit()
    assert process.first_line(["/nowhere/gcc", "--version"]) == ""


@pytest.mark.parametrize(
    "said", ["error: NoSpaceLeft", "ld.lld: error: failed to write: No space left on device", "Disk quota exceeded"]
)
def test_32_a_full_disk_under_the_cache_is_said(said: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(own_cache))
    line = process.explain("zig", f"warning: x\n{said}\n", 1)
    assert "no space left" in line and str(own_cache / "sandgrain") in line and "XDG_CACHE_HOME" in line and "\n" not in line


# --- a cache that others can write to ----------------------------------------------------------------------------------


@pytest.fixture
def no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system whose temporary folder is `tmp_path`/tmp, and a user without a home to write to."""
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/dev/null")
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(shared))
    return shared


def planted(folder: Path) -> Path:
    """A library that would be loaded, were the folder believed."""
    folder.mkdir(exist_ok=True)
    library = folder / counter.native.__wrapped__("count").name
    library.write_bytes(b"not ours")
    return library


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777, 0o702])
def test_12_a_folder_that_others_may_write_to_is_no_cache(mode: int, no_home: Path) -> None:
    usual = cache.folder()
    assert usual.parent == no_home and usual.stat().st_mode & 0o077 == 0
    (usual / "entry").write_text("planted")
    usual.chmod(mode)
    with pytest.warns(cache.CacheWarning, match="chmod"):
        assert cache.folder() != usual
    assert not cache.folder().is_relative_to(no_home / usual.name)


def test_12_neither_is_one_that_somebody_else_made_or_linked(no_home: Path, tmp_path: Path) -> None:
    usual = cache.folder()
    usual.rmdir()
    usual.symlink_to(tmp_path / "theirs")
    (tmp_path / "theirs").mkdir(mode=0o777)
    (tmp_path / "theirs").chmod(0o777)
    (tmp_path / "theirs" / "entry").write_text("planted")
    with pytest.warns(cache.CacheWarning):
        assert cache.folder() not in (usual, tmp_path / "theirs")
    usual.unlink()
    usual.mkdir(mode=0o700)
    if os.geteuid() == 0:  # only then can a folder be given away
        os.chown(usual, 12345, 12345)
        assert cache.folder() != usual


def test_12_a_users_own_cache_on_another_disk_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk").mkdir(mode=0o700)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "sandgrain").symlink_to(tmp_path / "disk")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert cache.folder() == tmp_path / "home" / "sandgrain"


@pytest.mark.parametrize("where", ["file", "folder"])
def test_12_a_planted_library_is_not_loaded(where: str, no_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(sources: list[Path], out: Path) -> Path:
        out.write_bytes(b"ours")
        return out

    monkeypatch.setattr(counter, "build_shared", fake)
    usual = cache.folder()
    library = planted(usual)
    counter._seal(library).write_text(counter._sha256(b"not ours"))
    (library if where == "file" else usual).chmod(0o777)
    with pytest.warns(cache.CacheWarning) if where == "folder" else nullcontext():
        assert counter.native.__wrapped__("count").read_bytes() == b"ours"


@pytest.mark.parametrize("damage", [b"", b"our", b"OURS"])
def test_12_a_damaged_library_is_built_again(damage: bytes, no_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter, "build_shared", lambda sources, out: (out.write_bytes(b"ours"), out)[1])
    library = counter.native.__wrapped__("count")
    library.write_bytes(damage)
    assert counter.native.__wrapped__("count") == library and library.read_bytes() == b"ours"


def test_12_a_cache_that_cannot_be_written_serves_this_process(no_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(counter, "build_shared", lambda sources, out: (out.write_bytes(b"ours"), out)[1])
    monkeypatch.setattr(files, "atomic", full)
    library = counter.native.__wrapped__("count")
    assert library.read_bytes() == b"ours" and not library.is_relative_to(cache.folder())
