"""From a detector's score to an alarm: the threshold as a macro, so that a product can set its own."""

from __future__ import annotations

from sandgrain.base.errors import UsageError
from sandgrain.graph.ir import Graph
from sandgrain.graph.quantization import INT32_MAX, INT32_MIN


def check(graph: Graph, threshold: int) -> None:
    """Raises UsageError where the model has no score, or the threshold is none."""
    out = graph.tensors[graph.outputs[0]]
    if len(graph.outputs) != 1 or out.dtype != "int32" or out.size != 1:
        raise UsageError(f"a threshold for an output {out.dtype} {list(out.shape)}; it goes with one int32 score")
    if not INT32_MIN < threshold <= INT32_MAX:
        raise UsageError(f"a threshold of {threshold}; choose an int32 number")


def declaration(name: str, threshold: int) -> str:
    """The macro and the function, for NAME.h."""
    upper = name.upper()
    value = str(threshold) if threshold >= 0 else f"({threshold})"
    return (
        "/* A score above the threshold is an anomaly. Define the macro before this header to change it: a larger one gives fewer\n"
        " * alarms, false ones and true ones. */\n"
        f"#ifndef {upper}_THRESHOLD\n#define {upper}_THRESHOLD {value}\n#endif\n"
        f"static inline int {name}_is_anomaly(int32_t score)\n{{\n    return score > {upper}_THRESHOLD;\n}}\n"
    )
