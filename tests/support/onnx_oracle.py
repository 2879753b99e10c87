"""ONNX Runtime as an oracle that computes exactly, whatever processor it runs on.

On x86-64 without VNNI (and without AVX-VNNI), ONNX Runtime adds pairs of uint8 x int8 products in 16 bits that saturate: 255 * 127 * 2
does not fit. Two things avoid it, and every session of the tests is made here with both:

- `session.x64quantprecision`: the optimizer, which makes integer operators of QDQ models, gives them uint8 weights, whose products are
  exact. It does nothing on other processors. It is also the way out that users are told of.
- `exact`: the same for models that hold integer operators themselves, as the optimizer does nothing for those when it is switched off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from sandgrain.graph.ir import Array, Tensor
from sandgrain.graph.quantization import dequantize

# Operators on integers: (activation's zero point, weights, weights' zero point) as positions among the inputs.
PRODUCTS = {
    "QLinearConv": (2, 3, 5),
    "QLinearMatMul": (2, 3, 5),
    "QGemm": (2, 3, 5),
    "ConvInteger": (2, 1, 3),
    "MatMulInteger": (2, 1, 3),
}


def session(model: bytes, *, optimize: bool = True) -> Any:
    """An ONNX Runtime session on one core. `optimize`: let it fuse nodes, as users do; otherwise each node runs as it is written."""
    import onnxruntime  # here: it leaves a file in the folder for temporary ones

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.x64quantprecision", "1")
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        model = exact(onnx.load_from_string(model)).SerializeToString()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def exact(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model` with int8 weights w and zero point z of its operators on uint8 as uint8 weights w + 128 and z + 128: the same sums."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    known = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    made: set[str] = set()
    for node in result.graph.node:
        if node.op_type not in PRODUCTS:
            continue
        activation, *weights = PRODUCTS[node.op_type]
        if activation >= len(node.input) or known[node.input[activation]].dtype != np.uint8:
            continue
        for position in weights:
            if known[node.input[position]].dtype != np.int8:
                continue
            name = f"{node.input[position]}_as_uint8"
            if name not in made:
                made.add(name)
                shifted = (known[node.input[position]].astype(np.int16) + 128).astype(np.uint8)
                result.graph.initializer.append(numpy_helper.from_array(shifted, name))
            node.input[position] = name
    return result


def onnx_run(model: bytes, inputs: Sequence[Array]) -> list[Array]:
    """Run an ONNX `model` on one array an input, optimized: one array an output."""
    run = session(model)
    return list(run.run(None, {given.name: x for given, x in zip(run.get_inputs(), inputs, strict=True)}))


def reals(values: Array, tensor: Tensor) -> Array:
    """What a QDQ model is given for the integers of an int8 one."""
    return values if tensor.quant is None else dequantize(values, tensor.quant)


def steps_apart(real: Array, integers: Array, tensor: Tensor) -> Array:
    """How many levels of `tensor` the reals of a QDQ model's output are from an int8 output."""
    if tensor.quant is None:
        return np.abs(real.astype(np.float64) - integers)
    return np.abs(np.rint(real / np.float64(tensor.scale)) + tensor.zero_point - integers.astype(np.int64))
