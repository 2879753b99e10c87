"""`sandgrain.profile`: where RAM, flash, cycles and energy go."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from sandgrain.api._bundles import bundle_of
from sandgrain.api._verb import verb
from sandgrain.base.errors import UsageError
from sandgrain.bundle import measure, store
from sandgrain.bundle.report import Report
from sandgrain.device import targets


@verb
def profile(folder: str | os.PathLike[str], *, target: str | None = None, compiler: str | None = None) -> Report:
    """What one inference of a compiled model costs, per layer and in total, counted on the emulated core.

    `folder`: what `sandgrain.compile` wrote, or a project that was built, whose `out/` is taken.
    `target`: another board or core, of at least the same core features; by default the one that the C was made for.
    `compiler`: "zig" or "gcc"; by default the one that it was compiled with.

    Raises UsageError for a folder that is no bundle or a target that lacks features, ToolchainError and RunError when a tool
    fails.
    """
    bundle = store.load_bundle(bundle_of(Path(folder)))
    board = targets.load(target) if target else bundle.board
    if not bundle.board.core.features <= board.core.features:
        made, asked = bundle.board.core.name, board.core.name
        raise UsageError(f"the C was made for {made}, which has features {asked} lacks; compile for {board.name}")
    toolchain = replace(bundle.build.toolchain, compiler=compiler or bundle.build.toolchain.compiler)
    return measure.measure(replace(bundle.build, board=board, toolchain=toolchain), run=True)
