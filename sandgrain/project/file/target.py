"""Which column of a table is the number that a model is to give: one whose name says so, and whose values are no classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.text import plain
from sandgrain.dataset.dialect import is_missing
from sandgrain.project.file.column import FEW, Column, Table

WORDS = "target gt groundtruth truth y label labels outcome"  # the likeliest first
AXES = frozenset("xz")  # beside which y is an axis
SHARE = 0.5  # of the cells that are numbers, at least
BETWEEN = 12  # values that are not whole, from which on they are no classes
NAMED = 4  # columns that a reason names


def find(table: Table) -> Array | None:
    """Give one column the role of the number, and leave out others that may be it; bool [rows]: with a cell that is neither a number nor
    an empty one. None where there is none.

    Only where there is no label. Columns whose values are few are never taken: they are classes.
    """
    if table.of("label"):
        return None
    axes = AXES & {name.strip().lower() for name in table.left}
    asked = [
        (k, c) for c in table.left.values() if (k := c.hint(WORDS)) is not None and not (c.name.strip().lower() == "y" and axes)
    ]
    asked = [(k, c) for k, c in asked if _is_number(c)]
    if not asked or len(asked) == len(table.left):
        return None
    first = min(asked, key=lambda pair: pair[0])[1]
    beside = [c for _, c in asked if c is not first]
    missing = len(first.cells) - len(first.flat)
    gaps = f"; {missing} of {len(first.cells)} rows have none, and stay input" if missing else ""
    others = f"; {_names(beside)} may be it as well" if beside else ""
    table.give(
        first.name,
        "number",
        f"what the model is to give, by its name, and it takes {first.distinct} values, too many for classes{gaps}{others}",
    )
    for column in [c for c in table.left.values() if c in beside or c.hint(WORDS.split()[1]) is not None]:
        table.give(
            column.name, "unused", f"another number to give by its name, beside {first.name} (target_column takes it instead)"
        )
    bad: Array = ~np.isfinite(np.concatenate(first.numbers)) & ~np.array([is_missing(cell) for cell in first.cells])
    return bad


def _is_number(column: Column) -> bool:
    """Whether its values are numbers, and so many or so fine that they are no classes."""
    if column.share < SHARE:
        return False
    whole = bool((column.flat == np.rint(column.flat)).all())
    return column.distinct > (FEW if whole else BETWEEN)


def _names(columns: Sequence[Column]) -> str:
    return plain(", ".join(c.name for c in columns[:NAMED]), 100)
