"""`sandgrain.score`: how good a compiled model is on long recordings, heard as the device hears them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sandgrain.api._bundles import bundle_of
from sandgrain.api._extras import PROJECT, require
from sandgrain.api._verb import verb
from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Watch, watched
from sandgrain.base.text import plain
from sandgrain.bundle import store

if TYPE_CHECKING:
    from sandgrain.project.score import Scored as Scored


@verb
def score(
    folder: str | os.PathLike[str],
    recordings: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    labels: str | os.PathLike[str] | None = None,
    label_column: str = "",
    rest: str = "",
    resample: bool = False,
    edited: bool = False,
    progress: Watch = None,
) -> Scored:
    """Run the C of a compiled model over whole recordings on this computer, and count windows and events.

    `folder`: what `sandgrain.compile` wrote from features, or a project that was built, whose `out/` is taken.
    `recordings`: a file or a folder, or several. They are read at the model's rate, with its channels and full scale. What is true
        of NAME.wav stands in NAME.csv, NAME.json, NAME.txt (Audacity) or NAME.eaf (ELAN) beside it: start, end and label of
        stretches, in seconds.
    `labels`: that file, for one recording.
    `label_column`: the column of a table that has the label of each row.
    `rest`: the label of what no stretch covers; without it, nothing is known of it, and a decision there is a false alarm.
    `resample`: take recordings of another rate, brought to the model's.
    `edited`: run C that is not what the bundle's proof makes.
    `progress`: True for a bar, or a callable that is told what is done, how many pieces of it are, and how many there are.

    Raises UsageError for a folder or recordings that cannot be used, ToolchainError without a compiler, RunError where the C fails.
    """
    require(*PROJECT)
    from sandgrain.bundle.listening import Listener
    from sandgrain.project import recordings as reading
    from sandgrain.project import score as scoring

    bundle = store.load_bundle(bundle_of(Path(folder)))
    if bundle.edited and not edited:
        raise UsageError(
            f"{plain(folder, 120)} holds C that was edited ({plain(bundle.changes[0], 120)}); --edited runs it all the same"
        )
    ears = scoring.ears_of(bundle)
    places = [Path(recordings)] if isinstance(recordings, str | os.PathLike) else [Path(p) for p in recordings]
    assert bundle.origin.front is not None
    with watched(progress) as step:
        found, notes = reading.streams(
            places,
            bundle.origin.front.pipeline.signal,
            lead=bundle.origin.front.pipeline.lead,
            labels=None if labels is None else Path(labels),
            label_column=label_column,
            rest=rest,
            resample=resample,
            progress=step,
        )
        return scoring.scored(bundle, found, ears, Listener(bundle), notes, step)
