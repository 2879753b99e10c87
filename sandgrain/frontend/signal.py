"""What comes out of a sensor: the kind of signal, its shape, its rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sandgrain.base.errors import UsageError
from sandgrain.graph.ir import Tensor
from sandgrain.graph.quantization import per_tensor

FULL_SCALE = 2.0**-15  # real value of one count: full scale is 1

Kind = Literal["audio", "motion", "image"]


@dataclass(frozen=True, slots=True)
class Signal:
    """One window as the sensor gives it.

    `kind`: "audio" and "motion" are int16 [samples, channels], "image" is uint8 [height, width, channels]. `rate`: Hz, 0
    for images.
    """

    kind: Kind
    shape: tuple[int, ...]
    rate: float = 0.0

    def __post_init__(self) -> None:
        rank = 3 if self.kind == "image" else 2
        if len(self.shape) != rank or any(d < 1 for d in self.shape):
            raise UsageError(f"{self.kind} of shape {list(self.shape)}; a window has {rank} dimensions, none of them empty")
        if self.kind != "image" and not self.rate > 0:
            raise UsageError(f"{self.kind} without a sampling rate; give `rate` in Hz")

    @property
    def dtype(self) -> str:
        return "uint8" if self.kind == "image" else "int16"

    def tensor(self) -> Tensor:
        """The graph input that holds one window."""
        quant = None if self.kind == "image" else per_tensor(FULL_SCALE, 0)
        return Tensor("signal", (1, *self.shape), self.dtype, quant)
