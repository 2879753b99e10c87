"""The inputs and outputs: their sizes and scales as macros, and real numbers to their integers and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.compiler.emit import ctext
from sandgrain.compiler.emit.layers import shape_text
from sandgrain.compiler.emit.part import Check, Part, float_numbers, numbers, put_all
from sandgrain.compiler.emit.unit import Port, Unit
from sandgrain.graph.dtypes import ACTIVATIONS
from sandgrain.graph.quantization import dequantize, quantize

REALS = 96  # real numbers that are quantized for a check


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

    def checks(self, memory: str, rng: np.random.Generator) -> Iterator[Check]:
        """Every macro, real numbers to integers, and integers to real numbers."""
        upper, name, graph = self.unit.upper, self.unit.name, self.unit.graph
        counts = np.array([len(graph.inputs), len(graph.outputs)], np.int32)
        yield Check(
            f"{upper}_INPUT_COUNT, _OUTPUT_COUNT", put_all("int32_t", [f"{upper}_INPUT_COUNT", f"{upper}_OUTPUT_COUNT"]), counts
        )
        for port in self.unit.ports:
            prefix, quant, dtype = f"{upper}_{port.name.upper()}", port.tensor.quant, port.tensor.dtype
            yield Check(f"{prefix}_SIZE", put_all("int32_t", [f"{prefix}_SIZE"]), np.array([port.tensor.size], np.int32))
            if not quantized(port) or quant is None:
                continue
            yield Check(f"{prefix}_SCALE", put_all("float", [f"{prefix}_SCALE"]), np.array([port.tensor.scale], np.float32))
            zero = np.array([port.tensor.zero_point], np.int32)
            yield Check(f"{prefix}_ZERO_POINT", put_all("int32_t", [f"{prefix}_ZERO_POINT"]), zero)
            if port.is_input:
                reals = _reals(port, rng)
                loop = f"const {dtype.c_type} level = {name}_quantize_{port.name}(real.value);\n        sg_put(&level, sizeof level);"
                expected = quantize(reals, quant, dtype)
                yield Check(f"{name}_quantize_{port.name}", float_numbers(reals, loop), expected)
            else:
                levels = np.linspace(dtype.low, dtype.high, 256).round().astype(dtype.numpy)  # of int8, all there are
                loop = f"const float real = {name}_dequantize_{port.name}(({dtype.c_type})number);\n        sg_put(&real, 4);"
                yield Check(f"{name}_dequantize_{port.name}", numbers("int32_t", levels, loop), dequantize(levels, quant))


def _reals(port: Port, rng: np.random.Generator) -> Array:
    """float32: over the port's range and beyond it, halves between two integers, and what is no number."""
    scale, zero = port.tensor.scale, port.tensor.zero_point
    levels = rng.uniform(1.1 * port.tensor.dtype.low, 1.1 * port.tensor.dtype.high, REALS) - zero
    halves = np.round(levels[: REALS // 4]) + 0.5
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e30, -1e30])
    with np.errstate(over="ignore"):
        return np.concatenate([levels * scale, halves * scale, special]).astype(np.float32)
