"""The words in which an op describes itself: weights, shared scales, padding. `Op` in base.py says what each one is asked for.

Passes, quantization and file formats ask an op for these facts and never for its name, so that a new op needs no entry elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

NO_INPUTS, FIRST_INPUT, ALL_INPUTS = slice(0), slice(1), slice(None)  # as `Op.same_scale_inputs`
HOMOGENEOUS = ("none", "relu")  # fused activations that let a positive factor through
OWN_OUTPUT = -1  # as `Weight.source`: the state that a recurrent layer hands on to its next step


class PadValue(Enum):
    """What an element of a window's padding counts as."""

    ZERO = "the input's zero point"
    LEAST = "the least value of its type"


@dataclass(frozen=True, slots=True)
class Weight:
    """One constant input that a layer multiplies with, quantized symmetrically, and the bias of the same products."""

    position: int = 1  # of the weights among the layer's inputs
    bias: int | None = 2  # position of their bias, which the layer may be without; None: these products never have one
    source: int = 0  # position of the input that they multiply, or OWN_OUTPUT
    channel_axis: int = 0  # of the weights: one index per output channel
    depthwise: bool = False  # an output channel reads a single input channel, not all of them
    per_channel: bool = True  # file formats take one scale per output channel
    gates: int = 0  # blocks of rows that get one scale each (the gates of a GRU); 0: one scale per row
