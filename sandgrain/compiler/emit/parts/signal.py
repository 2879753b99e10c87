"""The signal of a model with features: its rate, the size of a window, and what each channel is, for the code that samples it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.compiler.emit import ctext
from sandgrain.compiler.emit.part import Check, Part, float_numbers, put_all
from sandgrain.compiler.emit.unit import Unit
from sandgrain.compiler.plan.stream import follows, lead_of
from sandgrain.frontend.signal import Channel

READINGS = 64  # that are turned into samples for a check


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
        lead = lead_of(self.unit.graph)
        more = {f"{upper}_LEAD_SAMPLES": str(lead)} if lead else {}
        return {
            f"{upper}_SAMPLE_RATE": shown,
            f"{upper}_WINDOW_SAMPLES": str(samples),
            f"{upper}_CHANNELS": str(channels),
            **more,
        }

    def declaration(self) -> str:
        lines = [f"#define {name} {value}" for name, value in self._macros.items()]
        channels = self.unit.graph.tensors[self.unit.graph.inputs[0]].shape[2]
        about = "The signal: samples a second, samples of each channel in a window, channels."
        order = " The oldest sample comes first, and the values of\n * its channels together." if channels > 1 else ""
        said = "\n * ".join([f"/* {about}{order}", *self._about_lead()])
        return "\n".join([f"{said} */", *lines, *self._about_channels(), *self._conversions()]) + "\n"

    def _about_lead(self) -> list[str]:
        """Lines of a comment: what the samples in front of a window are, and what stands for them in a stream."""
        graph, upper = self.unit.graph, self.unit.upper
        lead = lead_of(graph)
        if not lead:
            return []
        whole = graph.tensors[graph.inputs[0]].shape[1]
        streamed = self.unit.entry("push") is not None
        first = f"It gives no result before {whole / self.unit.options.rate:.4g} s." if streamed else ""
        head = f"A window is {upper}_LEAD_SAMPLES, the lead, and behind them the {whole - lead} that the model answers for."
        if follows(graph):
            return [
                head,
                f"Each of these is measured against the {upper}_LEAD_SAMPLES just before it{', which a stream keeps.' if streamed else '.'}",
                *([first] if first else []),
            ]
        if any(channel.centres for channel in self.unit.options.channels):
            return [head, "They are measured against the lead."]
        return [
            head,
            f"They are measured against the lead: the start of the recording.{' A stream takes it once, behind' if streamed else ''}",
            *([f"{self.unit.name}_start, for all of its windows. {first}"] if streamed else []),
        ]

    @property
    def _scaled(self) -> list[tuple[int, Channel]]:
        """Channels whose samples are readings in a unit."""
        return [(k, channel) for k, channel in enumerate(self.unit.options.channels) if channel.full_scale]

    @property
    def header_runtime(self) -> tuple[str, ...]:
        return ("runtime/sg_sample.h",) if self._scaled else ()

    def _about_channels(self) -> list[str]:
        """A comment that says what stands at each place of a sample."""
        channels = self.unit.options.channels
        if not channels:
            return []
        lines = [f" * {k}: {_described(channel)}" for k, channel in enumerate(channels)]
        return ["/* A sample is an int16 of each channel, in this order:", *lines[:-1], f"{lines[-1]} */"]

    def _conversions(self) -> list[str]:
        """For each channel with a full scale: the macro, and the function that takes a reading to a sample."""
        if not self._scaled:
            return []
        lines = ["/* A reading as a sample: the nearest, saturated. */"]
        for k, channel in self._scaled:
            lines.append(f"#define {self._full_scale(k)} {ctext.real(channel.full_scale)}")
        for k, channel in self._scaled:
            head = f"static inline int16_t {self.unit.name}_sample_{k}(float value) /* {_named(channel)} */"
            lines.append(f"\n{head}\n{{\n    return sg_sample(value, {self._full_scale(k)});\n}}")
        return lines

    def _full_scale(self, channel: int) -> str:
        return f"{self.unit.upper}_FULL_SCALE_{channel}"

    def facts(self) -> Mapping[str, Any]:
        return {"channels": [channel.to_json() for channel in self.unit.options.channels]} if self.unit.options.channels else {}

    def checks(self, memory: str, rng: np.random.Generator) -> Iterator[Check]:
        """The three macros, the rate as a float."""
        rate, *whole = self._macros
        yield Check(rate, put_all("float", [rate]), np.array([self.unit.options.rate], np.float32))
        for k, channel in self._scaled:
            macro, scale = self._full_scale(k), np.float32(channel.full_scale)
            yield Check(macro, put_all("float", [macro]), np.array([scale]))
            reals = _readings(scale, rng)
            function = f"{self.unit.name}_sample_{k}"
            loop = f"const int16_t sample = {function}(real.value);\n        sg_put(&sample, sizeof sample);"
            yield Check(function, float_numbers(reals, loop), samples_of(reals, scale))
        shape = self.unit.graph.tensors[self.unit.graph.inputs[0]].shape
        yield Check(
            ", ".join(whole),
            put_all("int32_t", whole),
            np.array([*shape[1:], *([lead] if (lead := lead_of(self.unit.graph)) else [])], np.int32),
        )


def samples_of(values: Array, full_scale: np.float32) -> Array:
    """What sg_sample gives, int16 [n]. `values`: float32 readings."""
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = values / full_scale * np.float32(32768)
    whole = np.trunc(np.nan_to_num(np.clip(scaled, -32768, 32767), nan=0.0))
    fraction = np.nan_to_num(np.clip(scaled, -32768, 32767) - whole, nan=0.0)
    nearest = whole + (fraction >= 0.5) - (fraction <= -0.5)
    samples: Array = np.clip(nearest, -32768, 32767).astype(np.int16)
    return samples


def _readings(full_scale: np.float32, rng: np.random.Generator) -> Array:
    """float32: over the range and beyond it, halves between two samples, and what is no number."""
    inside = rng.uniform(-1.1, 1.1, READINGS) * full_scale
    halves = (np.round(inside[: READINGS // 4] / full_scale * 32768) + 0.5) * full_scale / 32768
    return np.concatenate([inside, halves, [0.0, -0.0, np.inf, -np.inf, np.nan]]).astype(np.float32)


def _described(channel: Channel) -> str:
    """For the comment."""
    if not channel.full_scale:
        return f"{_named(channel)}: the integers of the recordings"
    return f"{_named(channel)}: 32768 stands for {channel.full_scale:g}"


def _named(channel: Channel) -> str:
    """Its name and unit."""
    name, unit = ctext.printable(channel.name) or "not named", ctext.printable(channel.unit)
    return f"{name}, {unit}" if unit else name
