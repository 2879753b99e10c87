"""Every op in the registry: the C equals the numpy reference, and the reference equals TensorFlow Lite Micro.

Cases come in batches (one compiler run each), new ones in every run. SANDGRAIN_OP_CASES sets how many cases (24 by
default): TensorFlow Lite Micro sees all of them, the C half as many, as tests/kernels emulates it on more.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandgrain.formats.tflite import write
from sandgrain.graph import interpret, rules
from sandgrain.graph.ir import Array, Graph
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.signal.base import SignalOp
from tests.support.draws import CASES, HypothesisDraw, SeededDraw, new_seed, random_inputs, turns
from tests.support.host_batch import SANITIZE, Batch
from tests.support.tflm_oracle import needs_tflm, tflm_run

BATCH = 25
SAMPLES = 2
IN_FILES = [name for name, op in OPS.items() if op.foreign]


def cases(op: str) -> int:
    """Signal ops get fewer: each case compiles a front end, and tests/frontend runs them on a thousand real windows."""
    return CASES // 4 if isinstance(OPS[op], SignalOp) else CASES // 2


def samples_of(graph: Graph, seed: int) -> list[list[Array]]:
    batches = random_inputs(graph, new_seed(seed), SAMPLES)
    return [[x[s] for x in batches] for s in range(SAMPLES)]


def check_c_equals_reference(graphs: list[Graph], flags: tuple[str, ...]) -> None:
    batch = Batch(graphs, flags=flags)
    for k, graph in enumerate(graphs):
        for sample in samples_of(graph, k):
            expected = interpret.run(graph, sample)
            actual = batch.run(k, sample)
            for e, a in zip(expected, actual, strict=True):
                assert np.array_equal(e, a, equal_nan=e.dtype.kind == "f"), describe(graph)


def check_reference_equals_tflm(graphs: list[Graph]) -> None:
    for k, graph in enumerate(graphs):
        samples = samples_of(graph, k)
        oracle = tflm_run(write.write(graph), samples)
        for sample, theirs in zip(samples, oracle, strict=True):
            for e, a in zip(interpret.run(graph, sample), theirs, strict=True):
                assert np.array_equal(e.reshape(-1), a.reshape(-1), equal_nan=e.dtype.kind == "f"), describe(graph)


def describe(graph: Graph) -> str:
    node = graph.nodes[0]
    return f"{node.op} {dict(node.attrs)} " + " ".join(f"{t.name}{t.shape}{t.quant}" for t in graph.tensors)


@pytest.mark.parametrize("op", turns(list(OPS), 8))
@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_drawn_case_means_the_same_everywhere(op: str, data: st.DataObject) -> None:
    """A few cases from hypothesis, which shrinks what fails; the bulk comes from the seeded batches below."""
    graph = OPS[op].sample(HypothesisDraw(data))
    rules.check(graph)
    check_c_equals_reference([graph], ("-O0",))


@pytest.mark.parametrize("op", OPS)
def test_c_equals_the_reference(op: str) -> None:
    for start in range(0, cases(op), BATCH):
        graphs = [OPS[op].sample(SeededDraw(new_seed(seed))) for seed in range(start, min(start + BATCH, cases(op)))]
        check_c_equals_reference(graphs, ("-O1", *SANITIZE) if start % (2 * BATCH) else ("-O2",))


@pytest.mark.parametrize("op", IN_FILES)
@needs_tflm
def test_the_reference_equals_tflm(op: str) -> None:
    check_reference_equals_tflm([OPS[op].sample(SeededDraw(new_seed(seed))) for seed in range(CASES)])


@pytest.mark.parametrize("op", IN_FILES)
def test_a_sample_survives_the_file_format(op: str) -> None:
    from sandgrain.formats.tflite.read import read

    for seed in range(20):
        graph = OPS[op].sample(SeededDraw(new_seed(seed)))
        again = read(write.write(graph), "again")
        for sample in samples_of(graph, seed):
            for e, a in zip(interpret.run(graph, sample), interpret.run(again, sample), strict=True):
                assert np.array_equal(e, a, equal_nan=e.dtype.kind == "f"), describe(graph)
