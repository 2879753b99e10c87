"""From a detector's score to an alarm: the threshold as a macro, so that a product can set its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sandgrain.base.errors import UsageError
from sandgrain.compiler.emit.part import Check, Part, numbers, put_all
from sandgrain.compiler.emit.unit import Unit
from sandgrain.graph.ir import Graph
from sandgrain.graph.quantization import INT32_MAX, INT32_MIN


def check(graph: Graph, threshold: int) -> None:
    """Raises UsageError for a model without a score, or a threshold outside int32."""
    out = graph.tensors[graph.outputs[0]]
    if len(graph.outputs) != 1 or out.dtype != "int32" or out.size != 1:
        raise UsageError(f"a threshold for an output {out.dtype} {list(out.shape)}; it goes with one int32 score")
    if not INT32_MIN < threshold <= INT32_MAX:
        raise UsageError(f"a threshold of {threshold}; choose an int32 number")


class Alarm(Part):
    name = "alarm"
    place = 60

    @classmethod
    def applies(cls, unit: Unit) -> bool:
        if unit.options.threshold is None:
            return False
        check(unit.graph, unit.options.threshold)
        return True

    def declaration(self) -> str:
        upper, threshold = self.unit.upper, self.unit.options.threshold
        assert threshold is not None
        value = str(threshold) if threshold >= 0 else f"({threshold})"
        return (
            "/* Whether the score, output[0] of a result, is an anomaly: where it is above the threshold. Define the macro before this\n"
            " * header to change it: a larger one gives fewer alarms, false ones and true ones. Each result is judged by itself. */\n"
            f"#ifndef {upper}_THRESHOLD\n#define {upper}_THRESHOLD {value}\n#endif\n"
            f"static inline int {self.unit.name}_is_anomaly(int32_t score)\n{{\n    return score > {upper}_THRESHOLD;\n}}\n"
        )

    def facts(self) -> Mapping[str, Any]:
        return {"threshold": self.unit.options.threshold}

    def checks(self, memory: str, rng: np.random.Generator) -> Iterator[Check]:
        """The threshold, and what is made of scores around it."""
        upper, name, threshold = self.unit.upper, self.unit.name, self.unit.options.threshold
        assert threshold is not None
        yield Check(f"{upper}_THRESHOLD", put_all("int32_t", [f"{upper}_THRESHOLD"]), np.array([threshold], np.int32))
        near = [s for s in range(threshold - 2, threshold + 3) if INT32_MIN < s <= INT32_MAX]
        scores = np.array([*near, INT32_MIN + 1, INT32_MAX, *rng.integers(INT32_MIN + 1, INT32_MAX, 16)], np.int64)
        loop = f"const int32_t alarm = {name}_is_anomaly(number) != 0;\n        sg_put(&alarm, 4);"
        yield Check(f"{name}_is_anomaly", numbers("int32_t", scores, loop), (scores > threshold).astype(np.int32))
