"""Which column is the number that a model is to give: of a table of signals one whose name says so, and whose values are no classes; of a
table of files, or beside recordings, one of many different values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.text import plain
from sandgrain.dataset.dialect import is_missing
from sandgrain.project.file.column import FEW, GROUP_WORDS, TIME_WORDS, Column, Table

WORDS = "target gt groundtruth truth y label labels outcome"  # the likeliest first
AXES = frozenset("xz")  # beside which y is an axis
SHARE = 0.5  # of the cells that are numbers, at least
BETWEEN = 12  # values that are not whole, from which on they are no classes
NAMED = 4  # columns that a reason names
ALONE = 0.95  # of the values of whole numbers that are different: from there on they number the rows
ABOUT = (
    "duration length samples size bytes rate hz fs frequency channels lat lon latitude longitude start end offset onset seed index fold "
    "split frame frames width height bits"
)  # of the file, not of what is in it


def of_files(columns: Mapping[int, Column]) -> list[int]:
    """The columns of a table of files or recordings that may be the number to give, those whose name says so first: many different values,
    no id, no time, and nothing that is about a file."""
    fit = [k for k, c in columns.items() if c.share >= SHARE and c.distinct > BETWEEN and not _is_about(c)]
    rank = {k: columns[k].hint(WORDS) for k in fit}
    named = [k for k in fit if rank[k] is not None]
    return [*sorted(named, key=lambda k: (rank[k] or 0, k)), *(k for k in fit if rank[k] is None)]


def says_so(name: str) -> bool:
    """Whether a name is one of a number to give."""
    return Column(name, [[]]).hint(WORDS) is not None


def _is_about(column: Column) -> bool:
    """Whether it is an id, a time, or a measure of the file: whole numbers that are all different, what rises evenly, or its name."""
    if column.hint(ABOUT) is not None or column.hint(TIME_WORDS) is not None or column.hint(GROUP_WORDS) is not None:
        return True
    steps = np.diff(column.flat)
    counts = bool((column.flat == np.rint(column.flat)).all()) and column.distinct >= ALONE * len(column.flat)
    even = bool((steps > 0).all()) and bool(np.allclose(steps, steps[0], rtol=0.2))
    return (counts and column.hint(WORDS) is None) or even


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
