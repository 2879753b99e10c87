"""Hostile files of every format that is no model: mutants of valid ones, the same for a seed on every machine, and what becomes of them.

A format names its valid files (`seeds`), how its text or bytes are damaged (`mutate`), and what the package does with a file (`consume`).
`tried` does it in a forked process whose memory and time are limited.
"""

from __future__ import annotations

import copy
import io
import json
import os
import random
import re
import resource
import signal
import struct
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.base.errors import SandgrainError
from sandgrain.bundle import measured, samples, store
from sandgrain.bundle.measure import Build
from sandgrain.bundle.measured import Frame, Part, Program, Step
from sandgrain.compiler import pipeline
from sandgrain.compiler.emit.model import Options
from sandgrain.dataset import decode
from sandgrain.dataset.cache import Cache
from sandgrain.dataset.manifest import load_manifest
from sandgrain.dataset.records import Layout
from sandgrain.dataset.walk import Found
from sandgrain.device import targets
from sandgrain.formats import text
from sandgrain.graph.ir import attrs
from sandgrain.project.build.store import Store
from sandgrain.project.file import load as project_file
from tests.bundle.test_costs import dense
from tests.conftest import ROOT
from tests.support.command import tree
from tests.support.hostile_archives import _leaves, members, packed
from tests.support.tflite_mutants import INTERESTING, MUTATIONS

SECONDS = 10.0  # that a mutant may take
MIB = 512  # that it may take beyond what the process has
OURS = (
    "TypeError",
    "KeyError",
    "IndexError",
    "AttributeError",
    "AssertionError",
    "ZeroDivisionError",
    "RecursionError",
    "NameError",
)
VALUES: tuple[Any, ...] = (
    None, True, False, [], {}, "", "x", "x" * 5000, "\x1b[31m", "\0", "../../etc/passwd", -1, 0, 1, 1.5, -0.0, 1e308, 1e-308, float("nan"),
    float("inf"), 2**31, 2**63, -(2**63) - 1, 10**40, [[[[]]]], {"a": {"b": 1}}, [1, 2], "1", "é", "\ud800",
)  # fmt: skip
WORDS = (
    b"", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b",", b";", b"\t", b"\n", b"\r", b'"', b"'", b"[", b"{", b"]", b"}", b"(", b"=", b"#",
    b"nan", b"inf", b"-", b"1e999", b"1e-999", b"9" * 400, b"0x10", b"1_000", b"true", b"null", b"[" * 3000, b'{"a":' * 3000, b"\\u0000",
    b"1,5", b"2020-01-01T00:00:00Z", b"x" * 70_000, "ä".encode("latin-1"), "𝛼".encode(), b"[[a]]\n", b"[a.b]\n",
)  # fmt: skip

Mutate = Callable[[bytes, random.Random, Sequence[bytes]], bytes]


@dataclass(frozen=True, slots=True)
class Format:
    """`consume`: takes the file at a path; raises SandgrainError where it refuses. `name`: of the file."""

    name: str
    seeds: Callable[[], Sequence[bytes]]
    mutate: Mutate
    consume: Callable[[Path], object]


def mutant(form: Format, seeds: Sequence[bytes], seed: int) -> bytes:
    """One mutant, damaged one to four times."""
    rng = random.Random(seed)
    data = seeds[seed % len(seeds)]
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = (raw if rng.random() < 0.2 else form.mutate)(data, rng, seeds)
    return data


def raw(data: bytes, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Bytes, as those of a model are damaged."""
    changed = bytearray(data or b"\0\0\0\0")
    rng.choice(MUTATIONS)(changed, rng, seeds)
    return bytes(changed)


def words(data: bytes, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Text: something is put in, taken out, doubled, or becomes what stands elsewhere."""
    tokens = re.split(rb"([\s,;=\[\]{}:\"]+)", data)
    at, kind = rng.randrange(len(tokens)), rng.randrange(6)
    if kind == 0:
        tokens[at] = rng.choice(WORDS)
    elif kind == 1:
        tokens.insert(at, rng.choice(WORDS))
    elif kind == 2:
        del tokens[at : at + rng.choice((1, 2, 20))]
    elif kind == 3:
        tokens[at:at] = tokens[at : at + rng.choice((1, 3, 30))] * rng.choice((1, 2, 50))
    elif kind == 4:
        tokens[at] = rng.choice(tokens)
    else:
        tokens[at] = str(rng.choice(INTERESTING) * rng.choice((1, -1, 0.5))).encode()
    return b"".join(tokens)


def values(data: bytes, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """JSON: a value becomes another, or goes. What is no JSON any more is damaged as text."""
    try:
        document = json.loads(data)
        leaves = list(_leaves(document)) if isinstance(document, dict | list) else []
    except (ValueError, RecursionError):
        leaves = []
    if not leaves or rng.random() < 0.1:
        return words(data, rng, seeds)
    holder, key = rng.choice(leaves)
    if rng.random() < 0.15:
        del holder[key]
    else:
        holder[key] = copy.deepcopy(rng.choice((*VALUES, *(h[k] for h, k in rng.choices(leaves, k=4)))))
    return json.dumps(document).encode("utf-8", "surrogatepass")


def arrays(data: bytes, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """An archive of arrays: a header is damaged as text, a member goes, shrinks, or is packed in another way."""
    try:
        parts = members(data)
    except Exception:  # damaged before
        return raw(data, rng, seeds)
    if not parts:
        return data
    name, kind = rng.choice(sorted(parts)), rng.randrange(5)
    if kind <= 2 and len(parts[name]) > 10:
        size = struct.unpack("<H", parts[name][8:10])[0]
        header = words(parts[name][10 : 10 + size], rng, seeds)[:60_000]
        parts[name] = parts[name][:8] + struct.pack("<H", len(header)) + header + parts[name][10 + size :]
    elif kind == 3:
        parts[name] = rng.choice((b"", parts[name][: rng.randrange(len(parts[name]) + 1)], parts[rng.choice(sorted(parts))]))
    else:
        parts[rng.choice(("x.npy", "y.npy", "labels.npy", "rate.npy", "z.npy"))] = parts.pop(name)
    return packed(parts, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2)))


# --- the formats -------------------------------------------------------------------------------------------------------


def _npz_seeds() -> list[bytes]:
    rng, made = np.random.default_rng(0), []
    for x in (
        rng.standard_normal((4, 90)).astype(np.float32),
        rng.standard_normal((4, 30, 3)).astype(np.float32),
        rng.integers(-99, 99, (4, 50), np.int16),
        np.asfortranarray(np.ones((3, 4))),
    ):
        buffer = io.BytesIO()
        np.savez(
            buffer,
            x=x,
            y=np.arange(len(x)),
            labels=np.array(["a", "b", "c", "d"]),
            rate=np.array(50),
            group=np.array(["g"] * len(x)),
        )
        made.append(buffer.getvalue())
    return made


def _wav_seeds() -> list[bytes]:
    made = []
    for form, channels, bits in ((1, 1, 16), (1, 2, 8), (3, 1, 32), (1, 1, 24), (0xFFFE, 1, 16)):
        body = random.Random(bits).randbytes(20 * channels * bits // 8)
        extra = struct.pack("<HHIH14s", 22, bits, 4, 1, b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71") if form == 0xFFFE else b""
        head = struct.pack("<HHIIHH", form, channels, 8000, 8000 * channels * bits // 8, channels * bits // 8, bits) + extra
        chunks = b"fmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(body)) + body
        made.append(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    return made


def _csv_seeds() -> list[bytes]:
    rows = [f"{k * 10},{k % 7},{-k},{k * 5}" for k in range(40)]
    plain = "\n".join(["time,ax,ay,az", *rows])
    parts = plain.replace("0,", "0.5,")
    return [
        plain.encode(),
        parts.replace(",", ";").replace(".", ",").encode(),
        plain.replace("\n", "\r\n").encode("utf-16"),
        "\n".join(rows).encode(),
    ]


def _json_seeds() -> list[bytes]:
    points = [[k, -k, 2 * k] for k in range(20)]
    named = [{"x": k, "y": 2 * k} for k in range(20)]
    edge = {
        "protected": {"ver": "v1"},
        "payload": {"interval_ms": 10, "sensors": [{"name": "x", "units": "m"}], "values": [[k] for k in range(9)]},
    }
    return [json.dumps(v).encode() for v in (points, [points, points], named, [{"label": "a", "points": points}], edge)]


def _toml_seeds() -> list[bytes]:
    return [p.read_bytes() for p in sorted((ROOT / "examples").glob("*/sandgrain.toml"))]


def _recording(kind: str) -> Callable[[Path], object]:
    def consume(path: Path) -> object:
        with suppress(SandgrainError):
            decode.describe(path.parent, path.name, Layout(kind, rate=100.0))
        return decode.describe(path.parent, path.name, Layout(kind))

    return consume


def _either(path: Path) -> object:
    """An .npz as samples for a model, and as recordings of each kind."""
    for kind in ("motion", "audio", "image"):
        with suppress(SandgrainError):
            _recording(kind)(path)
    graph = dense((90, 4))
    samples.load(path, graph, 2)
    return samples.load(path, graph)


BOARD_FILE = b"""\
title = "My board"
core = "cortex-m4"
ram_base = 0x20000000
ram_bytes = 131072
flash_base = 0x08000000
flash_bytes = 524288
clock_hz = 84000000
supply_v = 3.3
active_ma = 12.5
system = "a boot loader"
system_flash_bytes = 16384
notes = "mine"

[wait_states]
factor = 1.2
error = 0.1
source = "measured"
"""
ENTRY = Program(2000, 16, 120, 40, 55.5, 96, (Step(900, 1200.5, 64),) * 2, {0: (880, 900.5, 912)}, 6)
ENTRIES: tuple[tuple[type[Any], Any], ...] = (
    (Program, ENTRY), (Part, Part(300, 12, {"memcpy": 40}, 48, 900, 1200.5)), (Frame, Frame(2, -18, 16, -4, 40, 55.5)),
)  # fmt: skip


@cache
def _figures() -> tuple[bytes, ...]:
    """The figures of entries, without their digest: `_entry` puts it on, so that mutants get past it."""
    made = []
    for kind, entry in ENTRIES:
        with tempfile.TemporaryDirectory() as folder:
            measured._folder, usual = (lambda folder=folder: Path(folder)), measured._folder  # type: ignore[misc]
            try:
                measured.keep(kind.__name__, entry)
            finally:
                measured._folder = usual
            made.append((Path(folder) / f"{kind.__name__}.json").read_bytes())
    measured._FOUND.clear()
    return tuple(made)


def _entry(path: Path) -> object:
    """A cache entry of each kind, as it is and with a digest that belongs to it; then the other caches."""
    measured._folder = lambda: path.parent
    data = path.read_bytes()
    for kind, _ in ENTRIES:
        measured._FOUND.clear()
        path.with_name(f"{kind.__name__}.json").write_bytes(data)
        measured.load(kind.__name__, kind)
        with suppress(ValueError, RecursionError, TypeError, LookupError):
            figures = json.loads(data)["figures"]
            path.with_name("forged.json").write_text(
                json.dumps({"sha256": measured._sealed("forged", kind, figures), "figures": figures})
            )
            found = measured.load("forged", kind)
            assert found is None or all(type(v) is not bool for v in (getattr(found, n) for n in kind.__slots__))
    kept = Store(path.parent / "build")
    kept.folder.mkdir(exist_ok=True)
    kept.path("fit", "a", ".json").write_bytes(data)
    assert kept.json("fit", "a", lambda: {"made": 1}) is not None
    kept.path("fit", "a", ".npz").write_bytes(data)
    assert kept.arrays("fit", "a", lambda: {"x": np.zeros(2)})
    with Cache(path.parent, path.parent, Layout("motion")) as cached:
        listed = cached._path
    listed.write_bytes(listed.read_bytes() + data)
    with Cache(path.parent, path.parent, Layout("motion")) as cached:
        return cached.get(Found("x.csv", 1, 2))


@cache
def _bundle() -> dict[str, bytes]:
    """A bundle's files by path."""
    with tempfile.TemporaryDirectory() as folder:
        graph = dense((8, 6))
        whole = replace(graph.nodes[0], attrs=attrs(activation="none", keep_num_dims=False))
        model = text.write(replace(graph, nodes=(whole,)))
        build = Build(
            pipeline.compile_bytes(model, targets.load("cortex-m0plus"), Options("m"), ("a", "b")), targets.load("cortex-m0plus")
        )
        store.save(build, store.Origin(model), Path(folder) / "out", lambda _: None)
        return {n: d for n, d in tree(Path(folder) / "out").items() if d}


def _read_bundle(path: Path) -> object:
    """A mutant is build.json, or the model's text where it is no JSON."""
    data, out = path.read_bytes(), path.parent / "bundle"
    for name, body in _bundle().items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(body)
    model = data.lstrip()[:1] != b"{"
    (out / "proof" / ("model.txt" if model else "build.json")).write_bytes(data)
    before = tree(out)
    try:
        return store.load_bundle(out)
    finally:
        assert tree(out) == before, "a bundle that was read has changed"


def _manifest_seeds() -> list[bytes]:
    from sandgrain.dataset import ingest

    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        for label in ("a", "b"):
            (data / label).mkdir(parents=True)
            for k, body in enumerate(_csv_seeds()[3:]):
                (data / label / f"{k}.csv").write_bytes(body)
        ingest.save(ingest.ingest(data, Layout("motion", rate=100.0), workers=1), Path(folder) / "m.jsonl")
        return [(Path(folder) / "m.jsonl").read_bytes()]


def lines(data: bytes, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Lines of JSON: one of them is damaged, doubled or moved."""
    rows = data.split(b"\n")
    at = rng.randrange(len(rows))
    rows[at] = values(rows[at], rng, seeds) if rng.random() < 0.8 else rng.choice(rows)
    return b"\n".join(rows)


FORMATS = {
    "npz": Format("m.npz", _npz_seeds, arrays, _either),
    "csv": Format("m.csv", _csv_seeds, words, _recording("motion")),
    "wav": Format("m.wav", _wav_seeds, raw, _recording("audio")),
    "json": Format("m.json", _json_seeds, values, _recording("motion")),
    "toml": Format("sandgrain.toml", _toml_seeds, words, project_file.load),
    "board": Format("mine.toml", lambda: [BOARD_FILE], words, targets.load),
    "manifest": Format("m.jsonl", _manifest_seeds, lines, load_manifest),
    "cache": Format("m.json", _figures, values, _entry),
    "bundle": Format("m.txt", lambda: [_bundle()["proof/build.json"], _bundle()["proof/model.txt"]], values, _read_bundle),
}


# --- what becomes of them ------------------------------------------------------------------------------------------------


class _Slow(BaseException):
    """A mutant took too long; nobody else catches it."""


def complaint(form: Format, path: Path) -> str:
    """What breaks the promise about hostile files, "" when it is kept."""
    begin, message = time.process_time(), ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            form.consume(path)
    except SandgrainError as error:
        message = str(error)
    except _Slow:
        return "hangs"
    except BaseException:  # whatever it is, it is a finding
        return traceback.format_exc(limit=-3)
    if time.process_time() - begin > SECONDS:
        return "took too long"
    if re.search(rf"\b({'|'.join(OURS)})\b", message) and "not a complete bundle" not in message:
        return f"a reader slipped: {message}"
    if message and (len(message.splitlines()) != 1 or not message.isprintable() or len(message) > 2000):
        return f"not one line: {message!r}"
    return ""


def tried(form: Format, first: int, count: int, folder: Path) -> dict[int, str]:
    """Seed -> complaint of mutants `first` on, from a forked process in `folder`; what it left there beside the mutant is one, too."""
    seeds = [*form.seeds()]
    (folder / "work").mkdir()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(reading)
            os.write(writing, json.dumps(_all(form, seeds, range(first, first + count), folder / "work")).encode())
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        said = stream.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 0, f"the process ended with {status}"
    left = {p.name for p in folder.iterdir()} - {"work"}
    assert not left, left
    return {int(k): v for k, v in json.loads(said).items()}


def _all(form: Format, seeds: Sequence[bytes], numbers: Sequence[int], folder: Path) -> dict[int, str]:
    """In the forked process: the first complaints, by seed."""
    os.chdir(folder)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + (MIB << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def late(number: int, frame: object) -> None:
        raise _Slow

    signal.signal(signal.SIGALRM, late)
    found: dict[int, str] = {}
    for seed in numbers:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            path = Path(place) / form.name
            path.write_bytes(mutant(form, seeds, seed))
            signal.setitimer(signal.ITIMER_REAL, 6 * SECONDS)  # wall time: the machine may be busy
            said = complaint(form, path)
            signal.setitimer(signal.ITIMER_REAL, 0)
        if said:
            found[seed] = said[-1500:]
        if len(found) == 5:
            break
    return found
