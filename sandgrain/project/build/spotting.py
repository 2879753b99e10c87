"""Keywords in a long recording: the C's own stream and decisions, and how often they are wrong.

The whole recording runs through the C on this computer, its first part through the firmware on the emulated board, too: the
scores must be the same bytes and the decisions the same events, and both must be what `sandgrain.graph.decisions` says of the scores.
"""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from sandgrain.base.errors import ToolchainError
from sandgrain.base.scratch import scratch
from sandgrain.base.text import number
from sandgrain.bundle import listening, store
from sandgrain.bundle.listening import PIECE, Driver, Heard
from sandgrain.device.run import emulator_missing, open_emulator
from sandgrain.device.toolchain import build_firmware
from sandgrain.graph.decisions import MAX_MARGIN, Rates, Rule, decide, matched, rates
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array
from sandgrain.project.build import deciding
from sandgrain.project.build.firmware import Firmware
from sandgrain.project.build.hourly import Hourly
from sandgrain.project.build.recording import SILENCE, Recording, pieces, planned, times
from sandgrain.project.build.samples import Samples
from sandgrain.project.build.stages import Run
from sandgrain.project.build.store import digest

EMULATED = 64  # results that the emulated board gives
MARGINS = tuple(range(0, MAX_MARGIN + 1, 8))  # that rates are drawn over


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
    repeats: int  # decisions for a keyword that had one; they are among the false accepts
    delay_s: float | None  # from a keyword's start to its decision, the median of those that were found
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
    def hourly(self) -> Hourly:
        """The rate of false accepts."""
        return Hourly(self.false_accepts, self.rates.hours)

    @property
    def counted(self) -> str:
        """How many there were in how long, and what that says at most of the rate, for people."""
        return f"{self.false_accepts:,} in {self.length}: below {number(self.hourly.at_most)} per hour with 95 % confidence"

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
            "false_accepts_per_hour_at_most": self.hourly.at_most if self.rates.hours else None,
            "repeats": self.repeats,
            "false_rejects": r.false_rejects,
            "delay_s": self.delay_s,
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


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Results of one long recording: int8 [n, labels] at `times` [n], seconds, and how they become decisions."""

    scores: Array
    times: Array
    recording: Recording
    rule: Rule

    def judged(self, window: float, margin: int | None = None) -> Rates:
        """A decision may come as long as one of its results has heard something of the event. `window`: seconds."""
        rule = self.rule if margin is None else replace(self.rule, margin=margin)
        slack = self._slack(window)
        return rates(decide(self.scores, rule), self.times, self.recording.events, self.recording.seconds, slack=slack)

    def matched(self, window: float) -> tuple[int, list[float]]:
        """(decisions for an event that had one, seconds from the start of each event that was found to its decision)."""
        events = [e for e in self.recording.events if e.label not in self.rule.background]
        own = matched(decide(self.scores, self.rule), self.times, events, self._slack(window))
        return len(own.repeats), [when - events[k].start for k, when in own.hits.items()]

    def _slack(self, window: float) -> float:
        return window + _spacing(self.times) * (self.rule.smoothing - 1)


def applies(run: Run, firmware: Firmware) -> bool:
    """Whether the firmware listens to a stream of sound and decides, and the project wants that to be counted."""
    return run.found.about.silence_between and run.project.decide.minutes > 0 and firmware.decides


def in_fold(run: Run, model: bytes, rule: Rule) -> Part | None:
    """What a fold's network, `model`, hears in a long recording of what the fold tests; None where nothing is to be counted."""
    if not (run.found.about.silence_between and run.project.decide.minutes > 0 and run.samples.stride):
        return None
    samples = run.samples
    recording = planned(samples, rule.background, run.project.decide.minutes)
    key = digest("heard", samples.key, hashlib.sha256(model).hexdigest(), recording.samples, len(recording.parts))
    scores = samples.store.arrays("heard", key, lambda: {"scores": deciding.heard(samples, recording, model)})["scores"]
    return Part(scores, times(samples, len(scores)), recording, rule)


def spotted(run: Run, firmware: Firmware, folds: Sequence[Part | None] = ()) -> Spotted | None:
    """How well the firmware finds the keywords of a long recording; None if no test recording fits into its length.

    `folds`: what the networks of cross-validation heard, which are counted instead: the firmware has learned what it hears here.
    """
    samples, rule = run.samples, firmware.bundle.compiled.source.options.rule
    recording = planned(samples, rule.background, run.project.decide.minutes)
    if not recording.events:
        return None
    crossed = [part for part in folds if part is not None and part.recording.events]
    key = digest("spotted", firmware.report.build_id, samples.key, recording.samples, len(recording.parts))
    made = samples.store.arrays("spotted", key, lambda: _heard(run, recording, firmware))
    scores, ends, found = made["scores"], made["samples"], made["decisions"]
    count = min(EMULATED, len(scores)) if made["emulated"].all() else 0
    same = np.array_equal(made["board_scores"], scores[:count]) and np.array_equal(made["board_decisions"], found[:count])
    window = samples.pipeline.signal.shape[0] / recording.rate
    parts = crossed or [Part(scores, ends / recording.rate, recording, rule)]
    owns = [part.matched(window) for part in parts]
    delays = [late for _, delayed in owns for late in delayed]
    sweep = [(margin, _summed([part.judged(window, margin) for part in parts])) for margin in MARGINS]
    return Spotted(
        rule=rule,
        rates=_summed([part.judged(window) for part in parts]),
        seconds=sum(part.recording.seconds for part in parts),
        recordings=sum(len(part.recording.parts) for part in parts),
        between=recording.between,
        results=len(scores),
        decisions=int((found >= 0).sum()),
        board=count,
        identical=bool(same and np.array_equal(found, decide(scores, rule))),
        repeats=sum(repeats for repeats, _ in owns),
        delay_s=statistics.median(delays) if delays else None,
        margins=tuple((margin, r.false_accepts_per_hour, r.false_rejects) for margin, r in sweep),
    )


def notes(found: Spotted | None, samples: Samples) -> tuple[str, ...]:
    """What to doubt of a long recording."""
    settle = samples.pipeline.settle
    if found is None or settle is None or settle.of != "before" or found.between != SILENCE:
        return ()
    silent = "between the recordings of the long one there is digital silence, which no microphone gives"
    return (f"settle measures against the seconds just before, and {silent}: name recordings of your rooms in [data] background",)


def _summed(found: Sequence[Rates]) -> Rates:
    """Of several recordings, as one."""
    hours, events = sum(r.hours for r in found), sum(r.events for r in found)
    wrong = sum(r.false_accepts_per_hour * r.hours for r in found)
    missed = sum(r.false_rejects * r.events for r in found)
    return Rates(wrong / hours if hours else 0.0, missed / events if events else 0.0, hours, events)


def _spacing(times: Array) -> float:
    """Seconds from one result to the next."""
    return float(np.diff(times).max()) if len(times) > 1 else 0.0


# --- the C, here and on the board ------------------------------------------------------------------------------------------


def _heard(run: Run, recording: Recording, firmware: Firmware) -> Heard:
    samples, bundle = run.samples, firmware.bundle
    stream = bundle.compiled.source.plan.stream
    assert stream is not None
    spacing = max(stream.stride * stream.hop, 1)  # samples between results, at least: behind a filter there are more
    driver = listening.driver(bundle, min(spacing, PIECE), samples.pipeline.signal.shape[1])
    progress = partial(run.progress, "listening to a long recording")
    batches = listening.cut(pieces(recording, samples), driver, lambda done: progress(done, recording.samples))
    host = listening.results(driver, listening.on_host(driver, bundle.code, batches))
    first = int(host["samples"][min(EMULATED, len(host["samples"])) - 1]) if len(host["samples"]) else 0
    board = _on_board(driver, bundle, _start(pieces(recording, samples), first))
    made = listening.results(driver, []) if board is None else board
    return {
        **host,
        "board_scores": made["scores"],
        "board_decisions": made["decisions"],
        "emulated": np.array([board is not None]),
    }


def _start(parts: Iterable[Array], length: int) -> Array:
    """The first `length` samples."""
    taken: list[Array] = []
    for part in parts:
        if length <= 0:
            break
        taken.append(part[:length])
        length -= len(part)
    return np.concatenate(taken) if taken else np.zeros((0, 1), np.int16)


def _on_board(driver: Driver, bundle: store.Bundle, x: Array) -> Heard | None:
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
        cut, lengths = listening.padded(x, driver)
        rows = open_emulator(elf, board).infer_all([[a.tobytes(), n.tobytes()] for a, n in zip(cut, lengths, strict=True)])
    scores = np.stack([np.frombuffer(row[0], ACTIVATION.numpy) for row in rows])
    return listening.results(driver, [[scores, np.stack([np.frombuffer(row[1], np.int32) for row in rows])]])
