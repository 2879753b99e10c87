"""The names of the classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sandgrain.compiler.emit import ctext
from sandgrain.compiler.emit.part import Check, Part, put_all
from sandgrain.compiler.emit.unit import Unit


class Labels(Part):
    name = "labels"
    place = 40

    @classmethod
    def applies(cls, unit: Unit) -> bool:
        return bool(unit.graph.labels)

    def declaration(self) -> str:
        upper = self.unit.upper
        count = f"#define {upper}_LABEL_COUNT {len(self.unit.graph.labels)}"
        names = ctext.wrap(
            f"{upper}_LABEL_{word} = {k}" for k, word in enumerate(ctext.constants(self.unit.graph.labels, ("COUNT",)))
        )
        return f"{count}\nenum {self.unit.name}_label {{\n{names}\n}};\nextern const char *const {self.unit.name}_labels[{upper}_LABEL_COUNT];\n"

    def definition(self) -> str:
        words = ctext.wrap(ctext.string(label) for label in self.unit.graph.labels)
        return f"const char *const {self.unit.name}_labels[{self.unit.upper}_LABEL_COUNT] = {{\n{words}\n}};\n"

    def facts(self) -> Mapping[str, Any]:
        return {"count": len(self.unit.graph.labels)}

    def checks(self, memory: str, rng: np.random.Generator) -> Iterator[Check]:
        """The number of labels, and the bytes of each with the zero behind them."""
        upper, name, labels = self.unit.upper, self.unit.name, self.unit.graph.labels
        yield Check(f"{upper}_LABEL_COUNT", put_all("int32_t", [f"{upper}_LABEL_COUNT"]), np.array([len(labels)], np.int32))
        names = [f"{upper}_LABEL_{word}" for word in ctext.constants(labels, ("COUNT",))]
        yield Check(f"{upper}_LABEL_...", put_all("int32_t", names), np.arange(len(labels), dtype=np.int32))
        words = [np.frombuffer(label.encode("utf-8", "replace").split(b"\0")[0] + b"\0", np.uint8) for label in labels]
        longest = max(len(word) for word in words)
        code = (
            f"    for (uint32_t k = 0; k < {len(labels)}u; k++) {{\n        const char *word = {name}_labels[k];\n"
            f"        for (uint32_t i = 0; i < {longest}u; i++) {{\n            sg_put(word, 1);\n"
            "            if (*word++ == 0) {\n                break;\n            }\n        }\n    }"
        )
        yield Check(f"{name}_labels", code, np.concatenate(words))
