"""What the commands share: lines, tables and JSON on the terminal, and how a report and a verdict are shown."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from sandgrain.base.tables import Line, Table
from sandgrain.base.text import plain
from sandgrain.cli import ANSWERED

if TYPE_CHECKING:
    from sandgrain import Question, Report, SandgrainError, Verdict

console = Console(highlight=False)


def emit_json(value: dict[str, Any]) -> None:
    """Print the command's one object."""
    print(json.dumps(value, indent=2))


def answered(error: SandgrainError) -> SandgrainError:
    """An error that comes after the command's answer: a line on stderr, and with --json no second object."""
    error.add_note(ANSWERED)
    return error


def line(text: str = "") -> None:
    console.print(text, markup=False, soft_wrap=False)


def interactive() -> bool:
    """Whether somebody sits at a terminal who can answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def choose(question: Question) -> str:
    """Ask until a choice is named, by its number or in its words; nothing, and the end of the input, stand for the first."""
    line(f"{plain(question.text, 200)} ({plain(question.key, 40)})")
    for k, choice in enumerate(question.choices, 1):
        line(f"  {k}  {plain(choice, 80)}{f' (best guess: {plain(question.why, 160)})' if k == 1 else ''}")
    while True:
        try:
            said = input("[1] ").strip()
        except EOFError:
            said = ""
        if not said:
            return question.choices[0]
        if said in question.choices:
            return said
        if said.isdecimal() and len(said) < 4 and 0 < int(said) <= len(question.choices):
            return question.choices[int(said) - 1]
        line(f"one of 1 to {len(question.choices)}; nothing takes 1")


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int] = (), fixed: Sequence[int] = (0,)
) -> None:
    """A plain table that fits 80 columns; columns in `numeric` are right-aligned, those and `fixed` are never wrapped."""
    lines([Table(columns, rows, numeric, fixed, title)])


def lines(page: Sequence[Line]) -> None:
    """A page of lines and tables."""
    for item in page:
        if isinstance(item, str):
            line(item)
        else:
            console.print(item.rich(), end="")


def verdict(result: Verdict) -> None:
    """Which runners agree with the reference, and the accuracy."""
    lines(result.lines())


def report(result: Report, layers: bool) -> None:
    """The report for people; every figure with where it comes from."""
    lines(result.lines() if layers else [*result.summary(), *result.remarks()])
