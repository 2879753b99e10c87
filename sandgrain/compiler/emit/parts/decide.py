"""NAME_decide: from a stream's scores to decisions. The rule in C is kernels/runtime/sg_decide.h, in numpy `sandgrain.graph.decisions`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.compiler.emit.part import Check, Part, numbers, put_all
from sandgrain.compiler.emit.unit import Unit
from sandgrain.graph.decisions import Rule, decide
from sandgrain.graph.ir import Tensor

MOST = 1200  # scores that a check is about


def background(rule: Rule) -> str:
    """A C expression of `label`: whether it is never decided for."""
    return " || ".join(f"(label) == {k}" for k in rule.background) or "0"


def declaration(name: str, rule: Rule, scores: Tensor) -> str:
    """Macros, the struct and the function. `scores`: what the model gives, a score for each label."""
    upper, ctype, labels = name.upper(), scores.dtype.c_type, scores.size
    return (
        f"/* Decisions. The scores of the last {upper}_SMOOTHING results are added up; a label counts when it leads every other by\n"
        f" * {upper}_MARGIN steps of the output for each of them, and not within {upper}_HOLD results of the last decision. It is\n"
        " * decided for once, until it has fallen below the margin. A background label is never decided for. Define the macros for all\n"
        " * files that include this header to change them. */\n"
        f"#ifndef {upper}_SMOOTHING\n#define {upper}_SMOOTHING {rule.smoothing} /* results, 1 to 64 */\n#endif\n"
        f"#ifndef {upper}_MARGIN\n#define {upper}_MARGIN {rule.margin}\n#endif\n"
        f"#ifndef {upper}_HOLD\n#define {upper}_HOLD {rule.hold} /* results, at least 0 */\n#endif\n"
        f"#ifndef {upper}_IS_BACKGROUND\n#define {upper}_IS_BACKGROUND(label) ({background(rule)})\n#endif\n\n"
        f"struct {name}_decider {{ /* all zero is its start */\n"
        f"    {ctype} scores[{upper}_SMOOTHING][{labels}];\n"
        "    int32_t next, count, hold, held;\n};\n\n"
        "/* Take one result. Returns the label's number, or -1 where there is nothing to say. */\n"
        f"int32_t {name}_decide(struct {name}_decider *d, const {ctype} scores[{labels}]);\n"
    )


def definition(name: str, scores: Tensor) -> str:
    """The function."""
    upper, ctype, labels = name.upper(), scores.dtype.c_type, scores.size
    return (
        f"static const struct sg_decide_rule {name}_decision = {{\n"
        f"    .labels = {labels}, .smoothing = {upper}_SMOOTHING, .margin = {upper}_MARGIN,\n}};\n\n"
        f"int32_t {name}_decide(struct {name}_decider *d, const {ctype} scores[{labels}])\n{{\n"
        "    int32_t label;\n"
        "    if (d == NULL || scores == NULL) {\n        return -1;\n    }\n"
        f"    label = sg_decide(&{name}_decision, ({ctype} *)d->scores, &d->next, &d->count, &d->hold, &d->held,\n        scores);\n"
        f"    if (label < 0 || {upper}_IS_BACKGROUND(label)) {{\n        return -1;\n    }}\n"
        f"    d->hold = {upper}_HOLD;\n    d->held = label + 1;\n"
        "    return label;\n}\n"
    )


class Decide(Part):
    name = "decide"
    place = 50
    runtime = ("runtime/sg_decide.h",)

    @classmethod
    def applies(cls, unit: Unit) -> bool:
        return unit.entry("decide") is not None

    @property
    def scores(self) -> Tensor:
        graph = self.unit.graph
        return graph.tensors[graph.outputs[0]]

    def declaration(self) -> str:
        return declaration(self.unit.name, self.unit.options.rule, self.scores)

    def definition(self) -> str:
        return definition(self.unit.name, self.scores)

    def facts(self) -> Mapping[str, Any]:
        entry = self.unit.entry("decide")
        return {"state_bytes": entry.state_bytes if entry else 0, "rule": asdict(self.unit.options.rule)}

    def checks(self, memory: str, rng: np.random.Generator) -> Iterator[Check]:
        """The macros, and the decisions over scores in which one label after another leads, by less or by more."""
        upper, name, rule, labels = self.unit.upper, self.unit.name, self.unit.options.rule, self.scores.size
        words = [f"{upper}_SMOOTHING", f"{upper}_MARGIN", f"{upper}_HOLD"]
        yield Check(", ".join(words), put_all("int32_t", words), np.array([rule.smoothing, rule.margin, rule.hold], np.int32))
        ctype, scores = self.scores.dtype.c_type, _scores(self.scores, rule, rng)
        loop = (
            f"scores[i % LABELS] = ({ctype})number;\n        if (i % LABELS + 1u == LABELS) {{\n"
            f"            const int32_t label = {name}_decide(&decider, scores);\n            sg_put(&label, 4);\n"
            f"            (void){name}_decide(&other, before); /* what one is told is nothing to the other */\n"
            "        }\n        before[(i + 1u) % LABELS] = scores[i % LABELS];"
        ).replace("LABELS", f"{labels}u")
        state = (
            f"    static struct {name}_decider zero, decider, other;\n    static {ctype} scores[{labels}], before[{labels}];\n"
            "    decider = zero;\n    other = zero;\n"
        )
        yield Check(f"{name}_decide", state + numbers("int32_t", scores, loop), decide(scores, rule).astype(np.int32))
        nulls = [f"{name}_decide(0, (const {ctype} *)(void *)apart_output_0.bytes)"]
        yield Check(f"{name}_decide of a null pointer", put_all("int32_t", nulls), np.array([-1], np.int32))


def _scores(scores: Tensor, rule: Rule, rng: np.random.Generator) -> Array:
    """[results, labels], of the output's dtype."""
    low, high = scores.dtype.low, scores.dtype.high
    runs: list[Array] = []
    while sum(map(len, runs)) < max(MOST // scores.size, rule.smoothing + 8):
        rows = rng.integers(low, high - rule.margin // 2, (int(rng.integers(1, 2 * rule.smoothing + 2)), scores.size))
        rows[:, rng.integers(scores.size)] = np.clip(rows.max(axis=1) + rng.integers(0, 2 * rule.margin + 2), low, high)
        runs.append(rows)
    return np.concatenate(runs).astype(scores.dtype.numpy)
