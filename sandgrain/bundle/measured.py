"""The cache of measurements: what layers and programs cost, each kept under a hash of everything that decides it.

An entry is a small file of JSON: its figures, and a digest of them, their kind and their key. An entry that is not a plain file, is too large,
has another digest, or holds what no measurement gives, is not believed: what it stands for is measured again and replaces it.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self, TypeVar

from sandgrain.base import cache, files, reading
from sandgrain.base.version import __version__
from sandgrain.bundle.measure import Build, Spread
from sandgrain.compiler.emit import bundle
from sandgrain.compiler.emit.layers import Layer
from sandgrain.device.cost.cycles import OVERHEAD
from sandgrain.device.run import emulator_version
from sandgrain.device.targets import Board, Core
from sandgrain.device.toolchain import Toolchain, compiler_version, startup_digest
from sandgrain.kernels.base import Call, Fields

MAX_ENTRY = 1 << 20  # bytes: a program of a thousand layers takes a fifth of it
MAX_BYTES = 1 << 32  # of memory: no core addresses more
MAX_COUNT = 1 << 53  # instructions or cycles: what a float holds exactly


# --- what is kept ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """A layer of a measured program. `code`: bytes of its function. Instructions and cycles are those of the first input."""

    instructions: int
    cycles: float
    code: int


@dataclass(frozen=True, slots=True)
class Program:
    """A measured program, its weights left out. `layers`: in execution order; empty where the core cannot be emulated."""

    flash: int
    static: int
    stack: int
    instructions: int  # between the layers
    cycles: float
    painted: int | None  # bytes of stack that one inference used
    layers: tuple[Step, ...]
    spread: Mapping[int, Spread] = field(default_factory=dict)  # by layer, as `measure.spread` gives it
    samples: int = 1

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        """From what JSON made of it. Raises KeyError, TypeError or ValueError."""
        painted, rows, spread = raw["painted"], raw["layers"], raw["spread"]
        if not isinstance(rows, list):
            raise TypeError("layers are a list")
        return cls(
            _bytes(raw["flash"]),
            _bytes(raw["static"]),
            _bytes(raw["stack"]),
            _count(raw["instructions"]),
            _number(raw["cycles"]),
            None if painted is None else _bytes(painted),
            tuple(Step(_count(row["instructions"]), _number(row["cycles"]), _bytes(row["code"])) for row in rows),
            {_layer_number(k): _spread(v) for k, v in spread.items()},
            _count(raw["samples"]),
        )


@dataclass(frozen=True, slots=True)
class Part:
    """A measured layer. `code`: bytes of its function; `parameters`: of its parameter structs that lie in memory;
    `common`: name -> bytes of what other layers may use too."""

    code: int
    parameters: int
    common: Mapping[str, int]
    stack: int
    instructions: int
    cycles: float

    @property
    def flash(self) -> int:
        """Bytes that are this layer's own."""
        return self.code + self.parameters

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        """From what JSON made of it. Raises KeyError, TypeError, AttributeError or ValueError."""
        common = {name: _bytes(size) for name, size in raw["common"].items()}
        sizes = (_bytes(raw["code"]), _bytes(raw["parameters"]), common, _bytes(raw["stack"]))
        return cls(*sizes, _count(raw["instructions"]), _number(raw["cycles"]))


@dataclass(frozen=True, slots=True)
class Frame:
    """What a program of `layers` layers has around them, by its inputs and outputs. Its flash may be negative: code that
    several layers call counts once for each of them."""

    layers: int
    flash: int
    static: int
    stack: int
    instructions: int
    cycles: float

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        """From what JSON made of it. Raises KeyError, TypeError or ValueError."""
        sizes = (_count(raw["layers"]), _bytes(raw["flash"], -MAX_BYTES), _bytes(raw["static"]), _bytes(raw["stack"], -MAX_BYTES))
        return cls(*sizes, _count(raw["instructions"]), _number(raw["cycles"]))


Entry = TypeVar("Entry", Program, Part, Frame)


def _bytes(value: object, low: int = 0) -> int:
    return _whole(value, low, MAX_BYTES)


def _count(value: object) -> int:
    return _whole(value, 0, MAX_COUNT)


def _whole(value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError("not a whole number of this range")
    return value


def _number(value: object) -> float:
    if not reading.is_number(value) or not 0 <= value <= MAX_COUNT:
        raise ValueError("not a number of this range")
    return float(value)


def _layer_number(text: str) -> int:
    return _whole(int(text[:20]), OVERHEAD, MAX_COUNT)


def _spread(row: list[Any]) -> Spread:
    low, mean, high = row
    return _count(low), _number(mean), _count(high)


# --- what a figure depends on ------------------------------------------------------------------------------------------


VERSION = 3  # of what is measured: 1 looked at a single inference of each layer; 2 did not know the versions of the tools


def layer_keys(build: Build) -> dict[int, str]:
    """Layer -> what decides its cost: its kernels' C, shapes, numbers that are not in tables, whether its code is shared, the tools."""
    source, tools = build.compiled.source, _tools(build.board, build.toolchain)
    return {layer.index: _layer_key(build, layer, tools) for layer in source.layers}


def _layer_key(build: Build, layer: Layer, tools: str) -> str:
    chosen = build.compiled.source.plan.selected[layer.index]
    assert chosen is not None
    calls = [shape_of(call) for call in chosen.lowered.calls]
    return _digest("layer", _texts_digest(layer.sources), layer.kernel, layer.shared, calls, tools)


def frame_key(build: Build) -> str:
    """What decides what a program has around its layers."""
    graph = build.compiled.graph
    ends = [(graph.tensors[i].dtype, graph.tensors[i].shape) for i in (*graph.inputs, *graph.outputs)]
    tools = _tools(build.board, build.toolchain)
    return _digest("frame", ends, len(graph.inputs), graph.labels, build.compiled.stride, tools)


def program_key(build: Build, keys: Iterable[str]) -> str:
    """What decides a program's size: its layers' keys and C, where inputs and outputs lie, sizes of tables; not what is in the tables."""
    source, plan = build.compiled.source, build.compiled.source.plan
    graph = plan.graph
    places = [plan.offsets.get(i) for i in (*graph.inputs, *graph.outputs)]
    texts = [(layer.text, layer.weight_bytes) for layer in source.layers]
    return _digest("program", list(keys), texts, places, plan.arena_bytes, plan.stream, frame_key(build))


def _tools(board: Board, toolchain: Toolchain) -> str:
    """The core, the compiler and the emulator, with their versions, and the C that is around every program."""
    versions = (compiler_version(toolchain.compiler, board.core), emulator_version(board), startup_digest())
    return _digest(_core_text(board.core), toolchain, versions)


def _core_text(core: Core) -> str:
    """All that is known of a core, as text that is the same in every process."""

    def plain(value: Any) -> Any:
        return dict(value) if isinstance(value, Mapping) else sorted(value)

    return json.dumps({f.name: getattr(core, f.name) for f in fields(core)}, sort_keys=True, default=plain)


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr((VERSION, __version__, *parts)).encode()).hexdigest()


@functools.cache
def texts(sources: tuple[str, ...]) -> str:
    """The kernels' C that a layer includes."""
    return "".join(f"{name}{text}" for name, text in bundle.texts_of(sources).items())


@functools.cache
def _texts_digest(sources: tuple[str, ...]) -> str:
    return _digest(texts(sources))


def shape_of(call: Call) -> str:
    """A call's parameters without the contents of its tables."""
    return f"{call.source}{_sizes_of(call.fields)}"


def _sizes_of(members: Fields) -> dict[str, object]:
    return {
        k: (v.shape, v.dtype.name) if hasattr(v, "dtype") else _sizes_of(v) if isinstance(v, dict) else v
        for k, v in members.items()
    }


# --- the files ---------------------------------------------------------------------------------------------------------


_FOUND: dict[str, Program | Part | Frame] = {}  # what this process has read or measured


def load(key: str, kind: type[Entry]) -> Entry | None:
    """What is kept under `key`, or None where there is nothing that can be believed."""
    known = _FOUND.get(key)
    if known is not None:
        return known if isinstance(known, kind) else None
    try:
        stored = reading.read_json(_folder() / f"{key}.json", MAX_ENTRY)
        if stored["sha256"] != _sealed(key, kind, stored["figures"]):
            return None
        found = kind.read(stored["figures"])
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    _FOUND[key] = found
    return found


def keep(key: str, value: Program | Part | Frame) -> None:
    """Keep a measurement, whole or not at all; a cache that cannot be written is no error."""
    _FOUND[key] = value
    figures = json.loads(json.dumps(asdict(value)))
    text = json.dumps({"sha256": _sealed(key, type(value), figures), "figures": figures})
    if len(text) > MAX_ENTRY:
        return
    try:
        with files.atomic(_folder() / f"{key}.json") as file:
            file.write(text.encode())
    except OSError:
        return


def _sealed(key: str, kind: type[Any], figures: Any) -> str:
    """The digest of an entry."""
    return hashlib.sha256(json.dumps([key, kind.__name__, figures], sort_keys=True).encode()).hexdigest()


def _folder() -> Path:
    place = cache.folder() / "measured"
    _sweep(place)
    return place


@functools.cache
def _sweep(place: Path) -> None:
    """Once in a process: remove what killed ones were writing."""
    files.remove_drafts(place)
