"""Graph -> ONNX bytes: a graph of floats as it is, one of int8 with QuantizeLinear and DequantizeLinear around float operators (QDQ).

What an op is in ONNX stands in the files beside this one: each has `FORMS`, op -> function, found by looking. A function reads its
node's inputs from an `Emitter` and hands back its outputs; layouts, scales and names are the emitter's business.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

import onnx

from sandgrain.base.errors import ModelError, UnsupportedError, printable, unsupported
from sandgrain.formats.onnx.write.emitter import Emitter, Writer
from sandgrain.graph.ir import Graph

Form = Callable[[Emitter], None]

FORMS: dict[str, Form] = {
    op: form
    for info in pkgutil.iter_modules(__path__)
    if info.name != "emitter"
    for op, form in importlib.import_module(f"{__name__}.{info.name}").FORMS.items()
}


def write(graph: Graph) -> bytes:
    """The ONNX file of a graph of floats or int8, as the onnx package's checker accepts it. The same graph gives the same bytes.

    Inputs and outputs are float32 (indices int32), channels first where the graph came from such a framework, or else last.
    Raises UnsupportedError, which names every layer that ONNX has no form for.
    """
    writer, faults = Writer(graph), list[str]()
    for node in graph.nodes:
        try:
            if node.op not in FORMS:
                raise UnsupportedError("has no form in ONNX; export the model without it, or as .tflite")
            FORMS[node.op](Emitter(writer, node))
        except UnsupportedError as error:
            faults.append(f"{printable(node.name)} ({node.op}): {error}")
            writer.give_up(node)
    if faults:
        raise unsupported(faults)
    model = writer.finish()
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = printable(" ".join(str(error).split()), 120)
        raise ModelError(f"the ONNX model does not pass the checker ({reason}); please report this model") from None
    return bytes(model.SerializeToString(deterministic=True))
