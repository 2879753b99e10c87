"""A network that was not compiled, as a stream over recordings: window by window, with the results and decisions that its C would give.

Cross-validation hears with it what a fold tests, since the firmware is another network.
"""

from __future__ import annotations

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.bundle import features_in_c
from sandgrain.bundle.features_in_c import Extractor
from sandgrain.bundle.listening import Cutter, Heard
from sandgrain.compiler import passes
from sandgrain.formats import text
from sandgrain.graph.decisions import Rule, decide
from sandgrain.project.build.samples import Samples
from sandgrain.project.score import Ears


class Network:
    """An int8 model behind the features of `samples`, with C for this computer. `rule`: None where it decides nothing."""

    def __init__(self, samples: Samples, model: bytes, rule: Rule | None) -> None:
        graph = text.read_any(model, "model")
        self._samples, self._rule = samples, rule if samples.stride else None
        self._features = Extractor(samples.front.graph())
        self._network = Extractor(passes.optimize(graph))
        lead, settle = samples.pipeline.lead, samples.pipeline.settle
        self._window = samples.pipeline.signal.shape[0]
        self._cutter = Cutter(lead + self._window, lead, settle is not None and settle.of == "before")
        self.spacing = samples.stride or max(self._window // 4, 1)
        self._graph = graph

    @property
    def ears(self) -> Ears:
        """How the results of a network with labels are judged."""
        quant = self._graph.tensors[self._graph.outputs[0]].quant
        assert quant is not None
        return Ears(self._samples.found.labels, self._window, self._rule, quant, self._graph.nodes[-1].op == "softmax")

    def hear(self, x: Array) -> Heard:
        """One recording from its start, int16 [samples, channels]."""
        starts = self._cutter.starts(x, self.spacing)
        windows = (self._cutter.cut(x, s) for s in starts)
        features = features_in_c.extract(self._samples.front, windows, self._features)
        scores = self._network.run(features).reshape(len(starts), -1)
        made = np.full(len(starts), -1, np.int64)
        if self._rule is not None and len(starts) >= self._rule.smoothing:
            made = decide(scores, self._rule)
        return {"scores": scores, "samples": starts + self._window, "decisions": made}
