"""Samples as people have them, as arrays: an array, a list, a loader, a data set, an iterable, with or without labels.

No framework is imported: what has `__array__` or `detach` is an array, what has `__iter__`, or `__getitem__` and a length, holds
samples or batches. What comes out has the layout that it came in; whether it fits the model is looked at later.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sandgrain.base.errors import UsageError
from sandgrain.base.text import plain, printable
from sandgrain.graph.ir import Array

LABELS = ("y", "label", "labels", "target", "targets")  # keys of a batch that is a mapping
MAX_BYTES = 1 << 31  # of all samples together
Shapes = Sequence[tuple[int, ...]]  # of one sample of each input, in the model's own layout, without its batch of 1


@dataclass(slots=True, eq=False)
class Gathered:
    """`inputs`: numbers [n, ...], one array an input. `labels`: numbers [n] or [n, ...], or None. `notes`: what was left out."""

    inputs: list[Array]
    labels: Array | None = None
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Pile:
    """Batches as they come."""

    inputs: list[list[Array]]
    labels: list[Array] = field(default_factory=list)
    batches: int = 0
    samples: int = 0
    size: int = 0  # bytes


def gather(samples: Any, shapes: Shapes, most: int | None = None) -> Gathered:
    """Samples as arrays, one for each of `shapes`, and their labels.

    `most`: take so many samples at most of what is read piece by piece: of a data set with a length they are spread over all of it.
    Raises UsageError for what holds no numbers, or not one array an input.
    """
    whole = _whole(samples, shapes)
    if whole is not None:
        return whole
    return _pieces(samples, shapes, most)


def numbers(x: Any, what: str = "samples") -> Array:
    """An array of numbers: numpy's, a framework's, or nested lists. Raises UsageError."""
    try:
        given = x.detach().cpu() if hasattr(x, "detach") else x
        values = np.asarray(given)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        kind = printable(type(x).__qualname__)
        raise UsageError(f"{what} of {kind} are no array ({type(error).__name__}); give numpy arrays") from None
    if values.dtype.kind not in "iufb":
        raise UsageError(f"{what} are {values.dtype}; give numbers")
    return values.astype(np.uint8) if values.dtype.kind == "b" else values


# --- all at once -------------------------------------------------------------------------------------------------------


def _whole(samples: Any, shapes: Shapes) -> Gathered | None:
    """Arrays that hold every sample, or None where they come in pieces."""
    if isinstance(samples, Mapping):
        inputs, labels = _named(samples, shapes)
        return Gathered(inputs, labels)
    if _is_array(samples):
        return _checked(Gathered([numbers(samples)]), shapes)
    if not isinstance(samples, tuple | list) or not samples:
        return None
    if _is_scalars(samples):
        return _checked(Gathered([numbers(samples)]), shapes)
    if not all(_is_array(x) or _is_nested(x) or _is_scalars(x) for x in samples):
        return None
    if len(shapes) > 1 and len(samples) in (len(shapes), len(shapes) + 1):
        first = [numbers(x) for x in samples[: len(shapes)]]
        if all(x.ndim == len(shape) and x.shape == tuple(shape) for x, shape in zip(first, shapes, strict=True)):
            return None  # one sample of each: a tuple in a list is what comes next
        return Gathered(first, numbers(samples[-1], "labels") if len(samples) > len(shapes) else None)
    if len(shapes) == 1 and len(samples) == 2 and isinstance(samples, tuple | list):
        x, y = (_maybe(part) for part in samples)
        if x is not None and _is_batch(x, shapes[0]):
            _no_text(samples[1], len(x))
            if y is not None and isinstance(samples, tuple) and y.ndim == 1 and len(y) != len(x) and y.shape != shapes[0]:
                raise UsageError(f"{len(y)} labels for {len(x)} samples; give one for each, or none")
        if (
            x is not None
            and y is not None
            and _is_batch(x, shapes[0])
            and _labels_for(y, len(x), () if isinstance(samples, tuple) else shapes[0])
        ):
            return Gathered([x], y)
    if len(shapes) == 1 and isinstance(samples, list) and all(_is_nested(x) for x in samples):
        return _checked(Gathered([numbers(samples)]), shapes)
    if len(shapes) > 1 and isinstance(samples, tuple):
        raise UsageError(f"{len(samples)} arrays of samples for {len(shapes)} inputs; give a tuple with one for each")
    return None


def _checked(found: Gathered, shapes: Shapes) -> Gathered:
    if len(shapes) != 1:
        raise UsageError(f"1 array of samples for {len(shapes)} inputs; give a tuple with one for each")
    return found


def _named(given: Mapping[Any, Any], shapes: Shapes) -> tuple[list[Array], Array | None]:
    """Arrays under names: x, or x_0, x_1, ...; labels under one of LABELS."""
    names = ["x"] if len(shapes) == 1 else [f"x_{k}" for k in range(len(shapes))]
    there = [str(key) for key in given]
    if not all(name in there for name in names):
        raise UsageError(
            f"samples under the names {printable(', '.join(there[:8]))}; call them {', '.join(names)}, and labels y, or give (x, y)"
        )
    label = next((given[key] for key in LABELS if key in there), None)
    return [numbers(given[name]) for name in names], None if label is None else _maybe(label)


def _is_array(x: Any) -> bool:
    return (
        isinstance(x, np.ndarray | np.generic)
        or hasattr(x, "detach")
        or hasattr(type(x), "__array__")
        or hasattr(x, "__array_interface__")
    )


def _is_scalars(x: Any) -> bool:
    return isinstance(x, tuple | list) and len(x) > 0 and all(isinstance(v, int | float) for v in x)


def _is_nested(x: Any) -> bool:
    """Lists of numbers, or lists of these."""
    return isinstance(x, list) and len(x) > 0 and (_is_scalars(x) or all(_is_nested(v) for v in x))


def _maybe(x: Any) -> Array | None:
    """Numbers, or None for what is something else: a text, boxes and masks, nothing."""
    try:
        return numbers(x)
    except UsageError:
        return None


def _no_text(y: Any, samples: int) -> None:
    """Raises UsageError for labels that are names: which output each of them is, they do not say."""
    texts = np.asarray(y) if _is_array(y) and not hasattr(y, "detach") else None
    if texts is not None and texts.dtype.kind in "US" and texts.shape[:1] == (samples,):
        some = ", ".join(plain(str(name), 20) for name in np.unique(texts)[:3])
        raise UsageError(
            f"labels are text ({some}); give the number of the output that each stands for: np.unique(y, return_inverse=True)[1] counts them in order of the alphabet"
        )


def _is_batch(x: Array, shape: tuple[int, ...]) -> bool:
    """Whether these are samples [n, *shape] or [n, 1, *shape], or as many axes as they have."""
    return x.ndim in (len(shape) + 1, len(shape) + 2) and x.shape != shape


def _labels_for(y: Array, samples: int, shape: tuple[int, ...]) -> bool:
    """Whether this belongs to `samples` samples, and is not as many samples of `shape` again."""
    return y.ndim >= 1 and len(y) == samples and (y.ndim == 1 or y.shape[1:] != shape)


# --- piece by piece ----------------------------------------------------------------------------------------------------


def _pieces(samples: Any, shapes: Shapes, most: int | None) -> Gathered:
    pile = _Pile([[] for _ in shapes])
    items, spread = _items(samples, most)
    notes: tuple[str, ...] = (spread,) if spread else ()
    for item in items:
        if most is not None and pile.samples >= most:
            notes = (*notes, f"the first {pile.samples} samples were taken; there are more")
            break
        inputs, labels = _parts(item, shapes, pile.batches)
        _add(pile, inputs, labels)
    if not pile.batches:
        raise UsageError("no sample; give at least 1 (a generator gives its samples once)")
    joined = [_joined(parts, "samples") for parts in pile.inputs]
    if not pile.labels:
        return Gathered(joined, None, notes)
    labels = _joined(pile.labels, "labels")
    if len(labels) != len(joined[0]):
        raise UsageError(f"{len(labels)} labels for {len(joined[0])} samples; give one for each, or none")
    return Gathered(joined, labels, notes)


def _items(samples: Any, most: int | None) -> tuple[Iterable[Any], str]:
    """What to go through, and a note where not all of it is."""
    if isinstance(samples, str | bytes) or not (hasattr(samples, "__iter__") or hasattr(samples, "__getitem__")):
        kind = printable(f"{type(samples).__module__}.{type(samples).__qualname__}".removeprefix("builtins."))
        article = "an" if kind[:1].lower() in "aeiou" else "a"
        raise UsageError(
            f"{article} {kind} holds no samples; give an array [n, ...], (x, y), a loader, a list of arrays or an .npz file"
        )
    count = _length(samples)
    if count is None or not hasattr(samples, "__getitem__") or isinstance(samples, tuple | list):
        return (iter(samples), "") if hasattr(samples, "__iter__") else (_indexed(samples), "")
    if most is None or count <= most:
        return (samples[k] for k in range(count)), ""
    places = np.unique(np.linspace(0, count - 1, most).astype(int)).tolist()
    return (samples[k] for k in places), f"{len(places)} of {count} samples were taken, spread over all"


def _length(samples: Any) -> int | None:
    try:
        return len(samples)
    except (TypeError, NotImplementedError):
        batches = getattr(samples, "num_batches", None)  # keras.utils.PyDataset
        return batches if isinstance(batches, int) else None


def _indexed(samples: Any) -> Iterator[Any]:
    for k in itertools.count():
        try:
            item = samples[k]
        except (IndexError, KeyError):
            return
        yield item


def _parts(item: Any, shapes: Shapes, index: int) -> tuple[list[Array], Array | None]:
    """One sample or batch as [k, ...] of each input, and its labels [k, ...]."""
    label: Any = None
    if isinstance(item, Mapping):
        inputs, label = _named(item, shapes)
    elif _is_array(item) or _is_nested(item) or (_is_scalars(item) and not _is_pair(item, shapes)):
        inputs = [numbers(item)]
    elif isinstance(item, tuple | list):
        parts: list[Any] = list(item)
        if len(parts) <= 2 and isinstance(parts[0], tuple | list) and not _is_nested(parts[0]) and not _is_scalars(parts[0]):
            parts = [*parts[0], *parts[1:]]
        if len(parts) not in (len(shapes), len(shapes) + 1):
            raise UsageError(
                f"batch {index} has {len(parts)} parts; give its {len(shapes)} input{'s' * (len(shapes) > 1)} and, if you like, y"
            )
        inputs = [numbers(part) for part in parts[: len(shapes)]]
        label = parts[len(shapes)] if len(parts) > len(shapes) else None
    else:
        raise UsageError(f"batch {index} is a {printable(type(item).__qualname__)}; give arrays, or pairs (x, y)")
    if len(inputs) != len(shapes):
        raise UsageError(f"batch {index} has {len(inputs)} arrays for {len(shapes)} inputs; give a tuple with one for each")
    single = _is_single(inputs[0], shapes[0])
    if single:
        inputs = [x[np.newaxis] for x in inputs]
    y = None if label is None else _maybe(label)
    if y is not None:
        y = y.reshape(1, *y.shape) if single else y.reshape(-1) if y.ndim == 0 else y
    return inputs, y


def _is_pair(item: Sequence[Any], shapes: Shapes) -> bool:
    return len(item) == 2 and all(not shape or shape == (1,) for shape in shapes)


def _is_single(x: Array, shape: tuple[int, ...]) -> bool:
    """Whether this is one sample and no batch: it has the model's shape, or as many axes."""
    if x.shape == shape:
        return True
    return x.ndim == len(shape) and x.shape[1:] != shape


def _add(pile: _Pile, inputs: list[Array], labels: Array | None) -> None:
    pile.size += sum(x.nbytes for x in inputs)
    if pile.size > MAX_BYTES:
        raise UsageError(f"the samples take more than {MAX_BYTES >> 30} GiB; give fewer at a time")
    if labels is None and pile.labels:
        raise UsageError(f"batch {pile.batches} has no labels, and those before it do; give them for all, or for none")
    for parts, x in zip(pile.inputs, inputs, strict=True):
        if parts and x.shape[1:] != parts[0].shape[1:]:
            raise UsageError(
                f"batch {pile.batches} holds samples of {x.shape[1:]}, others of {parts[0].shape[1:]}; give one shape"
            )
        parts.append(x)
    if labels is not None:
        if pile.batches and not pile.labels:
            raise UsageError(f"batch {pile.batches} has labels, and those before it do not; give them for all, or for none")
        pile.labels.append(labels)
    pile.batches += 1
    pile.samples += len(inputs[0])


def _joined(parts: list[Array], what: str) -> Array:
    try:
        return np.concatenate(parts)
    except ValueError:
        shapes = ", ".join(dict.fromkeys(str(part.shape[1:]) for part in parts[:8]))
        raise UsageError(f"{what} of the shapes {shapes}; give one shape") from None
