"""From the output to a number in the user's unit, in whole parts of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.text import number as shown
from sandgrain.compiler.emit import ctext
from sandgrain.compiler.emit.part import Check, Part, numbers, put_all
from sandgrain.compiler.emit.unit import Unit
from sandgrain.graph.ir import Tensor
from sandgrain.graph.numbers import Number as Form
from sandgrain.graph.numbers import factor, in_parts
from sandgrain.graph.quantization import INT32_MAX, INT32_MIN

CHECKED = 32  # outputs, drawn anew


class Number(Part):
    name = "number"
    place = 65

    @classmethod
    def applies(cls, unit: Unit) -> bool:
        form = unit.options.number
        if form is None:
            return False
        factor(unit.graph.tensors[unit.graph.outputs[0]], form)
        return True

    @property
    def header_runtime(self) -> tuple[str, ...]:
        return ("runtime/sg_number.h",)

    @property
    def _form(self) -> Form:
        form = self.unit.options.number
        assert form is not None
        return form

    @property
    def _out(self) -> Tensor:
        return self.unit.graph.tensors[self.unit.graph.outputs[0]]

    def declaration(self) -> str:
        upper, form, out = self.unit.upper, self._form, self._out
        multiplier, shift = factor(out, form)
        unit = f" {ctext.printable(form.unit)}" if form.unit else ""
        parts = f"whole{unit or ' units'}" if form.parts == 1 else f"1/{form.parts}{unit}"
        example = form.parts + form.parts // 4
        about = (
            f"/* The number that the output stands for, in {parts}: {example} is {example / form.parts:g}{unit}.\n"
            f" * A step of the output is {shown(out.scale)}{unit}. */\n"
        )
        offset = str(form.offset) if form.offset > INT32_MIN else "(-2147483647 - 1)"
        return (
            f"{about}#define {upper}_NUMBER_PARTS {form.parts}\n"
            f"static inline int32_t {self.unit.name}_number(int32_t output)\n"
            f"{{\n    return sg_number(output, {multiplier}, {shift}, {offset});\n}}\n"
        )

    def facts(self) -> Mapping[str, Any]:
        return {**asdict(self._form), "step": self._out.scale}

    def checks(self, memory: str, rng: np.random.Generator) -> Iterator[Check]:
        """The parts, and the numbers of outputs small, large and drawn."""
        macro, function = f"{self.unit.upper}_NUMBER_PARTS", f"{self.unit.name}_number"
        yield Check(macro, put_all("int32_t", [macro]), np.array([self._form.parts], np.int32))
        edges = [INT32_MIN + 1, -1000, -1, 0, 1, 1000, INT32_MAX]
        sums: Array = np.array([*edges, *rng.integers(INT32_MIN + 1, INT32_MAX, CHECKED)], np.int64)
        loop = f"const int32_t found = {function}(number);\n        sg_put(&found, 4);"
        yield Check(function, numbers("int32_t", sums, loop), in_parts(sums, self._out, self._form))
