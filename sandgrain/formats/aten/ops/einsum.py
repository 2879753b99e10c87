"""einsum, where it is a permutation, or a matrix product up to permutations."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import printable
from sandgrain.formats.aten.builder import Builder, Value
from sandgrain.formats.aten.layout import dense
from sandgrain.formats.aten.ops.base import Arguments, need
from sandgrain.formats.aten.ops.linear import linear, matmul

WAY = "write it with matrix products and permutations"
TERM = r"[A-Za-z]*(?:\.\.\.[A-Za-z]*)?"
FORM = re.compile(rf"({TERM}(?:,{TERM})*)(?:->({TERM}))?")
HIDDEN = 0xE000  # Unicode's first private letter: the axes of an ellipsis, the last one first


def terms(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """(the letters of each operand's axes, those of the result's); an ellipsis becomes letters, too. Raises UnsupportedError."""
    match = FORM.fullmatch(equation.replace(" ", ""))
    need(match is not None, f"the equation {printable(equation[:60])}; {WAY}")
    assert match is not None
    left, right = match.groups()
    given = left.split(",")
    need(len(given) == len(ranks), f"the equation {equation} for {len(ranks)} operands; export the model again")
    hidden = 0
    found = []
    for term, rank in zip(given, ranks, strict=True):
        more = rank - len(term.replace("...", "", 1))
        need(more == 0 or (more > 0 and "..." in term), f"the equation {equation} for other shapes; export the model again")
        found.append(term.replace("...", _hidden(more), 1))
        hidden = max(hidden, more)
    if right is not None:
        out = right.replace("...", _hidden(hidden), 1)
    else:
        once = "".join(found)
        out = _hidden(hidden) + "".join(sorted(c for c in set(once) if once.count(c) == 1 and ord(c) < HIDDEN))
    letters = [*found, out]
    need(all(len(set(t)) == len(t) for t in letters), f"a letter twice in a term of {equation}; {WAY}")
    need(set(out) <= set("".join(found)), f"the equation {equation}; export the model again")
    return found, out


def _hidden(count: int) -> str:
    return "".join(chr(HIDDEN + k) for k in reversed(range(count)))


def einsum(b: Builder, equation: str, operands: Sequence[Value | Array]) -> Value:
    """Raises UnsupportedError where it is no matrix product."""
    need(len(operands) <= 2, f"{len(operands)} operands; multiply two at a time")
    need(any(isinstance(v, Value) for v in operands), "an equation on constants alone; compute it before")
    letters, out = terms(equation, [len(v.shape) for v in operands])
    size: dict[str, int] = {}
    for term, value in zip(letters, operands, strict=True):
        for letter, n in zip(term, value.shape, strict=True):
            need(size.setdefault(letter, n) == n, f"the equation {equation} repeats an axis of 1; expand it before")
    shape = [size[c] for c in out]

    def long(term: str) -> str:
        """Without the axes of 1, which neither layout nor arithmetic see."""
        return "".join(c for c in term if size[c] > 1)

    parts = [long(t) for t in letters]
    slim = [_shaped(b, v, [size[c] for c in p]) for v, p in zip(operands, parts, strict=True)]
    if len(parts) == 1:
        need(set(letters[0]) == set(out), f"a sum by the equation {equation}; use a sum")
        return b.reshape(_permuted(slim[0], parts[0], long(out)), shape)
    alone = set(letters[0]) ^ set(letters[1])
    need(alone <= set(out), f"a sum over one operand by the equation {equation}; sum it before")
    need(not set("".join(letters)) <= set(out), f"no sum in the equation {equation}; use a product element by element")
    if not isinstance(slim[0], Value):
        parts, slim = parts[::-1], slim[::-1]
    return b.reshape(_product(b, (parts[0], parts[1]), (slim[0], slim[1]), long(out), size), shape)


def _product(b: Builder, parts: tuple[str, str], pair: tuple[Any, Any], out: str, size: dict[str, int]) -> Value:
    """One value, then another or a constant: rows of the first that meet columns of the second, for each index of a batch."""
    first, second = parts
    x, y = pair
    batch = "".join(c for c in out if c in first and c in second)
    rows, columns = ("".join(c for c in own if c in out and c not in other) for own, other in ((first, second), (second, first)))
    summed = "".join(c for c in first if c in second and c not in out)

    def extent(term: str) -> int:
        return math.prod(size[c] for c in term)

    if not batch and not isinstance(y, Value):
        weights = _permuted(np.asarray(y, np.float32), second, columns + summed).reshape(extent(columns), extent(summed))
        wide = b.reshape(_permuted(x, first, rows + summed), (*(size[c] for c in rows), extent(summed)))
        found = linear(b, wide, weights, None)
    else:
        y = y if isinstance(y, Value) else Value(b.constant(y, "constant"), dense(y.shape))
        count = [extent(batch)] if batch else []
        left = b.reshape(_permuted(x, first, batch + rows + summed), (*count, extent(rows), extent(summed)))
        right = b.reshape(_permuted(y, second, batch + summed + columns), (*count, extent(summed), extent(columns)))
        found = matmul(b, left, right)
    whole = batch + rows + columns
    result: Value = _permuted(b.reshape(found, [size[c] for c in whole]), whole, out)
    return result


def _shaped(b: Builder, value: Any, shape: Sequence[int]) -> Any:
    return b.reshape(value, shape) if isinstance(value, Value) else np.reshape(value, shape)


def _permuted(value: Any, now: str, wanted: str) -> Any:
    """A value or an array, its axes `now` in the order `wanted`."""
    perm = [now.index(c) for c in wanted]
    if isinstance(value, Value):
        return Value(value.tensor, value.layout.permuted(perm))
    return np.transpose(value, perm)


def _einsum(b: Builder, a: Arguments) -> Value:
    return einsum(b, a["equation"], a["tensors"])


HANDLERS = {"einsum": _einsum}
