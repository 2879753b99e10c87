"""What training sees is varied, by kind of data: on the raw signal (int16 [samples, channels] or uint8 [height, width, channels])
and on features ([frames, bins], float or int8).

A step is a frozen value whose `apply(x, rng)` gives an array of x's shape and dtype and leaves x alone; integers saturate, they
never wrap around. An `Augmentation` is a list of steps, each seeded by a hash of seed, epoch, key and its place: a run that is
resumed sees what it would have seen, in any order and on any number of processes.
"""

from __future__ import annotations

import difflib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, Literal

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.base.reading import is_number
from sandgrain.base.text import plain
from sandgrain.dataset.records import Kind
from sandgrain.dataset.windows import generator

Domain = Literal["signal", "features"]
Range = tuple[float, float]
SAMPLED: frozenset[Kind] = frozenset({"audio", "motion"})
IMAGE: frozenset[Kind] = frozenset({"image"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(ABC):
    """One variation. `probability`: how often it is applied, 0 to 1."""

    kinds: ClassVar[frozenset[Kind]] = SAMPLED
    domain: ClassVar[Domain] = "signal"

    probability: float = 1.0

    def __post_init__(self) -> None:
        need(0 <= self.probability <= 1, self, f"probability {self.probability} is not from 0 to 1")
        self.check()

    @abstractmethod
    def apply(self, x: Array, rng: np.random.Generator) -> Array:
        """`x`, varied: a new array of its shape and dtype."""

    def check(self) -> None:  # noqa: B027 - most steps have something to check, some do not
        """Raise UsageError for options that make no sense."""


def need(condition: bool, step: Step, fact: str) -> None:
    if not condition:
        raise UsageError(f"[[augment]] {name_of(type(step))}: {fact}")


def need_range(step: Step, what: str, low_high: Range, low: float = -math.inf, high: float = math.inf) -> None:
    ordered = len(low_high) == 2 and low <= low_high[0] <= low_high[1] <= high
    need(ordered, step, f"{what} {tuple(low_high)} is not a range (low, high)" + (f" above {low:g}" if low > -math.inf else ""))


def saturate(x: Array, dtype: np.dtype[Any]) -> Array:
    """Real values as `dtype`: rounded to nearest and clipped where it is an integer."""
    if dtype.kind == "f":
        return x.astype(dtype)
    info = np.iinfo(dtype)
    return np.clip(np.rint(x), info.min, info.max).astype(dtype)


def power(x: Array) -> float:
    """Mean square of the deviation from each channel's mean: what changes, not where it rests."""
    return float(np.mean(np.square(x - x.mean(axis=0)))) if x.size else 0.0


# --- sound and motion ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain(Step):
    """Louder or softer by `db` (low, high) decibels, all channels alike."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"audio"})
    db: Range = (-6.0, 6.0)

    def check(self) -> None:
        need_range(self, "db", self.db)

    def apply(self, x: Array, rng: np.random.Generator) -> Array:
        return saturate(x * 10 ** (rng.uniform(*self.db) / 20), x.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise(Step):
    """Noise at a signal-to-noise ratio of `snr_db` (low, high): "white", or "pink" (as much power in every octave).

    The ratio is that of powers about the mean, over all channels; a recording in which nothing changes gets none.
    """

    snr_db: Range = (5.0, 30.0)
    colour: Literal["white", "pink"] = "white"

    def check(self) -> None:
        need_range(self, "snr_db", self.snr_db)
        need(self.colour in ("white", "pink"), self, f"colour {plain(self.colour)}; use white or pink")

    def apply(self, x: Array, rng: np.random.Generator) -> Array:
        noise = rng.standard_normal(x.shape)
        if self.colour == "pink":
            spectrum = np.fft.rfft(noise, axis=0)
            slope = 1 / np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
            noise = np.fft.irfft(spectrum * slope.reshape(-1, *[1] * (x.ndim - 1)), n=len(x), axis=0)
        return mixed(x, noise, rng.uniform(*self.snr_db))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Background(Step):
    """A piece of one of `recordings` ([samples, channels], of x's rate) at a ratio of `snr_db`; a short one is repeated."""

    recordings: tuple[Array, ...] = ()
    snr_db: Range = (5.0, 30.0)

    def check(self) -> None:
        need_range(self, "snr_db", self.snr_db)
        need(all(len(r) for r in self.recordings), self, "a background recording is empty; leave it out")

    def apply(self, x: Array, rng: np.random.Generator) -> Array:
        need(len(self.recordings) > 0, self, "there are no background recordings; name a folder with some")
        noise = self.recordings[int(rng.integers(len(self.recordings)))]
        start = int(rng.integers(max(len(noise) - len(x), 0) + 1))
        piece = np.take(noise, np.arange(start, start + len(x)), axis=0, mode="wrap").astype(np.float64)
        need(piece.shape[1:] in (x.shape[1:], (1,)), self, f"background of {piece.shape[1:]} channels for {x.shape[1:]}")
        return mixed(x, np.broadcast_to(piece, x.shape), rng.uniform(*self.snr_db))


def mixed(x: Array, noise: Array, snr_db: float) -> Array:
    """`x` with `noise` scaled so that power(x) / power(noise) is `snr_db`."""
    loud = power(noise)
    if loud <= 0:
        return x.copy()
    return saturate(x + (noise - noise.mean(axis=0)) * math.sqrt(power(x) / loud / 10 ** (snr_db / 10)), x.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeShift(Step):
    """Earlier or later by up to `share` of the window; what comes in is zero, or with `fill` "edge" the sample at the end."""

    share: float = 0.1
    fill: Literal["zero", "edge"] = "zero"

    def check(self) -> None:
        need(0 <= self.share <= 1, self, f"share {self.share} is not from 0 to 1")
        need(self.fill in ("zero", "edge"), self, f"fill {plain(self.fill)}; use zero or edge")

    def apply(self, x: Array, rng: np.random.Generator) -> Array:
        most = int(self.share * len(x))
        return _shifted(x, int(rng.integers(-most, most, endpoint=True)), self.fill)


def _shifted(x: Array, by: int, fill: str) -> Array:
    places = np.arange(len(x)) - by
    moved = x[np.clip(places, 0, len(x) - 1)]
    if fill == "zero":
        moved[(places < 0) | (places >= len(x))] = 0
    return moved


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed(Step):
    """Faster or slower by `factor` (low, high), pitch included: resampled with straight lines between samples about the middle.

    What comes in at the ends is zero, or with `fill` "edge" the first and last sample. Lines dull the highest octave and fold a
    little of it when faster, which factors from 0.8 to 1.25 keep small.
    """

    factor: Range = (0.9, 1.1)
    fill: Literal["zero", "edge"] = "zero"

    def check(self) -> None:
        need_range(self, "factor", self.factor, 0.1, 10.0)
        need(self.fill in ("zero", "edge"), self, f"fill {plain(self.fill)}; use zero or edge")

    def apply(self, x: Array, rng: np.random.Generator) -> Array:
        middle = (len(x) - 1) / 2
        places = middle + (np.arange(len(x)) - middle) * rng.uniform(*self.factor)
        lower = np.clip(np.floor(places).astype(int), 0, max(len(x) - 2, 0))
        part = np.clip(places - lower, 0.0, 1.0).reshape(-1, *[1] * (x.ndim - 1))
        moved = x[lower] * (1 - part) + x[np.minimum(lower + 1, len(x) - 1)] * part
        if self.fill == "zero":
            moved[(places < 0) | (places > len(x) - 1)] = 0
        return saturate(moved, x.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation(Step):
    """A sensor mounted otherwise: all groups of three channels are turned alike by up to `degrees`, about any axis or `axis`
    (0, 1, 2). Channels behind the last whole group stay."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"motion"})
    degrees: float = 20.0
    axis: int = -1

    def check(self) -> None:
        need(0 <= self.degrees <= 180, self, f"degrees {self.degrees} is not from 0 to 180")
        need(self.axis in (-1, 0, 1, 2), self, f"axis {self.axis}; use 0, 1, 2, or -1 for any")

    def apply(self, x: Array, rng: np.random.Generator) -> Array:
        need(x.shape[1] >= 3, self, f"{x.shape[1]} channels; it turns groups of three")
        direction = rng.standard_normal(3) if self.axis < 0 else np.eye(3)[self.axis]
        turned = x.astype(np.float64)
        matrix = rotation(direction, math.radians(rng.uniform(-self.degrees, self.degrees)))
        for first in range(0, x.shape[1] - 2, 3):
            turned[:, first : first + 3] = turned[:, first : first + 3] @ matrix.T
        return saturate(turned, x.dtype)


def rotation(direction: Array, angle: float) -> Array:
    """[3, 3]: the rotation by `angle` radians about `direction` (Rodrigues' formula)."""
    a, b, c = direction / np.linalg.norm(direction)
    cross = np.array([[0, -c, b], [c, 0, -a], [-b, a, 0]])
    return np.asarray(np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross)


@dataclass(frozen=True, slots=True, kw_only=True)
class Jitter(Step):
    """Independent noise on every sample, of up to `share` of each channel's own standard deviation."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"motion"})
    share: float = 0.05

    def check(self) -> None:
        need(self.share >= 0, self, f"share {self.share} is negative")

    def apply(self, x: Array, rng: np.random.Generator) -> Array:
        size = rng.uniform(0, self.share) * x.std(axis=0)
        return saturate(x + rng.standard_normal(x.shape) * size, x.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling(Step):
    """A movement that is stronger or weaker: each channel times its own factor from `factor` (low, high)."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"motion"})
    factor: Range = (0.9, 1.1)

    def check(self) -> None:
        need_range(self, "factor", self.factor, 0.0)

    def apply(self, x: Array, rng: np.random.Generator) -> Array:
        return saturate(x * rng.uniform(*self.factor, size=x.shape[1:]), x.dtype)


# --- features ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeMask(Step):
    """`count` stretches of up to `share` of the frames are hidden by the features' mean (SpecAugment, D. S. Park et al., 2019)."""

    domain: ClassVar[Domain] = "features"
    share: float = 0.2
    count: int = 1

    def check(self) -> None:
        need(0 <= self.share <= 1 and self.count >= 1, self, f"share {self.share} is not from 0 to 1, or count is below 1")

    def apply(self, x: Array, rng: np.random.Generator) -> Array:
        return _masked(x, 0, self.share, self.count, rng)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrequencyMask(Step):
    """`count` stretches of up to `share` of the bins are hidden by the features' mean (SpecAugment, D. S. Park et al., 2019)."""

    domain: ClassVar[Domain] = "features"
    share: float = 0.2
    count: int = 1

    def check(self) -> None:
        need(0 <= self.share <= 1 and self.count >= 1, self, f"share {self.share} is not from 0 to 1, or count is below 1")

    def apply(self, x: Array, rng: np.random.Generator) -> Array:
        return _masked(x, 1, self.share, self.count, rng)


def _masked(x: Array, axis: int, share: float, count: int, rng: np.random.Generator) -> Array:
    masked, size = x.copy(), x.shape[axis]
    mean = saturate(np.asarray(x.mean(dtype=np.float64)), x.dtype)
    for _ in range(count):
        length = int(rng.integers(int(share * size), endpoint=True))
        start = int(rng.integers(size - length, endpoint=True))
        masked[(slice(None),) * axis + (slice(start, start + length),)] = mean
    return masked


# --- images --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip(Step):
    """Left and right exchanged half of the time; with `vertical` top and bottom as well."""

    kinds: ClassVar[frozenset[Kind]] = IMAGE
    horizontal: bool = True
    vertical: bool = False

    def apply(self, x: Array, rng: np.random.Generator) -> Array:
        across, down = rng.random(2) < 0.5
        return np.array(x[:: -1 if down and self.vertical else 1, :: -1 if across and self.horizontal else 1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Crop(Step):
    """The image moved by up to `share` of its sides, its border mirrored into what comes in."""

    kinds: ClassVar[frozenset[Kind]] = IMAGE
    share: float = 0.125

    def check(self) -> None:
        need(0 <= self.share < 1, self, f"share {self.share} is not from 0 to 1")

    def apply(self, x: Array, rng: np.random.Generator) -> Array:
        most = [int(self.share * side) for side in x.shape[:2]]
        top, left = (int(rng.integers(2 * m, endpoint=True)) for m in most)
        padded = np.pad(x, [(most[0],) * 2, (most[1],) * 2, (0, 0)], mode="symmetric")
        return np.array(padded[top : top + x.shape[0], left : left + x.shape[1]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Brightness(Step):
    """Lighter or darker by up to `share` of white."""

    kinds: ClassVar[frozenset[Kind]] = IMAGE
    share: float = 0.2

    def check(self) -> None:
        need(0 <= self.share <= 1, self, f"share {self.share} is not from 0 to 1")

    def apply(self, x: Array, rng: np.random.Generator) -> Array:
        return saturate(x + rng.uniform(-self.share, self.share) * np.iinfo(x.dtype).max, x.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast(Step):
    """Distances from the image's mean times a factor from `factor` (low, high)."""

    kinds: ClassVar[frozenset[Kind]] = IMAGE
    factor: Range = (0.8, 1.25)

    def check(self) -> None:
        need_range(self, "factor", self.factor, 0.0)

    def apply(self, x: Array, rng: np.random.Generator) -> Array:
        mean = x.mean()
        return saturate(mean + (x - mean) * rng.uniform(*self.factor), x.dtype)


# --- a list of them ------------------------------------------------------------------------------------------------------

STEPS: dict[str, type[Step]] = {
    "gain": Gain, "noise": Noise, "background": Background, "time-shift": TimeShift, "speed": Speed, "rotation": Rotation,
    "jitter": Jitter, "scaling": Scaling, "time-mask": TimeMask, "frequency-mask": FrequencyMask, "flip": Flip, "crop": Crop,
    "brightness": Brightness, "contrast": Contrast,
}  # fmt: skip


def name_of(step: type[Step]) -> str:
    return next((name for name, cls in STEPS.items() if cls is step), step.__name__)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Steps, applied in order."""

    steps: tuple[Step, ...] = ()

    def apply(self, x: Array, key: str, epoch: int, seed: int) -> Array:
        """`x` varied as `seed`, `epoch` and `key` (the recording's, and the window's place in it) say; `x` stays as it is."""
        for place, step in enumerate(self.steps):
            rng = generator(seed, epoch, key, place, name_of(type(step)))
            if rng.random() < step.probability:
                x = step.apply(x, rng)
        return x

    def on(self, domain: Domain) -> Augmentation:
        """Only the steps for raw signals, or for features."""
        return Augmentation(tuple(s for s in self.steps if s.domain == domain))


def from_tables(tables: Sequence[Mapping[str, Any]], kind: Kind, recordings: Sequence[Array] = ()) -> Augmentation:
    """The `[[augment]]` tables of a project file as steps for data of `kind`; `kind` in a table names its step.

    `recordings`: what "background" mixes in. Raises UsageError for unknown names, with the nearest known one, and for values
    that make no sense.
    """
    steps = []
    for table in tables:
        name = table.get("kind", "")
        cls = STEPS.get(name) if isinstance(name, str) else None
        if cls is None:
            raise UsageError(f"[[augment]] kind {plain(name)!r} is not known{_nearest(name, STEPS)}")
        if kind not in cls.kinds:
            fitting = ", ".join(n for n, c in STEPS.items() if kind in c.kinds)
            raise UsageError(f"[[augment]] {name} is not for {kind} data; choose from {fitting}")
        known = {f.name: f for f in fields(cls) if f.name != "recordings"}
        values = {key: _value(name, key, value, known) for key, value in table.items() if key != "kind"}
        if cls is Background:
            values["recordings"] = tuple(recordings)
        steps.append(cls(**values))
    return Augmentation(tuple(steps))


def _value(step: str, key: str, value: object, known: Mapping[str, Any]) -> Any:
    """`value` as the option's default has its type: a bool, a number, a word, or a range of two numbers."""
    if key not in known:
        raise UsageError(f"[[augment]] {step}: {plain(key)} is not known{_nearest(key, known)}")
    default = known[key].default
    assert default is not MISSING
    if isinstance(default, tuple):
        if isinstance(value, (list, tuple)) and len(value) == 2 and all(is_number(v) for v in value):
            return float(value[0]), float(value[1])
        raise UsageError(f"[[augment]] {step}: {key} is a range such as {list(default)}")
    if isinstance(default, float) and is_number(value):
        assert isinstance(value, (int, float))
        return float(value)
    if type(value) is not type(default):
        raise UsageError(f"[[augment]] {step}: {key} is a value such as {json.dumps(default)}")
    return value


def _nearest(name: object, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(str(name).lower(), list(known), 1)
    return f"; did you mean {near[0]}?" if near else f"; choose from {', '.join(known)}"
