"""Rows of a table, and slices of a value, chosen by positions."""

from __future__ import annotations

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.formats.aten.builder import Builder, Value
from sandgrain.formats.aten.layout import dense
from sandgrain.formats.aten.ops.base import Arguments, Result, need


def _embedding(b: Builder, a: Arguments) -> Result:
    """weight[indices]: the indices come from the model's input, int32."""
    table, at = a.weights("weight"), a["indices"]
    return table[np.asarray(at)] if not isinstance(at, Value) else _rows(b, table, at)


def _rows(b: Builder, table: Array, at: Value) -> Value:
    need(b.tensors[at.tensor].dtype == "int32", "positions that are computed; take them from the model's input")
    at = b.plain(at)
    rows = b.node("gather", (b.constant(table, "weight"), at.tensor), axis=0)
    return Value(rows, dense((*b.shape(at.tensor), *table.shape[1:])))


def _index_select(b: Builder, a: Arguments) -> Result:
    """Rows of a constant by computed positions, or slices of a value by constant ones."""
    x, at, axis = a["self"], a["index"], a["dim"]
    if isinstance(at, Value):
        need(not isinstance(x, Value), "positions and values that are both computed; gather from a parameter or buffer")
        table = np.moveaxis(np.asarray(x, np.float32), axis, 0)
        found = _rows(b, table, at)
        lead, rank = len(at.shape), table.ndim
        order = [*range(lead, lead + axis % rank), *range(lead), *range(lead + axis % rank, lead + rank - 1)]
        return Value(found.tensor, found.layout.permuted(order))
    if not isinstance(x, Value):
        return np.take(np.asarray(x), np.asarray(at), axis)
    extent, wanted = x.shape[axis], np.asarray(at)
    need(bool(((-extent <= wanted) & (wanted < extent)).all()), f"positions outside an axis of {extent}; choose among its values")
    x, axis = b.plain(x), axis % len(x.shape)
    taken = b.node("gather", (b.view(x.tensor, x.shape), b.positions(wanted % extent)), axis=axis)
    return Value(taken, dense((*x.shape[:axis], *wanted.shape, *x.shape[axis + 1 :])))


HANDLERS = {"embedding": _embedding, "index_select": _index_select}
