"""The kernel of the op `strips`: its layers' own kernels, called for a few rows at a time, and rows moved in between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from sandgrain.graph.ir import Graph, View, attrs
from sandgrain.graph.ops.strips import Step, aligned, row_bytes, rows_of, schedule
from sandgrain.kernels import kernels_of, pick
from sandgrain.kernels.base import Arg, Call, Fit, In, Kernel, Lowered, Out, Refused, Scratch, before

Form = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each layer's input buffer lies in the scratch (the first has none: it reads the whole input)."""

    buffers: tuple[int, ...]
    kernel_scratch: int
    total: int


def _layout(graph: Graph, steps: list[Step], inner: int) -> Layout:
    offsets, at = [0], 0
    for k, node in enumerate(graph.nodes):
        if k:
            offsets.append(at)
            rows = max(s.held[1] - s.held[0] for s in steps if s.layer == k)
            at += aligned(rows * row_bytes(graph.tensors[node.inputs[0]]))
    return Layout(tuple(offsets), at, at + inner)


def _form(graph: Graph, step: Step) -> Form:
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


def _fits(view: View, steps: list[Step]) -> dict[Form, Lowered] | Refused:
    """Each form's calls, by the kernel that attribute `kernels` names for the layer where it fits, else by the first that does."""
    graph: Graph = view.attrs["graph"]
    core: frozenset[str] = view.attrs["features"]
    names = view.attrs.get("kernels", ("",) * len(graph.nodes))
    fits: dict[Form, Lowered] = {}
    for step in (s for s in steps if not s.slides):
        form = _form(graph, step)
        if form in fits:
            continue
        node = graph.nodes[step.layer]
        fit = partial(Kernel.fit, view=_strip(graph, step), core=core)
        picked = pick(kernels_of(node.op), names[step.layer], fit)
        if picked is None:
            return Refused(f"no {node.op} kernel fits a strip of {node.name}; allow more RAM")
        fits[form] = picked[1]
    return fits


def _lead(view: View, graph: Graph, steps: list[Step]) -> int:
    """The output may run into the input: rows are written once the input rows that come before them are dead."""
    row_in, row_out = row_bytes(view.input(0)), row_bytes(view.out)
    lead, last = 0, len(graph.nodes) - 1
    still = graph.tensors[graph.inputs[0]].shape[1]  # first input row that a later step reads
    for step in reversed(steps):
        if step.layer == last and not step.slides and still < graph.tensors[graph.inputs[0]].shape[1]:
            lead = max(lead, step.made[1] * row_out - still * row_in)
        if step.layer == 0 and not step.slides:
            still = min(still, step.held[0])
    return lead


def _calls(view: View, graph: Graph, steps: list[Step], fits: Mapping[Form, Lowered], layout: Layout) -> tuple[Call, ...]:
    rows = [row_bytes(graph.tensors[node.inputs[0]]) for node in graph.nodes] + [row_bytes(view.out)]
    starts = [0] * (len(graph.nodes) + 1)  # first row that each layer's input buffer holds
    calls: list[Call] = []
    for step in steps:
        k = step.layer
        if step.slides:
            kept = step.kept[1] - step.held[0]
            if kept > 0 and step.held[0] > starts[k]:
                fields = {"bytes": kept * rows[k], "from": (step.held[0] - starts[k]) * rows[k]}
                calls.append(Call("slide", fields, (Scratch(layout.buffers[k]),)))
            starts[k] = step.held[0]
            continue
        place = _Place(layout, rows, step, starts[k + 1] if k + 1 < len(graph.nodes) else None)
        calls += [replace(c, args=tuple(place.of(a) for a in c.args)) for c in fits[_form(graph, step)].calls]
    return tuple(calls)


def _lower(view: View) -> Fit:
    graph: Graph = view.attrs["graph"]
    steps = schedule(graph, view.attrs["height"])
    fits = _fits(view, steps)
    if isinstance(fits, Refused):
        return fits
    layout = _layout(graph, steps, max(lowered.scratch for lowered in fits.values()))
    calls = _calls(view, graph, steps, fits, layout)
    return Lowered(calls, layout.total, (before(_lead(view, graph, steps)),))


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


KERNEL = Kernel("strips", ("strips",), _lower)
