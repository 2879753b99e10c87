"""The oracle's child process: crashes and refusals are errors, and the next model runs."""

from __future__ import annotations

import numpy as np
import pytest

from sandgrain.device.run.tflm import OracleError, TflmOracle
from sandgrain.formats.tflite import write
from sandgrain.graph.ops import OPS
from tests.support.draws import SeededDraw, random_inputs, rare
from tests.support.tflm_oracle import needs_tflm, tflm_run

pytestmark = needs_tflm


def relu_model() -> tuple[bytes, list[np.ndarray]]:
    graph = OPS["relu"].sample(SeededDraw(1))
    return write.write(graph), random_inputs(graph, 1, 1)


@rare
def test_a_crash_is_an_error_and_the_next_model_runs() -> None:
    model, sample = relu_model()
    with pytest.raises(OracleError, match="crashed: signal"):
        tflm_run(b"no model at all", [[s[0] for s in sample]])
    assert len(tflm_run(model, [[s[0] for s in sample]])) == 1


def test_a_refusal_says_what_tflm_printed() -> None:
    model, _ = relu_model()
    with pytest.raises(OracleError, match=r"refused the model: .*Cannot set tensor"):
        tflm_run(model, [[np.zeros((1, 2, 3, 4, 5), np.int8)]])


def test_a_timeout_ends_the_child() -> None:
    model, sample = relu_model()
    with TflmOracle(timeout=0.0) as oracle, pytest.raises(OracleError, match="took longer"):
        oracle.run(model, [[s[0] for s in sample]])


def test_every_sample_has_its_own_answer() -> None:
    graph = OPS["relu"].sample(SeededDraw(1))
    (x,) = random_inputs(graph, 5, 3)
    together = tflm_run(write.write(graph), [[x[0]], [x[1]], [x[2]]])
    alone = [tflm_run(write.write(graph), [[x[k]]])[0] for k in range(3)]
    assert [[a.tolist() for a in s] for s in together] == [[a.tolist() for a in s] for s in alone]


def test_inner_tensors_can_be_read() -> None:
    model, sample = relu_model()
    values = [s[0] for s in sample]
    with TflmOracle() as oracle:
        ((x, y),) = oracle.tensors(model, [values], [0, 1])
    assert np.array_equal(x, values[0])
    assert np.array_equal(y, tflm_run(model, [values])[0][0])
