"""Windows around the largest sample: the function that says when the board has one, by the measure that cut the recordings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.compiler.emit import ctext
from sandgrain.compiler.emit.part import Check, Part
from sandgrain.compiler.emit.parts.signal import Signal
from sandgrain.compiler.emit.unit import Unit
from sandgrain.compiler.plan.stream import lead_of

VALUES = 1 << 13  # of the windows of a check


class Centre(Part):
    name = "centre"
    place = 16

    @classmethod
    def applies(cls, unit: Unit) -> bool:
        return Signal.applies(unit) and any(channel.centres for channel in unit.options.channels)

    @property
    def header_runtime(self) -> tuple[str, ...]:
        return ("runtime/sg_centre.h",)

    @property
    def _which(self) -> list[int]:
        return [k for k, channel in enumerate(self.unit.options.channels) if channel.centres]

    def declaration(self) -> str:
        unit, upper, which = self.unit, self.unit.upper, self._which
        samples = unit.graph.tensors[unit.graph.inputs[0]].shape[1]
        streamed = unit.entry("push") is not None
        lead = ", the lead among them" if lead_of(unit.graph) else ""
        call = f"{unit.name}_{'classify' if streamed else 'run'}"
        lines = [
            f"Whether a window has its event in the middle, as every window of the training had: sample {samples // 2} of it, from 0 on, is",
            "the largest, by the sum of the squares of some channels, and larger than all before it. Keep the last",
            f"{upper}_WINDOW_SAMPLES samples of the signal{lead}; ask at each new one, and call {call}",
            f"with them where this says 1, which is {samples - samples // 2 - 1} samples after the event. Elsewhere there is nothing to classify.",
        ]
        if streamed:
            lines.append(f"{unit.name}_push does not ask: it gives results for windows that the model was not trained for.")
        return (
            "/* " + "\n * ".join(lines) + " */\n"
            f"static inline int32_t {unit.name}_is_centred(const int16_t *window)\n{{\n"
            f"    static const uint16_t which[] = {{\n{ctext.wrap(map(str, which), ' ' * 8)}\n    }};\n"
            f"    return sg_is_centred(window, {upper}_WINDOW_SAMPLES, {upper}_CHANNELS, which, {len(which)}u);\n}}\n"
        )

    def facts(self) -> Mapping[str, Any]:
        return {"channels": self._which}

    def checks(self, memory: str, rng: np.random.Generator) -> Iterator[Check]:
        """Windows with the largest in the middle, beside it, and twice."""
        _, samples, channels = self.unit.graph.tensors[self.unit.graph.inputs[0]].shape
        if samples * channels > VALUES:
            return
        windows = _windows(samples, channels, self._which, rng)[: max(1, VALUES // (samples * channels))]
        function = f"{self.unit.name}_is_centred"
        code = (
            f"    static const int16_t windows[] = {{\n{ctext.wrap(map(str, windows.reshape(-1).tolist()))}\n    }};\n"
            f"    for (uint32_t i = 0; i < {len(windows)}u; i++) {{\n"
            f"        const int32_t found = {function}(windows + i * {samples * channels}u);\n        sg_put(&found, sizeof found);\n    }}"
        )
        yield Check(function, code, np.array([is_centred(w, self._which) for w in windows], np.int32))


def is_centred(window: Array, which: list[int]) -> int:
    """What sg_is_centred gives for int16 [samples, channels]."""
    large = (window[:, which].astype(np.int64) ** 2).sum(axis=1)
    return int(np.argmax(large) == len(window) // 2)


def _windows(samples: int, channels: int, which: list[int], rng: np.random.Generator) -> Array:
    """int16 [n, samples, channels]."""
    windows = rng.integers(-9000, 9000, (6, samples, channels)).astype(np.int16)
    middle = samples // 2
    windows[0, middle, which] = -32768
    windows[1, max(0, middle - 1) : middle + 1, which] = 20000
    windows[2, middle : middle + 2, which] = 20000
    windows[3, -1, which] = 32767
    others = [k for k in range(channels) if k not in which]
    windows[4, middle, which] = 15000
    windows[4, 0, others] = 32767
    return windows
