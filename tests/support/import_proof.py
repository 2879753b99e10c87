"""What every imported model must keep, whatever framework it came from: the interpreter, the C on this computer and the C on an
emulated Cortex-M4 give the same bytes, close to what the framework computes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.bundle import on_host
from sandgrain.compiler import passes
from sandgrain.formats.sources import is_float
from sandgrain.graph import interpret, reals, rules
from sandgrain.graph.ir import Array, Graph
from sandgrain.graph.quantization import dequantize
from sandgrain.quantization import post
from tests.support.feature_windows import emulated, source_of
from tests.support.integers import to_int8

EMULATED = 2  # samples that the emulated core runs as well
SPREAD = 0.03  # of an output's size: what samples differ by at least, or the ratio below would be that of a constant


def prove(graph: Graph, samples: Sequence[Array], wanted: Sequence[Array] | None = None) -> float:
    """The signal to noise ratio in dB of the least exact output.

    `graph`: of floats, which is quantized here with `samples` as calibration, or of int8. `samples`: float32 [n, *shape] for
    each input, as the graph has it laid out. `wanted`: what the framework computes, float [n, ...] for each output in the
    graph's layout; by default what the float graph does.
    """
    real = list(wanted) if wanted is not None else reals.outputs(graph, samples if len(samples) > 1 else samples[0])
    int8 = post.quantize(graph, list(samples)).graph if is_float(graph) else graph
    rules.check(int8)
    stacks = [_as_input(int8, i, x) for i, x in zip(int8.inputs, samples, strict=True)]
    expected = [interpret.run(int8, [s[k] for s in stacks]) for k in range(len(stacks[0]))]
    small = passes.optimize(int8)
    host = on_host.loaded(source_of(small, "host")).run(stacks)
    with emulated(small, "cortex-m4") as core:
        for k in range(min(EMULATED, len(expected))):
            assert [e.tobytes() for e in expected[k]] == core.infer([s[k] for s in stacks]), f"sample {k} differs on the core"
    ratios = []
    for k, index in enumerate(int8.outputs):
        whole = np.stack([e[k] for e in expected])
        assert np.array_equal(whole, host[k]), f"output {k}: host C differs from numpy"
        quant = int8.tensors[index].quant
        got = whole if quant is None else dequantize(whole, quant)
        assert spread(real[k]) > SPREAD, f"output {k} hardly follows the input"
        ratios.append(snr(np.asarray(real[k]).reshape(len(got), -1), got.reshape(len(got), -1)))
    return min(ratios)


def _as_input(graph: Graph, index: int, x: Array) -> Array:
    tensor = graph.tensors[index]
    made = x if tensor.quant is None else to_int8(x, tensor.quant)
    return np.ascontiguousarray(made.reshape(len(x), *tensor.shape), tensor.dtype)


def spread(real: Array) -> float:
    """The deviation between samples, as a share of the whole size."""
    flat = np.asarray(real, np.float64).reshape(len(real), -1)
    return float(np.sqrt(flat.var(axis=0).mean() / (flat**2).mean()))


def snr(real: Array, noisy: Array) -> float:
    """In dB: the power of `real` over that of the difference."""
    noise = ((noisy - real) ** 2).sum()
    return float(10 * np.log10((real**2).sum() / noise)) if noise else float("inf")
