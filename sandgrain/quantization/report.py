"""What each layer loses to int8, in decibels, where the loss comes from, and what to do about it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from sandgrain.base.errors import printable
from sandgrain.graph import interpret, reals
from sandgrain.graph.ir import Array, Node
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.traits import NO_INPUTS
from sandgrain.graph.quantization import dequantize
from sandgrain.graph.quantization import quantize as to_integers
from sandgrain.quantization.convert import Quantized
from sandgrain.quantization.scales import limits
from sandgrain.quantization.twins import fake, rounded_weights, with_data

SAMPLES = 16  # that the int8 reference runs: it is exact, and slow
OUTLIERS = 2.0  # a range this many times what 99.9 % of the values need
DOMINANT = 6.0  # a channel this many times the median one
MEAN_SHARE = 0.3  # of the squared error that a constant shift makes
INHERITED = 0.5  # of the squared error, made by the layers before


@dataclass(frozen=True, slots=True)
class LayerError:
    """One layer of the int8 graph against its float twin.

    `snr_db`: with everything before it in int8; `alone_db`: with exact inputs, rounded once. Signal power over error power,
    the mean included; inf where nothing differs. `cause`: "inherited", "clipping", "outliers", "channels", "shift", "weights",
    "input", "shared", "fixed" or "rounding". `advice`: a sentence.
    """

    index: int
    op: str
    name: str
    snr_db: float
    alone_db: float
    cause: str
    advice: str

    def to_json(self) -> dict[str, Any]:
        return {k: (None if v == math.inf else v) for k, v in asdict(self).items()}


def snr_db(signal: Array, other: Array) -> float:
    """10 log10 of the power of `signal` over that of the difference; inf where there is none."""
    exact = np.asarray(signal, np.float64).reshape(-1)
    return _decibels(float((exact**2).sum()), float(((np.asarray(other, np.float64).reshape(-1) - exact) ** 2).sum()))


def _decibels(signal: float, error: float) -> float:
    if error == 0:
        return math.inf
    return 10 * math.log10(max(signal, 1e-30) / error)


def layer_errors(quantized: Quantized, inputs: Sequence[Array], samples: int = SAMPLES) -> list[LayerError]:
    """Every layer that computes, the worst first.

    `inputs`: float32 [n, *shape] for each graph input; the first `samples` count. Raises UsageError for other shapes.
    """
    probe = _Probe(quantized, [x[:samples] for x in inputs])
    for k, node in enumerate(quantized.graph.nodes):
        if not OPS[node.op].is_view:
            probe.add(k)
    return sorted(probe.found.values(), key=lambda e: (e.snr_db, e.index))


@dataclass(slots=True, eq=False)
class _Probe:
    """The values of both graphs over the samples, and what can be learned from them about a layer."""

    quantized: Quantized
    inputs: Sequence[Array]
    exact: reals.Values = field(init=False)
    integers: dict[int, Array] = field(init=False)  # by tensor of the float graph, dequantized
    weights: dict[int, Array] = field(init=False)
    found: dict[int, LayerError] = field(default_factory=dict)  # by position of the node

    def __post_init__(self) -> None:
        q = self.quantized
        self.exact = reals.run(q.floats, self.inputs)
        self.weights = rounded_weights(q)
        tensors = [q.graph.tensors[i] for i in q.graph.inputs]
        rows = []
        for s in range(len(self.inputs[0])):
            given = [
                x[s] if t.quant is None else to_integers(x[s], t.quant, t.dtype)
                for x, t in zip(self.inputs, tensors, strict=True)
            ]
            rows.append(interpret.trace(q.graph, given))
        self.integers = {
            i: np.stack([dequantize(row[k], q.scales[i]) for row in rows if row[k] is not None])  # type: ignore[arg-type]
            for i, k in q.tensors.items()
            if i in q.scales and q.graph.tensors[k].data is None
        }

    def add(self, position: int) -> None:
        """Find the error of one layer, those before it being found; an output that is not int8 (an index) has none."""
        q = self.quantized
        node, twin = q.floats.nodes[position], q.graph.nodes[position]
        out = node.outputs[0]
        if out not in q.scales:
            return
        exact = self.exact[out]
        alone, prefix = self._alone(node, twin), self.integers[out]
        snr = [snr_db(exact, x) for x in (prefix, alone)]
        with np.errstate(over="ignore", invalid="ignore"):  # values near float32's end have an infinite power
            cause, advice = self._cause(node, exact, prefix, alone)
        self.found[position] = LayerError(position, node.op, printable(node.name), snr[0], snr[1], cause, advice)

    def _alone(self, node: Node, twin: Node) -> Array:
        """The int8 layer's output for exact inputs, each rounded once."""
        q = self.quantized
        view, rows = q.graph.view(twin), []
        for s in range(len(self.inputs[0])):
            given: list[Array | None] = []
            for k, tensor in enumerate(view.inputs):
                if tensor is None or tensor.data is not None:
                    given.append(None if tensor is None else tensor.data)
                else:
                    real, scale = self.exact[node.inputs[k]][s], q.scales.get(node.inputs[k])
                    given.append(real if scale is None else to_integers(real, scale, tensor.dtype))  # indices have no scale
            rows.append(dequantize(OPS[twin.op].reference(view, given)[0], q.scales[node.outputs[0]]))
        return np.stack(rows)

    # --- causes ------------------------------------------------------------------------------------------------------

    def _cause(self, node: Node, exact: Array, prefix: Array, alone: Array) -> tuple[str, str]:
        total, own = _power(prefix - exact), _power(alone - exact)
        if total == 0:
            return "rounding", "Nothing to do."
        shift = (prefix - exact).reshape(-1, exact.shape[-1]).mean(axis=0)
        if OPS[node.op].linear and float((shift**2).mean()) > MEAN_SHARE * total:
            return "shift", "Mostly a constant shift of its channels: correct the biases (--bias-correction)."
        if own < (1 - INHERITED) * total:
            return "inherited", self._inherited(node)
        parts = self._parts(node, exact)
        worst = max(parts, key=lambda name: parts[name])
        if worst == "clipping":
            return "clipping", "Values are cut off at the ends of its range: keep more (--method minmax, --percent)."
        if worst == "weights":
            return "weights", self._weights(node)
        if worst == "input":
            return "input", f"Mostly the rounding of its inputs ({self._sources(node)}): their ranges decide."
        return self._levels(node, exact)

    def _parts(self, node: Node, exact: Array) -> dict[str, float]:
        """Mean squared error that each source makes by itself."""
        q = self.quantized
        out, scale = node.outputs[0], q.scales[node.outputs[0]]
        low, high = limits(scale)
        inside = float(((exact != 0) & (exact >= low) & (exact <= high)).mean())
        rounded = {i: fake(self.exact[i], q.scales.get(i)) for i in node.inputs if i in self.exact}
        parts = {
            "clipping": _power(np.clip(exact, low, high) - exact),
            "levels": inside * scale.scale[0] ** 2 / 12,
            "input": _power(reals.step(q.floats, node, rounded)[0] - exact),
        }
        if OPS[node.op].weights:
            graph = with_data(q.floats, {i: self.weights[i] for i in node.inputs if i in self.weights})
            parts["weights"] = _power(reals.step(graph, node, self.exact)[0] - self.exact[out])
        return parts

    def _levels(self, node: Node, exact: Array) -> tuple[str, str]:
        """Why 256 levels are too few for this output."""
        if OPS[node.op].fixed_output is not None:
            return "fixed", "Its output scale is part of the op: nothing to choose."
        if OPS[node.op].same_scale_inputs != NO_INPUTS:
            return "shared", f"It keeps the scale of its input ({self._sources(node)}), which is coarse for it."
        scale = self.quantized.scales[node.outputs[0]]
        low, high = limits(scale)
        used = exact[exact != 0]
        if used.size:
            ends = np.percentile(used, [0.1, 99.9])
            ratio = (high - low) / max(max(float(ends[1]), 0.0) - min(float(ends[0]), 0.0), 1e-12)
            if ratio > OUTLIERS:
                return "outliers", (f"99.9 % of its values lie in 1/{ratio:.1f} of its range: --method percentile, mse or kl.")
        peaks = np.abs(exact).reshape(-1, exact.shape[-1]).max(axis=0)
        ratio = float(peaks.max() / max(float(np.median(peaks)), 1e-12))
        if ratio > DOMINANT:
            return "channels", f"One channel is {min(ratio, 999):.0f} times the median one: --equalize."
        return "rounding", "Plain rounding to 256 levels: only training with quantization can improve it."

    def _inherited(self, node: Node) -> str:
        """Which of the layers before is to blame."""
        made = self.quantized.floats.producers()
        before: set[int] = set()
        waiting = [i for i in node.inputs if i in made]
        while waiting:
            position = made[waiting.pop()]
            if position not in before:
                before.add(position)
                waiting += [i for i in self.quantized.floats.nodes[position].inputs if i in made]
        known = [self.found[k] for k in before if k in self.found]
        if not known:
            return "Mostly the rounding of the model's input: widen it or scale the samples."
        worst = min(known, key=lambda e: (e.alone_db, e.index))
        return f"Mostly inherited: begin with layer {worst.index} ({worst.alone_db:.1f} dB alone)."

    def _weights(self, node: Node) -> str:
        if self.quantized.graph.tensors[self._twin_weights(node)].quant.per_tensor:  # type: ignore[union-attr]
            return "Its weights share one scale and lose most: one scale a channel."
        return "Its weights lose most, though each channel has its own scale: only training with quantization can improve it."

    def _twin_weights(self, node: Node) -> int:
        graph = self.quantized.graph
        return graph.nodes[graph.producers()[self.quantized.tensors[node.outputs[0]]]].inputs[1]

    def _sources(self, node: Node) -> str:
        """The layers that make the data inputs."""
        graph = self.quantized.floats
        made = graph.producers()
        names = [
            "the model's input" if i in graph.inputs else f"layer {made[i]}"
            for i in dict.fromkeys(node.inputs)
            if i in made or i in graph.inputs
        ]
        return ", ".join(names[:3]) or "constants"


def _power(x: Array) -> float:
    return float((np.asarray(x, np.float64) ** 2).mean())
