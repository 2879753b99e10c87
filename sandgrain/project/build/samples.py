"""A project's windows as a network sees them: features of each side, and varied ones for training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.bundle import features_in_c
from sandgrain.dataset import augment, ingest, kinds
from sandgrain.dataset.records import Record
from sandgrain.dataset.windows import Cut, Run, Windowing, count, owners, stream
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.frontend.pipeline import Normalization, Pipeline
from sandgrain.project import background, numbers
from sandgrain.project.build.store import Store, digest
from sandgrain.project.features import items_of, leads_of, pipeline_of, problem, windowing_of
from sandgrain.project.inspection import Inspection

HELD = 1 << 29  # bytes of training windows, as the sensor gives them, that stay in memory
VARIANTS = 8  # versions of the training set where they do not: epoch e sees number e % VARIANTS, and each is kept in the store
BACKGROUND = 64  # background recordings at most that are held in memory


@dataclass(frozen=True, eq=False)
class Samples:
    """`found`: the project's data, read and split. Features are computed once and kept in `store`.

    `tested`: what the windows of the test side are cut from, where that is not the side of the split: what cross-validation has tested.
    """

    found: Inspection
    store: Store
    seed: int = 0
    tested: tuple[Record | Run, ...] | None = None

    @cached_property
    def pipeline(self) -> Pipeline:
        return pipeline_of(self.found)

    @cached_property
    def windowing(self) -> Windowing | None:
        return windowing_of(self.found.loaded.project.data, self.found.loaded.blocks, self.found.records[0].rate)

    @cached_property
    def _ahead(self) -> Callable[[Record | Run], Array] | None:
        leads = leads_of(self.found.manifest, self.windowing)
        return None if leads is None else leads.ahead

    def lead(self, record: Record) -> Array:
        """The samples that a recording's windows are measured against; of those that have each its own, the first of the recording."""
        windowing = self.windowing
        if self._ahead is None or windowing is None or windowing.lead_of == "before":
            return self.opened(record)[: self.pipeline.lead]
        return self._ahead(record)

    @cached_property
    def stride(self) -> int:
        """Samples from one result of a stream to the next; 0 for pictures and for features that need the whole window."""
        signal = self.pipeline.signal
        if not kinds.of(signal.kind).sampled or any(getattr(b, "peak", False) for b in self.pipeline.blocks):
            return 0
        chosen = self.found.loaded.project.data.stride_s
        return max(round((chosen or signal.shape[0] / signal.rate / 4) * signal.rate), 1)

    @cached_property
    def key(self) -> str:
        """A hash of the data, how it is split and cut, and what is computed from it."""
        project = self.found.loaded.project
        sides = sorted(self.found.sides.items())
        data = project.data.model_dump(mode="json", exclude={"path"})  # the same recordings in another folder are the same
        tested = [[r.key for r in parts_of(item)] for item in self.tested or ()]
        return digest(self.found.manifest.sha256, data, sides, list(self.found.loaded.blocks), tested)

    @cached_property
    def front(self) -> FrontEnd:
        """The features, with the mean and deviation of the training windows."""
        facts = self.store.json("normalization", self.key, lambda: self._fit().to_json())
        return FrontEnd(self.pipeline, Normalization.from_json(facts), self.stride)

    def _fit(self) -> Normalization:
        if why := problem(self.found.records, self.found.loaded.project.data, self.found.loaded.blocks):
            raise UsageError(f"[data]: {why}")
        return features_in_c.fit(self.pipeline, (cut.x for cut in self.windows("train")))

    def records(self, side: str) -> list[Record]:
        if side == "test" and self.tested is not None:
            return [record for item in self.tested for record in parts_of(item)]
        return [r for r in self.found.records if self.found.sides[r.key] == side]

    def items(self, side: str) -> Sequence[Record | Run]:
        """What the windows of a side are cut from."""
        if side == "test" and self.tested is not None:
            return self.tested
        return items_of(self.records(side), self.found.loaded.project.data)

    def windows(self, side: str) -> Iterator[Cut]:
        """Every window of a side, in order."""
        return stream(self.items(side), self.opened, self.windowing, ahead=self._ahead)

    def opened(self, record: Record) -> Array:
        """A recording's samples."""
        return ingest.open_record(self.found.manifest, record)

    def features(self, side: str) -> tuple[Array, Array]:
        """int8 [n, *feature shape] and int64 labels [n]. Raises UsageError where the side has no window."""
        made = self.store.arrays(f"features_{side}", self.key, lambda: self._features(side, None, 0))
        if not len(made["y"]):
            raise UsageError(f"[data.split]: no window for {side}; give it a share")
        return made["x"], made["y"]

    def varied(self, epoch: int) -> tuple[Array, Array]:
        """The training side of an epoch: as it is in epoch 0, varied anew as `[[augment]]` says in each of the others.

        Where the windows do not fit into HELD bytes, VARIANTS versions take turns.
        """
        steps = self.augmentation
        if not steps.steps or epoch == 0:
            return self.features("train")
        x, y = self._varied(steps, epoch) if steps.on("signal").steps else self.features("train")
        masks = steps.on("features")
        if masks.steps:
            x = np.stack([masks.apply(row, str(k), epoch, self.seed) for k, row in enumerate(x)])
        return x, y

    def _varied(self, steps: augment.Augmentation, epoch: int) -> tuple[Array, Array]:
        """The features of varied windows."""
        if self._fits:
            made = self._features("train", steps, epoch)
        else:
            variant = epoch % VARIANTS
            key = digest(self.key, list(self.found.loaded.project.augment), self.seed, variant)
            made = self.store.arrays("varied", key, lambda: self._features("train", steps, variant))
        return made["x"], made["y"]

    @cached_property
    def _extractor(self) -> features_in_c.Extractor:
        return features_in_c.Extractor(self.front.graph())

    @cached_property
    def _fits(self) -> bool:
        """Whether the training windows may be held."""
        signal = self.pipeline.signal
        size = int(np.prod((signal.shape[0] + self.pipeline.lead, *signal.shape[1:])))
        return self.count("train") * size * np.dtype(signal.dtype).itemsize <= HELD

    @cached_property
    def _held(self) -> list[Cut]:
        """The training windows, read once."""
        return list(self.windows("train"))

    @cached_property
    def augmentation(self) -> augment.Augmentation:
        project = self.found.loaded.project
        return augment.from_tables(project.augment, project.data.kind, self.background())

    def background(self, most: int = BACKGROUND) -> list[Array]:
        """The recordings of `[data] background`, `most` of them."""
        found = [(m, r) for m in background.manifests(self.found.loaded) for r in m.records]
        return [ingest.open_record(manifest, record) for manifest, record in found[:most]]

    def _features(self, side: str, steps: augment.Augmentation | None, variant: int) -> dict[str, Array]:
        names = {label: k for k, label in enumerate(self.found.labels)}
        labels: list[int] = []
        raw = steps.on("signal") if steps is not None and variant else None

        def windows() -> Iterator[Array]:
            for cut in self._held if raw is not None and self._fits else self.windows(side):
                labels.append(names[cut.record.label])
                yield cut.x if raw is None else raw.apply(cut.x, f"{cut.record.key}/{cut.index}", variant, self.seed)

        x = features_in_c.extract(self.front, windows(), self._extractor)
        return {"x": x, "y": np.array(labels, np.int64)}

    def numbers(self, side: str) -> Array:
        """float64 [n]: the number that each window of a side is to have. Raises UsageError where one has none."""

        def made() -> dict[str, Array]:
            return {"y": numbers.of_windows(self.found.manifest, self.items(side), self.windowing)}

        found: Array = self.store.arrays(f"numbers_{side}", self.key, made)["y"]
        return found

    def keys(self, side: str) -> list[str]:
        """The key of each window's recording, in order; nothing is read."""
        return [r.key for r in owners(self.items(side), self.windowing)]

    def count(self, side: str) -> int:
        """Windows of a side; nothing is read."""
        return count(self.items(side), self.windowing)

    def spread(self, side: str, most: int) -> list[int]:
        """The places of at most `most` windows, spread over the side."""
        total = self.count(side)
        return [int(k) for k in np.unique(np.linspace(0, total - 1, min(total, most)).astype(int))]

    def cuts(self, side: str, places: Sequence[int]) -> list[Cut]:
        """These windows of a side, in the order of their places."""
        chosen, last = set(places), max(places, default=-1)
        return [cut for k, cut in enumerate(islice(self.windows(side), last + 1)) if k in chosen]

    def raw(self, side: str, places: Sequence[int]) -> tuple[Array, Array]:
        """These windows as the sensor gives them [n, 1, *signal shape], and their labels."""
        names = {label: k for k, label in enumerate(self.found.labels)}
        cuts = self.cuts(side, places)
        return np.stack([c.x for c in cuts])[:, np.newaxis], np.array([names[c.record.label] for c in cuts], np.int64)


def parts_of(item: Record | Run) -> tuple[Record, ...]:
    """The recordings that an item is made of."""
    return item.records if isinstance(item, Run) else (item,)
