"""Files that are whole or not there, text that is fit to be shown, one cache folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sandgrain.base import cache, files, text, together
from sandgrain.base.errors import UsageError
from sandgrain.bundle import measured
from sandgrain.device.toolchain import process
from tests.conftest import ROOT


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "report.json"
    with files.atomic(path) as stream:
        stream.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new" and names(path.parent) == ["report.json"]


def write_half(path: Path, error: type[BaseException]) -> None:
    with files.atomic(path) as stream:
        stream.write(b"new")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_the_old_file_and_no_draft(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(b"old")
    with pytest.raises(error):
        write_half(path, error)
    assert path.read_bytes() == b"old" and names(tmp_path) == ["report.json"]


def test_an_output_that_cannot_be_written_is_one_line_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    wanted = r"page\.html cannot be written \(.+\); name another file"
    with pytest.raises(UsageError, match=wanted), files.output(tmp_path / "file" / "page.html", "name another file"):
        pass


def test_several_files_are_written_together_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(UsageError, match="it is a folder"):
        together.write_all({tmp_path / "a": b"1", tmp_path / "b": b"2"})
    assert names(tmp_path) == ["b"]
    together.write_all({tmp_path / "a": b"1", tmp_path / "c": b"2"})
    assert names(tmp_path) == ["a", "b", "c"]


def test_drafts_of_killed_processes_are_removed_and_nothing_else(tmp_path: Path) -> None:
    for name in (f"{files.DRAFT}999999999-0123456789ab", f"{files.DRAFT}notes", "kept"):
        (tmp_path / name).write_text("x")
    with files.atomic(tmp_path / "report") as stream:
        stream.write(b"x")
        files.remove_drafts(tmp_path)
    assert names(tmp_path) == [f"{files.DRAFT}notes", "kept", "report"]


def test_an_output_folder_is_refused_when_it_holds_what_is_not_ours(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    files.check_output_folder(mine, lambda folder: False)  # it need not exist
    mine.mkdir()
    files.check_output_folder(mine, lambda folder: False)  # or it is empty
    (mine / "thesis.txt").write_text("precious")
    files.check_output_folder(mine, lambda folder: names(folder) == ["thesis.txt"])
    for out, says in ((mine, "holds other files"), (mine / "thesis.txt", "is a file"), (tmp_path / "a\0b", "cannot be used")):
        with pytest.raises(UsageError, match=says):
            files.check_output_folder(out, lambda folder: False)


@pytest.mark.parametrize("variable", ["XDG_CACHE_HOME", "LOCALAPPDATA"])
def test_every_cache_lies_in_the_folder_that_the_system_names(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv(variable, str(tmp_path / "cache"))
    assert cache.folder() == tmp_path / "cache" / "sandgrain"
    assert measured._folder().is_relative_to(tmp_path / "cache")  # measurements went to ~/.cache on Windows
    assert process.environment()["ZIG_GLOBAL_CACHE_DIR"] == str(cache.folder() / "zig")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize("mode", [0o775, 0o777, 0o757])
def test_a_cache_that_others_may_write_to_is_closed_where_it_is_empty(
    mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `mkdir` leaves it with a umask of 002; it was passed by without a word."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "sandgrain").mkdir()
    (tmp_path / "sandgrain").chmod(mode)
    assert cache.folder() == tmp_path / "sandgrain" and cache.is_private(tmp_path / "sandgrain")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_cache_that_others_may_have_filled_is_not_used_which_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "my caches" / "sandgrain"
    (place / "measured").mkdir(parents=True)
    place.chmod(0o775)
    monkeypatch.setenv("XDG_CACHE_HOME", str(place.parent))
    with pytest.warns(cache.CacheWarning) as said:
        assert cache.folder() != place and cache.folder() != place
    assert len(said) == 1 and "(mode 775)" in str(said[0].message)
    way_out = str(said[0].message).partition("run: ")[2]
    subprocess.run(way_out, shell=True, check=True)
    assert cache.folder() == place


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_command_says_it_in_one_line(tmp_path: Path) -> None:
    place = tmp_path / "cache" / "sandgrain"
    (place / "measured").mkdir(parents=True)
    place.chmod(0o777)
    code = "from sandgrain.base import cache; cache.folder()"
    code = f"import sandgrain.cli as c, warnings; warnings.showwarning = c._show(warnings.showwarning); {code}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "XDG_CACHE_HOME": str(place.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.startswith("note: the cache ") and done.stderr.count("\n") == 1


def test_text_is_cut_and_made_harmless() -> None:
    assert text.printable("a*/b") == "a?/b" and text.ascii_line("a*/ü") == "a*/?" and text.plain("a*/ü\n") == "a*/ü?"
    for shown in (text.printable("x" * 99, 10), text.ascii_line("x" * 99, 10), text.plain("x" * 99, 10)):
        assert shown == "xxxxxxx..."


def test_progress_has_one_meaning_everywhere() -> None:
    """Whoever is told how far work is is told what is done, too: one protocol, no alias of a callable beside it."""
    aliases = re.compile(r"Callable\[\[(?:str, )?int, int[^]]*\], None\]|^(?:Progress|Step) = ", re.MULTILINE)
    hits = [p.name for p in (ROOT / "sandgrain").rglob("*.py") if aliases.search(p.read_text("utf-8"))]
    assert hits == []
