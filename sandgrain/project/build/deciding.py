"""How a stream's results become decisions: what the project says, in seconds or results, or what keeps a wanted rate on validation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.base.text import number, printable
from sandgrain.graph.decisions import MAX_HOLD, MAX_MARGIN, MAX_SMOOTHING, Rates, Rule, decide, rates
from sandgrain.project.build.hearing import Network
from sandgrain.project.build.recording import Recording, pieces, planned, times
from sandgrain.project.build.samples import Samples
from sandgrain.project.build.stages import Run
from sandgrain.project.build.store import digest
from sandgrain.project.file.schema import Project

STEP = 2  # of the margins that are tried


def rule_of(project: Project, labels: tuple[str, ...], spacing_s: float = 0.0) -> Rule:
    """`[decide]` as the C's macros. `spacing_s`: seconds from one result to the next; 0: not known yet, as nothing needs it.

    Raises UsageError for a background label that there is not, and for seconds that are more than the C counts.
    """
    given = project.decide
    for label in given.background:
        if label not in labels:
            names = ", ".join(printable(name) for name in labels[:8])
            raise UsageError(f"[decide] background: {printable(label)} is no label of the data; it has {names}")
    never = {*given.background, *([project.data.rest] if project.data.rest in labels else [])}
    if never >= set(labels):
        raise UsageError("[decide] background: no label is left to decide for; name fewer")
    background = tuple(k for k, label in enumerate(labels) if label in never)
    smoothing = _results(given.smoothing_s, spacing_s, given.smoothing, MAX_SMOOTHING, "smoothing_s", least=1)
    hold = _results(given.hold_s, spacing_s, given.hold, MAX_HOLD - 1, "hold_s", least=0)
    return Rule(smoothing, given.margin, hold, background)


def refused(project: Project, why: str, keys: Iterable[str] = ()) -> None:
    """Raises UsageError where `[decide]` says something that nothing would read. `keys`: those that are not read; (): all."""
    said = sorted(set(keys) & project.decide.model_fields_set if keys else project.decide.model_fields_set)
    if said:
        raise UsageError(f"[decide] {', '.join(said)}: {why}; leave {'it' if len(said) == 1 else 'them'} out")


def _results(seconds: float | None, spacing_s: float, given: int, most: int, key: str, least: int) -> int:
    """Results that `seconds` take, or `given` where the project speaks of results."""
    if seconds is None or not spacing_s:
        return given
    count = max(round(seconds / spacing_s), least)
    if count > most:
        raise UsageError(
            f"[decide] {key} = {seconds:g}: {count:,} results, one each {number(spacing_s)} s; at most {number(most * spacing_s)} s"
        )
    return count


def chosen(run: Run, model: bytes) -> tuple[Rule, tuple[str, ...]]:
    """(the rule, notes). With `[decide] false_alarms_per_hour` the margin is the least that keeps that rate on the validation recordings.

    `model`: the int8 network, which gives its results here window by window, as the stream does.
    """
    samples = run.samples
    rule = rule_of(run.project, run.found.labels, _spacing(samples))
    wanted = run.project.decide.false_alarms_per_hour
    if wanted is None or not run.found.about.silence_between or not samples.stride:
        return rule, ()
    plan = planned(samples, rule.background, run.project.decide.minutes or 10.0, side="validation")
    if not plan.events:
        return rule, ("[decide] false_alarms_per_hour: no validation recording to choose the margin with; it is the project's",)
    key = digest("margins", samples.key, model.hex(), list(rule.background), plan.samples, len(plan.parts))
    kept = run.store.arrays("margins", key, lambda: {"scores": heard(samples, plan, model)})["scores"]
    margins = range(0, MAX_MARGIN + 1, STEP)
    found = [(m, _judged(kept, replace(rule, margin=m), samples, plan)) for m in margins]
    fits = [(m, r) for m, r in found if r.false_accepts_per_hour <= wanted]
    margin, rate = min(fits, key=lambda row: (row[1].false_rejects, row[0])) if fits else found[-1]
    told = (
        f"margin {margin} was chosen on {plan.seconds / 60:.1f} min of validation recordings: {number(rate.false_accepts_per_hour)} "
        f"false accepts per hour there (wanted: {number(wanted)}), {100 * rate.false_rejects:.1f} % of {rate.events} keywords missed"
    )
    return replace(rule, margin=margin), (told,)


def _spacing(samples: Samples) -> float:
    """Seconds from one result to the next; 0 for pictures and where there is no stream."""
    return samples.stride / samples.pipeline.signal.rate if samples.stride else 0.0


def _judged(scores: Array, rule: Rule, samples: Samples, plan: Recording) -> Rates:
    window = samples.pipeline.signal.shape[0]
    slack = (window + samples.stride * (rule.smoothing - 1)) / plan.rate
    return rates(decide(scores, rule), times(samples, len(scores)), plan.events, plan.seconds, slack=slack)


def heard(samples: Samples, plan: Recording, model: bytes) -> Array:
    """int8 [results, labels]: of each window of the recording, `samples.stride` apart."""
    return Network(samples, model, None).hear(np.concatenate(list(pieces(plan, samples))))["scores"]
