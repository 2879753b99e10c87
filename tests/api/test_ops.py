"""Which operators there are, and which kernels can run one: the answers that `sandgrain ops` prints."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

from sandgrain import UsageError, explain_kernels
from sandgrain.api.inspect import graphs_of
from sandgrain.api.ops import Answer, ops
from sandgrain.cli import app
from sandgrain.compiler.plan import plan
from sandgrain.device import targets
from sandgrain.graph.ir import Graph, Node, Tensor, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import Quantization, per_tensor
from tests.conftest import ROOT

DIGITS = ROOT / "sandgrain" / "demo" / "digits.tflite"


def said(*words: str) -> str:
    done = CliRunner().invoke(app, ["ops", *words], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.output


def test_every_operator_is_listed_by_its_name_and_summary() -> None:
    rows = ops()
    assert [row.op for row in rows] == sorted(OPS)
    assert all(row.summary for row in rows)
    assert next(row for row in rows if row.op == "conv_2d").tflite == ("CONV_2D",)
    assert all(row.kernels or OPS[row.op].is_view for row in rows)


def test_the_list_has_no_empty_column() -> None:
    """Operators that no .tflite file has are listed by their own names."""
    lines = {line.split()[0]: line for line in said().splitlines()[2:] if line.strip()}
    assert OPS.keys() <= lines.keys()
    assert lines["gru"].split()[1] == "-"
    assert lines["conv_2d"].split()[1] == "CONV_2D"


def test_without_a_model_the_conditions_are_told() -> None:
    on_m4 = explain_kernels("CONV_2D", "cortex-m4")
    assert (on_m4.op, on_m4.core, on_m4.layers) == ("conv_2d", "cortex-m4", ())
    by_name = {answer.kernel: answer for answer in on_m4.kernels}
    assert by_name["conv_window_mve_s8"] == Answer("conv_window_mve_s8", False, "the core has no mve")
    assert by_name["conv_2d_s8"] == Answer("conv_2d_s8", True, "every layer")
    assert by_name["conv_pointwise_dsp_s8"].why.startswith("1x1")
    assert by_name["conv_compact_s8"].why.endswith("only --optimize size takes it")
    on_m0 = {answer.kernel: answer for answer in explain_kernels("conv_2d", "cortex-m0plus").kernels}
    assert on_m0["conv_window_dsp_s8"].why == "the core has no dsp"


def pointwise(weights: list[int]) -> Graph:
    """A 1x1 convolution of one input and two output channels."""
    x = Tensor("x", (1, 2, 2, 1), "int8", per_tensor(0.05, 3))
    w = Tensor("w", (2, 1, 1, 1), "int8", Quantization((0.01, 0.01), (0, 0), 0), np.array(weights, np.int8).reshape(2, 1, 1, 1))
    y = Tensor("y", (1, 2, 2, 2), "int8", per_tensor(0.06, -4))
    node = Node(
        "conv_2d", "thin", (0, 1, -1), (2,), attrs(stride=(1, 1), dilation=(1, 1), padding=(0, 0, 0, 0), activation="none")
    )
    return Graph("one", (x, w, y), (node,), (0,), (2,))


def test_a_refusal_says_why() -> None:
    [layer] = explain_kernels("conv_2d", "cortex-m4", pointwise([1, -128])).layers
    reasons = {answer.kernel: answer.why for answer in layer.answers if not answer.fits}
    assert (layer.layer, layer.shape) == ("thin", "1x2x2x1 -> 1x2x2x2")
    assert reasons["conv_pointwise_dsp_s8"] == reasons["conv_window_dsp_s8"]
    assert reasons["conv_window_dsp_s8"] == "two weights do not share a word: channel 1"
    assert layer.chosen not in reasons


def test_the_answers_of_a_layer_name_the_kernel_that_the_plan_takes() -> None:
    made = plan(graphs_of(DIGITS).optimized, targets.load("cortex-m4").core.features)
    taken_by = {node.name: kernel.name for node, kernel in zip(made.graph.nodes, made.kernels, strict=True) if kernel is not None}
    explained = explain_kernels("conv_2d", "cortex-m4", DIGITS)
    assert explained.layers
    for layer in explained.layers:
        assert layer.chosen == taken_by[layer.layer]
        [taken] = [answer for answer in layer.answers if answer.why == "runs this layer"]
        assert taken.fits and taken.kernel == layer.chosen


def test_the_command_prints_each_kernel_with_its_reason() -> None:
    text = said("conv_2d", "--core", "cortex-m4", "--model", str(DIGITS))
    assert "conv_2d on cortex-m4" in text
    assert "the core has no mve" in text
    assert "runs this layer" in text


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["convolve", "--core", "cortex-m4"], "sandgrain ops` lists them"),
        (["conv_2d"], "on which core"),
        (["--core", "cortex-m4"], "go with an operator"),
    ],
)
def test_what_cannot_be_answered_is_one_line(words: list[str], part: str) -> None:
    done = CliRunner().invoke(app, ["ops", *words])
    assert isinstance(done.exception, UsageError | SystemExit)
    assert part in done.output + str(done.exception)
