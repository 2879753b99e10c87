"""A project's windows and feature blocks, put together: what one window is, what the blocks make of it, and a map's vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import SandgrainError, UsageError
from sandgrain.bundle import features_in_c
from sandgrain.dataset import ingest, kinds, peaks
from sandgrain.dataset.changes import runs
from sandgrain.dataset.leads import Leads
from sandgrain.dataset.npz_streams import NpzOptions
from sandgrain.dataset.peaks import CenterOptions
from sandgrain.dataset.records import Manifest, Record
from sandgrain.dataset.rows import RowOptions
from sandgrain.dataset.tables import Scale, TableOptions
from sandgrain.dataset.targets import TargetOptions
from sandgrain.dataset.windows import Run, Windowing, count, windows_in, with_lead
from sandgrain.frontend.blocks import Block
from sandgrain.frontend.blocks.settle import Settle
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.frontend.pipeline import Pipeline
from sandgrain.frontend.signal import MAX_MISSING, MAX_WORD, Channel, Signal, Target
from sandgrain.project.file.schema import Data

if TYPE_CHECKING:
    from sandgrain.project.inspection import Inspection


NO_WINDOW = 'no recording is as long as a window; make window_s shorter, or pad = "center"'
NO_NUMBER = (
    "no window has a number: its last row has none, or half of its rows; see target_of, and the column or array of the numbers"
)
NO_LEAD = 'no recording is as long as the seconds of settle and a window; make one of them shorter, or settle `of = "group"`'


def windowing_of(data: Data, blocks: Sequence[Block], rate: float) -> Windowing | None:
    """How recordings are cut, or None where each is one window. `rate`: Hz, that of the recordings."""
    settle = next((b for b in blocks if isinstance(b, Settle)), None)
    if not data.window_s:
        if settle is not None:
            raise UsageError("settle needs windows that begin behind its seconds; set window_s in [data]")
        return None
    made = _cut_by(data, rate)
    if settle is not None:
        made = replace(made, lead=settle.lead(rate), lead_of=settle.of)
    if data.layout.get(CenterOptions).center:
        _check_centre(data, made, rate)
    return made


def _cut_by(data: Data, rate: float) -> Windowing:
    """The windows that [data] asks for, without what blocks want in front of them."""
    if not rate > 0:
        raise UsageError("[data] window_s needs a sampling rate; set rate, in Hz")
    return Windowing.of(data.window_s, data.stride_s, rate, data.pad, kinds.of(data.kind).padding, data.purity)


def _check_centre(data: Data, windowing: Windowing, rate: float) -> None:
    """A recording around its peak is one window, and its lead is within it: nothing of what was before is kept, and
    `NAME_is_centred` looks for the peak in the middle of both. Raises UsageError."""
    if windowing.lead_of == "group":
        raise UsageError(
            'settle `of = "group"` does not go with center: recordings are cut around their peaks, and no start is left; settle '
            '`of = "start"` or "before"'
        )
    wanted = windowing.lead + windowing.length
    if max(1, round(data.layout.get(NpzOptions).event_s * rate)) == wanted:
        return
    if windowing.lead:
        raise UsageError(
            f"center keeps event_s of each recording, and settle takes its seconds from them: set event_s = {wanted / rate:.10g}, the "
            "seconds of settle and window_s"
        )
    raise UsageError(
        f"center keeps event_s of each recording, and window_s of it has its peak elsewhere than in the middle: set event_s = "
        f"{wanted / rate:.10g} as window_s, or leave window_s out"
    )


def leads_of(manifest: Manifest, windowing: Windowing | None) -> Leads | None:
    """The leads of the windows of a data set; None where they have none."""
    if windowing is None or not windowing.lead:
        return None
    return Leads(manifest.records, manifest.layout, windowing, partial(ingest.open_record, manifest))


def placed(manifest: Manifest, data: Data, blocks: Sequence[Block]) -> tuple[Record, ...]:
    """The records of a data set, with what comes before each in its stream where windows have a lead."""
    rate = manifest.records[0].rate
    leads = leads_of(manifest, windowing_of(data, blocks, rate)) if rate else None
    return manifest.records if leads is None else leads.placed(manifest.records)


def items_of(records: Sequence[Record], data: Data) -> Sequence[Record | Run]:
    """What windows are cut from: recordings, or with `purity` the streams that they follow one another in."""
    return runs(records, data.layout) if data.purity else records


def signal_of(records: Sequence[Record], data: Data) -> Signal:
    """One window as the sensor gives it. Raises UsageError where the recordings have no common shape."""
    rate = records[0].rate
    windowing = _cut_by(data, rate) if data.window_s else None
    shapes = {r.shape for r in records} if windowing is None else {(windowing.length, *records[0].shape[1:])}
    if len(shapes) == 1:
        shape = shapes.pop()
        return Signal(data.kind, shape, rate, channels_of(data, shape[-1]), _target(data))
    raise UsageError(f"[data]: {kinds.of(data.kind).unlike_advice}")


def _target(data: Data) -> Target | None:
    """Where recordings say their number; None where an index file or their names do."""
    options = data.layout.get(TargetOptions)
    name = options.target_array or ("" if data.layout.labels else options.target_column)
    missing = data.layout.get(RowOptions).missing
    return Target(name, options.target_of, missing) if 0 < len(name) <= MAX_WORD and len(missing) <= MAX_MISSING else None


def channels_of(data: Data, count: int) -> tuple[Channel, ...]:
    """What the project says of each of `count` channels of a sensor; () where it says nothing."""
    table, scale, centre = data.layout.get(TableOptions), data.layout.get(Scale), data.layout.get(CenterOptions).center
    if (
        not (table.columns or scale.full_scale or scale.units or centre)
        or kinds.of(data.kind).silence_between
        or not kinds.of(data.kind).sampled
    ):
        return ()

    def each(values: tuple[Any, ...], nothing: Any) -> tuple[Any, ...]:
        return values if len(values) == count else values * count if len(values) == 1 else (nothing,) * count

    rows = zip(each(table.columns, ""), each(scale.units, ""), each(scale.full_scale, 0.0), strict=True)
    which = peaks.channels_of(data.layout, count) if centre else ()
    return tuple(Channel(name[:MAX_WORD], unit[:MAX_WORD], full, k in which) for k, (name, unit, full) in enumerate(rows))


def pipeline_of(found: Inspection) -> Pipeline:
    """The project's blocks on its windows. Raises UsageError or ModelError where they do not fit."""
    return _pipeline(found.records, found.loaded.project.data, found.loaded.blocks)


def _pipeline(records: Sequence[Record], data: Data, blocks: Sequence[Block]) -> Pipeline:
    """A project has no model yet whose range a fixed normalization could take: it must say one."""
    made = Pipeline(signal_of(records, data), tuple(blocks))
    if made.given is not None:
        _ = made.given.quant
    return made


def problem(records: Sequence[Record], data: Data, blocks: Sequence[Block]) -> str:
    """Why the blocks cannot compute anything from a window of these recordings, or ""."""
    try:
        _pipeline(records, data, blocks)
    except SandgrainError as error:
        return str(error)
    windowing = windowing_of(data, blocks, records[0].rate)
    if count(records, windowing):
        return ""
    if count([replace(r, unknown=None) for r in records], windowing):
        return NO_NUMBER
    return NO_LEAD if windowing is not None and windowing.lead else NO_WINDOW


def describe(found: Inspection) -> str:
    """What the blocks make of a window, or why they cannot."""
    try:
        pipeline = pipeline_of(found)
    except SandgrainError as error:
        return f"cannot be computed: {error}"
    names = ", ".join(block.name() for block in found.loaded.blocks) or "raw"
    shape = pipeline.shape
    windows = sum(sum(sides.values()) for sides in found.windows.values())
    what = kinds.of(found.kind).windows
    sides = f"{' x '.join(map(str, shape))} = " if len(shape) > 1 else ""
    return f"{windows:,} {what}, {names}: {sides}{int(np.prod(shape)):,} values each"


def vectors(found: Inspection, most: int) -> tuple[tuple[int, ...], Array] | None:
    """Features of the first window of at most `most` records, spread over all: their places, and int8 [n, values].

    None where features cannot be computed. They are computed by the C that the board runs, built for this computer.
    """
    try:
        pipeline = pipeline_of(found)
        records, data = found.records, found.loaded.project.data
        windowing = windowing_of(data, found.loaded.blocks, records[0].rate)
        whole = [k for k, r in enumerate(records) if windows_in(r, windowing)]
        rows = [whole[int(k)] for k in np.unique(np.linspace(0, len(whole) - 1, min(len(whole), most)).astype(int))]
        windows = partial(_windows, found, [records[k] for k in rows], windowing)
        norm = features_in_c.fit(pipeline, windows())
        return tuple(rows), features_in_c.extract(FrontEnd(pipeline, norm), windows()).reshape(len(rows), -1)
    except SandgrainError:
        return None


def _windows(found: Inspection, records: Sequence[Record], windowing: Windowing | None) -> Iterator[Array]:
    leads = leads_of(found.manifest, windowing)
    for record in records:
        x = ingest.open_record(found.manifest, record)
        window = windows_in(record, windowing)[0]
        yield with_lead(x, window, windowing, None if leads is None else leads.ahead(record))
