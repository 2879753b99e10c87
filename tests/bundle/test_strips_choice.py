"""Strips keep the kernels that were chosen for their layers; how long a chain can be; what is tried to fit a limit of RAM."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from sandgrain.bundle.fit import fit_choice
from sandgrain.compiler import passes
from sandgrain.compiler.passes.into_strips import into_strips, longest_chain
from sandgrain.compiler.pipeline import planned
from sandgrain.compiler.plan import Choice, candidates
from sandgrain.compiler.plan.planner import layers_above
from sandgrain.device import targets
from sandgrain.formats import text
from sandgrain.graph import interpret, rules
from sandgrain.graph.ir import Graph, Node, Tensor, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import Quantization, per_tensor
from tests.support.draws import SeededDraw, random_inputs, rare
from tests.support.shared_files import shared_model

M4 = targets.load("cortex-m4").core.features


def chain(seed: int = 0) -> Graph:
    """A few convolutions, one after another: the inside of a `strips` sample."""
    graph: Graph = OPS["strips"].sample(SeededDraw(seed)).nodes[0].attrs["graph"]
    return graph


@cache
def vww() -> Graph:
    return passes.optimize(text.read_any(shared_model("vww_96_int8"), "vww"))


@cache
def tall() -> Graph:
    """Four channels, widened to 16, filtered, and narrowed to four again, 48 rows high: most of the arena is the wide middle."""
    rng = np.random.default_rng(0)
    tensors = [Tensor("x", (1, 48, 8, 4), "int8", per_tensor(0.05, 3))]
    nodes: list[Node] = []
    for k, (op, kernel, channels) in enumerate((("conv_2d", 3, 16), ("depthwise_conv_2d", 3, 16), ("conv_2d", 1, 4))):
        depth = tensors[-1].shape[3]
        shape, axis = ((1, kernel, kernel, channels), 3) if "depth" in op else ((channels, kernel, kernel, depth), 0)
        scales = tuple(0.002 + 0.0001 * (c % 5) for c in range(channels))
        data = rng.integers(-127, 128, shape).astype(np.int8)
        weights = Tensor(f"w{k}", shape, "int8", Quantization(scales, (0,) * channels, axis), data)
        options = attrs(stride=(1, 1), dilation=(1, 1), padding=(kernel // 2,) * 4, activation="none")
        at = len(tensors)
        tensors += [weights, Tensor(f"t{k}", (1, 48, 8, channels), "int8", per_tensor(0.05, -2))]
        nodes.append(Node(op, f"n{k}", (at - 1, at), (at + 1,), options))
    return Graph("tall", tuple(tensors), tuple(nodes), (0,), (len(tensors) - 1,))


def sources(graph: Graph, choice: Choice) -> set[str]:
    """The kernel files that the first layer of the plan calls."""
    plan = planned(graph, M4, choice)
    selected = plan.selected[0]
    assert selected is not None and plan.graph.nodes[0].op == "strips"
    return {call.source.rsplit("/", 1)[-1] for call in selected.lowered.calls} - {"slide.h"}


def named(graph: Graph, part: str) -> dict[int, str]:
    """For each layer the first candidate whose name has `part`, where there is one."""
    found = {}
    for node in graph.nodes:
        for kernel in candidates(graph, node, M4, compact=True):
            if part in kernel.name:
                found.setdefault(node.outputs[0], kernel.name)
    return found


def test_strips_keep_the_chosen_kernels() -> None:
    graph = vww()
    compact = named(graph, "compact")
    assert [n.outputs[0] in compact for n in graph.nodes[:4]] == [True] * 4
    assert all("compact" in s for s in sources(graph, Choice(compact, strips=(4, 2))))


def test_strips_take_no_kernel_of_least_code_unless_it_was_chosen() -> None:
    graph = vww()
    assert not any("compact" in s for s in sources(graph, Choice(strips=(4, 2))))
    first = graph.nodes[0].outputs[0]
    mixed = sources(graph, Choice({first: named(graph, "compact")[first]}, strips=(4, 2)))
    assert sum("compact" in s for s in mixed) == 1 and len(mixed) > 1


@pytest.mark.parametrize("part", ["compact", ""])
def test_strips_with_chosen_kernels_give_the_same_bytes(part: str) -> None:
    for seed, graph in enumerate([tall(), *(chain(seed) for seed in range(5))]):
        for length in range(2, longest_chain(graph) + 1):
            striped = into_strips(graph, (length, 2), M4, named(graph, part))
            rules.check(striped)
            inputs = [x[0] for x in random_inputs(graph, seed, 1)]
            for a, b in zip(interpret.run(graph, inputs), interpret.run(striped, inputs), strict=True):
                assert np.array_equal(a, b)


def test_a_chain_ends_where_a_tensor_is_read_twice_or_leaves() -> None:
    graph = chain(3)
    length = len(graph.nodes)
    assert longest_chain(graph) == length >= 3
    middle = graph.nodes[1].outputs[0]
    assert longest_chain(replace(graph, outputs=(*graph.outputs, middle))) == 2
    again = replace(graph.nodes[-1], inputs=(middle, *graph.nodes[-1].inputs[1:]))
    assert longest_chain(replace(graph, nodes=(*graph.nodes[:-1], again, graph.nodes[-1]))) == 2
    assert longest_chain(replace(graph, inputs=(graph.inputs[0], middle))) == 0


def test_a_choice_that_fits_is_kept() -> None:
    graph = tall()
    choice = Choice(named(graph, "compact"))
    assert fit_choice(graph, M4, choice, planned(graph, M4, choice).arena_bytes) is choice


def test_strips_come_when_no_kernels_fit_and_need_less() -> None:
    graph = tall()
    limit = planned(graph, M4, Choice()).arena_bytes // 2
    found = fit_choice(graph, M4, Choice(), limit)
    assert found.strips is not None
    assert planned(graph, M4, found).arena_bytes <= limit


def test_a_limit_of_ram_leaves_kernels_of_least_code_in_the_running() -> None:
    """`--optimize size --max-ram`: the strips call the kernels that were chosen for their little code."""
    graph = tall()
    choice = Choice(named(graph, "compact"))
    assert len(choice.kernels) == len(graph.nodes)
    found = fit_choice(graph, M4, choice, planned(graph, M4, Choice()).arena_bytes // 2)
    assert found.strips is not None and found.kernels == choice.kernels
    assert all("compact" in s for s in sources(graph, found))


def test_what_cannot_be_reached_gives_the_choice_of_least_memory() -> None:
    graph = tall()
    least = fit_choice(graph, M4, Choice(), 1)
    for other in (Choice(), Choice(strips=(3, 4)), Choice(strips=(2, 1)), Choice(strips=(2, 4))):
        assert planned(graph, M4, least).arena_bytes <= planned(graph, M4, other).arena_bytes


@rare
@pytest.mark.parametrize("model", ["kws_ref_model", "pretrainedResnet_quant", "vww_96_int8"])
def test_only_the_layers_that_need_too_much_change_their_kernels(model: str) -> None:
    """`--optimize size --max-ram` with a limit just under the need: the layers that fit the limit keep their kernels."""
    graph = passes.optimize(text.read_any(shared_model(model), model))
    choice = Choice(named(graph, "compact"))
    plan = planned(graph, M4, choice)
    limit = plan.arena_bytes - 1
    found = fit_choice(graph, M4, choice, limit)
    assert found.strips is None and planned(graph, M4, found).arena_bytes <= limit
    changed = {t for t, kernel in found.kernels.items() if kernel != choice.kernels.get(t)}
    assert changed and changed <= set(layers_above(plan, limit))
    assert set(choice.kernels) - changed
