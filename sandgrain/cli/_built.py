"""How a build is shown: one page of text, or one JSON object, and the error that it ends with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandgrain import BudgetError, MismatchError
from sandgrain.cli import _terminal

if TYPE_CHECKING:
    from sandgrain import Built


def answer(built: Built[Any], html: Path | None, as_json: bool) -> None:
    """Show a build. Raises MismatchError or BudgetError for one that is not as it should be."""
    if as_json:
        _terminal.emit_json({**built.to_json(), "out": str(built.folder), "html": None if html is None else str(html)})
    else:
        _terminal.lines(built.lines())
        if html is not None:
            _terminal.line(f"Plots in {html}")
    _refuse(built)


def _refuse(built: Built[Any]) -> None:
    if built.verdict.difference is not None:
        raise _terminal.answered(MismatchError(str(built.verdict.difference)))
    if difference := built.task.difference(built.figures):
        raise _terminal.answered(MismatchError(difference))
    if built.missed:
        raise _terminal.answered(BudgetError(built.sentence))
