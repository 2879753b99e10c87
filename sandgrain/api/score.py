"""`sandgrain.score`: how good a compiled model is on long recordings, heard as the device hears them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sandgrain.api._bundles import bundle_of
from sandgrain.api._extras import PAGES, PROJECT, require
from sandgrain.api._verb import verb
from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Watch, watched
from sandgrain.base.text import plain
from sandgrain.bundle import store

if TYPE_CHECKING:
    from sandgrain.project.gauged import Gauged as Gauged
    from sandgrain.project.score import Scored as Scored
    from sandgrain.project.watched import Watched as Watched


@verb
def score(
    folder: str | os.PathLike[str],
    recordings: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    labels: str | os.PathLike[str] | None = None,
    label_column: str = "",
    target_column: str = "",
    rest: str = "",
    resample: bool = False,
    edited: bool = False,
    normal: str | Sequence[str] = (),
    skip_s: float = 0.0,
    html: str | os.PathLike[str] | None = None,
    progress: Watch = None,
) -> Scored | Watched | Gauged:
    """Run the C of a compiled model over whole recordings on this computer, and count windows and events; of a detector time and alarms,
    of a model of numbers how far they are off.

    `folder`: what `sandgrain.compile` wrote from features, or a project that was built, whose `out/` is taken.
    `recordings`: a file or a folder, or several. They are read at the model's rate, with its channels and full scale. What is true
        of NAME.wav stands in NAME.csv, NAME.json, NAME.txt (Audacity) or NAME.eaf (ELAN) beside it: start, end and label of
        stretches, in seconds.
        Where `folder` is a project that joins sensors of several files, a folder of recordings is read so.
    `labels`: that file, for one recording.
    `label_column`: the column of a table that has the label of each row.
    `target_column`: for a model that gives numbers, the column of a table (or array of an .npz) that says what is true of each row (or
        recording); by default the one that it was trained on. A window has the number of its last row, the mean or the largest, as in training.
    `rest`: the label of what no stretch covers; without it, nothing is known of it, and a decision there is a false alarm.
    `resample`: take recordings of another rate, brought to the model's.
    `edited`: run C that is not what the bundle's proof makes.
    `normal`: for a detector, the labels that are no anomaly; by default those that say so (normal, ok, none, false, 0). Where the truth
        names anomalies alone, all else is normal.
    `skip_s`: seconds at the start of each recording that are heard and not judged.
    `html`: file for a page with a plot of each recording.
    `progress`: True for a bar, or a callable that is told what is done, how many pieces of it are, and how many there are.

    Raises UsageError for a folder or recordings that cannot be used, ToolchainError without a compiler, RunError where the C fails.
    """
    require(*PROJECT, *(PAGES if html is not None else ()))
    from sandgrain.project import judging
    from sandgrain.project import recordings as reading

    if html is not None and not Path(html).parent.is_dir():
        raise UsageError(f"--html {plain(html, 120)}: there is no such folder; name a file in a folder that exists")
    bundle = store.load_bundle(bundle_of(Path(folder)))
    if bundle.edited and not edited:
        raise UsageError(
            f"{plain(folder, 120)} holds C that was edited ({plain(bundle.changes[0], 120)}); --edited runs it all the same"
        )
    how = judging.How((normal,) if isinstance(normal, str) and normal else tuple(normal), skip_s, target_column)
    signal = judging.signal_of(bundle, how)
    settle = None if bundle.origin.front is None else bundle.origin.front.pipeline.settle
    target = judging.target_of(bundle, how)
    if target is not None and (
        said := [key for key, given in (("--labels", labels), ("--label-column", label_column), ("--rest", rest)) if given]
    ):
        raise UsageError(
            f"{said[0]} says labels, and this model gives numbers; name the column that is true with --target-column"
        )
    places = [Path(recordings)] if isinstance(recordings, str | os.PathLike) else [Path(p) for p in recordings]
    with watched(progress) as step:
        streams, notes = reading.streams(
            places,
            signal,
            lead=0 if settle is None else settle.lead(signal.rate),
            of="" if settle is None else settle.of,
            labels=None if labels is None else Path(labels),
            label_column=label_column,
            rest=rest,
            resample=resample,
            target=target,
            own=None if target is not None else reading.of_project(Path(folder)),
            progress=step,
        )
        found = judging.judged(bundle, streams, how, notes, step)
        if html is not None:
            step("drawing the page", 0, 1)
            from sandgrain.project import score_page

            score_page.write(found, Path(html))
    return found
