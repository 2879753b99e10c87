"""A graph that grows by one node at a time: what the blocks are given to add themselves to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sandgrain.base.errors import UsageError
from sandgrain.frontend.signal import Channel, Signal
from sandgrain.graph import rules
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Graph, Node, Tensor, View, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.signal.base import SignalOp
from sandgrain.graph.quantization import Quantization, per_tensor


class Builder:
    """A chain of nodes from one signal. `rate` (Hz) follows decimation, `channels` what is said of them."""

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        self.rate = signal.rate
        self.channels = list(signal.channels) or [Channel()] * signal.shape[-1]
        self._tensors = [signal.tensor()]
        self.nodes: list[Node] = []

    @property
    def tensor(self) -> Tensor:
        """What the next node reads."""
        return self._tensors[-1]

    def add(
        self,
        op: str,
        shape: Sequence[int] | None = None,
        dtype: str = "int16",
        quant: Quantization | None = None,
        **values: Any,
    ) -> None:
        """Append `op` with attributes `values`; the output's shape is computed by the op unless it is given."""
        options = attrs(**values)
        found = tuple(shape) if shape is not None else OPS[op].shapes((self.tensor,), options)[0]
        name = f"{op}_{len(self.nodes)}"
        self._tensors.append(Tensor(name, found, dtype, quant))
        last = len(self._tensors) - 1
        self.nodes.append(Node(op, name, (last - 1,), (last,), options))
        kind = OPS[op]
        if dtype == "int16" and isinstance(kind, SignalOp) and (kind.finishes or self._on_samples(kind)):
            self._tensors[-1] = replace(self._tensors[-1], quant=per_tensor(kind.fixed_scale(self.view()), 0))

    def _on_samples(self, kind: SignalOp) -> bool:
        """Whether the last node turns samples into samples."""
        step = kind.step(self.view())
        return step is not None and step.takes == "samples"

    def lead(self, samples: int) -> None:
        """Let `samples` more come in front of the window. Raises UsageError where a node has read it."""
        if self.nodes:
            raise UsageError("settle comes first, before every other block")
        first = self._tensors[0]
        self._tensors[0] = replace(first, shape=(1, first.shape[1] + samples, *first.shape[2:]))

    def view(self) -> View:
        """The last node with its tensors."""
        return View(self.nodes[-1], (self._tensors[-2],), (self._tensors[-1],))

    def replace_last(self, quant: Quantization, **values: Any) -> None:
        """Let the last node write int8 with `quant`; `values` are added to its attributes."""
        node = self.nodes[-1]
        self.nodes[-1] = replace(node, attrs=attrs(**{**node.attrs, **values}))
        self._tensors[-1] = replace(self._tensors[-1], dtype=ACTIVATION, quant=quant)

    def clip(self, low: float, high: float) -> None:
        """Clip the int8 values to real `low` to `high`, where their quantization reaches beyond."""
        quant = self.tensor.quant
        assert quant is not None
        for op, limit, end in (("maximum", low, ACTIVATION.low), ("minimum", high, ACTIVATION.high)):
            level = round(limit / quant.scale[0]) + quant.zero_point[0]
            if (level > end) if op == "maximum" else (level < end):
                self._limit(op, int(np.clip(level, ACTIVATION.low, ACTIVATION.high)))

    def _limit(self, op: str, level: int) -> None:
        x, name = self.tensor, f"{op}_{len(self.nodes)}"
        one = np.full((1,) * len(x.shape), level, ACTIVATION)
        self._tensors += [Tensor(f"{name}_limit", one.shape, x.dtype, x.quant, one), Tensor(name, x.shape, x.dtype, x.quant)]
        last = len(self._tensors) - 1
        self.nodes.append(Node(op, name, (last - 2, last - 1), (last,)))

    def graph(self, name: str = "features") -> Graph:
        """The checked graph. Raises ModelError where options do not fit the signal."""
        made = Graph(name, tuple(self._tensors), tuple(self.nodes), (0,), (len(self._tensors) - 1,))
        rules.check(made)
        return made


def fixed(real: float, scale: float) -> int:
    """`real` in units of `scale`, rounded."""
    return int(np.floor(real / scale + 0.5))
