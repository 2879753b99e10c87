"""Kernels chosen by measuring them: the candidates of every layer run on the emulated core, and the figures decide.

A few firmwares are built, each with one candidate for every layer, and a few inferences of each are profiled. A mix of the best layers
is measured as well, and the best of all these programs is taken. What a layer costs depends hardly on its weights, so programs of the
same form are measured once (`costs.program`). Layers that were measured in other programs do not count here: inlining differs a little
between programs, and the choice must not depend on what this computer compiled before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from sandgrain.device.cost.cycles import OVERHEAD
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
MIXES = 2  # mixes of layers that are measured
SLIGHT = 0.001  # share of all instructions that a further mix must promise to save: measuring it takes seconds

Picks = Mapping[int, int]  # layer, by its first output tensor -> which variant it is taken from


@dataclass(frozen=True, slots=True)
class Figures:
    """What one layer costs with one candidate: mean instructions per inference, and bytes of code of its own."""

    instructions: int
    code: int


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """A program that was measured as a whole. `layers`: first output tensor -> figures of its layer in this program."""

    choice: Choice
    layers: Mapping[int, Figures]
    instructions: float  # mean per inference, with what lies between the layers
    flash: int
    ram: int


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
    done = 0

    def tried(choice: Choice) -> Tried:
        nonlocal done
        progress(MEASURING, done, max(done, len(variants)) + 1)
        done += 1
        return _tried(_build(graph, board, toolchain, choice))

    def sharing(choice: Choice) -> frozenset[int]:
        return _sharing(_build(graph, board, toolchain, choice).compiled.source)

    chosen = best(variants, tried, sharing, WORTH if goal == "balanced" else 0.0)
    progress(MEASURING, done, done)
    return chosen


def best(
    variants: Sequence[Choice], tried: Callable[[Choice], Tried], sharing: Callable[[Choice], frozenset[int]], worth: float
) -> Choice:
    """The best of the programs that `tried` measures: the `variants`, and mixes of their layers.

    A mix takes each layer from the variant in which it is cheapest. There it can cost more than in the variant, because the compiler
    inlines differently; so the mix is measured too. Where its figures promise a better mix, that one is measured as well.
    `sharing`: the layers of a choice whose code would really be shared. `worth`: as WORTH, 0 where only instructions count.
    """
    uniform = [tried(variant) for variant in variants]
    table = _Table(variants, [dict(one.layers) for one in uniform], worth)
    mixes: list[Tried] = []
    picks: Picks | None = None
    while len(mixes) < MIXES:
        other = table.mix(sharing)
        if picks is not None and table.price_of(picks) - table.price_of(other) < SLIGHT * table.total:
            break
        picks = other
        mixes.append(tried(table.choice(picks)))
        table.learn(picks, mixes[-1])

    chosen = mixes[0]
    for one in (*mixes[1:], *uniform):
        if table.prefers(one, chosen):
            chosen = one
    return replace(chosen.choice, shared=chosen.choice.shared & sharing(chosen.choice))


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


class _Table:
    """What each layer costs in each variant, and what follows from it."""

    def __init__(self, variants: Sequence[Choice], figures: list[dict[int, Figures]], worth: float) -> None:
        self._variants, self._figures, self._worth = variants, figures, worth
        self._layers = sorted(set.intersection(*(set(f) for f in figures)))
        self.total = sum(min(f[t].instructions for f in figures) for t in self._layers)  # of the fastest variant of each layer

    def price_of_code(self, code: float) -> float:
        """Instructions that bytes of code are worth."""
        return self._worth * self.total * code / KIB

    def prefers(self, one: Tried, other: Tried) -> bool:
        """Whether `one` is the better program: fewer instructions, code at its price, and of equal ones the smaller.

        Where code has a price, a saving below SLIGHT is not enough: it comes from linking, and `other`, a mix, says which layers share code
        whatever compiler builds it.
        """
        gain = other.instructions - one.instructions + self.price_of_code(other.flash - one.flash)
        if self._worth:
            return gain > SLIGHT * self.total or (gain >= 0 and one.ram < other.ram)
        return gain > 0 or (gain == 0 and one.flash + one.ram < other.flash + other.ram)

    def price(self, layer: int, variant: int) -> float:
        """In instructions. A copy that layers share costs a further one of them nothing."""
        figures = self._figures[variant][layer]
        return figures.instructions + self.price_of_code(self._own(layer, variant))

    def price_of(self, picks: Picks) -> float:
        return sum(self.price(layer, variant) for layer, variant in picks.items())

    def mix(self, sharing: Callable[[Choice], frozenset[int]]) -> Picks:
        """The cheapest variant of each layer, of those with the same price the one with the least code of its own.

        A layer that would share code with nobody decides again, without that way out; their number only grows.
        """
        alone: frozenset[int] = frozenset()
        while True:
            picks = {layer: self._cheapest(layer, alone) for layer in self._layers}
            choice = self.choice(picks)
            lonely = choice.shared - sharing(choice)
            if not lonely:
                return picks
            alone |= lonely

    def choice(self, picks: Picks) -> Choice:
        kernels = {layer: self._variants[variant].kernels[layer] for layer, variant in picks.items()}
        return Choice(kernels, frozenset(t for t, variant in picks.items() if t in self._variants[variant].shared))

    def learn(self, picks: Picks, mix: Tried) -> None:
        """From now on a layer's figures are those in `mix`, in all variants that give it what `mix` does."""
        for layer, variant in picks.items():
            way = self._way(layer, variant)
            for k, figures in enumerate(self._figures):
                if self._way(layer, k) == way:
                    figures[layer] = mix.layers[layer]

    def _cheapest(self, layer: int, alone: frozenset[int]) -> int:
        options = [k for k, v in enumerate(self._variants) if layer not in alone or layer not in v.shared]
        return min(options, key=lambda k: (self.price(layer, k), self._own(layer, k)))

    def _own(self, layer: int, variant: int) -> int:
        return 0 if layer in self._variants[variant].shared else self._figures[variant][layer].code

    def _way(self, layer: int, variant: int) -> tuple[str, bool]:
        return self._variants[variant].kernels[layer], layer in self._variants[variant].shared


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


def _tried(build: Build) -> Tried:
    """A program's figures, measured now or before in a program of this form."""
    source, program = build.compiled.source, costs.program(build)
    nodes = source.plan.graph.nodes
    layers, total = {}, float(program.instructions)
    for layer, step in zip(source.layers, program.layers, strict=True):
        mean = program.spread[layer.index][1] if layer.index in program.spread else step.instructions
        layers[nodes[layer.index].outputs[0]] = Figures(round(mean), step.code)
        total += step.instructions
    mean = program.spread[OVERHEAD][1] if OVERHEAD in program.spread else total
    return Tried(build.compiled.choice, layers, mean, program.flash, source.plan.arena_bytes + program.static + program.stack)
