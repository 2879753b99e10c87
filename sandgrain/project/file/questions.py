"""Where a look is torn: what is asked of whoever sits at the terminal, or of a function of the caller's, and what the answer changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from sandgrain.base.errors import UsageError
from sandgrain.base.text import plain
from sandgrain.project.file.column import Verdict
from sandgrain.project.file.look import Look

CHOICES = 6
KEY = "target_column"
LABEL, GROUP = "a label", "a speaker, subject, machine or session"


@dataclass(frozen=True, slots=True)
class Question:
    """`choices`: the best guess first, for the reason `why`. `key`: that of `[data]` which the answer sets."""

    key: str
    text: str
    choices: tuple[str, ...]
    why: str


Ask = Callable[[Question], str]


def answered(found: Look, ask: Ask) -> Look:
    """The look as the answers have it: `ask` is called for three questions at most, and gives one of the choices. Raises UsageError."""
    for make, change in ((_label_or_number, _with_number), (_which_label, _with_label), (_what_names_say, _with_group)):
        question = make(found)
        if question is None:
            continue
        answer = ask(question)
        if answer not in question.choices:
            raise UsageError(
                f"{plain(answer, 40)} is no answer to {question.text!r}; give one of {plain(', '.join(question.choices), 200)}"
            )
        if answer != question.choices[0]:
            found = change(found, answer)
    return found


def _label_or_number(found: Look) -> Question | None:
    """Where a column says a label, and another one has the name of a number to give."""
    label = next((str(v) for k, v in found.table if k in ("label_column", "y_array")), "")
    if not found.number or not found.labels:
        return None
    said = f"the label{f' in {label}' if label else ''}, one of {len(found.labels)}"
    why = "its values are few, and those of the other are many"
    return Question(KEY, "What is the model to give?", (said, f"the number in {found.number}"), why)


def _with_number(found: Look, answer: str) -> Look:
    """No label, but the number."""
    keys = ("label_column", "label_names", "y_array")
    in_array = all(name.endswith(".npz") for name in found.files) and "labels" not in dict(found.table)
    key = "target_array" if in_array else KEY
    notes = tuple(
        n
        for n in found.notes
        if not any(f"({k})" in n for k in keys) and "may be the number to give" not in n and "background by its name" not in n
    )
    return replace(
        found,
        table=(*((k, v) for k, v in found.table if k not in keys), (key, found.number)),
        labels=(),
        background=(),
        rivals=(),
        notes=(*notes, f"{plain(found.number, 60)} is the number to give, as was answered ({key})"),
    )


def _which_label(found: Look) -> Question | None:
    if len(found.rivals) < 2:
        return None
    why = next((v.why for v in found.columns if v.column == found.rivals[0]), "it comes first among those whose names say so")
    return Question("label_column", "Which column is the label?", found.rivals[:CHOICES], why)


def _with_label(found: Look, column: str) -> Look:
    """Another column is the label; what its values are is read later."""
    before = found.rivals[0]
    table = tuple((k, v) for k, v in found.table if k not in ("label_column", "label_names"))
    roles = {
        column: Verdict(column, "label", "as was answered"),
        before: Verdict(before, "unused", f"another label, beside {column}"),
    }
    notes = tuple(
        n for n in found.notes if "(label_column)" not in n and "(label_names)" not in n and "background by its name" not in n
    )
    return replace(
        found,
        table=(*table, ("label_column", column)),
        columns=tuple(roles.get(v.column, v) for v in found.columns),
        labels=(),
        background=(),
        rivals=(column,),
        notes=(*notes, f"{plain(column, 60)} is the label, as was answered (label_column)"),
    )


def _what_names_say(found: Look) -> Question | None:
    """Where each file would be a label of its own."""
    alone = "{label}" in found.name and "{group}" not in found.name and len(found.labels) == found.count > 1
    if not alone or {"label_column", "labels", "label_tracks"} & dict(found.table).keys():
        return None
    some = ", ".join(plain(label, 20) for label in found.labels[:3])
    return Question("name", f"What is the name of a file, such as {some}?", (LABEL, GROUP), "nothing else says a label")


def _with_group(found: Look, answer: str) -> Look:
    notes = tuple(n for n in found.notes if "(name)" not in n)
    said = "names of files are groups, as was answered; labels come from elsewhere (name)"
    return replace(found, name=found.name.replace("{label}", "{group}"), labels=(), groups=found.count, notes=(*notes, said))
