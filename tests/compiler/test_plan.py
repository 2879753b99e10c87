"""The plan's promise, on random graphs: what is alive is never written over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sandgrain.compiler.plan.arena import lower_bound, place
from sandgrain.compiler.plan.order import least_memory_order
from sandgrain.compiler.plan.planner import Plan, layout
from sandgrain.compiler.plan.storage import Sharing, Storage, align, shared_inputs, storages
from sandgrain.compiler.select import Selected
from sandgrain.graph.ir import Graph, Node, Tensor, attrs
from sandgrain.kernels.base import Kernel, Lowered, Refused, Share, before
from tests.support.draws import rare


@dataclass
class Drawn:
    graph: Graph
    kernels: list[Selected | None]


def fake_kernel(scratch: int, in_place: tuple[int, ...], overlap: tuple[tuple[int, int], ...] = ()) -> Selected:
    shares = (*(Share(p) for p in in_place), *(before(lead, p) for p, lead in overlap))
    return Selected(Kernel("fake", (), lambda view: Refused("never asked")), Lowered((), scratch, shares))


@st.composite
def drawn_graphs(draw: st.DrawFn, branches: int = 3) -> Drawn:
    """Random graphs: several inputs and outputs, views, in-place kernels, scratch, tensors read many times or never."""
    tensors = [Tensor(f"in{k}", (draw(st.integers(1, 40)),), "int8") for k in range(draw(st.integers(1, 3)))]
    inputs = tuple(range(len(tensors)))
    nodes: list[Node] = []
    kernels: list[Selected | None] = []
    for n in range(draw(st.integers(1, 10))):
        reads = tuple(draw(st.lists(st.integers(0, len(tensors) - 1), min_size=1, max_size=branches)))
        if draw(st.integers(0, 4)) == 0:
            size = tensors[reads[0]].size
            nodes.append(Node("reshape", f"n{n}", reads[:1], (len(tensors),), attrs()))
            tensors.append(Tensor(f"t{n}", (1, size), "int8"))
            kernels.append(None)
            continue
        outputs = tuple(range(len(tensors), len(tensors) + draw(st.integers(1, 2))))
        tensors += [Tensor(f"t{n}_{o}", (draw(st.integers(1, 40)),), "int8") for o in outputs]
        nodes.append(Node("add", f"n{n}", reads, outputs, attrs()))
        places = tuple(p for p in range(len(reads)) if draw(st.booleans()))
        leads = tuple((p, draw(st.integers(0, 9))) for p in range(len(reads)) if draw(st.integers(0, 2)) == 0)
        kernels.append(fake_kernel(draw(st.sampled_from([0, 0, 5, 30])), places, leads))
    made = list(range(len(tensors)))
    outs = tuple(draw(st.lists(st.sampled_from(made[len(inputs) :]), min_size=1, max_size=3, unique=True)))
    return Drawn(Graph("drawn", tuple(tensors), tuple(nodes), inputs, outs), kernels)


def planned(drawn: Drawn) -> Plan:
    return layout(*least_memory_order(drawn.graph, drawn.kernels))


def execute(plan: Plan) -> None:
    """Run the plan on an arena whose every byte remembers which tensor it belongs to."""
    graph = plan.graph
    arena = np.full(plan.arena_bytes, -1)
    value = {i: i for i in range(len(graph.tensors))}  # tensor -> stamp; a view has its source's

    def span(tensor: int) -> slice:
        start = plan.offsets[tensor]
        assert start >= 0
        assert start + graph.tensors[tensor].nbytes <= plan.arena_bytes
        return slice(start, start + graph.tensors[tensor].nbytes)

    def intact(tensor: int) -> bool:
        return bool((arena[span(tensor)] == value[tensor]).all())

    for i in graph.inputs:
        arena[span(i)] = i
    for step, (node, chosen) in enumerate(zip(graph.nodes, plan.selected, strict=True)):
        assert all(intact(i) for i in node.inputs), f"an input of {node.name} was written over before it was read"
        if chosen is None:
            value[node.outputs[0]] = value[node.inputs[0]]
            assert plan.offsets[node.outputs[0]] == plan.offsets[node.inputs[0]]
            continue
        over = {
            node.inputs[p]
            for p, lead, exact in shared_inputs(chosen.lowered)
            if (gap := plan.offsets[node.inputs[p]] - plan.offsets[node.outputs[0]]) >= lead and (gap == 0 or not exact)
        }
        at = plan.scratch[step]
        if at is not None:
            arena[at : at + chosen.lowered.scratch] = -2
        for o in node.outputs:
            arena[span(o)] = o
        for i in node.inputs:
            assert i in over or intact(i), f"{node.name} writes over an input that it still reads"
        for o in node.outputs:
            assert intact(o), f"{node.name}: scratch or another output lies over output {o}"
    for o in graph.outputs:
        assert intact(o), "an output was written over"


@rare
@settings(max_examples=300)
@given(drawn_graphs())
def test_no_two_live_tensors_overlap(drawn: Drawn) -> None:
    execute(planned(drawn))


@rare
@settings(max_examples=150)
@given(drawn_graphs())
def test_every_offset_is_aligned_and_the_arena_is_no_smaller_than_its_bound(drawn: Drawn) -> None:
    plan = planned(drawn)
    assert all(offset == align(offset) for offset in plan.offsets.values())
    blocks, _, sharings = storages(plan.graph, plan.selected)
    assert plan.arena_bytes >= lower_bound(blocks, sharings)


@rare
@settings(max_examples=150)
@given(drawn_graphs(branches=2))
def test_the_order_is_executable_and_never_worse_than_the_given_one(drawn: Drawn) -> None:
    ordered, kernels = least_memory_order(drawn.graph, drawn.kernels)
    known = set(ordered.inputs)
    for node in ordered.nodes:
        assert set(node.inputs) <= known
        known |= set(node.outputs)

    def peak(graph: Graph, chosen: list[Selected | None]) -> int:
        blocks, _, _ = storages(graph, chosen)
        return lower_bound(blocks)

    plain = [None if k is None else fake_kernel(0, ()) for k in drawn.kernels]
    aligned = Drawn(drawn.graph, plain)
    again, chosen = least_memory_order(aligned.graph, aligned.kernels)
    slack = 3 * len(drawn.graph.tensors)  # the search counts bytes, the bound counts aligned bytes
    assert peak(again, list(chosen)) <= peak(drawn.graph, plain) + slack
    assert len(kernels) == len(drawn.kernels)


def test_arena_reuses_a_dead_input() -> None:
    blocks = [Storage(100, -1, 0), Storage(60, 0, 1), Storage(100, 1, 2)]
    offsets, total = place(blocks)
    assert total == 160
    assert offsets[0] == offsets[2]


def test_a_branch_that_shrinks_is_run_before_one_that_stays_large() -> None:
    """x -> a(large) -> b(small); x -> c(large) -> d(small): never both large ones at once."""
    shapes = [10, 1000, 5, 1000, 5, 10]
    tensors = tuple(Tensor(f"t{k}", (s,), "int8") for k, s in enumerate(shapes))
    wires = [((0,), 1), ((0,), 3), ((1,), 2), ((3,), 4), ((2, 4), 5)]
    nodes = tuple(Node("add", f"n{k}", reads, (out,), attrs()) for k, (reads, out) in enumerate(wires))
    graph = Graph("diamond", tensors, nodes, (0,), (5,))
    ordered, kernels = least_memory_order(graph, [fake_kernel(0, ())] * 5)
    blocks, _, _ = storages(ordered, kernels)
    assert place(blocks)[1] < 1100


def test_an_output_is_never_written_over_by_a_later_layer() -> None:
    tensors = tuple(Tensor(f"t{k}", (8,), "int8") for k in range(3))
    nodes = (Node("add", "a", (0,), (1,), attrs()), Node("add", "b", (1,), (2,), attrs()))
    graph = Graph("early", tensors, nodes, (0,), (1, 2))
    kernels: list[Selected | None] = [fake_kernel(0, (0,)), fake_kernel(0, (0,))]
    drawn = Drawn(graph, kernels)
    execute(planned(drawn))
    assert planned(drawn).offsets[1] != planned(drawn).offsets[2]


def test_a_way_to_share_that_saves_nothing_does_not_raise_the_bound() -> None:
    """Two ways for one pair of blocks, as where a layer reads a tensor twice; the second needs more room than being apart."""
    blocks = [Storage(1, -1, 0), Storage(1, 0, 1)]
    ways = [Sharing(1, 0, 0, False), Sharing(1, 0, 12, False)]
    assert lower_bound(blocks, ways) == 4
    assert place(blocks, ways[1:])[1] == lower_bound(blocks, ways[1:]) == 8
