"""Formats of hostile files that are no models: valid files of each, how they are damaged, and what the package does with one.

A format whose file is one of several puts the file's name in front: `proof/build.json`, a zero byte, the content.
"""

from __future__ import annotations

import io
import json
import random
import struct
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.api import compile as compiling
from sandgrain.base import sealed, swap
from sandgrain.base.errors import SandgrainError
from sandgrain.bundle import measured, samples, store
from sandgrain.bundle.measure import Build
from sandgrain.bundle.measured import Frame, Part, Program, Step
from sandgrain.compiler import pipeline
from sandgrain.compiler.emit.model import Options
from sandgrain.dataset import decode, quality
from sandgrain.dataset.cache import Cache
from sandgrain.dataset.labels import read_labels
from sandgrain.dataset.manifest import load_manifest
from sandgrain.dataset.readers import make_layout
from sandgrain.dataset.readers.json import JsonOptions
from sandgrain.dataset.records import Layout
from sandgrain.dataset.tables import Scale, TableOptions
from sandgrain.dataset.walk import Found
from sandgrain.device import targets
from sandgrain.formats import text as graph_text
from sandgrain.frontend.blocks import parse
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.frontend.pipeline import Normalization, Pipeline
from sandgrain.frontend.signal import Signal
from sandgrain.graph import interpret
from sandgrain.graph.ir import attrs
from sandgrain.project.build.store import Store
from sandgrain.project.file import load as project_file
from sandgrain.project.file.look import look
from tests.bundle.test_costs import dense
from tests.conftest import ROOT
from tests.support.campaign import Format, Mutate
from tests.support.command import tree
from tests.support.mutators import arrays, binary, chunks, lines, text, values

SMALL = 50_000  # elements of a graph that is also run

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


def _npy_seeds() -> list[bytes]:
    rng, made = np.random.default_rng(0), []
    for x in (
        rng.standard_normal((30, 3)).astype(np.float32),
        np.asfortranarray(rng.standard_normal((40, 2))),
        rng.integers(-99, 99, (2, 60), np.int16).astype(">i2"),
        rng.integers(0, 255, 90, np.uint8),
    ):
        buffer = io.BytesIO()
        np.save(buffer, x)
        made.append(buffer.getvalue())
    return made


def _wav_seeds() -> list[bytes]:
    made = []
    for form, channels, bits in ((1, 1, 16), (1, 2, 8), (3, 1, 32), (1, 1, 24), (0xFFFE, 1, 16)):
        noise, floats = random.Random(bits).randbytes(20 * channels * bits // 8), np.linspace(-1, 1, 20, dtype="<f4").tobytes()
        body = floats if form == 3 else noise
        extra = struct.pack("<HHIH14s", 22, bits, 4, 1, b"\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71") if form == 0xFFFE else b""
        head = struct.pack("<HHIIHH", form, channels, 8000, 8000 * channels * bits // 8, channels * bits // 8, bits) + extra
        chunks = b"fmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(body)) + body
        made.append(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks)
    return made


def _csv_seeds() -> list[bytes]:
    rows = [f"{k * 10},{k % 7},{-k},{k * 5}" for k in range(14)]
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


def _parquet_seeds() -> list[bytes]:
    import pyarrow
    from pyarrow import parquet

    made = []
    for packing, rows in (("NONE", 30), ("snappy", 400), ("zstd", 30)):
        table = pyarrow.table(
            {
                "time": pyarrow.array([k * 10 for k in range(rows)]),
                "ax": pyarrow.array([k % 7 for k in range(rows)], pyarrow.int16()),
                "ay": pyarrow.array([k / 3 for k in range(rows)]),
                "label": pyarrow.array(["a", "b"] * (rows // 2)),
            }
        )
        buffer = io.BytesIO()
        parquet.write_table(table, buffer, compression=packing, row_group_size=100)
        made.append(buffer.getvalue())
    return made


def _cbor_seeds() -> list[bytes]:
    return [_cbor(json.loads(_json_seeds()[-1])), b"\xbf" + _cbor(json.loads(_json_seeds()[-1]))[1:] + b"\xff"]


def _cbor(value: Any) -> bytes:
    """Just what the seeds need."""
    if isinstance(value, dict):
        return bytes([0xA0 + len(value)]) + b"".join(_cbor(k) + _cbor(v) for k, v in value.items())
    if isinstance(value, list):
        return bytes([0x80 + len(value)]) + b"".join(map(_cbor, value))
    if isinstance(value, str):
        return bytes([0x60 + len(value)]) + value.encode()
    return bytes([value])


def _image_seeds() -> list[bytes]:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 4), np.uint8)
    made = []
    for form, mode in (
        ("PNG", "RGBA"),
        ("PNG", "L"),
        ("PNG", "P"),
        ("JPEG", "RGB"),
        ("BMP", "RGB"),
        ("GIF", "P"),
        ("WEBP", "RGB"),
        ("TIFF", "L"),
    ):
        buffer = io.BytesIO()
        Image.fromarray(pixels, "RGBA").convert(mode).save(buffer, form)
        made.append(buffer.getvalue())
    return made


MOTION = (
    Layout("motion", rate=100.0, options=(Scale((1000.0,)),)),
    Layout("motion", options=(TableOptions(time_column=("time",), time_unit="ms", label_column="label"), Scale((1000.0,)))),
    Layout("motion", options=(TableOptions(label_column="label"), JsonOptions(points="points", label_key="label"))),
    Layout("motion"),
)


def _recording(*layouts: Layout) -> Callable[[Path], object]:
    """As recordings of each layout, and as `init` looks at it first. Refused where nobody takes it."""

    def consume(path: Path) -> object:
        ways: list[Callable[[], object]] = [lambda: look(path.parent)]
        return _any([*ways, *(partial(decode.describe, path.parent, path.name, layout) for layout in layouts)])

    return consume


def _any(ways: Sequence[Callable[[], object]]) -> list[object]:
    """What the readers that take a file give; the last one's refusal where none of them does. The first is not asked for its word."""
    found: list[object] = []
    refusal: SandgrainError | None = None
    for k, way in enumerate(ways):
        try:
            given = way()
            found += [given] if k else []
        except SandgrainError as error:
            _told(error)
            refusal = error
    if not found and refusal is not None:
        raise refusal
    return found


def _told(error: SandgrainError) -> None:
    """Every refusal is held against the promise, the last one by who called."""
    text_ = str(error)
    assert text_.isprintable() and len(text_) <= 2000, f"not one line: {text_!r}"


LAYOUTS = (Layout("motion", options=(Scale((1000.0,)),)), Layout("audio"), Layout("image"))


def _npz(path: Path) -> object:
    """As recordings of each kind, and as samples for a model."""
    recordings = [partial(decode.describe, path.parent, path.name, layout) for layout in LAYOUTS]
    samples_ = [partial(samples.load, path, dense((rows, 4)), limit) for rows, limit in ((90, 2), (4, None))]
    return _any([lambda: look(path.parent), *recordings, *samples_])


def _label_seeds() -> list[bytes]:
    rows = [
        {"path": f"training/{c}.{k}.wav", "category": "training", "label": {"type": "label", "label": c}}
        for k in (1, 2)
        for c in "ab"
    ]
    rows.append({"path": "x.csv", "category": "split", "label": "c"})
    table = b'file,label,group,split\na/1.wav,a,g1,train\nb/2.wav,b,g2,test\n./c.wav,"c, d",,\n'
    return [
        named("labels.csv", table),
        named("labels.csv", table.replace(b",", b"\t").replace(b"file", b"Path")),
        named("info.labels", json.dumps({"version": 1, "files": rows}).encode()),
        named("labels.txt", "zero\none\ntwo ä\n\n".encode()),
    ]


def _labels(path: Path) -> object:
    """The list of a data set's files, or the names of a model's classes."""
    if unpacked(path).name == "labels.txt":
        return compiling._labels(path.parent / "labels.txt")
    name = "info.labels" if (path.parent / "info.labels").is_file() else "labels.csv"
    return read_labels(path.parent, Layout("audio", labels=name))


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
    (Program, ENTRY),
    (Part, Part(300, 12, {"memcpy": 40}, 48, 900, 1200.5)),
    (Frame, Frame(2, -18, 16, -4, 40, 55.5)),
)


@cache
def _caches() -> tuple[bytes, ...]:
    """Figures of entries without their digest (`_cache` puts it on, so that mutants get past it); results of a project; what ingest knows."""
    made = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        usual, measured._folder = measured._folder, lambda: folder  # type: ignore[assignment]
        try:
            for kind, entry in ENTRIES:
                measured.keep(kind.__name__, entry)
                made.append(named(f"{kind.__name__}.json", (folder / f"{kind.__name__}.json").read_bytes()))
        finally:
            measured._folder = usual
            measured._FOUND.clear()
        kept = Store(folder / "build")
        kept.json("fit", "a", lambda: {"made": [1, 2.5, "x"]})
        kept.arrays("fit", "a", _results)
        made += [named(f"build/fit-a{suffix}", kept.path("fit", "a", suffix).read_bytes()) for suffix in (".json", ".npz")]
        (folder / "x.csv").write_bytes(_csv_seeds()[3])
        with Cache(folder, folder, Layout("motion")) as cached:
            cached.put(Found("x.csv", 1, 2), decode.describe(folder, "x.csv", Layout("motion", rate=100.0)))
        made.append(named(cached._path.name, cached._path.read_bytes()))
        rows = np.zeros(2, quality.FACTS)
        buffer = io.BytesIO()
        prints, version = np.zeros((2, quality.fingerprint.SIZE), np.float16), np.array(quality.CACHE_VERSION)
        sealed.write_arrays(buffer, {"keys": np.array(["a", "b"]), "rows": rows, "prints": prints, "version": version})
        made.append(named("quality.npz", buffer.getvalue()))
    return tuple(made)


def _results() -> dict[str, Any]:
    return {"x": np.arange(12, dtype=np.int8).reshape(3, 4), "y": np.zeros(3)}


def _cache(path: Path) -> object:
    """Never refused: what is not whole is made again. The figures of a measurement are also given a digest that belongs to them."""
    given = unpacked(path)
    if given.parent.name == "build":
        kept, made = Store(given.parent), []
        found = kept.json("fit", "a", lambda: made.append(1) or {"made": 1})
        assert found == {"made": [1, 2.5, "x"]} or made, "a result that was damaged is believed"
        arrays = kept.arrays("fit", "a", _results)
        assert all(np.array_equal(arrays[k], v) and arrays[k].dtype == v.dtype for k, v in _results().items()), (
            "damaged arrays are believed"
        )
        return found
    if given.suffix == ".jsonl":
        with Cache(path.parent, path.parent, Layout("motion")) as cached:
            return cached.get(Found("x.csv", 1, 2))
    if given.name == "quality.npz":
        known = quality._load(given)
        return [(known.rows[k], known.prints[k]) for k in known.place.values()]
    _figures(given)
    return None


def _figures(given: Path) -> None:
    usual, measured._folder = measured._folder, lambda: given.parent  # type: ignore[assignment]
    try:
        _believed(given)
    finally:
        measured._folder = usual


def _believed(given: Path) -> None:
    for kind, _ in ENTRIES:
        measured._FOUND.clear()
        measured.load(given.stem, kind)
        with suppress(ValueError, RecursionError, TypeError, LookupError):
            figures = json.loads(given.read_bytes())["figures"]
            given.with_name("forged.json").write_text(
                json.dumps({"sha256": measured._sealed("forged", kind, figures), "figures": figures})
            )
            found = measured.load("forged", kind)
            assert found is None or all(type(v) is not bool for v in (getattr(found, n) for n in kind.__slots__))
    return


# --- features and bundles ------------------------------------------------------------------------------------------------


@cache
def _fronts() -> tuple[FrontEnd, ...]:
    """Front ends of each kind of signal, small ones."""
    made = []
    for kind, shape, rate, blocks in (
        ("motion", (64, 3), 50.0, [{"block": "filter", "type": "high-pass", "cutoff": 1.0}, {"block": "statistics"}]),
        ("motion", (16, 2), 50.0, [{"block": "raw"}]),
        (
            "motion",
            (16, 3),
            50.0,
            [{"block": "magnitude", "channels": [0, 1], "keep": True}, {"block": "statistics", "correlation": True}],
        ),
        (
            "audio",
            (128, 1),
            8000.0,
            [
                {"block": "pre-emphasis", "headroom": True},
                {"block": "log-mel", "window_ms": 8, "hop_ms": 4, "symmetric": True},
                {"block": "normalize", "scale": 0.1, "offset": 0.5, "low": 0.0, "high": 1.0},
            ],
        ),
        ("audio", (800, 1), 8000.0, [{"block": "mfcc", "window_ms": 32, "hop_ms": 16}]),
        ("image", (12, 10, 3), 0.0, [{"block": "grey"}]),
    ):
        pipeline_ = Pipeline(Signal(kind, shape, rate), parse(blocks))  # type: ignore[arg-type]
        count = pipeline_.shape[-1] if pipeline_.per_column else 1
        made.append(FrontEnd(pipeline_, pipeline_.given or Normalization((0.5,) * count, (2.0,) * count)))
    return tuple(made)


def _features(path: Path) -> object:
    """Fitted features as `compile --features` takes them: read, joined into C, and run once where they are small."""
    front = compiling._front(path)
    board = targets.load("cortex-m4")
    compiled = pipeline.compile_bytes(None, board, Options("m"), front=front)
    graph = compiled.graph
    if sum(t.size for t in graph.tensors) <= SMALL:
        interpret.run(graph, [np.full(graph.tensors[i].shape, 1, graph.tensors[i].dtype) for i in graph.inputs])
    return compiled


@cache
def _bundles() -> dict[str, dict[str, bytes]]:
    """The files of two bundles by path: a graph's text with labels, for a board of its own; features without a network."""
    graph = dense((8, 6))
    model = graph_text.write(
        replace(graph, nodes=(replace(graph.nodes[0], attrs=attrs(activation="none", keep_num_dims=False)),))
    )
    with tempfile.TemporaryDirectory() as place:
        folder, front = Path(place), _fronts()[0]
        (folder / "mine.toml").write_bytes(BOARD_FILE)
        mine, plain = targets.load(str(folder / "mine.toml")), targets.load("cortex-m0plus")
        one = Build(pipeline.compile_bytes(model, mine, Options("m"), ("a", "b")), mine)
        two = Build(pipeline.compile_bytes(None, plain, Options("f"), front=front), plain)
        store.save(one, store.Origin(model), folder / "one", lambda _: None)
        store.save(two, store.Origin(None, front), folder / "two", lambda _: None)
        found = {n: {k: d for k, d in tree(folder / n).items() if d} for n in ("one", "two")}
    note = {"from": ".bundle.1-0123456789ab", "old": ["m.c"], "new": ["m.c", "proof"]}
    found["two"][swap.NOTE] = json.dumps(note).encode()
    return found


def _bundle_seeds() -> list[bytes]:
    """Every file that is read for what it says, and one of each kind that is only compared."""
    compared = ("f.c", "m.h", "kernels/sg_math.h")
    return [
        named(f"{which}/{n}", data)
        for which, files in _bundles().items()
        for n, data in files.items()
        if n.startswith(("proof", ".")) or n in compared
    ]


def _bundle(path: Path) -> object:
    """A bundle with one file damaged; reading it changes nothing of it (but for a stranger's note, which goes)."""
    which, _, name = path.read_bytes().partition(b"\0")[0].decode().partition("/")
    out = path.parent / "bundle"
    for other, body in _bundles()[which].items():
        if other != swap.NOTE:
            (out / other).parent.mkdir(parents=True, exist_ok=True)
            (out / other).write_bytes(body)
    (out / name).write_bytes(path.read_bytes().partition(b"\0")[2])
    before = {k: v for k, v in tree(out).items() if k != swap.NOTE}
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


# --- files that are one of several ---------------------------------------------------------------------------------------


def named(name: str, data: bytes) -> bytes:
    """A file with its name in front."""
    return name.encode() + b"\0" + data


def unpacked(path: Path) -> Path:
    """The file that a mutant is, beside the mutant and under its own name."""
    name, _, data = path.read_bytes().partition(b"\0")
    given = path.parent / name.decode()
    given.parent.mkdir(parents=True, exist_ok=True)
    given.write_bytes(data)
    return given


def forged(content: bytes) -> bytes:
    """A sealed file of this content."""
    buffer = io.BytesIO()
    sealed.write(buffer, lambda stream: stream.write(content))
    return buffer.getvalue()


BY_SUFFIX: Mapping[str, Mutate] = {
    ".json": values,
    ".labels": values,
    ".jsonl": lines,
    ".npz": arrays,
    ".tflite": binary,
    swap.NOTE: values,
}


def by_name(data: bytes, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """What stands behind the name is damaged as files of that name are; the others are text."""
    name, _, body = data.partition(b"\0")
    path = Path(name.decode())
    mutate = BY_SUFFIX.get(path.suffix or path.name, text)
    alike = [s.partition(b"\0")[2] for s in seeds if s.partition(b"\0")[0] == name]
    if name == b"quality.npz" and rng.random() < 0.7:  # the digest is made to fit
        return name + b"\0" + forged(arrays(body[sealed.HEAD :], rng, alike))
    return name + b"\0" + mutate(body, rng, alike)


FORMATS = {
    "npz": Format("m.npz", _npz_seeds, arrays, _npz),
    "npy": Format("m.npy", _npy_seeds, binary, _recording(*MOTION, Layout("audio"), make_layout("motion", channels_first=True))),
    "csv": Format("m.csv", _csv_seeds, text, _recording(*MOTION)),
    "wav": Format("m.wav", _wav_seeds, chunks, _recording(Layout("audio"))),
    "json": Format("m.json", _json_seeds, values, _recording(*MOTION)),
    "cbor": Format("m.cbor", _cbor_seeds, binary, _recording(Layout("motion"), Layout("audio"))),
    "parquet": Format("m.parquet", _parquet_seeds, binary, _recording(*MOTION)),
    "image": Format("m.png", _image_seeds, binary, _recording(Layout("image"))),
    "labels": Format("m", _label_seeds, by_name, _labels),
    "toml": Format("sandgrain.toml", _toml_seeds, text, project_file.load),
    "board": Format("mine.toml", lambda: [BOARD_FILE], text, targets.load),
    "manifest": Format("m.jsonl", _manifest_seeds, lines, load_manifest),
    "cache": Format("m", _caches, by_name, _cache),
    "features": Format(
        "features.json", lambda: [json.dumps(f.to_json()).encode() for f in _fronts()], values, _features, "holds no features"
    ),
    "bundle": Format("m", _bundle_seeds, by_name, _bundle, "not a complete bundle"),
}
NEVER_REFUSED = ("cache",)  # what is damaged there is made again
