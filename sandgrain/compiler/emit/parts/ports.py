"""The inputs and outputs: their sizes and scales as macros, and real numbers to their integers and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandgrain.compiler.emit import ctext
from sandgrain.compiler.emit.layers import shape_text
from sandgrain.compiler.emit.part import Part
from sandgrain.compiler.emit.unit import Port, Unit
from sandgrain.graph.dtypes import ACTIVATIONS


def quantized(port: Port) -> bool:
    """Whether the port has a scale that a caller may want."""
    return port.tensor.dtype in ACTIVATIONS and port.tensor.quant is not None


class Ports(Part):
    name = "ports"
    place = 10

    @classmethod
    def applies(cls, unit: Unit) -> bool:
        return True

    @property
    def header_runtime(self) -> tuple[str, ...]:
        return ("runtime/sg_ports.h",) if any(map(quantized, self.unit.ports)) else ()

    def declaration(self) -> str:
        unit, upper = self.unit, self.unit.upper
        lines = [
            f"#define {upper}_INPUT_COUNT {len(unit.graph.inputs)}",
            f"#define {upper}_OUTPUT_COUNT {len(unit.graph.outputs)}\n",
        ]
        for port in unit.ports:
            lines += [self._macros(port), *([self._convert(port)] if quantized(port) else [])]
        return "\n".join(lines)

    def _macros(self, port: Port) -> str:
        prefix, tensor = f"{self.unit.upper}_{port.name.upper()}", port.tensor
        lines = [f"/* {port.name}: {shape_text(tensor)} {tensor.dtype} */", f"#define {prefix}_SIZE {tensor.size}"]
        if quantized(port):
            lines.append(f"#define {prefix}_SCALE {ctext.real(tensor.scale)}")
            lines.append(f"#define {prefix}_ZERO_POINT ({tensor.zero_point})")
        return "\n".join(lines) + "\n"

    def _convert(self, port: Port) -> str:
        """The function that quantizes or dequantizes one element."""
        prefix = f"{self.unit.upper}_{port.name.upper()}"
        passed = f"value, {prefix}_SCALE, {prefix}_ZERO_POINT"
        name, dtype = self.unit.name, port.tensor.dtype
        if port.is_input:
            return (
                f"/* Nearest {dtype} (halves away from zero), saturated; NaN gives the zero point. */\n"
                f"static inline {dtype.c_type} {name}_quantize_{port.name}(float value)\n"
                f"{{\n    return sg_quantize_{dtype.suffix}({passed});\n}}\n"
            )
        return (
            f"static inline float {name}_dequantize_{port.name}({dtype.c_type} value)\n"
            f"{{\n    return sg_dequantize_{dtype.suffix}({passed});\n}}\n"
        )

    def facts(self) -> Mapping[str, Any]:
        return {port.name: [port.tensor.dtype.name, list(port.tensor.shape)] for port in self.unit.ports}
