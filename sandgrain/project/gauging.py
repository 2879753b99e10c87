"""A model of numbers over long recordings, heard as the device hears them: what it says of each window beside what is true of it.

The C on this computer runs over each whole recording, and a result is of the window that ends with it. What is true of that window is
taken from its rows as it was in training: the number of the last one, the mean, or the largest. A window whose number nobody says is heard
and not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Progress, silent
from sandgrain.base.text import plain
from sandgrain.bundle import store
from sandgrain.dataset import kinds
from sandgrain.dataset.unknown import WAYS, Unknown, edges_of
from sandgrain.frontend.signal import Signal, Target
from sandgrain.graph.ir import Tensor
from sandgrain.graph.numbers import Number, in_parts
from sandgrain.project import score
from sandgrain.project.build import errors
from sandgrain.project.gauged import Gauged, GaugedOne
from sandgrain.project.score import Hears
from sandgrain.project.streams import Stream
from sandgrain.project.traces import Trace


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """What a bundle is, as far as its numbers are judged. `window`: samples. `out`: its output. `skip_s`: seconds at a recording's start
    that are heard and not judged."""

    window: int
    out: Tensor
    form: Number
    target: Target
    skip_s: float = 0.0


@dataclass(slots=True, eq=False)
class Tally:
    """What is counted over all recordings."""

    said: list[Array] = field(default_factory=list)
    truth: list[Array] = field(default_factory=list)
    owners: list[str] = field(default_factory=list)
    recordings: list[GaugedOne] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)
    results: int = 0
    seconds: float = 0.0
    grouped: bool = False

    def hear(self, streams: Sequence[Stream], scale: Scale, listener: Hears, progress: Progress = silent) -> None:
        """Hear each recording and count. `streams`: at the listener's rate, with its channels."""
        for k, stream in enumerate(streams):
            progress("listening", k, len(streams))
            heard = score.heard(stream, listener)
            ends = heard["samples"].astype(np.int64)
            said = in_parts(heard["scores"], scale.out, scale.form) / scale.form.parts
            true = np.full(len(ends), np.nan) if stream.numbers is None else _true(stream.numbers(), ends, scale)
            judged = ~np.isnan(true) & (ends / stream.rate > scale.skip_s)
            self.said.append(said[judged])
            self.truth.append(true[judged])
            self.owners += [stream.group or stream.name] * int(judged.sum())
            self.grouped = self.grouped or bool(stream.group)
            self.results += len(ends)
            self.seconds += max(stream.seconds - scale.skip_s, 0.0)
            self.recordings.append(_one(stream, said[judged], true[judged]))
            self.traces.append(
                replace(Trace.thinned(stream.name, stream.seconds, ends / stream.rate, said, ()), true=_thin(true))
            )


def _true(rows: Array, ends: Array, scale: Scale) -> Array:
    """float64 [n]: the number of the window before each of `ends`; NaN where nobody says it. `rows`: float64 [samples]."""
    starts = ends - scale.window
    edges, way = edges_of(rows, len(rows)), WAYS[scale.target.of]
    gone = Unknown(edges, scale.target.of).windows(starts, ends) if edges else np.zeros(len(ends), bool)
    return np.array([np.nan if g else way(rows[a:b]) for a, b, g in zip(starts, ends, gone, strict=True)], np.float64)


def _thin(values: Array) -> Array:
    """As `Trace.thinned` takes them."""
    return Trace.thinned("", 0.0, values, values, ()).values


def _one(stream: Stream, said: Array, true: Array) -> GaugedOne:
    if not len(true):
        return GaugedOne(stream.name, stream.seconds, 0, None, None, None, None)
    off = said - true
    spread = float(((true - true.mean()) ** 2).sum())
    r2 = 1 - float((off**2).sum()) / spread if spread else None
    mae, rmse = float(np.abs(off).mean()), float(np.sqrt((off**2).mean()))
    return GaugedOne(stream.name, stream.seconds, len(true), mae, rmse, r2, float(off.mean()))


# --- a bundle ----------------------------------------------------------------------------------------------------------------


def gives_numbers(bundle: store.Bundle) -> bool:
    """Whether its C gives a number."""
    return bundle.compiled.source.options.number is not None


def signal_of(bundle: store.Bundle) -> Signal:
    """What it hears. Raises UsageError for one that hears no recordings."""
    front = bundle.origin.front
    if front is None or not kinds.of(front.pipeline.signal.kind).sampled:
        raise UsageError("the bundle takes no samples of a signal; compile it with features, or build a project")
    return front.pipeline.signal


def target_of(signal: Signal, column: str) -> Target:
    """Where recordings say what is true: `column`, or where they said it in training. Raises UsageError."""
    known = signal.target or Target("")
    target = replace(known, name=column or known.name)
    if not target.name:
        raise UsageError(
            "nothing says which column of the recordings has the number that is true: in training an index file or the files' names said it; "
            "name it with --target-column"
        )
    if target.of not in WAYS:
        raise UsageError(f"the bundle's features.json takes a window's number by {plain(target.of, 20)!r}; build it again")
    return target


def gauged(
    bundle: store.Bundle,
    streams: Sequence[Stream],
    scale: Scale,
    listener: Hears,
    notes: tuple[str, ...] = (),
    progress: Progress = silent,
) -> Gauged:
    """Hear each recording and count. `streams`: at the bundle's rate, with its channels. `notes`: what the reader left out."""
    tally = Tally()
    tally.hear(streams, scale, listener, progress)
    return summed(tally, (bundle.compiled.source.options.name, bundle.board.name), scale, notes)


def scale_of(bundle: store.Bundle, column: str, skip_s: float) -> Scale:
    """How a bundle's numbers are judged. Raises UsageError."""
    signal, graph, form = signal_of(bundle), bundle.compiled.graph, bundle.compiled.source.options.number
    assert form is not None
    return Scale(signal.shape[0], graph.tensors[graph.outputs[0]], form, target_of(signal, column), skip_s)


def summed(tally: Tally, named: tuple[str, str], scale: Scale, notes: tuple[str, ...] = ()) -> Gauged:
    """What was counted, as figures. `named`: of the bundle and of its target."""
    truth = np.concatenate(tally.truth) if tally.truth else np.zeros(0)
    found: errors.Errors | None = None
    if len(truth):
        constant = np.full(len(truth), np.median(truth))
        owners = errors.Owners(tally.owners, not tally.grouped)
        found = errors.of_numbers(np.concatenate(tally.said), truth, constant, owners, 0)
    silent_ones = [plain(r.name, 40) for r in tally.recordings if not r.windows]
    if silent_ones and found is not None:
        more = f" and {len(silent_ones) - 3} more" if len(silent_ones) > 3 else ""
        notes = (*notes, f"nothing is counted of {', '.join(silent_ones[:3])}{more}: no window has a number that is known")
    if found is not None and found.overall.mae >= found.overall.baseline:
        notes = (*notes, "the mean error is no smaller than that of a constant, the median of these recordings")
    return Gauged(
        *named, scale.form.unit, scale.target.name, tally.seconds, tally.results, found, tuple(tally.recordings), notes, tuple(tally.traces)
    )  # fmt: skip
