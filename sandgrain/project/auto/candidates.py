"""What is tried: the project as it is, and the blocks and families that offer themselves for such windows.

A block says so by `Block.tries`, a family by `Family.tries`; nothing here knows one by its name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from sandgrain.base.errors import SandgrainError
from sandgrain.frontend.blocks import BLOCKS, Block
from sandgrain.frontend.blocks.normalize import Normalize
from sandgrain.frontend.blocks.samples import Raw
from sandgrain.frontend.pipeline import Pipeline
from sandgrain.frontend.signal import Signal
from sandgrain.project.file.load import Loaded
from sandgrain.project.file.schema import Model

BEFORE = ("samples", "image")  # stages of blocks that a user put there for a reason: they stay


@dataclass(frozen=True, slots=True)
class Candidate:
    """Settings that are tried. `own`: they are the project's."""

    blocks: tuple[Block, ...]
    model: Model
    own: bool = False

    @property
    def features(self) -> str:
        """For people: the blocks, with what tells them from their defaults."""
        return " + ".join(_shown(block) for block in self.blocks) or "raw"

    @property
    def network(self) -> str:
        """For people."""
        return f"{self.model.name} {self.model.width}" if self.model.width else self.model.name

    @property
    def key(self) -> str:
        """What it is, as text: equal for equal settings."""
        return json.dumps([self.tables, self.own], sort_keys=True)

    @property
    def tables(self) -> dict[str, Any]:
        """`features` and `model` as a project file has them."""
        model = {"name": self.model.name, **({"width": self.model.width} if self.model.width else {})}
        if self.model.options:
            model["options"] = dict(self.model.options)
        return {"features": [_table(block) for block in self.blocks], "model": model}

    def of(self, loaded: Loaded) -> Loaded:
        """The project with these settings."""
        if self.own:
            return loaded
        changed: dict[str, Any] = {"features": tuple(self.tables["features"]), "model": self.model}
        return replace(loaded, project=loaded.project.model_copy(update=changed), blocks=self.blocks)

    def wider(self) -> list[Candidate]:
        """The same with the other widths that its family offers."""
        from sandgrain.train import models

        family = models.CATALOGUE.get(self.model.name)
        if family is None or self.own:
            return []
        widths = {w for offered in family.tries.values() if self.model.width in offered for w in offered}
        return [replace(self, model=Model(name=self.model.name, width=w)) for w in sorted(widths - {self.model.width})]


def candidates(loaded: Loaded, signal: Signal) -> list[Candidate]:
    """The project's own settings, and then of each kind of features its first model, their second ones, and so on."""
    own = Candidate(loaded.blocks, loaded.project.model, own=True)
    kept = tuple(b for b in loaded.blocks if b.stage in BEFORE)
    normalize = tuple(b for b in loaded.blocks if isinstance(b, Normalize))
    rows = []
    for block in (block for kind in BLOCKS.values() for block in kind.tries(signal)):
        blocks = (*kept, block, *normalize)
        rank = _rank(signal, blocks)
        rows.append([Candidate(blocks, model) for model in _models(rank)])
    found = [own]
    for column in zip_longest(*rows):
        found += [c for c in column if c is not None and not _same(c, own)]
    return found


def _models(rank: int) -> Iterator[Model]:
    """Of each family that offers itself for features of so many axes, its first width."""
    from sandgrain.train import models

    for family in models.CATALOGUE.values():
        if widths := family.tries.get(rank):
            yield Model(name=family.name, width=widths[0])


def _rank(signal: Signal, blocks: Sequence[Block]) -> int:
    """Axes of what the blocks give; 0 where they do not fit."""
    try:
        return len(Pipeline(signal, tuple(blocks)).shape)
    except SandgrainError:
        return 0


def _same(a: Candidate, b: Candidate) -> bool:
    """Whether two candidates make the same network of the same features."""
    from sandgrain.train import models

    def width(c: Candidate) -> int:
        family = models.CATALOGUE.get(c.model.name)
        return c.model.width or (family.width if family else 0)

    blocks, others = ([block for block in c.blocks if not isinstance(block, Raw)] for c in (a, b))  # it computes nothing
    return blocks == others and a.model.name == b.model.name and width(a) == width(b) and not b.model.options


def _table(block: Block) -> dict[str, Any]:
    """A block as `[[features]]` has it."""
    options: Mapping[str, Any] = block.model_dump(mode="json", exclude_defaults=True, exclude={"block"})
    return {"block": block.name(), **options}


def _shown(block: Block) -> str:
    options = {key: value for key, value in _table(block).items() if key != "block"}
    told = ", ".join(f"{key} {len(value) if isinstance(value, list) else value}" for key, value in options.items())
    return f"{block.name()} ({told})" if told else block.name()
