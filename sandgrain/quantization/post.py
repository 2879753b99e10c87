"""Post-training quantization, start to end: equalize, calibrate, convert, correct biases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sandgrain.base.errors import UsageError, printable
from sandgrain.graph import rules
from sandgrain.graph.ir import Array, Graph
from sandgrain.quantization.bias import corrected
from sandgrain.quantization.calibrate import Calibration, calibrate
from sandgrain.quantization.convert import Quantized, Scales, convert_with_ranges
from sandgrain.quantization.equalize import CRITERIA, equalize
from sandgrain.quantization.scales import prepare


@dataclass(frozen=True, slots=True)
class Options:
    """How a float graph is quantized.

    `calibration`: how ranges are found. `equalize`: "none", "activations" or "weights". `bias_correction`: means of layers
    corrected on the calibration samples. `per_channel`: one weight scale an output channel, rather than one a layer.
    """

    calibration: Calibration = field(default_factory=Calibration)
    equalize: str = "none"
    bias_correction: bool = False
    per_channel: bool = True

    def __post_init__(self) -> None:
        if self.equalize not in ("none", *CRITERIA):
            raise UsageError(f"equalization by {printable(self.equalize)}; choose none, {' or '.join(CRITERIA)}")


def quantize(graph: Graph, inputs: Sequence[Array], options: Options | None = None, given: Scales | None = None) -> Quantized:
    """The int8 graph of a float graph.

    `inputs`: calibration samples, float32 [n, *shape] for each graph input. `given`: quantizations that are decided
    already, by tensor index: those of inputs that a front end makes.

    Raises UsageError for samples that do not fit, ModelError or UnsupportedError for a graph that int8 ops cannot compute.
    """
    options, given = options or Options(), given or {}
    rules.check(graph, "float")
    floats = prepare(graph, given).graph
    if options.equalize != "none":
        floats = equalize(floats, inputs, options.equalize)
    ranges = calibrate(floats, inputs, options.calibration)
    result = convert_with_ranges(floats, ranges, given=given, per_channel=options.per_channel)
    if not options.bias_correction:
        return result
    better = convert_with_ranges(corrected(result, inputs), ranges, given=given, per_channel=options.per_channel)
    return Quantized(better.graph, result.floats, better.tensors, better.ranges, better.scales)
