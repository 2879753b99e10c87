"""From a float graph to an int8 graph whose meaning is that of Sandgrain's int8 ops.

`quantize` does it after training, from calibration samples; `convert_with_ranges` takes ranges that training has learned.
`layer_errors` says how much each layer loses, and why.
"""

from sandgrain.quantization.calibrate import METHODS, Calibration, Method, Range, Ranges, calibrate
from sandgrain.quantization.convert import Quantized, convert_with_ranges
from sandgrain.quantization.post import Options, quantize
from sandgrain.quantization.scales import Prepared, affine, prepare

__all__ = [
    "METHODS", "Calibration", "Method", "Options", "Prepared", "Quantized", "Range", "Ranges", "affine", "calibrate",
    "convert_with_ranges", "prepare", "quantize",
]  # fmt: skip
