"""What would keep a limit that is missed: measured, not guessed; and the limits of cost before anything is trained.

The architecture decides RAM, flash and time, and trained weights hardly move them. So the network is quantized as it is before
training and measured once, and a build that cannot keep its limits ends before it trains.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from sandgrain.base.errors import BudgetError, SandgrainError
from sandgrain.base.progress import silent
from sandgrain.base.text import plain
from sandgrain.bundle import costs, features_in_c, tune
from sandgrain.bundle.report import Report
from sandgrain.compiler import pipeline
from sandgrain.formats import text
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.project.build import limits, network
from sandgrain.project.build.firmware import Request, at_clock, measured
from sandgrain.project.build.limits import FITTED, Check, Variant
from sandgrain.project.build.stages import Run
from sandgrain.project.build.store import digest

if TYPE_CHECKING:
    from sandgrain.project.tasks.base import Fitted, Task

NEAR = 0.02  # share of a limit: what lies closer to it is trained and measured, for trained weights move the costs a little
HOPELESS = 0.5  # share of a limit: so much is more than the choice of kernels gains
LONGEST = 200  # characters of a sentence's part that quotes the project


# --- before training -----------------------------------------------------------------------------------------------------


def before_training(run: Run, task: Task[Any], request: Request) -> None:
    """Measure the untrained model against the limits of cost. Raises BudgetError where training cannot keep them.

    `request`: what is compiled later; its model is not looked at. A model that cannot be drafted here passes: training says what
    is wrong with it.
    """
    facts = [run.samples.key, run.project.model, run.project.target, run.project.budget, run.seed]
    key = digest("untrained", *facts, network.own_module(run.samples))
    sentence = str(run.store.json("untrained", key, lambda: [_untrained(run, task, request)])[0])
    if sentence:
        raise BudgetError(sentence)


def _untrained(run: Run, task: Task[Any], request: Request) -> str:
    """Which limits the untrained model misses and what would keep them; "" where it keeps them, or comes near."""
    run.progress("measuring the untrained model", 0, 1)
    missed = untrained(run, task, request)[1]
    if not missed:
        return ""
    told = "; ".join(c.sentence() for c in missed)
    return f"before training: {told}; {_advice(run, task, request, missed)}; nothing was trained"


def untrained(run: Run, task: Task[Any], request: Request, *, thorough: bool = True) -> tuple[Report | None, list[Check]]:
    """(what the untrained model costs with each layer's first kernel, the limits that training cannot keep).

    None where it cannot be built or measured. `thorough`: a limit that other kernels or strips may keep is measured with them, which
    takes long; else it counts as kept.
    """
    own = Variant("", lambda: run.samples.front, None)
    report = _measure_quickly(run, task, request, own)
    missed = [] if report is None else [c for c in limits.costs(run.project.budget, run.board, report) if _is_far(c)]
    if missed and not any(map(_is_hopeless, missed)):  # other kernels, or strips, may keep the limit
        missed = [c for c in costs_of(run, task, request, own) if _is_far(c)] if thorough else []
    return report, missed


def _is_far(check: Check) -> bool:
    return not check.kept and (check.value is None or check.excess > NEAR * check.limit)


def _is_hopeless(check: Check) -> bool:
    """Whether no choice of kernels keeps the limit. RAM is another matter: strips may halve it."""
    return check.value is None or (check.name != "RAM" and check.excess > HOPELESS * check.limit)


# --- what would fit ------------------------------------------------------------------------------------------------------


def advice(run: Run, task: Task[Any], request: Request, missed: Sequence[Check]) -> str:
    """What would bring the build under its limits, or a sentence that nothing tried does. Kept in the store."""
    key = digest("advice", request.key, run.samples.key, [asdict(c) for c in missed], run.project.budget, run.seed)
    return str(run.store.json("advice", key, lambda: [_advice(run, task, request, missed)])[0])


def _advice(run: Run, task: Task[Any], request: Request, missed: Sequence[Check]) -> str:
    names = {c.name for c in missed if not c.quality and c.value is not None}
    if any(c.value is None and not c.quality for c in missed):
        return "choose a board whose core is emulated here, or leave out the limits that need a run"
    if not names:
        return _better(run, task, request)
    tried: list[tuple[float, Variant, tuple[Check, ...]]] = []
    variants = list(_variants(run, task))
    for k, variant in enumerate(variants):
        run.progress("measuring what would fit", k, len(variants))
        now = _quick_costs(run, task, request, variant)
        if now and all(c.kept for c in now):
            now = costs_of(run, task, request, variant)
            if now and all(c.kept for c in now):
                return _fits(task, variant, now, names)
        if now:
            tried.append((max(c.excess / c.limit for c in now), variant, now))
    return _nearest(run, task, request, tried, names)


def _variants(run: Run, task: Task[Any]) -> Iterator[Variant]:
    """One change each, and then the cheaper features together with the smallest model."""
    smaller, features = list(task.smaller(run)), list(limits.cheaper(run.samples))
    yield from smaller
    yield from features
    for cheap in features if smaller else ():
        yield replace(cheap, how=f"{smaller[-1].how} with {cheap.how}", width=smaller[-1].width)


def _fits(task: Task[Any], variant: Variant, now: Sequence[Check], names: set[str]) -> str:
    return f"{variant.how} gives {_shown(now, names)}: within all limits of cost (measured{task.draft_note})"


def _nearest(
    run: Run, task: Task[Any], request: Request, tried: Sequence[tuple[float, Variant, tuple[Check, ...]]], names: set[str]
) -> str:
    """The sentence where nothing that was measured quickly fits: the nearest one with its own kernels, which may fit yet."""
    if not tried:
        return "no smaller one can be built"
    _, variant, now = min(tried, key=lambda row: row[0])
    if not any(_is_hopeless(c) for c in now if not c.kept):
        now = costs_of(run, task, request, variant) or now
    if all(c.kept for c in now):
        return _fits(task, variant, now, names)
    over = names | {c.name for c in now if not c.kept}
    told = f"{variant.how} gives {_shown(now, over)}: still over, and the nearest of {len(tried)} changes"
    return f"{told} (measured{task.draft_note}); raise the limit, or choose a smaller model or a larger board"


def _shown(now: Sequence[Check], names: set[str]) -> str:
    """The values of these checks, for people: "RAM 9176 B and latency 70 ms"."""
    words = [f"{c.name} {c.shown(c.value)}" for c in now if c.name in names]
    return plain(" and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words), LONGEST)


def _better(run: Run, task: Task[Any], request: Request) -> str:
    """What could raise the quality: a larger width that is still within the limits, measured."""
    for variant in task.larger(run):
        run.progress("measuring a larger width", 0, 1)
        now = costs_of(run, task, request, variant)
        if now and all(c.kept for c in now):
            fits = _fits(task, variant, now, {c.name for c in now})
            return f"{fits}; train it, or longer, or with more data"
    return task.way_to_quality


def first_that_fits(run: Run, task: Task[Any], request: Request) -> Variant | None:
    """The first smaller model that keeps all limits of cost, measured."""
    for variant in task.smaller(run):
        now = costs_of(run, task, request, variant)
        if now and all(c.kept for c in now):
            return variant
    return None


# --- what a variant costs ------------------------------------------------------------------------------------------------


def costs_of(run: Run, task: Task[Any], request: Request, variant: Variant) -> tuple[Check, ...]:
    """The limits of cost beside what a variant was measured to need; () if it cannot be built."""
    report = _measure(run, task, request, variant)
    return () if report is None else limits.costs(run.project.budget, run.board, report)


def _quick_costs(run: Run, task: Task[Any], request: Request, variant: Variant) -> tuple[Check, ...]:
    """As `costs_of` with each layer's first kernel, which is often the fastest: one build at most."""
    report = _measure_quickly(run, task, request, variant)
    return () if report is None else limits.costs(run.project.budget, run.board, report)


def _measure_quickly(run: Run, task: Task[Any], request: Request, variant: Variant) -> Report | None:
    """None if the variant cannot be built."""
    try:
        front, draft = _draft(run, task, variant)
        graph = text.read_any(draft.model, request.name)
        _, optimized = pipeline.read(graph, request.name, request.labels, front)
        goal = request.target.optimize
        choice = tune.unmeasured(optimized, goal)
        toolchain = tune.toolchain_for(request.target.compiler, goal)
        report = costs.cost(optimized, run.board, toolchain, choice, front.stride).report
        return at_clock(report, run.board, request.target.clock_mhz)
    except SandgrainError:
        return None


def _measure(run: Run, task: Task[Any], request: Request, variant: Variant) -> Report | None:
    """None if the variant cannot be built."""
    try:
        front, draft = _draft(run, task, variant)
        drafted = replace(request, model=draft.model, front=front, threshold=draft.threshold, number=draft.number)
        return measured(drafted, run.store, silent)
    except SandgrainError:
        return None


def _draft(run: Run, task: Task[Any], variant: Variant) -> tuple[FrontEnd, Fitted]:
    """A variant's features and its untrained model. Raises SandgrainError where there is none."""
    front = variant.front()
    features = features_in_c.extract(front, (cut.x for cut in islice(run.samples.windows("train"), FITTED)))
    return front, task.draft(run, variant.width, front, features)
