"""Where a figure is better than it will be in the field, and what in the data may have made it so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sandgrain.project.inspection import Inspection

ALL = 0.9995  # a share from here on is shown as 100.0 %
FEW_GROUPS = 3  # on the test side, up to which somebody new is hardly tested
FEW_WINDOWS = 100  # of which 100 % may as well be 97: the rule of three


def too_good(splits: Sequence[Inspection], share: float | None, windows: int, what: str) -> tuple[str, ...]:
    """One note where `share` of `windows` test windows is all of them, and the data gives a reason not to believe it; else none.

    `splits`: the data as it was split for each test, several of cross-validation. `what`: the figure, such as "accuracy".
    """
    reasons = list(_reasons(splits, windows)) if share is not None and share >= ALL else []
    return (f"{what} of 100 % is too good to be believed as it is: {'; '.join(reasons)}",) if reasons else ()


def _reasons(splits: Sequence[Inspection], windows: int) -> Iterator[str]:
    """What to look at, one short sentence each."""
    grouped, tested, known, pieces = False, set(), set(), set()
    for found in splits:
        groups: dict[str, set[str]] = {}
        files: dict[str, set[str]] = {}
        for record in found.records:
            side = found.sides[record.key]
            if record.group:
                groups.setdefault(record.group, set()).add(side)
            files.setdefault(record.key.rpartition("#")[0] or record.key, set()).add(side)
        grouped = grouped or bool(groups)
        tested |= {name for name, where in groups.items() if "test" in where}
        known |= {name for name, where in groups.items() if {"train", "test"} <= where}
        pieces |= {name for name, where in files.items() if {"train", "test"} <= where}
    if len(splits) == 1 and (leaks := len(splits[0].leaks)):  # folds keep copies together
        yield f'{leaks} copies or near-copies are on two sides of the split (duplicates = "drop")'
    if not grouped:
        yield 'no speaker, subject or device is known, so the same one may train and test ({group} in name, group_column, by = "group")'
    elif known:
        yield f'{len(known)} of {len(tested)} groups that are tested are trained with, too (by = "group")'
    elif len(tested) <= FEW_GROUPS:
        yield f"{len(tested)} group{'s are' if len(tested) > 1 else ' is'} tested (try other seeds of [data.split], or record more)"
    if cut := len(pieces):
        yield f'{cut} file{"s were" if cut > 1 else " was"} cut into training and test (a group for each file, by = "group")'
    if windows < FEW_WINDOWS:
        yield f"{windows} test windows are few: {100 * min(1, 3 / max(1, windows)):.2g} % wrong would often show none"
