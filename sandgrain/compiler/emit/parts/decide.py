"""NAME_decide: from a stream's scores to decisions. The rule in C is kernels/runtime/sg_decide.h, in numpy `sandgrain.graph.decisions`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sandgrain.compiler.emit.part import Part
from sandgrain.compiler.emit.unit import Unit
from sandgrain.graph.decisions import Rule
from sandgrain.graph.ir import Tensor


def background(rule: Rule) -> str:
    """A C expression of `label`: whether it is never decided for."""
    return " || ".join(f"(label) == {k}" for k in rule.background) or "0"


def declaration(name: str, rule: Rule, scores: Tensor) -> str:
    """Macros, the struct and the function. `scores`: what the model gives, a score for each label."""
    upper, ctype, labels = name.upper(), scores.dtype.c_type, scores.size
    return (
        f"/* Decisions. The scores of the last {upper}_SMOOTHING results are added up; a label counts when it leads every other by\n"
        f" * {upper}_MARGIN steps of the output for each of them, and not within {upper}_HOLD results of the last decision. A background\n"
        " * label is never decided for. Define the macros for all files that include this header to change them. */\n"
        f"#ifndef {upper}_SMOOTHING\n#define {upper}_SMOOTHING {rule.smoothing} /* results, 1 to 64 */\n#endif\n"
        f"#ifndef {upper}_MARGIN\n#define {upper}_MARGIN {rule.margin}\n#endif\n"
        f"#ifndef {upper}_HOLD\n#define {upper}_HOLD {rule.hold} /* results, at least 0 */\n#endif\n"
        f"#ifndef {upper}_IS_BACKGROUND\n#define {upper}_IS_BACKGROUND(label) ({background(rule)})\n#endif\n\n"
        f"struct {name}_decider {{ /* all zero is its start */\n"
        f"    {ctype} scores[{upper}_SMOOTHING][{labels}];\n"
        "    int32_t next, count, hold;\n};\n\n"
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
        "    if (d == 0 || scores == 0) {\n        return -1;\n    }\n"
        f"    label = sg_decide(&{name}_decision, ({ctype} *)d->scores, &d->next, &d->count, &d->hold, scores);\n"
        f"    if (label < 0 || {upper}_IS_BACKGROUND(label)) {{\n        return -1;\n    }}\n"
        f"    d->hold = {upper}_HOLD;\n"
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
