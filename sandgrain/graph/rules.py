"""What a legal graph is: a short table of rules, and the one function that applies it.

The front ends check what they have read ("imported"), the pass pipeline what each pass has built ("optimized"), so a bug
points at its pass. A graph that waits to be quantized is "float": the same ops over float32 tensors without quantization.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from sandgrain.base.errors import ModelError, UnsupportedError
from sandgrain.base.text import internal
from sandgrain.graph.ir import Graph, Node, Tensor, View
from sandgrain.graph.ops import OPS

STAGES = ("imported", "optimized")  # of int8 graphs
MAX_LAYERS = 4096  # more than ten times what any model for a microcontroller has; planning them takes a minute


def check(graph: Graph, stage: str = "imported") -> None:
    """Raise ModelError (UnsupportedError where an op says so), naming the node or tensor, unless `graph` is legal at `stage`."""
    check_count(len(graph.nodes))
    for rule in RULES:
        if stage in rule.stages:
            for fact in rule.broken(graph):
                raise ModelError(fact)
    for index, node in enumerate(graph.nodes):
        with located(f"layer {index} {node.name} ({node.op})"):
            check_node(graph, node, stage)


def check_count(layers: int) -> None:
    """Raises UnsupportedError for more than MAX_LAYERS."""
    if layers > MAX_LAYERS:
        raise UnsupportedError(f"{layers} layers, the limit is {MAX_LAYERS}; split the model, or use a smaller one")


def check_node(graph: Graph, node: Node, stage: str = "imported") -> None:
    """The op's own rules: its shapes and its `check` (of a float graph: its dtypes). Indices must be in range."""
    op, view = OPS[node.op], graph.view(node)
    if "activation" in node.attrs and not op.activates:  # whoever put it there would see it ignored
        raise ModelError(f"has an activation, which {op.name} does not compute; put it into a layer of its own")
    for fact in op.wrong_attributes(node.attrs):
        raise ModelError(fact)
    shapes = op.shapes(view.inputs, node.attrs)
    if len(shapes) != len(view.outputs):
        raise ModelError(f"has {len(view.outputs)} outputs, computes {len(shapes)}")
    for tensor, shape in zip(view.outputs, shapes, strict=True):
        if tuple(shape) != tensor.shape:
            raise ModelError(f"computes the shape {list(shape)}, but its output is declared as {list(tensor.shape)}")
    if stage == "float":
        _check_float(view)
    else:
        op.check(view)


def _check_float(view: View) -> None:
    """Every tensor float32 and finite, indices int32; weights and biases constant."""
    op = OPS[view.node.op]
    pairs = [(t, "int32" if k in op.indices_in else "float32") for k, t in enumerate(view.inputs) if t is not None]
    pairs += [(t, "int32" if op.indices_out else "float32") for t in view.outputs]
    for tensor, wanted in pairs:
        if tensor.dtype != wanted:
            raise UnsupportedError(f"{tensor.dtype} tensor where a float model has {wanted}; export the model in float32")
        if tensor.quant is not None:
            raise ModelError("a float tensor with a scale; export the model again")
        if tensor.data is not None and not np.isfinite(tensor.data).all():
            raise ModelError("a constant that is not a finite number; train or export the model again")
    if op.trained:
        constants = [t for t in view.inputs[1:] if t is not None]
        if any(t.data is None for t in constants):
            raise UnsupportedError("weights are computed at run time; make them a constant")
        if len(constants) == 2 and constants[1].size != view.out.shape[-1]:
            raise ModelError(f"{constants[1].size} biases for {view.out.shape[-1]} output channels; export the model again")


def _placed(place: str, error: Exception) -> str:
    """The message with its place before it, once: a message that begins with a file's path names the file already."""
    folder, found, _ = str(error).partition(place)
    return str(error) if found and (not folder or folder.endswith("/")) else f"{place}: {error}"


@contextmanager
def located(place: str) -> Iterator[None]:
    """Errors of the block begin with `place`. An op's unforeseen slip on a hostile graph becomes one line as well."""
    try:
        yield
    except UnsupportedError as error:
        raise UnsupportedError(_placed(place, error), error.faults) from error
    except ModelError as error:
        raise ModelError(_placed(place, error)) from error
    except (ArithmeticError, LookupError, ValueError, TypeError) as error:
        raise ModelError(f"{place}: {internal(error)}") from error


# --- the rules: each yields one line a breach ------------------------------------------------------------------------


def _tensors(graph: Graph) -> Iterator[str]:
    for index, tensor in enumerate(graph.tensors):
        for fact in tensor_faults(tensor):
            yield f"tensor {index} {tensor.name}: {fact}"


def tensor_faults(tensor: Tensor) -> Iterator[str]:
    """What is wrong with `tensor` on its own."""
    if any(d < 1 for d in tensor.shape):
        yield f"shape {list(tensor.shape)} holds no element"
    if tensor.data is not None and (tensor.data.shape != tensor.shape or tensor.data.dtype != tensor.dtype.numpy):
        yield f"data is {tensor.data.dtype} {list(tensor.data.shape)}, the tensor {tensor.dtype} {list(tensor.shape)}"
    quant = tensor.quant
    if quant is None:
        return
    if not quant.scale or len(quant.scale) != len(quant.zero_point):
        yield f"{len(quant.scale)} scales and {len(quant.zero_point)} zero points"
    if not all(0.0 < s < float("inf") for s in quant.scale):
        yield "a scale is not a positive number"
    if not tensor.dtype.is_float and not all(tensor.dtype.low <= z <= tensor.dtype.high for z in quant.zero_point):
        yield f"a zero point is outside {tensor.dtype}"
    if len(quant.scale) > 1:
        axis = quant.axis
        if axis is None or not 0 <= axis < len(tensor.shape) or tensor.shape[axis] != len(quant.scale):
            yield f"{len(quant.scale)} scales along axis {axis} of shape {list(tensor.shape)}"
        if tensor.data is None:
            yield f"{len(quant.scale)} scales on values that are computed at run time"


def _indices(graph: Graph) -> Iterator[str]:
    count = len(graph.tensors)
    for index, node in enumerate(graph.nodes):
        if node.op not in OPS:
            yield f"layer {index} {node.name}: unknown op {node.op}"
        if not node.outputs or any(not 0 <= t < count for t in node.outputs) or any(not -1 <= t < count for t in node.inputs):
            yield f"layer {index} {node.name}: names tensors {list(node.inputs)} and {list(node.outputs)} of {count}"
    for what, ends in (("input", graph.inputs), ("output", graph.outputs)):
        if not ends:
            yield f"the graph has no {what}"
        if len(set(ends)) != len(ends) or any(not 0 <= t < count for t in ends):
            yield f"the graph's {what}s {list(ends)} are not different tensors of its {count}"


def _order(graph: Graph) -> Iterator[str]:
    """Every tensor has one source (constant, graph input, one node), and it comes before every use."""
    known = {i for i, t in enumerate(graph.tensors) if t.data is not None}
    for t in graph.inputs:
        if t in known:
            yield f"graph input {graph.tensors[t].name} is a constant"
    known.update(graph.inputs)
    computed: set[int] = set()
    for index, node in enumerate(graph.nodes):
        for t in node.inputs:
            if t >= 0 and t not in known:
                yield f"layer {index} {node.name}: reads {graph.tensors[t].name} before it is computed"
        for t in node.outputs:
            if t in known:
                yield f"layer {index} {node.name}: writes {graph.tensors[t].name}, which already has a value"
            known.add(t)
            computed.add(t)
    for t in graph.outputs:
        if t not in computed:
            yield f"graph output {graph.tensors[t].name} is not computed by any layer"


def _used(graph: Graph) -> Iterator[str]:
    used = {t for n in graph.nodes for t in (*n.inputs, *n.outputs)} | {*graph.inputs, *graph.outputs}
    for index, tensor in enumerate(graph.tensors):
        if index not in used:
            yield f"tensor {index} {tensor.name} is used by nothing"


@dataclass(frozen=True, slots=True)
class Rule:
    """`broken` yields one line for each breach. Later rules may rely on earlier ones."""

    broken: Callable[[Graph], Iterator[str]]
    stages: tuple[str, ...] = (*STAGES, "float")


RULES = (
    Rule(_tensors),
    Rule(_indices),
    Rule(_order),
    Rule(_used, stages=("optimized",)),
)
