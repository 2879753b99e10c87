"""What a detector learns from: the normal recordings alone, and which those are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sandgrain.base.errors import UsageError
from sandgrain.base.text import printable
from sandgrain.project.inspection import Inspection
from sandgrain.project.normal import by_name


def sides(found: Inspection, named: str | None) -> tuple[Inspection, tuple[str, ...]]:
    """(the data with nothing but normal recordings in training and validation, notes).

    `named`: the normal label; None: the only one of the training side, or the one whose name says so. Recordings of other labels that
    were drawn to training or validation go to the test. Raises UsageError if no label is normal.
    """
    trained = sorted({r.label for r in found.records if found.sides[r.key] == "train"})
    normal, why = _normal(trained, named)
    moved = {r.key for r in found.records if r.label != normal and found.sides[r.key] != "test"}
    if not moved:
        return found, why
    note = f"{len(moved)} recordings that are not {printable(normal)} went to the test: a detector learns from normal ones alone"
    changed = {key: "test" if key in moved else side for key, side in found.sides.items()}
    return replace(found, sides=changed), (note, *why)


def _normal(trained: Sequence[str], named: str | None) -> tuple[str, tuple[str, ...]]:
    """(the normal one of the labels of the training side, why as notes). Raises UsageError."""
    if named in trained or (named is None and len(trained) == 1):
        return (trained[0] if named is None else named), ()
    own = by_name(trained)
    if named is None and own == ("normal",):
        return "normal", ()
    own = ("normal",) if "normal" in own else own
    if named is None and len(own) == 1:
        return own[0], (f"{printable(own[0])} is normal by its name; options.normal in [model] names another",)
    names = ", ".join(printable(label) for label in trained[:8]) or "nothing"
    if named is not None:
        said = f"{printable(named)} is no label of the training side"
    else:
        said = f"{'several labels' if own else 'no label'} of the training side {'say that they are' if own else 'says that it is'} normal"
    raise UsageError(f"[model] {said} ({names}); name the normal one: options.normal = ...")


def normal_of(found: Inspection) -> str:
    """The normal label of data that `sides` has sorted: the only one of the training side."""
    return next(r.label for r in found.records if found.sides[r.key] == "train")
