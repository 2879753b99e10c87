"""Keywords in a long recording: the C's own stream and decisions, and how often they are wrong.

The whole recording runs through the C on this computer, its first part through the firmware on the emulated board, too: the
scores must be the same bytes and the decisions the same events, and both must be what `sandgrain.graph.decisions` says of the scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.base.errors import ToolchainError, UsageError
from sandgrain.base.scratch import scratch
from sandgrain.base.text import number, printable
from sandgrain.bundle import store
from sandgrain.device.run import emulator_missing, open_emulator
from sandgrain.device.run.host import HostModel
from sandgrain.device.toolchain import build_firmware
from sandgrain.graph.decisions import MAX_MARGIN, Rates, Rule, decide, rates
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array, Graph, Tensor
from sandgrain.project.build import metrics
from sandgrain.project.build.firmware import Firmware
from sandgrain.project.build.recording import Recording, pieces, planned
from sandgrain.project.build.stages import Run
from sandgrain.project.build.store import digest
from sandgrain.project.file.schema import Project

HERE = Path(__file__).parent
PIECE = 512  # samples at most that the firmware takes at a time: their buffer is a KiB
BATCH = 1024  # pieces that are held
EMULATED = 64  # results that the emulated board gives
MARGINS = tuple(range(0, MAX_MARGIN + 1, 8))  # that rates are drawn over
Heard = dict[str, Array]  # "scores" int8 [n, labels], "samples" int64 [n]: up to each result, "decisions" int64 [n]


@dataclass(frozen=True, slots=True)
class Spotted:
    """What came of a long recording."""

    rule: Rule
    rates: Rates
    seconds: float  # its length
    recordings: int  # that it is made of
    between: str  # what lies between them, for people
    results: int  # of the stream
    decisions: int  # that were made from them
    board: int  # results that the emulated board gave; 0 if the core is not emulated
    identical: bool  # the board's bytes and decisions are those of this computer, and the decisions are numpy's
    margins: tuple[tuple[int, float, float], ...]  # (margin, false accepts per hour, false rejects) of other rules

    @property
    def length(self) -> str:
        """Of the recording, for people."""
        return f"{self.seconds / 60:.1f} min" if self.seconds >= 60 else f"{self.seconds:.1f} s"

    @property
    def false_accepts(self) -> int:
        """How many there were."""
        return round(self.rates.false_accepts_per_hour * self.rates.hours)

    @property
    def accepts(self) -> str:
        """False accepts per hour, for people."""
        return f"{number(self.rates.false_accepts_per_hour)} per hour"

    @property
    def at_most(self) -> float:
        """False accepts per hour that the true rate is below with 95 % confidence, by what was counted (Poisson)."""
        return metrics.poisson_bound(self.false_accepts) / self.rates.hours if self.rates.hours else float("inf")

    @property
    def counted(self) -> str:
        """How many there were in how long, and what that says at most of the rate, for people."""
        return f"{self.false_accepts:,} in {self.length}: below {number(self.at_most)} per hour with 95 % confidence"

    @property
    def compared(self) -> str:
        """What was held against what, for people."""
        same = "the same" if self.identical else "NOT the same"
        on = f"; the first {self.board:,} on the emulated board" if self.board else "; not emulated here"
        return f"of {self.results:,} results, {same} from C and numpy{on}"

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        r = self.rates
        return {
            "false_accepts_per_hour": r.false_accepts_per_hour,
            "false_accepts": self.false_accepts,
            "false_accepts_per_hour_at_most": self.at_most if self.rates.hours else None,
            "false_rejects": r.false_rejects,
            "events": r.events,
            "rule": asdict(self.rule),
            "seconds": self.seconds,
            "recordings": self.recordings,
            "between": self.between,
            "results": self.results,
            "decisions": self.decisions,
            "results_on_the_board": self.board,
            "identical": self.identical,
            "margins": [
                {"margin": margin, "false_accepts_per_hour": accepts, "false_rejects": rejects}
                for margin, accepts, rejects in self.margins
            ],
        }


def rule_of(project: Project, labels: tuple[str, ...]) -> Rule:
    """`[decide]` as the C's macros. Raises UsageError for a background label that there is not."""
    given = project.decide
    for label in given.background:
        if label not in labels:
            names = ", ".join(printable(name) for name in labels[:8])
            raise UsageError(f"[decide] background: {printable(label)} is no label of the data; it has {names}")
    never = {*given.background, *([project.data.rest] if project.data.rest in labels else [])}
    if never >= set(labels):
        raise UsageError("[decide] background: no label is left to decide for; name fewer")
    return Rule(given.smoothing, given.margin, given.hold, tuple(k for k, label in enumerate(labels) if label in never))


def applies(run: Run, firmware: Firmware) -> bool:
    """Whether the firmware listens to a stream of sound and decides, and the project wants that to be counted."""
    return run.found.about.silence_between and run.project.decide.minutes > 0 and firmware.decides


def spotted(run: Run, firmware: Firmware) -> Spotted | None:
    """How well the firmware finds the keywords of a long recording; None if no test recording fits into its length."""
    samples, rule = run.samples, firmware.bundle.compiled.source.options.rule
    recording = planned(samples, rule.background, run.project.decide.minutes)
    if not recording.events:
        return None
    key = digest("spotted", firmware.report.build_id, samples.key, recording.samples, len(recording.parts))
    made = samples.store.arrays("spotted", key, lambda: _heard(run, recording, firmware))
    scores, ends, found = made["scores"], made["samples"], made["decisions"]
    times, count = ends / recording.rate, min(EMULATED, len(scores)) if made["emulated"].all() else 0
    same = np.array_equal(made["board_scores"], scores[:count]) and np.array_equal(made["board_decisions"], found[:count])
    late = samples.pipeline.signal.shape[0] / recording.rate + _spacing(times) * (rule.smoothing - 1)

    def judged(rule: Rule) -> Rates:
        """A decision may come as long as one of its results has heard something of the event."""
        return rates(decide(scores, rule), times, recording.events, recording.seconds, slack=late)

    sweep = [(margin, judged(replace(rule, margin=margin))) for margin in MARGINS]
    return Spotted(
        rule=rule,
        rates=judged(rule),
        seconds=recording.seconds,
        recordings=len(recording.parts),
        between=recording.between,
        results=len(scores),
        decisions=int((found >= 0).sum()),
        board=count,
        identical=bool(same and np.array_equal(found, decide(scores, rule))),
        margins=tuple((margin, r.false_accepts_per_hour, r.false_rejects) for margin, r in sweep),
    )


def _spacing(times: Array) -> float:
    """Seconds from one result to the next."""
    return float(np.diff(times).max()) if len(times) > 1 else 0.0


# --- the C, here and on the board ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Driver:
    """The C around a bundle; `ports` has the shapes of what goes in and out of a piece."""

    text: str
    ports: Graph
    piece: int
    channels: int


def _heard(run: Run, recording: Recording, firmware: Firmware) -> Heard:
    samples, bundle = run.samples, firmware.bundle
    stream = bundle.compiled.source.plan.stream
    assert stream is not None
    spacing = max(stream.stride * stream.hop, 1)  # samples between results, at least: behind a filter there are more
    driver = _driver(bundle, min(spacing, PIECE), samples.pipeline.signal.shape[1])
    progress = partial(run.progress, "listening to a long recording")
    batches = _cut(pieces(recording, samples), driver, lambda done: progress(done, recording.samples))
    host = _results(driver, _on_host(driver, bundle.code, batches))
    first = int(host["samples"][min(EMULATED, len(host["samples"])) - 1]) if len(host["samples"]) else 0
    board = _on_board(driver, bundle, _start(pieces(recording, samples), first))
    made = _results(driver, []) if board is None else board
    return {
        **host,
        "board_scores": made["scores"],
        "board_decisions": made["decisions"],
        "emulated": np.array([board is not None]),
    }


def _driver(bundle: store.Bundle, piece: int, channels: int) -> _Driver:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(HERE), undefined=StrictUndefined, trim_blocks=True, autoescape=False)
    options, labels = bundle.compiled.source.options, len(bundle.compiled.graph.labels)
    text = environment.get_template("spotting.c.j2").render(
        name=options.name, upper=options.name.upper(), caller=options.arena == "caller", piece=piece, channels=channels
    )
    ports = (
        Tensor("samples", (piece, channels), "int16"),
        Tensor("count", (1,), "int32"),
        Tensor("scores", (labels,), ACTIVATION),
        Tensor("found", (2,), "int32"),
    )
    return _Driver(text, Graph("spotting", ports, (), (0, 1), (2, 3)), piece, channels)


def _cut(parts: Iterable[Array], driver: _Driver, progress: Callable[[int], None]) -> Iterator[tuple[Array, Array]]:
    """(int16 [n, piece, channels], int32 [n, 1] samples of each that count), BATCH pieces at most at a time.

    `progress` is told how many samples are cut.
    """
    room, done = driver.piece * BATCH, 0
    held = np.zeros((0, driver.channels), np.int16)
    for part in parts:
        held = np.concatenate([held, part])
        while len(held) >= room:
            yield _padded(held[:room], driver)
            held, done = held[room:], done + room
            progress(done)
    if len(held):
        yield _padded(held, driver)


def _padded(x: Array, driver: _Driver) -> tuple[Array, Array]:
    count = -(-len(x) // driver.piece)
    room = np.zeros((count * driver.piece, driver.channels), np.int16)
    room[: len(x)] = x
    lengths = np.full((count, 1), driver.piece, np.int32)
    lengths[-1] = len(x) - (count - 1) * driver.piece
    return room.reshape(count, driver.piece, driver.channels), lengths


def _start(parts: Iterable[Array], length: int) -> Array:
    """The first `length` samples."""
    taken: list[Array] = []
    for part in parts:
        if length <= 0:
            break
        taken.append(part[:length])
        length -= len(part)
    return np.concatenate(taken) if taken else np.zeros((0, 1), np.int16)


def _on_host(driver: _Driver, code: Path, batches: Iterable[tuple[Array, Array]]) -> Iterator[list[Array]]:
    host = HostModel(code, driver.ports, driver.text)
    for batch in batches:
        yield host.run(batch)


def _on_board(driver: _Driver, bundle: store.Bundle, x: Array) -> Heard | None:
    """None where the core is not emulated, or the board has no room for the driver."""
    board = bundle.board
    if not len(x) or not board.core.runs_firmware or emulator_missing(board):
        return None
    with scratch() as work:
        (work / "spotting.c").write_text(driver.text, "ascii")
        sources = [bundle.code, work / "spotting.c"]
        try:
            elf = build_firmware(sources, [bundle.folder], board, work / "spotting.elf", bundle.build.toolchain)
        except ToolchainError:
            return None
        cut, lengths = _padded(x, driver)
        rows = open_emulator(elf, board).infer_all([[a.tobytes(), n.tobytes()] for a, n in zip(cut, lengths, strict=True)])
    scores = np.stack([np.frombuffer(row[0], ACTIVATION.numpy) for row in rows])
    return _results(driver, [[scores, np.stack([np.frombuffer(row[1], np.int32) for row in rows])]])


def _results(driver: _Driver, batches: Iterable[list[Array]]) -> Heard:
    """Of all pieces, those that have a result."""
    labels = driver.ports.tensors[2].size
    scores, ends, decisions, at = [np.zeros((0, labels), ACTIVATION.numpy)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
    for given, found in batches:
        there = found[:, 0] > 0
        scores.append(given[there])
        ends.append((at + np.arange(len(found)) * driver.piece + found[:, 0])[there])
        decisions.append(found[there, 1].astype(np.int64))
        at += len(found) * driver.piece
    return {"scores": np.concatenate(scores), "samples": np.concatenate(ends), "decisions": np.concatenate(decisions)}
