"""The block counter (count.c) as a Python object: built for this computer once, kept in the cache."""

from __future__ import annotations

import ctypes
import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.base import files
from sandgrain.base.cache import folder as cache_folder
from sandgrain.base.cache import is_private
from sandgrain.base.errors import RunError
from sandgrain.base.reading import read_small
from sandgrain.base.scratch import folder as temporary_folder
from sandgrain.device.cost import Edge, Image
from sandgrain.device.cost.cycles import OVERHEAD
from sandgrain.device.toolchain import build_shared

_HERE = Path(__file__).parent
MAX_LIBRARY = 1 << 24  # bytes: it takes some 20,000
_BLOCKS, _EDGES = 1 << 15, 1 << 17  # far more than the largest model has; both powers of two
_RANGE = np.dtype([("start", "<u4"), ("end", "<u4"), ("layer", "<i4")])
EDGE = np.dtype(
    [
        ("previous", "<u4"),
        ("previous_size", "<u4"),
        ("block", "<u4"),
        ("size", "<u4"),
        ("layer", "<i4"),
        ("unused", "<u4"),
        ("count", "<u8"),
    ]
)


class _State(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("blocks", "edges", "ranges")),
        *((name, ctypes.c_uint32) for name in ("block_slots", "edge_slots", "range_count", "block_count", "edge_count")),
        ("layer", ctypes.c_int32),
        *((name, ctypes.c_uint32) for name in ("previous", "previous_size")),
        ("full", ctypes.c_int32),
        ("last", ctypes.c_void_p),
    ]


@cache
def native(name: str) -> Path:
    """`name`.c of this folder, compiled for this computer as a shared library; kept in the cache."""
    source = _HERE / f"{name}.c"
    digest = _sha256(source.read_bytes() + (_HERE / "count.c").read_bytes())[:16]
    suffix = ".dll" if os.name == "nt" else ".so"
    kept = cache_folder() / f"{name}-{digest}{suffix}"
    if _is_whole(kept):
        return kept
    built = build_shared([source], temporary_folder() / f"{name}{suffix}")
    try:  # written aside and moved, so that two processes never load half a file
        for path, data in ((kept, built.read_bytes()), (_seal(kept), _sha256(built.read_bytes()).encode())):
            with files.atomic(path) as file:
                file.write(data)
    except OSError:  # the disk of the cache is full, say: the library serves this process alone
        return built
    return kept


def _is_whole(library: Path) -> bool:
    """Whether the library in the cache is what was built, and nobody else can have put it there."""
    try:
        private = is_private(library) and is_private(_seal(library))
        return private and read_small(_seal(library), 64).decode() == _sha256(read_small(library, MAX_LIBRARY))
    except (OSError, ValueError):
        return False


def _seal(library: Path) -> Path:
    """Where the digest of a library lies."""
    return library.with_name(f"{library.name}.sha256")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@cache
def library() -> ctypes.CDLL:
    """count.c, compiled for this computer."""
    return ctypes.CDLL(str(native("count")))


def ranges(image: Image) -> np.ndarray[Any, Any]:
    """What count.c is told of the functions: where layers begin, and which functions run between them."""
    found = [(f.address, f.end, number) for number, f in image.layers().items()]
    found += [(f.address, f.end, OVERHEAD) for f in image.functions if f.name == "sg_infer" or f.name.endswith("_run")]
    return np.array(found, _RANGE)


def edges_of(table: np.ndarray[Any, Any]) -> list[Edge]:
    """count.c's used edges as Edge values."""
    rows = table[table["count"] > 0].tolist()  # one tuple a row, in the order of EDGE
    return [Edge(layer, (before, bytes_), (block, size), times) for before, bytes_, block, size, layer, _, times in rows]


class Counter:
    """Counts block-to-block edges by layer while an emulator runs. `function` and `state` go into its block hook."""

    def __init__(self, image: Image) -> None:
        self._ranges = ranges(image)
        self._blocks = np.zeros(_BLOCKS, [("address", "<u4"), ("size", "<u4"), ("mark", "<i4")])
        self._edges = np.zeros(_EDGES, EDGE)
        self.function = ctypes.cast(library().sg_count_block, ctypes.c_void_p)
        self._state = _State()
        self.reset()

    def reset(self) -> None:
        """Forget what was counted."""
        self._blocks[:] = 0
        self._edges[:] = 0
        self._state = _State(
            self._blocks.ctypes.data, self._edges.ctypes.data, self._ranges.ctypes.data, _BLOCKS, _EDGES, len(self._ranges)
        )
        self._state.layer = OVERHEAD
        self.state = ctypes.cast(ctypes.byref(self._state), ctypes.c_void_p)

    @property
    def layer(self) -> int:
        """The layer that is running, OVERHEAD between layers."""
        return int(self._state.layer)

    def edges(self) -> list[Edge]:
        """What was counted. Raises RunError when the program has more blocks than the counter holds."""
        if self._state.full:
            raise RunError("the program has too many branches to be counted; profile a smaller model")
        return edges_of(self._edges)
