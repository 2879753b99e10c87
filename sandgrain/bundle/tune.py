"""Kernels chosen by measuring them: the candidates of every layer run on the emulated core, and the figures decide.

A few firmwares are built, each with one candidate for every layer, and a few inferences of each are profiled. What a layer costs depends
hardly on its weights, so programs of the same form are measured once (`costs.program`). Layers that were measured in other programs
do not count here: inlining differs a little between programs, and the choice must not depend on what this computer compiled before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Progress, silent
from sandgrain.base.scratch import scratch
from sandgrain.bundle import costs
from sandgrain.bundle.measure import Build
from sandgrain.compiler.emit.model import Options, Source
from sandgrain.compiler.pipeline import outlined
from sandgrain.compiler.plan import Choice, candidates
from sandgrain.device.run import emulator_missing
from sandgrain.device.run.elf import sections
from sandgrain.device.targets import Board, load
from sandgrain.device.toolchain import Toolchain
from sandgrain.graph.ir import Graph

MEASURING = "measuring kernels"  # what progress is told
Goal = Literal["speed", "size", "balanced"]
GOALS: tuple[Goal, ...] = get_args(Goal)
# clang unrolls what is not unrolled by hand too: 18 to 44 % of a network's code for at most 2.4 % of its instructions (five of the six
# shared models; hello_world is larger without, and FFTs of audio take 5 to 7 % longer).
FLAGS = {"speed": "-O2", "size": "-Os", "balanced": "-O2 -fno-unroll-loops"}
WORTH = 0.02  # balanced: the share of all instructions that a KiB of code must save
KIB = 1024


@dataclass(frozen=True, slots=True)
class Figures:
    """What one layer costs with one candidate: mean instructions per inference, and bytes of code of its own."""

    instructions: int
    code: int


def choose(graph: Graph, board: Board, compiler: str, goal: str, progress: Progress = silent, *, measure: bool = True) -> Choice:
    """The best kernel for every layer of an optimized graph on a board's core, by `goal` (one of GOALS).

    speed: fewest instructions. size: every kernel once, the smallest set. balanced: fewest instructions, and a copy of
    a layer's own only where it saves enough. Without `measure`, or an emulator for the core, each layer takes its op's first kernel.
    """
    check_goal(goal)
    if not measure or not board.core.runs_firmware or emulator_missing(board):
        return unmeasured(graph, goal)
    board = load(board.core.name)  # the core with plenty of memory: what does not fit the board is found later
    toolchain = toolchain_for(compiler, goal)
    if goal == "size":
        return _smallest(graph, board, toolchain, progress)
    variants = _variants(graph, board)
    if not variants:  # views alone: no layer has code
        return unmeasured(graph, goal)
    figures: list[dict[int, Figures]] = []
    for k, variant in enumerate(variants):
        progress(MEASURING, k, len(variants))
        figures.append(_figures(_build(graph, board, toolchain, variant)))
    progress(MEASURING, len(variants), len(variants))
    layers = sorted(set.intersection(*(set(f) for f in figures)))
    worth, alone = WORTH if goal == "balanced" else 0.0, frozenset[int]()
    while True:  # a layer that would share code with nobody decides again, without that way out; their number only grows
        choice = _decide(layers, variants, figures, worth, alone)
        really = _sharing(_build(graph, board, toolchain, choice).compiled.source)
        if choice.shared <= really:
            return choice
        alone |= choice.shared - really


def check_goal(goal: str) -> None:
    """Raises UsageError unless `goal` is one of GOALS."""
    if goal not in GOALS:
        raise UsageError(f"--optimize {str(goal)[:20]!r} is not a goal; choose {', '.join(GOALS)}")


def _sharing(source: Source) -> frozenset[int]:
    """First output tensors of the layers whose C calls a copy of a kernel that other layers call as well."""
    nodes = source.plan.graph.nodes
    return frozenset(nodes[layer.index].outputs[0] for layer in source.layers if layer.shared)


def toolchain_for(compiler: str, goal: str) -> Toolchain:
    """The compiler with the flags of a goal."""
    return Toolchain(compiler, FLAGS.get(goal, "-O2"))


def unmeasured(graph: Graph, goal: str) -> Choice:
    """Each layer's first kernel, which is often the fastest; with `size` layers share what they can."""
    return Choice(shared=_all(graph) if goal == "size" else frozenset())


def _all(graph: Graph) -> frozenset[int]:
    return frozenset(node.outputs[0] for node in graph.nodes)


def _variants(graph: Graph, board: Board, *, compact: bool = False) -> list[Choice]:
    """Rank r gives every layer its r-th candidate (or its last), once inlined and once shared."""
    fitting = {node.outputs[0]: candidates(graph, node, board.core.features, compact=compact) for node in graph.nodes}
    ranks = max((len(k) for k in fitting.values()), default=0)
    kernels = [{t: k[min(r, len(k) - 1)].name for t, k in fitting.items() if k} for r in range(ranks)]
    return [Choice(names, shared) for names in kernels for shared in (frozenset[int](), _all(graph))]


def _decide(
    layers: list[int], variants: list[Choice], figures: list[dict[int, Figures]], worth: float, alone: frozenset[int]
) -> Choice:
    """Layer by layer: fewest instructions, a KiB of a layer's own code priced at `worth` of the fastest total.

    A copy that layers share costs a further one of them nothing. `alone`: layers whose code would be their own in any case.
    """
    total = sum(min(f[t].instructions for f in figures) for t in layers)
    kernels: dict[int, str] = {}
    shared: set[int] = set()
    for t in layers:

        def price(k: int, t: int = t) -> tuple[float, int]:
            own = 0 if t in variants[k].shared else figures[k][t].code
            return figures[k][t].instructions + worth * total * own / KIB, own

        options = [k for k, variant in enumerate(variants) if t not in alone or t not in variant.shared]
        best = min(options, key=price)
        kernels[t] = variants[best].kernels[t]
        if t in variants[best].shared:
            shared.add(t)
    return Choice(kernels, frozenset(shared))


def _smallest(graph: Graph, board: Board, toolchain: Toolchain, progress: Progress) -> Choice:
    """Shared kernels that need the fewest bytes of flash and RAM together.

    What a kernel adds depends on the others (they share helpers, and layers share memory), so whole firmwares are built: one a
    rank of candidates, then, from the smallest of these on, each other kernel for all layers of an op that it fits.
    """
    fitting = {node.outputs[0]: candidates(graph, node, board.core.features, compact=True) for node in graph.nodes}
    ranks = [v.kernels for v in _variants(graph, board, compact=True) if v.shared]
    swaps = list(dict.fromkeys((node.op, k.name) for node in graph.nodes for k in fitting[node.outputs[0]]))
    sizes: dict[tuple[str, ...], int] = {}

    def size(kernels: Mapping[int, str]) -> int:
        key = tuple(kernels.values())
        if key not in sizes:
            progress(MEASURING, len(sizes), max(len(sizes), len(ranks) + len(swaps)))
            build = _build(graph, board, toolchain, Choice(kernels, _all(graph)))
            build = replace(build, compiled=build.compiled.written())
            with scratch() as work:
                sizes[key] = sum(sections(build.link(work / "firmware.elf")).values())
        return sizes[key]

    best = min(ranks, key=size, default={})
    for op, name in swaps:
        layers = [n.outputs[0] for n in graph.nodes if n.op == op and name in {k.name for k in fitting[n.outputs[0]]}]
        best = min(best, {**best, **dict.fromkeys(layers, name)}, key=size)
    progress(MEASURING, len(sizes), len(sizes))
    return Choice(best, _all(graph))


# --- measuring ------------------------------------------------------------------------------------------------------


def _build(graph: Graph, board: Board, toolchain: Toolchain, choice: Choice) -> Build:
    return Build(outlined(graph, board, Options(costs.NAME), choice), board, toolchain)


def _figures(build: Build) -> dict[int, Figures]:
    """First output tensor -> figures of its layer, measured now or before in a program of this form."""
    source, program = build.compiled.source, costs.program(build)
    nodes = source.plan.graph.nodes
    found = {}
    for layer, step in zip(source.layers, program.layers, strict=True):
        mean = program.spread[layer.index][1] if layer.index in program.spread else step.instructions
        found[nodes[layer.index].outputs[0]] = Figures(round(mean), step.code)
    return found
