"""Data sets in .npz files: checked before they are read, never unpickled."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np

from sandgrain.base.errors import UsageError
from sandgrain.base.npy import READ_ERRORS, open_member, read_body, read_header
from sandgrain.base.text import printable
from sandgrain.formats.sources import own_shape
from sandgrain.graph.ir import Array, Graph, Tensor
from sandgrain.graph.ops.layout.gather import choices
from sandgrain.graph.quantization import quantize

MAX_AXES = 5  # whose orders are tried for a way out


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """`inputs`: [n, *shape] for each graph input, in its dtype. `labels`: int64 [n], or None. `names`: class names."""

    inputs: tuple[Array, ...]
    labels: Array | None
    names: tuple[str, ...] = ()

    @property
    def samples(self) -> int:
        return len(self.inputs[0])

    def head(self, limit: int | None) -> DataSet:
        """The first `limit` samples."""
        if limit is None or limit >= self.samples:
            return self
        return DataSet(tuple(x[:limit] for x in self.inputs), None if self.labels is None else self.labels[:limit], self.names)


def load(path: Path, graph: Graph, limit: int | None = None) -> DataSet:
    """Read `x` (or `x_0`, `x_1`, ... for several inputs), optional `y` and `labels`, and fit them to the graph's inputs.

    Samples have the model's own layout (`to_graph`); those of floats are quantized for an int8 input. `limit`: no more samples than
    these are read. Raises UsageError, in one line.
    """
    given, arrays = arrays_of(path, len(graph.inputs), limit)
    inputs = tuple(
        fit(x, graph.tensors[i], f"{path.name}: {n}", graph.channels_first)
        for (n, x), i in zip(given.items(), graph.inputs, strict=True)
    )
    if len({len(x) for x in inputs}) > 1 or not len(inputs[0]):
        raise UsageError(
            f"{path.name}: inputs hold {', '.join(str(len(x)) for x in inputs)} samples; give the same number, at least 1"
        )
    labels = arrays.get("y")
    if labels is not None:
        if labels.size != len(inputs[0]) or labels.dtype.kind not in "iu":
            raise UsageError(f"{path.name}: y is {labels.dtype} {labels.shape}; give one integer label a sample")
        labels = labels.reshape(-1).astype(np.int64)
    words = arrays.get("labels")
    texts = tuple(str(w) for w in words.reshape(-1)) if words is not None and words.dtype.kind == "U" else ()
    return DataSet(inputs, labels, texts)


def arrays_of(path: Path, inputs: int, limit: int | None = None) -> tuple[dict[str, Array], dict[str, Array]]:
    """(`x`, or `x_0`, `x_1`, ... for several inputs; `y` and `labels` where they are there). `limit`: rows of each that are read,
    the class names left out. Raises UsageError.
    """
    names = ["x"] if inputs == 1 else [f"x_{k}" for k in range(inputs)]
    arrays = _read(path, {**dict.fromkeys([*names, "y"], limit), "labels": None})
    for name in names:
        if name not in arrays:
            raise UsageError(
                f"{printable(path.name)} has no array {name!r}; name the model's inputs {', '.join(names)} and labels y"
            )
    return {n: arrays[n] for n in names}, {n: x for n, x in arrays.items() if n not in names}


def check_there(path: Path) -> None:
    """Raises UsageError unless `path` is a file."""
    try:
        there = path.is_file()
    except (OSError, ValueError):
        there = False
    if not there:
        raise UsageError(f"{printable(str(path), 200)}: no such file; give an .npz file with x and, for accuracy, y")


def random(graph: Graph, samples: int, seed: int = 0) -> DataSet:
    """Seeded inputs over the whole range of each dtype (positions in a table: within it; floats: a few units around zero)."""
    rng = np.random.default_rng(seed)
    made = []
    for index in graph.inputs:
        tensor = graph.tensors[index]
        shape = (samples, *tensor.shape)
        if tensor.dtype == "float32":
            made.append((rng.standard_normal(shape) * 4).astype(np.float32))
        else:
            rows = choices(graph, index)
            low, high = (tensor.dtype.low, tensor.dtype.high) if rows is None else (0, rows - 1)
            made.append(rng.integers(low, high, size=shape, dtype=tensor.dtype.numpy, endpoint=True))
    return DataSet(tuple(made), None)


def _read(path: Path, wanted: Mapping[str, int | None]) -> dict[str, Array]:
    """The arrays that are wanted and there, by name; the first so many rows of each, or all."""
    shown = printable(path.name)
    try:
        check_there(path)
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            return {name: _array(archive, members[name], rows) for name, rows in wanted.items() if name in members}
    except READ_ERRORS as error:
        reason = printable((str(error).splitlines() or [type(error).__name__])[0], 80)
        raise UsageError(f"{shown} is not a readable .npz file ({reason}); save it with numpy.savez") from None


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, rows: int | None) -> Array:
    """The first rows of an array, or all of it. Raises one of READ_ERRORS."""
    with open_member(archive, info) as stream:
        head = read_header(stream, info)
        return read_body(stream, info, head.first(rows))[:rows] if head.shape else read_body(stream, info, head)


# --- layout ------------------------------------------------------------------------------------------------------------


def to_graph(x: Array, tensor: Tensor, what: str, channels_first: bool) -> Array:
    """Samples in the model's own layout, with or without its batch of one, as [n, *tensor.shape]. Raises UsageError.

    Their shape must be the model's but for axes of one element: an array whose elements merely come to the same number would be
    read in another order than it was written in.
    """
    shape, own = tensor.shape, own_shape(tensor.shape, channels_first)
    if x.ndim and len(x) == 0:
        raise UsageError(f"{what} is {x.shape}: no sample; give at least 1")
    if x.ndim < 1 or _long(x.shape[1:]) != _long(own):
        raise UsageError(f"{what} is {x.shape}; the model takes samples of {own}{_way_out(x.shape, own)}")
    if not (channels_first and len(shape) > 2):
        return x.reshape(len(x), *shape)
    return np.ascontiguousarray(np.moveaxis(x.reshape(len(x), *own), 2, -1))


def _long(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape without its axes of one element."""
    return tuple(n for n in shape if n != 1)


def _way_out(given: Sequence[int], own: Sequence[int]) -> str:
    """What makes samples of shape `given` [n, ...] fit `own` [1, ...], as the end of a sentence; "" where nothing does."""
    if len(given) < 2 or math.prod(given[1:]) != math.prod(own):
        return ""
    batch = len(given) == len(own) + 1 and given[1] == 1
    wanted, axes = own[1:], given[2:] if batch else given[1:]
    if len(axes) == len(wanted) <= MAX_AXES and sorted(axes) == sorted(wanted):
        # Channels moved from one end to the other are meant more often than any other order.
        ends = [(*range(1, len(axes)), 0), (len(axes) - 1, *range(len(axes) - 1))]
        order = next(o for o in (*ends, *permutations(range(len(axes)))) if tuple(axes[k] for k in o) == tuple(wanted))
        first = 2 if batch else 1
        return f": the axes come in another order; give x.transpose({', '.join(map(str, (*range(first), *(k + first for k in order))))})"
    rows = ", ".join(map(str, wanted))
    return f"; if the elements come in that order, give x.reshape({given[0]}, {rows})"


def from_graph(y: Array, channels_first: bool) -> Array:
    """Outputs [n, 1, ...] of a graph in the model's own layout, [n, ...]."""
    rows = y.reshape(len(y), *y.shape[2:]) if y.ndim > 2 and y.shape[1] == 1 else y
    return np.ascontiguousarray(np.moveaxis(rows, -1, 1)) if channels_first and rows.ndim > 2 else rows


def numbers(x: Array, tensor: Tensor, what: str) -> Array:
    """Samples for an input of a float graph: float32, or int32 where it takes positions. Raises UsageError."""
    if tensor.dtype != "int32":
        with np.errstate(over="ignore"):  # what does not fit float32 is not finite, and for the caller to refuse
            return np.asarray(x, np.float32)
    low, high = np.iinfo(np.int32).min, np.iinfo(np.int32).max
    if x.dtype.kind not in "iu" or (x.size and not (int(x.min()) >= low and int(x.max()) <= high)):
        raise UsageError(f"{what} is {x.dtype}; the model takes int32")
    return x.astype(np.int32)


def finite(x: Array, what: str) -> Array:
    """`x`, which holds no NaN and no infinity. Raises UsageError, naming the first sample that does."""
    if x.dtype.kind == "f":
        wrong = ~np.isfinite(x).reshape(len(x), -1).all(axis=1)
        if wrong.any():
            first = int(np.argmax(wrong))
            kind = "NaN" if np.isnan(x[first]).any() else "infinity"
            raise UsageError(
                f"{what} holds values that are not finite: {kind} in sample {first}"
                f"{f' and {int(wrong.sum()) - 1} more' if wrong.sum() > 1 else ''}; remove those samples"
            )
    return x


def fit(x: Array, tensor: Tensor, what: str, channels_first: bool = False) -> Array:
    """Samples as an input takes them, [n, *tensor.shape] in its dtype. Raises UsageError."""
    x = to_graph(x, tensor, what, channels_first)
    if tensor.quant is not None:  # where floats are only moved, every value is one
        finite(x, what)
    if x.dtype == tensor.dtype.numpy:
        return x
    if tensor.dtype == "int32":
        return numbers(x, tensor, what)
    if tensor.quant is not None and x.dtype.kind == "f":
        return quantize(x, tensor.quant, tensor.dtype)
    raise UsageError(f"{what} is {x.dtype}; the model takes {tensor.dtype}" + (" or float" if tensor.quant is not None else ""))
