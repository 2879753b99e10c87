"""What comes out of a sensor: the kind of signal, its shape, its rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sandgrain.base.errors import UsageError
from sandgrain.graph.ir import Tensor
from sandgrain.graph.quantization import per_tensor

FULL_SCALE = 2.0**-15  # real value of one count: full scale is 1

MAX_WORD = 256  # characters of a channel's name or unit
MAX_MISSING = 64  # numbers that stand for a value that is missing
MAX_SCALE = 1e30  # of a channel: far from where float32 ends

Kind = Literal["audio", "motion", "image"]


@dataclass(frozen=True, slots=True)
class Channel:
    """What a channel of a sensor is, for whoever fills the window; nothing is computed from it.

    `name`, `unit`: "" where they are not known. `full_scale`: the reading, in `unit`, that 32768 stands for; 0: a sample is the
    sensor's own integer. `centres`: its square counts for which sample of a recording was put in the middle of the window.
    """

    name: str = ""
    unit: str = ""
    full_scale: float = 0.0
    centres: bool = False

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return {key: value for key, value in asdict(self).items() if key != "centres" or value}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Channel:
        """Raises KeyError, TypeError or ValueError for JSON that is no channel."""
        name, unit, scale = facts["name"], facts["unit"], facts["full_scale"]
        if not (isinstance(name, str) and isinstance(unit, str) and max(len(name), len(unit)) <= MAX_WORD):
            raise ValueError("a channel with a name or unit that is no short text")
        if type(scale) not in (int, float) or not 0 <= scale <= MAX_SCALE or 0 < scale < 1 / MAX_SCALE:
            raise ValueError("a channel with a full scale that no sensor has")
        centres = facts.get("centres", False)
        if not isinstance(centres, bool):
            raise ValueError("a channel that neither centres nor does not")
        return cls(name, unit, float(scale), centres)


@dataclass(frozen=True, slots=True)
class Target:
    """Where recordings say the number that a model is to give, for whoever judges it; nothing is computed from it.

    `name`: of a table's column, or an array. `of`: which of the numbers of its rows a window has, as `target_of` of a project says.
    `missing`: numbers that stand for a value that is missing.
    """

    name: str
    of: str = "last"
    missing: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return {"name": self.name, "of": self.of, **({"missing": list(self.missing)} if self.missing else {})}

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Target:
        """Raises KeyError, TypeError or ValueError for JSON that is none."""
        name, of, missing = facts["name"], facts["of"], facts.get("missing", [])
        if not (isinstance(name, str) and isinstance(of, str) and max(len(name), len(of)) <= MAX_WORD):
            raise ValueError("a target whose name is no short text")
        if not isinstance(missing, list) or len(missing) > MAX_MISSING:
            raise ValueError("a target with too many numbers for what is missing")
        if not all(type(v) in (int, float) and abs(v) <= MAX_SCALE for v in missing):
            raise ValueError("a target with something for what is missing that is no number")
        return cls(name, of, tuple(map(float, missing)))


@dataclass(frozen=True, slots=True)
class Signal:
    """One window as the sensor gives it.

    `kind`: "audio" and "motion" are int16 [samples, channels], "image" is uint8 [height, width, channels]. `rate`: Hz, 0
    for images. `channels`: what each is, () where nothing is known. `target`: where the number that a model is to give stands beside it.
    """

    kind: Kind
    shape: tuple[int, ...]
    rate: float = 0.0
    channels: tuple[Channel, ...] = ()
    target: Target | None = None

    def __post_init__(self) -> None:
        rank = 3 if self.kind == "image" else 2
        if len(self.shape) != rank or any(d < 1 for d in self.shape):
            raise UsageError(f"{self.kind} of shape {list(self.shape)}; a window has {rank} dimensions, none of them empty")
        if self.kind != "image" and not self.rate > 0:
            raise UsageError(f"{self.kind} without a sampling rate; give `rate` in Hz")
        if len(self.channels) not in (0, self.shape[-1]):
            raise UsageError(f"{len(self.channels)} channels are described and a window has {self.shape[-1]}; describe each")

    @property
    def dtype(self) -> str:
        return "uint8" if self.kind == "image" else "int16"

    def tensor(self) -> Tensor:
        """The graph input that holds one window."""
        quant = None if self.kind == "image" else per_tensor(FULL_SCALE, 0)
        return Tensor("signal", (1, *self.shape), self.dtype, quant)
