"""A float graph to int8 with scales that are known already: those of a model that somebody else quantized.

Where an op demands a scale and the model has another one there, a `quantize` layer is put between:

    before: y = max_pool_2d(x), x and y of different scales      after: y = quantize(max_pool_2d(x))
    before: y = concatenation(a, b), a of another scale          after: y = concatenation(quantize(a), b)

Values without a scale, such as those between the parts of a layer that Sandgrain computes in several steps, get one of their
neighbours' if the op only moves or selects elements, or one that holds all that can come out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from sandgrain.base.errors import UnsupportedError, printable
from sandgrain.graph import reals, rules
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array, Graph, Node, Tensor
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.elementwise.broadcast import Binary
from sandgrain.graph.ops.table.unary import UnaryOp
from sandgrain.graph.quantization import Quantization, dequantize
from sandgrain.graph.scales import split_scales
from sandgrain.quantization.calibrate import hull, span
from sandgrain.quantization.convert import Quantized, Scales, activations, build
from sandgrain.quantization.scales import affine, flat_rows, fold_constants, limits

MAX_NAMED = 8  # tensors that a message names


def with_scales_kept(graph: Graph) -> Graph:
    """The int8 graph of a float graph that brings its scales. Raises as `keep`."""
    floats, scales = split_scales(graph)
    weights = {i for i in scales if graph.tensors[i].data is not None}
    values = {i: quant for i, quant in scales.items() if i not in weights}
    made = keep(floats, values, {i: np.array(scales[i].scale, np.float32) for i in sorted(weights)})
    return replace(made.graph, channels_first=graph.channels_first, restarts=graph.restarts)


def keep(graph: Graph, given: Scales, weight_scales: Mapping[int, Array] | None = None) -> Quantized:
    """The int8 graph of a float graph whose scales are known.

    `graph`: of floats, legal by `spec.check`; where a value is quantized a second time, to another scale, it has a `quantize` node.
    `given`: tensor index -> its int8 quantization, one scale (uint8 ones shifted by 128: zero_point - 128); of inputs, outputs and
    whatever the nodes compute. Every one of them stays as it is. `weight_scales`: weights' tensor index (input 1 of a convolution
    or dense layer, 1 and 2 of a gru, 1 to 8 of an lstm) -> float32 [output channels], of symmetric int8; other weights get their own.

    Raises UnsupportedError, naming the tensors, where values have no scale and none follows; ModelError or UnsupportedError where the
    int8 ops cannot do it.
    """
    rules.check(graph, "float")
    floating = flat_rows(fold_constants(graph))
    scales = _all_scales(floating, given)
    floating, scales = _with_quantize(floating, scales)
    return build(floating, scales, {}, True, weight_scales or {})


# --- a scale for every value -------------------------------------------------------------------------------------------


def _all_scales(graph: Graph, given: Scales) -> dict[int, Quantization]:
    """`given`, and the scales that follow."""
    wanted = activations(graph)
    known = {i: q for i, q in given.items() if i in wanted and graph.tensors[i].data is None}
    for node in graph.nodes:
        fixed = OPS[node.op].fixed_output
        if fixed is not None:
            known.setdefault(node.outputs[0], fixed)
    while _spread(graph, known) or _bounded(graph, known):
        pass
    for index in sorted(wanted - known.keys()):
        data = graph.tensors[index].data
        if data is not None:
            known[index] = affine(span(data.min(), data.max()))
    missing = [printable(graph.tensors[i].name) for i in sorted(wanted - known.keys())]
    if missing:
        more = f" and {len(missing) - MAX_NAMED} more" if len(missing) > MAX_NAMED else ""
        raise UnsupportedError(
            f"no scale for {', '.join(missing[:MAX_NAMED])}{more}; quantize the whole model, or give the float one with calibration data"
        )
    return known


def moved(node: Node) -> tuple[int, ...]:
    """The inputs that have the scale of the node's outputs."""
    return node.inputs[OPS[node.op].same_scale_inputs]


def _spread(graph: Graph, known: dict[int, Quantization]) -> bool:
    """Scales handed on over ops that keep them, forwards and then backwards; whether there were any to hand on."""
    before = len(known)
    nodes = [n for n in graph.nodes if moved(n)]
    for node in nodes:
        sources = [i for i in moved(node) if graph.tensors[i].data is None]
        if sources and all(i in known for i in sources):
            alike = len({known[i] for i in sources}) == 1
            joint = known[sources[0]] if alike else affine(hull([limits(known[i]) for i in sources]))
            for index in node.outputs:
                known.setdefault(index, joint)
    for node in reversed(nodes):
        held = [known[i] for i in node.outputs if i in known]
        for index in moved(node):
            if held:
                known.setdefault(index, held[0])
    return len(known) > before


def _bounded(graph: Graph, known: dict[int, Quantization]) -> bool:
    """Scales for the outputs of element-wise ops and means whose inputs are known; whether there were any."""
    before = len(known)
    for node in graph.nodes:
        out = node.outputs[0]
        if out in known:
            continue
        if OPS[node.op].stays_within and node.inputs[0] in known:
            known[out] = known[node.inputs[0]]
        elif isinstance(OPS[node.op], UnaryOp | Binary):
            sources = [i for i in dict.fromkeys(node.inputs) if graph.tensors[i].data is None]
            if sources and all(i in known for i in sources):
                known[out] = _image(graph, node, {i: known[i] for i in sources})
    return len(known) > before


def _image(graph: Graph, node: Node, sources: Mapping[int, Quantization]) -> Quantization:
    """A scale for all that an element-wise op can give: a single input takes each of its values, several their corners."""
    levels = (
        [np.arange(ACTIVATION.low, ACTIVATION.high + 1)]
        if len(sources) == 1
        else np.meshgrid(*[[ACTIVATION.low, ACTIVATION.high]] * len(sources))
    )
    values = {i: t.data for i, t in enumerate(graph.tensors) if t.data is not None}
    for (index, quant), level in zip(sources.items(), levels, strict=True):
        # One element stands for all: where a constant differs from element to element, it broadcasts.
        shape = (-1, *(1,) * len(graph.tensors[index].shape))
        values[index] = dequantize(level, quant).reshape(shape)
    result = reals.step(graph, node, values)[0]
    return affine(span(result.min(), result.max()))


# --- layers between scales ---------------------------------------------------------------------------------------------


def _with_quantize(graph: Graph, scales: Mapping[int, Quantization]) -> tuple[Graph, dict[int, Quantization]]:
    """The graph with a `quantize` wherever an op's demands meet other scales, and the scales of all tensors."""
    tensors, found, nodes = list(graph.tensors), dict(scales), list[Node]()
    made: dict[tuple[int, Quantization], int] = {}

    def rescaled(index: int, quant: Quantization) -> int:
        tensors.append(Tensor(f"{tensors[index].name}_rescaled", tensors[index].shape, "float32"))
        found[len(tensors) - 1] = quant
        return len(tensors) - 1

    for node in graph.nodes:
        inputs, demanded = list(node.inputs), dict(_demands(node, found))
        for position, index in enumerate(node.inputs):
            quant = demanded.get(index)
            if quant is None or found[index] == quant:
                continue
            if tensors[index].data is not None:  # a constant is quantized as its reader wants it
                inputs[position] = len(tensors)
                found[len(tensors)] = quant
                tensors.append(replace(tensors[index], name=f"{tensors[index].name}_rescaled"))
                continue
            if (index, quant) not in made:
                made[index, quant] = rescaled(index, quant)
                nodes.append(Node("quantize", tensors[-1].name, (index,), (made[index, quant],)))
            inputs[position] = made[index, quant]
        outputs, after = list(node.outputs), list[Node]()
        for position, index in enumerate(node.outputs):
            quant = demanded.get(index)
            if quant is not None and found[index] != quant:
                outputs[position] = rescaled(index, quant)
                after.append(Node("quantize", tensors[-1].name, (outputs[position],), (index,)))
        nodes += [replace(node, inputs=tuple(inputs), outputs=tuple(outputs)), *after]
    return replace(graph, tensors=tuple(tensors), nodes=tuple(nodes)), found


def _demands(node: Node, scales: Mapping[int, Quantization]) -> Iterator[tuple[int, Quantization]]:
    """(tensor, the quantization that the op wants for it) where it wants a particular one."""
    op = OPS[node.op]
    if op.fixed_output is not None:
        yield node.outputs[0], op.fixed_output
    elif moved(node):
        apart = len({scales[i] for i in moved(node)}) > 1
        one = scales[node.outputs[0]] if op.enlarges or apart else scales[node.inputs[0]]
        for index in (*moved(node), *node.outputs):
            yield index, one
