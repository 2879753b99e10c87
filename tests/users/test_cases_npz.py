"""Entry 11 of the cases that failed for users: .npz files of every hostile kind give one line, in little memory."""

from __future__ import annotations

import io
import resource
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sandgrain.base.errors import UsageError
from sandgrain.bundle import samples
from sandgrain.dataset.readers import npz
from sandgrain.dataset.readers.base import BadFileError
from sandgrain.dataset.records import Layout

GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"
HEADERS = (
    "(", "'", "\t", "  {}\n {}", "{", "", "\0", "{'shape': (2, 3)}", "{}", "[]", "3", "{[]: 1}", "{'descr': {}, {}: 1}", "\\", "1if 2",
    GOOD.replace("(2, 3)", "(True, 3)"), GOOD.replace("(2, 3)", "[2, 3]"), GOOD.replace("(2, 3)", "(-1, 3)"), GOOD.replace("(2, 3)", "6"),
    GOOD.replace("(2, 3)", "(2.0, 3)"), GOOD.replace("(2, 3)", f"({10**30}, 0)"), GOOD.replace("(2, 3)", "(" + "1, " * 64 + ")"),
    GOOD.replace("False", "0"), GOOD.replace("False", "None"), GOOD.replace("'<f4'", "'O'"), GOOD.replace("'<f4'", "'|O8'"),
    GOOD.replace("'<f4'", "'<U0'"), GOOD.replace("'<f4'", "'S0'"), GOOD.replace("'<f4'", "'V4'"), GOOD.replace("'<f4'", "'i4,i4'"),
    GOOD.replace("'<f4'", "'(2,3)f4'"), GOOD.replace("'<f4'", "[('a', '<f4')]"), GOOD.replace("'<f4'", "'M8[s]'"), GOOD.replace("'<f4'", "'f5'"),
    GOOD.replace("'<f4'", "7"), GOOD.replace("'<f4'", "'U999999'"), "(" * 9000, "-" * 9000, "9" * 9000, "[" * 4000 + "]" * 4000, GOOD[:-5],
    GOOD.replace("(2, 3)", "(2, 999999999)"), "__import__('os').system('touch ran')",
)  # fmt: skip


def member(header: str, body: bytes = bytes(24), version: int = 1) -> bytes:
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text + body


def archive(data: bytes, kind: int = zipfile.ZIP_STORED, name: str = "x.npy") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as file:
        file.writestr(name, data)
    return buffer.getvalue()


def refused(data: bytes, folder: Path, limit: int | None = None) -> str:
    """The line that both readers of .npz give: of samples for a model, and of recordings."""
    path = folder / "x.npz"
    path.write_bytes(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UsageError) as caught:
            samples.arrays_of(path, 1, limit)
        with pytest.raises(BadFileError) as other:
            list(npz.read(io.BytesIO(data), len(data), Layout("motion", rate=100.0)))
    for line in (str(caught.value), str(other.value)):
        assert line.isprintable() and "\n" not in line and len(line) < 300
    return str(caught.value)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_11_the_header_that_numpy_writes_is_read(version: int, tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(archive(member(GOOD, version=version)))
    assert samples.arrays_of(tmp_path / "x.npz", 1)[0]["x"].shape == (2, 3)


@pytest.mark.parametrize("header", HEADERS)
def test_11_a_hostile_header_is_one_line(header: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "x.npz is not a readable .npz file" in refused(archive(member(header)), tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "start",
    [b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x09\x00xx", b"\x93NUMPY\x02\x00\xff\xff\xff\xff", b"PK\x03\x04"],
)
def test_11_a_stub_of_an_array_is_one_line(start: bytes, tmp_path: Path) -> None:
    refused(archive(start), tmp_path)


@pytest.mark.parametrize("kind", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
@pytest.mark.parametrize("harm", [False, True])
def test_11_what_numpy_never_packs_with_is_not_unpacked(kind: int, harm: bool, tmp_path: Path) -> None:
    data = bytearray(archive(member(GOOD), kind))
    if harm:
        at = data.index(b"x.npy") + 5
        data[at : at + 20] = b"\xff" * 20
    assert "in a way that numpy does not use" in refused(bytes(data), tmp_path)


def test_11_damaged_deflate_is_one_line(tmp_path: Path) -> None:
    data = bytearray(archive(member(GOOD, bytes(range(24))), zipfile.ZIP_DEFLATED))
    at = data.index(b"x.npy") + 5
    data[at : at + 40] = b"\xff" * 40
    refused(bytes(data), tmp_path)


@pytest.mark.parametrize("limit", [None, 1])
def test_11_a_bomb_takes_no_memory(limit: int | None, tmp_path: Path) -> None:
    """96 MiB of zeros in 420 KiB: what the archive says is looked at first, whatever the limit."""
    count = 3 << 23
    text = GOOD.replace("(2, 3)", f"({count // 4}, 4)")
    path = tmp_path / "x.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file,
        file.open("x.npy", "w", force_zip64=True) as stream,
    ):
        stream.write(member(text, b""))
        stream.write(bytes(4 * count))
    assert path.stat().st_size < 1 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "as no samples do" in refused(path.read_bytes(), tmp_path, limit)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 << 10  # KiB


@pytest.mark.parametrize("limit", [1, 5])
def test_11_a_limit_bounds_what_is_read(limit: int, tmp_path: Path) -> None:
    """40 MB of samples that do not pack: a few of them take a few kilobytes."""
    x = np.random.default_rng(0).integers(0, 256, (10_000, 4000), np.uint8)
    np.savez(tmp_path / "x.npz", x=x, y=np.arange(10_000), labels=np.array(["a", "b"]))
    first, wanted = x[:limit].copy(), np.arange(limit)
    del x
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    given, more = samples.arrays_of(tmp_path / "x.npz", 1, limit)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4 << 10
    assert (given["x"] == first).all() and (more["y"] == wanted).all() and more["labels"].tolist() == ["a", "b"]
    assert given["x"].base is None or given["x"].base.nbytes == first.nbytes


@pytest.mark.parametrize("change", ["C", "F"])
def test_11_a_limit_takes_the_first_rows_of_either_order(change: str, tmp_path: Path) -> None:
    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    np.savez(tmp_path / "x.npz", x=np.asarray(x, order=change))  # type: ignore[call-overload]
    assert (samples.arrays_of(tmp_path / "x.npz", 1, 2)[0]["x"] == x[:2]).all()
