"""ONNX Runtime for the tests of what Sandgrain writes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.ir import Array, Tensor
from sandgrain.quant import dequantize


def onnx_run(model: bytes, inputs: Sequence[Array]) -> list[Array]:
    """Run an ONNX `model` on one array an input, on one core: one array an output."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return list(session.run(None, {given.name: x for given, x in zip(session.get_inputs(), inputs, strict=True)}))


def reals(values: Array, tensor: Tensor) -> Array:
    """What a QDQ model is given for the integers of an int8 one."""
    return values if tensor.quant is None else dequantize(values, tensor.quant)


def steps_apart(real: Array, integers: Array, tensor: Tensor) -> Array:
    """How many levels of `tensor` the reals of a QDQ model's output are from an int8 output."""
    if tensor.quant is None:
        return np.abs(real.astype(np.float64) - integers)
    return np.abs(np.rint(real / np.float64(tensor.scale)) + tensor.zero_point - integers.astype(np.int64))
