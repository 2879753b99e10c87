"""Several layers run strip by strip: a few output rows at a time, through small buffers instead of whole tensors.

This is patch-based inference (J. Lin et al., "MCUNetV2: Memory-Efficient Patch-based Inference for Tiny Deep Learning",
2021) with patches as wide as the image: rows that the next strip needs again stay in the buffers, so nothing is computed
twice. No file holds this op; the pass `into_strips` makes it when memory is short.

Attributes: `graph`, the inner layers; `height`, output rows per strip; `features` of the core; `kernels`, optional, the name of the
kernel that was chosen for each inner layer ("" for its op's first).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sandgrain.base.errors import ModelError, UnsupportedError
from sandgrain.graph.ir import Array, Attrs, Graph, Node, Tensor, View, attrs
from sandgrain.graph.ops.base import Arg, Call, Draw, In, Kernel, Lowered, Op, Out, Scratch, Shape, need, need_inputs, pick
from sandgrain.graph.ops.conv import windows as win
from sandgrain.graph.ops.conv.weights import draw_weights
from sandgrain.graph.ops.samples import activation_tensor, draw_quant

ALIGN = 4  # bytes; rows that are no multiple would give kernels misaligned buffers
Range = tuple[int, int]  # rows, the end left out
Picker = Callable[[View], Lowered]


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


def _row_bytes(tensor: Tensor) -> int:
    return tensor.nbytes // tensor.shape[1]


def _aligned(size: int) -> int:
    return -(-size // ALIGN) * ALIGN


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each layer's input buffer lies in the scratch (the first has none: it reads the whole input)."""

    buffers: tuple[int, ...]
    kernel_scratch: int
    total: int


def _layout(graph: Graph, steps: list[Step], picker: Picker) -> Layout:
    offsets, at = [0], 0
    for k, node in enumerate(graph.nodes):
        if k:
            offsets.append(at)
            rows = max(s.held[1] - s.held[0] for s in steps if s.layer == k)
            at += _aligned(rows * _row_bytes(graph.tensors[node.inputs[0]]))
    inner = max(picker(view).scratch for view in {_form(graph, s): _strip(graph, s) for s in steps if not s.slides}.values())
    return Layout(tuple(offsets), at, at + inner)


def _form(graph: Graph, step: Step) -> tuple[int, ...]:
    """What tells one strip's kernel call from another's: layer, rows in, rows out, padding."""
    above, below = rows_of(graph.view(graph.nodes[step.layer])).padding(step.made)
    return step.layer, step.held[1] - step.held[0], step.made[1] - step.made[0], above, below


def _strip(graph: Graph, step: Step) -> View:
    """The step's layer, restricted to its rows."""
    node = graph.nodes[step.layer]
    view = graph.view(node)
    x, out = view.input(0), view.out
    _, _, left, right = node.attrs["padding"]
    above, below = rows_of(view).padding(step.made)
    small_in = replace(x, shape=(1, step.held[1] - step.held[0], *x.shape[2:]))
    small_out = replace(out, shape=(1, step.made[1] - step.made[0], *out.shape[2:]))
    small = replace(node, attrs=attrs(**{**node.attrs, "padding": (above, below, left, right)}))
    return View(small, (small_in, *view.inputs[1:]), (small_out,))


def _picker(view: View) -> Picker:
    """Which kernel runs a strip of an inner layer: the one that attribute `kernels` names for the layer, where it fits the strip."""
    from sandgrain.graph.ops import OPS

    graph: Graph = view.attrs["graph"]
    names = view.attrs.get("kernels", ())
    wanted = {node.outputs[0]: name for node, name in zip(graph.nodes, names, strict=bool(names))}
    features: frozenset[str] = view.attrs["features"]

    def picked(strip: View) -> Lowered:
        node = strip.node
        found = pick(OPS[node.op].kernels, wanted.get(node.outputs[0]), lambda kernel: kernel.fit(strip, features))
        if found is None:
            raise UnsupportedError(f"{node.name}: no {node.op} kernel fits a strip of this layer; allow more RAM")
        return found[1]

    return picked


def _plan(view: View) -> tuple[Graph, list[Step], Layout, Picker]:
    graph: Graph = view.attrs["graph"]
    steps = schedule(graph, view.attrs["height"])
    picker = _picker(view)
    return graph, steps, _layout(graph, steps, picker), picker


def _scratch(view: View) -> int:
    return _plan(view)[2].total


def _overlap(view: View) -> tuple[tuple[int, int], ...]:
    """The output may run into the input: rows are written once the input rows that come before them are dead."""
    graph, steps, _, _ = _plan(view)
    row_in, row_out = _row_bytes(view.input(0)), _row_bytes(view.out)
    lead, last = 0, len(graph.nodes) - 1
    still = graph.tensors[graph.inputs[0]].shape[1]  # first input row that a later step reads
    for step in reversed(steps):
        if step.layer == last and not step.slides and still < graph.tensors[graph.inputs[0]].shape[1]:
            lead = max(lead, step.made[1] * row_out - still * row_in)
        if step.layer == 0 and not step.slides:
            still = min(still, step.held[0])
    return ((0, lead),)


def _lower(view: View) -> tuple[Call, ...]:
    graph, steps, layout, picker = _plan(view)
    rows = [_row_bytes(graph.tensors[node.inputs[0]]) for node in graph.nodes] + [_row_bytes(view.out)]
    starts = [0] * (len(graph.nodes) + 1)  # first row that each layer's input buffer holds
    lowered: dict[tuple[int, ...], tuple[Call, ...]] = {}
    calls: list[Call] = []
    for step in steps:
        k = step.layer
        if step.slides:
            kept = step.kept[1] - step.held[0]
            if kept > 0 and step.held[0] > starts[k]:
                fields: dict[str, int | float | tuple[int, ...] | Array] = {
                    "bytes": kept * rows[k],
                    "from": (step.held[0] - starts[k]) * rows[k],
                }
                calls.append(Call("portable/slide.h", fields, (Scratch(layout.buffers[k]),)))
            starts[k] = step.held[0]
            continue
        form = _form(graph, step)
        if form not in lowered:
            small = _strip(graph, step)
            lowered[form] = picker(small).calls
        place = _Place(layout, rows, step, starts[k + 1] if k + 1 < len(graph.nodes) else None)
        calls += [replace(c, args=tuple(place.of(a) for a in c.args)) for c in lowered[form]]
    return tuple(calls)


@dataclass(frozen=True, slots=True)
class _Place:
    """Turns the arguments of a strip's own call into those of the whole node. `first`: row that the next buffer starts with."""

    layout: Layout
    rows: list[int]
    step: Step
    first: int | None

    def of(self, arg: Arg) -> Arg:
        step, k = self.step, self.step.layer
        if isinstance(arg, Scratch):
            return Scratch(self.layout.kernel_scratch + arg.offset, arg.const)
        if isinstance(arg, In):
            if k == 0:
                return In(0, step.held[0] * self.rows[0] + arg.offset)
            return Scratch(self.layout.buffers[k] + arg.offset, const=True)
        if self.first is None:
            return Out(0, step.made[0] * self.rows[k + 1] + arg.offset)
        return Scratch(self.layout.buffers[k + 1] + (step.made[0] - self.first) * self.rows[k + 1] + arg.offset)


def can_strip(graph: Graph, node: Node) -> bool:
    """A windowed layer over one int8 image whose rows are whole words."""
    from sandgrain.graph.ops import OPS

    if not OPS[node.op].windowed:
        return False
    view = graph.view(node)
    tensors = (view.input(0), view.out)
    return all(t.dtype == "int8" and len(t.shape) == 4 and t.shape[0] == 1 and _row_bytes(t) % ALIGN == 0 for t in tensors)


class Strips(Op):
    name = "strips"
    instead = "export the graph before it is put into strips"
    summary = "several layers, a few rows at a time (made when memory is short; in no file)"
    kernels = (Kernel("strips", _lower, scratch=_scratch, overlap=_overlap),)

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
