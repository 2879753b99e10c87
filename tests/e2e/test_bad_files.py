"""Fifty bad files among 2,500 good ones: each is listed with its reason, in seconds, in little memory, and nothing else is touched."""

from __future__ import annotations

import io
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

RATE = 100
GOOD = 2500
GIB = 1 << 30
# Reads a folder as [root, layout, cache] from its argument says, and prints the manifest.
SCRIPT = """
import json, sys
from pathlib import Path
from sandgrain.dataset.ingest import ingest
from sandgrain.dataset.readers import make_layout
root, layout, cache = json.loads(sys.argv[1])
m = ingest(Path(root), make_layout(**{k: tuple(v) if isinstance(v, list) else v for k, v in layout.items()}), cache=Path(cache))
print(json.dumps({"records": len(m.records), "bad": [[b.path, b.reason] for b in m.bad], "labels": m.labels}))
"""


def wav(samples: np.ndarray, rate: int = RATE, claims: int | None = None) -> bytes:
    """A mono 16-bit WAV file; `claims`: bytes of samples that its header promises."""
    body = samples.astype("<i2").tobytes()
    length = len(body) if claims is None else claims
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", min(36 + length, 2**32 - 1), b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    return head + struct.pack("<4sI", b"data", length) + body


def png(width: int, height: int, data: bytes | None = None) -> bytes:
    """A grey PNG; `data`: what its compressed rows are, by default zeros of the right number."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows = zlib.compress(bytes((width + 1) * height)) if data is None else data
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def npy(shape: tuple[int, ...], body: bytes, dtype: str = "<i2") -> bytes:
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def archive(**members: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, body in members.items():
            file.writestr(name.replace("__", "/"), body)
    return made.getvalue()


def bomb(members: int = 1) -> bytes:
    """An archive whose x is 300 MB of zeros, deflated to 300 KB; written piece by piece."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file, file.open("x.npy", "w") as stream:
        stream.write(npy((3000, 50_000), b""))
        for _ in range(300):
            stream.write(bytes(1_000_000))
    return made.getvalue()


def parquet(**columns: object) -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as pq

    made = io.BytesIO()
    pq.write_table(pyarrow.table(columns), made)
    return made.getvalue()


def parquet_bomb() -> bytes:
    """100 million equal values: run-length encoding makes almost nothing of them."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as pq

    made = io.BytesIO()
    batch = pyarrow.table({"v": pyarrow.array(np.zeros(1 << 20, np.int64))})
    with pq.ParquetWriter(made, batch.schema, compression="zstd") as writer:
        for _ in range(96):
            writer.write_table(batch)
    return made.getvalue()


def rows(n: int, bad: str = "") -> bytes:
    lines = [str(k % 100) for k in range(n)]
    if bad:
        lines[n // 2] = bad
    return ("v\n" + "\n".join(lines) + "\n").encode()


def bad_files() -> dict[str, tuple[bytes | Callable[[Path], object], str]]:
    """Name below the root -> (bytes, or what makes it; a part of the reason that it must be given)."""
    tone = np.arange(50)
    good = wav(tone)
    table = parquet(v=np.arange(50))
    holes = parquet(v=[1.0, None, 3.0])
    return {
        # Truncated and lying headers.
        "a/header-only.wav": (good[:30], "header"),
        "a/no-data-chunk.wav": (good[:36], "no data chunk"),
        "a/no-samples.wav": (wav(tone[:0]), "no samples"),
        "a/no-channels.wav": (good[:22] + b"\0\0" + good[24:], "contradicts itself"),
        "a/adpcm.wav": (good[:20] + b"\x11\0" + good[22:], "format 17"),
        "a/mp3-inside.wav": (good[:20] + b"\x55\0" + good[22:], "format 85"),
        "a/no-rate.wav": (wav(tone, rate=0), "0 Hz"),
        "a/empty.wav": (b"", "empty"),
        "a/zeros.wav": (bytes(5000), "not audio"),
        "a/flac-that-ends.flac": (b"fLaC\0\0\0\x22" + bytes(20), "cannot be decoded"),
        # Another rate.
        "a/fast.wav": (wav(tone, rate=200), "200 Hz"),
        "b/slow.wav": (wav(tone, rate=50), "50 Hz"),
        # Wrong extensions.
        "a/picture.wav": (png(4, 4), "is a PNG image, not audio"),
        "b/photo.csv": (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "is a JPEG image, not a CSV table"),
        "b/archive.wav": (archive(a=b"hello"), "is a ZIP archive, not audio"),
        "b/program.wav": (b"\x7fELF" + bytes(60), "is a program"),
        "b/text.wav": (b"this is no recording, and nobody said so\n", "is text, not audio"),
        "b/song.wav": (b"ID3\x03" + bytes(60), "cannot be decoded"),
        "b/sound.csv": (good, "is a WAV file, not a CSV table"),
        "b/table.npz": (rows(9), "is text, not an .npz file"),
        "b/table.parquet": (table[4:], "not a Parquet table"),
        # Bombs in disguise.
        "a/bomb.npz": (bomb(), "unpacks to"),
        "a/bomb.wav": (bomb(), "is a ZIP archive, not audio"),
        "a/bomb.parquet": (parquet_bomb(), "rows in"),
        "a/claims.npz": (archive(**{"x.npy": npy((1 << 40, 1 << 20), b"\0\0")}), "claims"),
        "a/pickle.npz": (archive(**{"x.npy": npy((1, 1), b"cos\nsystem\n(S'false'\ntR.", "|O")}), "Python objects"),
        "a/climbs.npz": (archive(**{"..__..__climbed.npy": npy((1, 2), b"abcd")}), "no array x"),
        "a/cut.npz": (archive(**{"x.npy": npy((4, 4), bytes(32))})[:-30], "cannot be decoded"),
        "a/deep.json": (b"[" * 100_000 + b"]" * 100_000, "nested"),
        "a/digits.json": (b"[[" + b"9" * 100_000 + b"]]", "digits"),
        "a/cut.parquet": (table[:-10], "cut short"),
        "a/metadata.parquet": (table[:-8] + b"\xff\xff\xff\x7fPAR1", "cut short"),
        "a/holes.parquet": (holes, "row 2, column v"),
        # Tables.
        "a/nan.csv": (rows(60, "nan"), "line 32, column v: nan"),
        "a/inf.csv": (rows(60, "-inf"), "not a finite number"),
        "a/word.csv": (rows(60, "=cmd()"), "line 32, column v: '=cmd()' is not a number"),
        "a/wide.csv": (b",".join(b"c%d" % k for k in range(100_000)) + b"\n" + b",".join([b"1"] * 100_000), "1024 columns"),
        "a/one-line.csv": (b"1" * 3_000_000, "65536"),
        "a/ragged.csv": (b"v\n1\n2,3\n", "line 3, column v: "),
        "a/only-a-header.csv": (b"v\n", "no samples"),
        "a/utf16-cut.csv": (b"\xff\xfev", ""),
        # Names and things that are no files.
        "b/new\nline.wav": (good, "control characters"),
        "b/\x1b[31mred.wav": (good, "control characters"),
        "b/gpj.\u202evaw.wav": (good, "cannot be seen"),
        os.fsdecode(b"b/\xff\xfe.wav"): (good, "not UTF-8"),
        "b/outside.wav": (lambda p: p.symlink_to("/etc/passwd"), "leads outside the folder"),
        "b/folder.wav": (lambda p: p.symlink_to("/etc"), "leads outside the folder"),
        "b/pipe.wav": (os.mkfifo, "named pipe"),
        "b/socket.wav": (bind, "socket"),
        "b/nowhere.wav": (lambda p: p.symlink_to("missing"), "leads nowhere"),
    }


def bind(path: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)  # a socket's path is at most 108 bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


def good_files() -> Iterator[tuple[str, bytes]]:
    rng = np.random.default_rng(4)
    for k in range(GOOD - 6):
        yield f"{'ab'[k % 2]}/{k}.wav", wav(rng.integers(-3000, 3000, 40))
    yield "a/table.csv", rows(50)
    yield "a/points.json", b"[[1], [2], [3]]"
    yield "b/table.npz2.npz", archive(**{"x.npy": npy((1, 9), bytes(18))})
    yield "b/rows.parquet", parquet(v=np.arange(60))
    yield "b/-rf --help $(id) `id` '\";.wav", wav(np.arange(40))
    yield "b/" + "n" * 251 + ".wav", wav(np.arange(41))


def tree_bytes(pid: int) -> int:
    """Resident bytes of a process and all below it."""
    total, todo = 0, [pid]
    while todo:
        one = todo.pop()
        try:
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            for task in Path(f"/proc/{one}/task").iterdir():
                todo += map(int, (task / "children").read_text().split())
        except (OSError, ValueError):
            continue  # it is gone
    return total


def run(root: Path, layout: dict[str, object], cache: Path) -> tuple[dict[str, object], int]:
    """What SCRIPT printed, and the most memory that it and its children had together."""
    peak = 0
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, json.dumps([str(root), layout, str(cache)])], stdout=subprocess.PIPE
    ) as child:
        stop = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not stop.wait(0.01):
                peak = max(peak, tree_bytes(child.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        assert child.stdout is not None
        printed = child.stdout.read()
        stop.set()
        watcher.join()
    assert child.returncode == 0
    found: dict[str, object] = json.loads(printed)
    return found, peak


def everything(folder: Path) -> set[tuple[str, int, int]]:
    """Each thing below a folder: name, size, time of change."""
    found = set()
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            about = os.lstat(f"{base}/{name}")
            found.add((f"{base}/{name}", about.st_size, about.st_mtime_ns))
    return found


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_bad_files_are_all_listed_and_nothing_else_happens(tmp_path: Path) -> None:
    root, cache = tmp_path / "data", tmp_path / "cache"
    for folder in (root / "a", root / "b", cache):
        folder.mkdir(parents=True)
    bad = bad_files()
    assert len(bad) >= 50
    for name, (content, _) in bad.items():
        if isinstance(content, bytes):
            (root / name).write_bytes(content)
        else:
            content(root / name)
    tone = np.arange(50)
    lengths = {
        "short": wav(tone)[:-20],
        "four-gigabytes": wav(tone, claims=2**32 - 1),
        "half-a-frame": wav(tone, claims=2 * len(tone) - 1)[:-1],
    }
    for name, content in lengths.items():  # what is there is read
        (root / "a" / f"{name}.wav").write_bytes(content)
    for name, content in good_files():
        (root / name).write_bytes(content)
    before = everything(tmp_path) - everything(cache)

    start = time.monotonic()
    found, peak = run(root, {"kind": "motion", "rate": RATE, "bad_rows": 0.0}, cache)
    seconds = time.monotonic() - start

    listed = dict(found["bad"])  # type: ignore[call-overload]
    from sandgrain.dataset.names import escape

    wrong: dict[str, str | None] = {}
    for name, (_, part) in bad.items():
        reason = listed.pop(escape(name), None)
        if reason is None or part not in reason or not (reason.isascii() and reason.isprintable()):
            wrong[name] = reason
    assert wrong == {}
    assert listed == {}
    assert found["records"] == GOOD + len(lengths) and found["labels"] == ["a", "b"]
    assert peak < GIB, f"{peak >> 20} MiB"
    assert seconds < 60
    made = {path for path, _, _ in everything(tmp_path) - before} - {str(cache)}
    assert len(made) == 1 and all(path.startswith(f"{cache}/ingest-") for path in made)
    print(f"{seconds:.1f} s, {peak >> 20} MiB")
