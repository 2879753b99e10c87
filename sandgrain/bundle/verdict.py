"""What `verify` found, and the sentence that says what was proven against what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

TFLM = "TensorFlow Lite Micro"
RUNNERS = {
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


@dataclass(frozen=True, slots=True)
class Verdict:
    """`identical`: nothing differs that was compared, and the C on disk is what its proof makes, or was to be taken as it is.

    `compared`: runner -> samples that agree with the reference in every byte. `accuracy`: share of samples whose label the last
    runner found, None without labels; of a detector, whose threshold tells label 0 from the others. `scores`: of a detector, what
    the last runner gave. `seed`: of the samples, None where they were given. `edited`: what of the bundle is not what its proof
    makes. `layers`: whose outputs were compared. `checks`: of macros, helpers, labels and status codes. `oracle`: what else gave
    the reference's outputs, or why nothing did. `conclusion`: one sentence: what was proven against what.
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
    checks: int = 0
    oracle: str = ""
    conclusion: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

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
    ran = " and ".join(RUNNERS[name].format(core=core) for name in runners)
    stream = ", whole and pushed in pieces" if "stream" in verdict.compared else ""
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
        f"{verdict.samples} samples{stream}, and {verdict.checks} helpers, macros and status codes as Python has them, in {ran}; "
        f"{oracle}."
    )
