"""The signal of a model with features: its rate and the size of a window, for the code that samples it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sandgrain.compiler.emit import ctext
from sandgrain.compiler.emit.part import Check, Part, put_all
from sandgrain.compiler.emit.unit import Unit


class Signal(Part):
    name = "signal"
    place = 15

    @classmethod
    def applies(cls, unit: Unit) -> bool:
        return unit.options.rate > 0 and len(unit.graph.inputs) == 1 and len(unit.graph.tensors[unit.graph.inputs[0]].shape) == 3

    @property
    def _macros(self) -> dict[str, str]:
        upper, rate = self.unit.upper, self.unit.options.rate
        _, samples, channels = self.unit.graph.tensors[self.unit.graph.inputs[0]].shape
        shown = str(int(rate)) if rate == int(rate) else ctext.real(rate)
        return {f"{upper}_SAMPLE_RATE": shown, f"{upper}_WINDOW_SAMPLES": str(samples), f"{upper}_CHANNELS": str(channels)}

    def declaration(self) -> str:
        lines = [f"#define {name} {value}" for name, value in self._macros.items()]
        return "\n".join(["/* The signal: samples a second, samples of each channel in a window, channels. */", *lines]) + "\n"

    def checks(self, memory: str, rng: np.random.Generator) -> Iterator[Check]:
        """The three macros, the rate as a float."""
        rate, *whole = self._macros
        yield Check(rate, put_all("float", [rate]), np.array([self.unit.options.rate], np.float32))
        shape = self.unit.graph.tensors[self.unit.graph.inputs[0]].shape
        yield Check(", ".join(whole), put_all("int32_t", whole), np.array(shape[1:], np.int32))
