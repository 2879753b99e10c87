"""From a stream's scores to decisions: the last few are added up, and a label counts where it leads clearly.

The same rule in numpy is `sandgrain.graph.decisions`; both are integers.
"""

from __future__ import annotations

from sandgrain.graph.decisions import Rule
from sandgrain.graph.ir import Graph


def applies(graph: Graph) -> bool:
    """Whether the output is one int8 score a label."""
    out = graph.tensors[graph.outputs[0]]
    return len(graph.labels) > 1 and len(graph.outputs) == 1 and out.dtype == "int8" and out.size == len(graph.labels)


def background(rule: Rule) -> str:
    """A C expression of `label`: whether it is never decided for."""
    return " || ".join(f"(label) == {k}" for k in rule.background) or "0"


def declaration(name: str, rule: Rule, labels: int) -> str:
    """Macros, the struct and the function, for NAME.h."""
    upper = name.upper()
    return (
        f"/* Decisions. The scores of the last {upper}_SMOOTHING results are added up; a label counts when it leads every other by\n"
        f" * {upper}_MARGIN steps of the output for each of them, and not within {upper}_HOLD results of the last decision. A background\n"
        " * label is never decided for. Define the macros for all files that include this header to change them. */\n"
        f"#ifndef {upper}_SMOOTHING\n#define {upper}_SMOOTHING {rule.smoothing} /* results, at least 1 */\n#endif\n"
        f"#ifndef {upper}_MARGIN\n#define {upper}_MARGIN {rule.margin}\n#endif\n"
        f"#ifndef {upper}_HOLD\n#define {upper}_HOLD {rule.hold} /* results, at least 0 */\n#endif\n"
        f"#ifndef {upper}_IS_BACKGROUND\n#define {upper}_IS_BACKGROUND(label) ({background(rule)})\n#endif\n\n"
        f"struct {name}_decider {{ /* all zero is its start */\n"
        f"    int8_t scores[{upper}_SMOOTHING][{labels}];\n"
        "    int32_t next, count, hold;\n};\n\n"
        "/* Take one result. Returns the label's number, or -1 where there is nothing to say. */\n"
        f"int32_t {name}_decide(struct {name}_decider *d, const int8_t scores[{labels}]);\n"
    )


def definition(name: str, labels: int) -> str:
    """The function, for NAME.c."""
    upper = name.upper()
    return f"""\
int32_t {name}_decide(struct {name}_decider *d, const int8_t scores[{labels}])
{{
    int32_t best = -1, first = INT32_MIN, second = INT32_MIN;
    if (d == 0 || scores == 0) {{
        return -1;
    }}
    for (int32_t k = 0; k < {labels}; k++) {{
        d->scores[d->next][k] = scores[k];
    }}
    d->next = d->next + 1 < {upper}_SMOOTHING ? d->next + 1 : 0;
    d->count += d->count < {upper}_SMOOTHING ? 1 : 0;
    d->hold -= d->hold > 0 ? 1 : 0;
    if (d->count < {upper}_SMOOTHING || d->hold > 0) {{
        return -1;
    }}
    for (int32_t k = 0; k < {labels}; k++) {{
        int32_t sum = 0;
        for (int32_t i = 0; i < {upper}_SMOOTHING; i++) {{
            sum += d->scores[i][k];
        }}
        if (sum > first) {{
            second = first;
            first = sum;
            best = k;
        }} else if (sum > second) {{
            second = sum;
        }}
    }}
    if (first - second < {upper}_MARGIN * {upper}_SMOOTHING || {upper}_IS_BACKGROUND(best)) {{
        return -1;
    }}
    d->hold = {upper}_HOLD;
    return best;
}}
"""
