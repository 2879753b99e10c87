"""Several layers run strip by strip: a few output rows at a time, through small buffers instead of whole tensors.

This is patch-based inference (J. Lin et al., "MCUNetV2: Memory-Efficient Patch-based Inference for Tiny Deep Learning",
2021) with patches as wide as the image: rows that the next strip needs again stay in the buffers, so nothing is computed
twice. No file holds this op; the pass `into_strips` makes it when memory is short.

Attributes: `graph`, the inner layers; `height`, output rows per strip; `features` of the core; `kernels`, optional, the name of the
kernel that was chosen for each inner layer ("" for its op's first).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sandgrain.base.errors import ModelError
from sandgrain.graph.dtypes import ACTIVATIONS
from sandgrain.graph.ir import Array, Attrs, Graph, Node, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Op, Shape, need, need_inputs
from sandgrain.graph.ops.conv import windows as win
from sandgrain.graph.ops.conv.weights import draw_weights
from sandgrain.graph.ops.samples import activation_tensor, draw_quant

ALIGN = 4  # bytes; rows that are no multiple would give kernels misaligned buffers
Range = tuple[int, int]  # rows, the end left out


@dataclass(frozen=True, slots=True)
class Rows:
    """How one layer's output rows depend on its input rows."""

    size: int  # input rows
    span: int  # input rows under a window
    stride: int
    before: int  # padding

    def needed(self, rows: Range) -> Range:
        """The input rows that output `rows` read."""
        first = max(rows[0] * self.stride - self.before, 0)
        last = min((rows[1] - 1) * self.stride - self.before + self.span, self.size)
        return min(first, self.size), max(last, 0)

    def padding(self, rows: Range) -> tuple[int, int]:
        """(above, below): padding rows that output `rows` read beside the input's own."""
        first, last = rows[0] * self.stride - self.before, (rows[1] - 1) * self.stride - self.before + self.span
        return max(-first, 0), max(last - self.size, 0)


@dataclass(frozen=True, slots=True)
class Step:
    """Layer `layer` makes output rows `made` from input rows `held`; of those, `kept` were in its buffer already."""

    layer: int
    held: Range
    kept: Range
    made: Range

    @property
    def slides(self) -> bool:
        return self.made[1] == self.made[0]


def rows_of(view: View) -> Rows:
    top = view.attrs["padding"][0]
    stride = view.attrs["stride"][0]
    kernel, dilation = win.kernel_of(view)[0], view.attrs.get("dilation", (1, 1))[0]
    return Rows(view.input(0).shape[1], (kernel - 1) * dilation + 1, stride, top)


def schedule(graph: Graph, height: int) -> list[Step]:
    """What is computed when: each layer makes at most `height` rows at a time, and only once the next layer needs them.

    A step that makes no rows lets a layer's buffer slide to `held`, before the rows that are missing there are made.
    """
    layers = [rows_of(graph.view(node)) for node in graph.nodes]
    done = [0] * len(layers)  # output rows that each layer has made, or that nobody reads
    steps: list[Step] = []

    def make(k: int, wanted: Range) -> None:
        done[k] = max(done[k], wanted[0])
        while done[k] < wanted[1]:
            made = (done[k], min(done[k] + height, wanted[1]))
            held = layers[k].needed(made)
            kept = (held[0], max(min(done[k - 1], held[1]), held[0])) if k else held
            if k:
                steps.append(Step(k, held, kept, (0, 0)))
                make(k - 1, held)
            steps.append(Step(k, held, kept, made))
            done[k] = made[1]

    make(len(layers) - 1, (0, graph.tensors[graph.outputs[0]].shape[1]))
    return steps


def row_bytes(tensor: Tensor) -> int:
    """Bytes of one row of an image."""
    return tensor.nbytes // tensor.shape[1]


def aligned(size: int) -> int:
    """`size` up to whole words."""
    return -(-size // ALIGN) * ALIGN


def can_strip(graph: Graph, node: Node) -> bool:
    """A windowed layer over one quantized image whose rows are whole words."""
    from sandgrain.graph.ops import OPS

    if not OPS[node.op].windowed:
        return False
    view = graph.view(node)
    tensors = (view.input(0), view.out)
    return all(t.dtype in ACTIVATIONS and len(t.shape) == 4 and t.shape[0] == 1 and row_bytes(t) % ALIGN == 0 for t in tensors)


class Strips(Op):
    name = "strips"
    attributes = kinds(graph=Graph, height=int, features=frozenset)
    optional = kinds(kernels=[str])
    instead = "export the graph before it is put into strips"
    summary = "several layers, a few rows at a time (a schedule for when memory is short; no file format has it)"

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        graph = attrs["graph"]
        if not isinstance(graph, Graph):
            raise ModelError("strips: the attribute graph is not a graph; write the model again before it is put into strips")
        if inputs[0] is None or inputs[0].shape != graph.tensors[graph.inputs[0]].shape:
            raise ModelError("strips: the input does not have the shape of the inner graph's")
        return (graph.tensors[graph.outputs[0]].shape,)

    def check(self, view: View) -> None:
        graph: Graph = view.attrs["graph"]
        need(all(can_strip(graph, node) for node in graph.nodes), "strips: an inner layer cannot run row by row")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        from sandgrain.graph.ops import OPS

        graph: Graph = view.attrs["graph"]
        value = inputs[0]
        for node in graph.nodes:
            inner = graph.view(node)
            (value,) = OPS[node.op].reference(inner, [value, *(t.data if t else None for t in inner.inputs[1:])])
        assert value is not None
        return (value,)

    def macs(self, view: View) -> int:
        from sandgrain.graph.ops import OPS

        graph: Graph = view.attrs["graph"]
        return sum(OPS[node.op].macs(graph.view(node)) for node in graph.nodes)

    def sample(self, draw: Draw) -> Graph:
        graph = _sample_chain(draw)
        features: frozenset[str] = draw.choice((frozenset[str](), frozenset({"dsp"})))
        a = attrs(graph=graph, height=draw.integer(1, 4), features=features)
        tensors = (graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]])
        return Graph(self.name, tensors, (Node(self.name, self.name, (0,), (1,), a),), (0,), (1,))


def _sample_chain(draw: Draw) -> Graph:
    """Two to four convolutions, full and depthwise, with rows of whole words."""
    channels = draw.choice((4, 8, 12))
    x = activation_tensor("x", (1, draw.integer(5, 14), draw.integer(3, 7), channels), draw_quant(draw))
    tensors: list[Tensor] = [x]
    nodes: list[Node] = []
    for k in range(draw.integer(2, 4)):
        depthwise = draw.choice((True, False))
        kernel = (draw.integer(1, 3), draw.integer(1, 3))
        stride, dilation = (draw.integer(1, 2), draw.integer(1, 2)), (draw.choice((1, 1, 2)), 1)
        x = tensors[-1] if k == 0 else tensors[nodes[-1].outputs[0]]
        size = x.shape[1:3]
        same = 0 if any((n - 1) * d + 1 > s for n, d, s in zip(kernel, dilation, size, strict=True)) else draw.choice((0, 0, 1))
        padding = win.explicit_padding(same, size, kernel, stride, dilation)
        out_c = x.shape[3] if depthwise else draw.choice((4, 8))
        shape, axis = ((1, *kernel, out_c), 3) if depthwise else ((out_c, *kernel, x.shape[3]), 0)
        assert x.quant is not None
        weights, bias, quant = draw_weights(draw, shape, axis, x.quant)
        height = win.output_extent(size[0], kernel[0], stride[0], dilation[0], *padding[:2])
        width = win.output_extent(size[1], kernel[1], stride[1], dilation[1], *padding[2:])
        out = activation_tensor(f"t{k}", (1, height, width, out_c), quant)
        at = len(tensors)
        tensors += [weights, bias, out]
        a = attrs(stride=stride, dilation=dilation, padding=padding, activation="none")
        nodes.append(Node("depthwise_conv_2d" if depthwise else "conv_2d", f"n{k}", (at - 1, at, at + 1), (at + 2,), a))
    return Graph("chain", tuple(tensors), tuple(nodes), (0,), nodes[-1].outputs)
