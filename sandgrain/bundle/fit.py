"""Makes a model fit a limit of RAM: kernels that need less memory first, then leading layers in strips."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from sandgrain.base.text import size
from sandgrain.bundle.measure import Build, beside_arena, instructions_of
from sandgrain.compiler.passes.into_strips import longest_chain
from sandgrain.compiler.pipeline import planned
from sandgrain.compiler.plan import Choice, candidates
from sandgrain.compiler.plan.planner import layers_above
from sandgrain.compiler.select import select
from sandgrain.graph.ir import Graph
from sandgrain.kernels import Kernel

HEIGHTS = (4, 2, 1)  # output rows a strip: taller strips cost less time and more memory
EVERY = 64  # leading layers: each number up to here is tried in strips, then ever fewer
LOOKS = 3  # other kernels may need another stack, so what lies beside the arena is looked at again


def fit(build: Build, ram: int, *, measure: bool) -> tuple[Build, str]:
    """(`build`, or the same model with less RAM where it needs more than `ram` bytes; what that costs, in a sentence).

    Without `measure` only the arena counts, and the cost is not told.
    """
    first = build
    for _ in range(LOOKS):
        compiled, features = build.compiled, build.board.core.features
        beside = beside_arena(build) if measure else 0
        if compiled.source.plan.arena_bytes + beside <= ram:
            break
        choice = fit_choice(compiled.optimized, features, compiled.choice, ram - beside)
        if choice == compiled.choice:
            break
        build = replace(build, compiled=compiled.choosing(choice, features))
    return build, _cost(first, build, ram) if measure and build is not first else ""


def _cost(before: Build, after: Build, ram: int) -> str:
    strips = after.compiled.choice.strips
    how = (
        f"the first {strips[0]} layers run in strips of {strips[1]} rows" if strips else "some layers use kernels that need less"
    )
    arenas = " -> ".join(size(b.compiled.source.plan.arena_bytes) for b in (before, after))
    old, new = instructions_of(before), instructions_of(after)
    price = f", {new / old:.2f} times the instructions" if old and new else ""
    return f"to keep {size(ram)} of RAM, {how} (arena {arenas}{price})"


def fit_choice(graph: Graph, features: Collection[str], choice: Choice, arena_bytes: int) -> Choice:
    """`choice` when its arena has at most `arena_bytes`, else the first way to get there, else the one that needs least.

    Tried in this order: the given kernels; other kernels for the layers alone that need more; each op's kernels of least
    memory; ever more leading layers in strips.
    """
    best, least = choice, planned(graph, features, choice).arena_bytes
    for option in _options(graph, features, choice, arena_bytes):
        if least <= arena_bytes:
            break
        needed = planned(graph, features, option).arena_bytes
        if needed < least:
            best, least = option, needed
    return best


def _options(graph: Graph, features: Collection[str], choice: Choice, arena_bytes: int) -> Iterator[Choice]:
    """Ways to need less memory. Where `choice` has kernels of least code, those stay in the running."""
    chosen = [(node.outputs[0], select(graph, node, features, choice)) for node in graph.nodes]
    kinds = {t: selected.kernel.compact for t, selected in chosen if selected}
    compact = any(kinds.values())
    fitting = {node.outputs[0]: candidates(graph, node, features, compact=compact) for node in graph.nodes}
    like = {t: [k for k in fitting[t] if k.compact == c] + [k for k in fitting[t] if k.compact != c] for t, c in kinds.items()}
    yield from _where_needed(graph, features, choice, like, arena_bytes)
    for rank in range(max((len(k) for k in fitting.values()), default=0)):
        kernels = {t: k[min(rank, len(k) - 1)].name for t, k in fitting.items() if k}
        yield replace(choice, kernels=kernels)
    for length in _lengths(longest_chain(graph)):
        for height in HEIGHTS:
            yield replace(choice, strips=(length, height))


def _where_needed(
    graph: Graph, features: Collection[str], choice: Choice, fitting: Mapping[int, Sequence[Kernel]], arena_bytes: int
) -> Iterator[Choice]:
    """Other kernels, in the order of `fitting`, for the layers that do not fit `arena_bytes`; all others keep theirs."""
    for rank in range(max((len(k) for k in fitting.values()), default=0)):
        over = layers_above(planned(graph, features, choice), arena_bytes)
        other = {t: fitting[t][rank].name for t in over if rank < len(fitting.get(t, ()))}
        if not other:
            break
        choice = replace(choice, kernels={**choice.kernels, **other})
        yield choice


def _lengths(longest: int) -> Iterator[int]:
    """How many leading layers to try in strips: planning each length of a chain of thousands would take hours."""
    length = 2
    while length <= longest:
        yield length
        length += max(1, (length - EVERY) // 4)
