"""The names of the classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandgrain.compiler.emit import ctext
from sandgrain.compiler.emit.part import Part
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
        return f"{count}\nextern const char *const {self.unit.name}_labels[{upper}_LABEL_COUNT];\n"

    def definition(self) -> str:
        words = ctext.wrap(ctext.string(label) for label in self.unit.graph.labels)
        return f"const char *const {self.unit.name}_labels[{self.unit.upper}_LABEL_COUNT] = {{\n{words}\n}};\n"

    def facts(self) -> Mapping[str, Any]:
        return {"count": len(self.unit.graph.labels)}
