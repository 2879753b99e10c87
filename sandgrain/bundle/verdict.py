"""What `verify` found, and the sentence that says what was proven against what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

from sandgrain.base.errors import UsageError
from sandgrain.base.tables import Line, Row, Shown
from sandgrain.base.text import printable

TFLM = "TensorFlow Lite Micro"
Place = Literal["both", "emulator", "host"]
RUNNERS = {
    "tflm": TFLM,
    "host": "host build",
    "emulator": "emulated firmware",
    "stream": "as a stream, in pieces",
}
RAN = {
    "host": "the C built for this computer",
    "emulator": "the firmware on an emulated {core}",
    "stream": "the same, as a stream",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """The first layer whose output differs: at `sample`, in `runner`, the byte where, and both values there.

    `layer` is None for an output of the model, and for what the C offers beside an inference; `name` says which. `actual` is NaN
    for a layer that did not run.
    """

    runner: str
    sample: int
    layer: int | None
    op: str
    name: str
    element: int
    expected: float
    actual: float

    def __str__(self) -> str:
        where = f"layer {self.layer} ({self.op} {self.name})" if self.layer is not None else self.name
        if self.actual != self.actual and self.expected == self.expected:
            return f"{self.runner}: {where} did not run or gave no number, sample {self.sample}"
        return f"{self.runner} differs first at {where}, sample {self.sample}, element {self.element}: {self.actual:.9g}, reference {self.expected:.9g}"


@dataclass(frozen=True, slots=True, repr=False)
class Verdict(Shown):
    """`identical`: nothing differs that was compared, and the C on disk is what its proof makes, or was to be taken as it is.

    `compared`: runner -> samples that agree with the reference in every byte. `accuracy`: share of samples whose label the last
    runner found, None without labels; of a detector, whose threshold tells label 0 from the others. `scores`: of a detector, what
    the last runner gave. `seed`: of the samples, None where they were given. `edited`: what of the bundle is not what its proof
    makes. `layers`: whose outputs were compared. `alone`: how many of them were
    given inputs of their own as well. `calls`: that came after others in one process, in drawn order. `checks`: of macros, helpers, labels and status codes. `oracle`: what else gave
    the reference's outputs, or why nothing did. `state`: what the C does with a state that the model's file keeps between calls, ""
    where it keeps none. `conclusion`: one sentence: what was proven against what.
    """

    model: str
    target: str
    on: str
    samples: int
    identical: bool
    compared: dict[str, int]
    accuracy: float | None
    difference: Difference | None
    notes: tuple[str, ...] = ()
    scores: tuple[int, ...] | None = None
    seed: int | None = None
    edited: tuple[str, ...] = ()
    layers: int = 0
    alone: int = 0
    calls: int = 0
    checks: int = 0
    oracle: str = ""
    state: str = ""
    conclusion: str = ""

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        return asdict(self)

    def rows(self) -> list[Row]:
        """The runners."""
        return [{"runner": name, "samples": self.samples, "identical": agreeing} for name, agreeing in self.compared.items()]

    def lines(self) -> list[Line]:
        found = [f"{self.model} on {self.target}: {self.samples} samples, seed {self.seed}"]
        for runner, agreeing in self.compared.items():
            found.append(f"  {RUNNERS[runner]:24} {agreeing} of {self.samples} identical to the reference")
        if self.accuracy is not None:
            found.append(f"  {'accuracy':24} {100 * self.accuracy:.1f} %")
        edits = [f"not what proof/ makes: {edit}" for edit in self.edited]
        return [*found, *edits, *(f"note: {note}" for note in self.notes), self.conclusion]

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`, for a verdict without a difference."""
        names = {field.name for field in fields(cls)}
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in facts.items() if k in names}
        return cls(**values)

    @property
    def reason(self) -> str:
        """Why it is not identical, in one line."""
        if self.difference is not None:
            return str(self.difference)
        return edited_line(self.edited)


def check_place(on: str) -> None:
    """Raises UsageError unless `on` is one of Place."""
    if on not in get_args(Place):
        raise UsageError(f"--on {printable(str(on))!r} is not a place to run; choose both, emulator or host")


def edited_line(edited: tuple[str, ...]) -> str:
    """What differs from what the proof makes, and the way out."""
    more = f" and {len(edited) - 3} more" if len(edited) > 3 else ""
    return (
        f"not what proof/ makes: {', '.join(edited[:3])}{more}; nothing of it was run. Compile the model again, "
        "or take it as it is with --edited"
    )


def conclusion(verdict: Verdict, core: str) -> str:
    """One sentence: what was proven against what."""
    if verdict.edited and not verdict.compared:
        return f"Not proven: the bundle is {verdict.reason}."
    if verdict.difference is not None:
        edits = f"; the bundle was edited: {', '.join(verdict.edited[:3])}" if verdict.edited else ""
        return f"Not proven: {verdict.difference} (again with --seed {verdict.seed}){edits}."
    runners = [name for name in ("host", "emulator") if name in verdict.compared]
    ran = " and ".join(RAN[name].format(core=core) for name in runners)
    stream = ", whole and pushed in pieces" if "stream" in verdict.compared else ""
    alone = f", of {verdict.alone} layers on inputs of their own" if verdict.alone else ""
    again = f", again in {verdict.calls} calls in drawn order" if verdict.calls else ""
    made = (
        f"the C as it was edited ({', '.join(verdict.edited[:3])})"
        if verdict.edited
        else "the C on disk, which is what proof/ makes,"
    )
    oracle = (
        f"the reference agrees with {verdict.oracle}"
        if not verdict.oracle.startswith("none")
        else "no other implementation was asked"
    )
    return (
        f"Proven: {made} gives every byte of the reference interpreter's outputs and of its {verdict.layers} layers on "
        f"{verdict.samples} samples{stream}{again}{alone}, and {verdict.checks} helpers, macros and status codes as Python has them, in {ran}; "
        f"{oracle}{f'; {verdict.state}' if verdict.state else ''}."
    )
