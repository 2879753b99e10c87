"""A front end: a pipeline whose normalization is known. It is saved beside a model, and joined to it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sandgrain.base.errors import ModelError, UsageError
from sandgrain.frontend.blocks import parse
from sandgrain.frontend.pipeline import Normalization, Pipeline
from sandgrain.frontend.signal import Channel, Signal, Target
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Graph, Node, Tensor, attrs

MAX_AXES = 4
MAX_VALUES = 1 << 28  # of one window, and
MAX_RATE = 1e9  # Hz: more than any microcontroller takes


@dataclass(frozen=True)
class FrontEnd:
    """Raw samples to a model's input. `stride`: samples from one result of a stream to the next, 0: no stream."""

    pipeline: Pipeline
    normalization: Normalization
    stride: int = 0

    def graph(self, model: Graph | None = None) -> Graph:
        """Raw samples in, int8 features out: for `model`, quantized as its input is, where the normalization is a fixed one."""
        taken = model.tensors[model.inputs[0]] if model is not None and len(model.inputs) == 1 else None
        if not self.normalization.fixed or taken is None or taken.quant is None or taken.dtype != ACTIVATION.name:
            return self.pipeline.graph(self.normalization)
        return self.pipeline.graph(self.normalization, taken.quant)

    def feeding(self, model: Graph) -> Graph:
        """One graph from raw samples to the outputs of `model`. Raises ModelError where it takes other features."""
        return join(self.graph(model), model)

    def to_json(self) -> dict[str, Any]:
        """A plain object that `from_json` takes back."""
        signal = self.pipeline.signal
        channels = {"channels": [c.to_json() for c in signal.channels]} if signal.channels else {}
        target = {"target": signal.target.to_json()} if signal.target is not None else {}
        return {
            "signal": {"kind": signal.kind, "shape": list(signal.shape), "rate": signal.rate, **channels, **target},
            "blocks": [block.model_dump(mode="json") for block in self.pipeline.blocks],
            "normalization": self.normalization.to_json(),
            "stride": self.stride,
        }

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> FrontEnd:
        """Raises KeyError, TypeError or ValueError for JSON that is no front end, UsageError or ModelError for one that cannot be built."""
        raw = facts["signal"]
        if raw["kind"] not in ("audio", "motion", "image"):
            raise ValueError("an unknown kind of signal")
        if len(raw["shape"]) > MAX_AXES:
            raise ValueError("a signal of more axes than there are")
        try:
            shape, channels = tuple(int(d) for d in raw["shape"]), raw.get("channels", [])
            if not isinstance(channels, list) or len(channels) not in (0, *shape[-1:]):
                raise ValueError("a description of other channels than the signal has")
            target = Target.from_json(raw["target"]) if "target" in raw else None
            signal = Signal(raw["kind"], shape, float(raw["rate"]), tuple(map(Channel.from_json, channels)), target)
            stride = int(facts.get("stride", 0))
        except OverflowError:  # infinity, or a whole number that no float holds
            raise ValueError("a signal beyond all numbers") from None
        if not (0 < math.prod(signal.shape) <= MAX_VALUES and all(d > 0 for d in signal.shape) and 0 <= signal.rate <= MAX_RATE):
            raise ValueError("a signal that no sensor gives")
        if not 0 <= stride <= MAX_VALUES:
            raise ValueError("a stride that is none")
        pipeline = Pipeline(signal, parse(facts["blocks"]))
        if pipeline.given is None and "normalization" not in facts:
            raise UsageError("features without a normalization; give `normalize` a `scale`, or take the features.json of a build")
        return cls(pipeline, pipeline.given or Normalization.from_json(facts["normalization"]), stride)


def join(front: Graph, model: Graph) -> Graph:
    """One graph from raw samples to the model's outputs.

    The model has one int8 input with as many elements as the front's output and the same quantization; another shape of it is
    bridged by a reshape, which costs nothing. Raises ModelError otherwise.
    """
    if len(model.inputs) != 1:
        raise ModelError(f"the model has {len(model.inputs)} inputs; features feed one")
    given, taken = front.tensors[front.outputs[0]], model.tensors[model.inputs[0]]
    if taken.dtype != given.dtype or taken.size != given.size:
        raise ModelError(
            f"features are {given.dtype} {list(given.shape)}, the model takes {taken.dtype} {list(taken.shape)}; "
            "train it on them, or make window, hop and bands what it was trained on"
        )
    if taken.quant is None or given.quant is None or taken.quant != given.quant:
        raise ModelError(
            f"features are quantized by {given.quant}, the model's input by {taken.quant}; train it on these features"
        )
    tensors: list[Tensor] = list(front.tensors)
    nodes: list[Node] = list(front.nodes)
    index: dict[int, int] = {model.inputs[0]: front.outputs[0]}
    if given.shape != taken.shape:
        tensors.append(replace(taken, name="features"))
        index[model.inputs[0]] = len(tensors) - 1
        nodes.append(Node("reshape", "features", (front.outputs[0],), (len(tensors) - 1,), attrs(shape=taken.shape)))
    for k, tensor in enumerate(model.tensors):
        if k not in index:
            index[k] = len(tensors)
            tensors.append(tensor)
    for node in model.nodes:
        ins, outs = (tuple(index[i] if i >= 0 else i for i in ends) for ends in (node.inputs, node.outputs))
        nodes.append(replace(node, inputs=ins, outputs=outs))
    outputs = tuple(index[i] for i in model.outputs)
    return Graph(model.name, tuple(tensors), tuple(nodes), front.inputs, outputs, model.labels, restarts=model.restarts)
