"""Outputs as numbers in parts of a unit: right up to half a part, saturated, and the same after writing and reading the form."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from sandgrain.base.errors import UnsupportedError, UsageError
from sandgrain.graph.interpret import run
from sandgrain.graph.ir import Graph, Tensor
from sandgrain.graph.numbers import Number, factor, in_parts
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import INT32_MAX, INT32_MIN, per_tensor
from sandgrain.quantization.sums import with_sums
from tests.support.draws import SeededDraw


def out(scale: float) -> Tensor:
    return Tensor("y", (1, 1), "int32", per_tensor(scale, 0))


@pytest.mark.parametrize("scale", [1e-8, 3.1e-4, 0.25, 7.0, 900.0])
def test_a_number_is_the_output_times_its_scale_up_to_half_a_part(scale: float) -> None:
    form = Number(100, -250, "ppm")
    sums = np.array([-(1 << 20), -3, -1, 0, 1, 2, 5, 4095, 1 << 20], np.int32)
    for given, found in zip(sums.tolist(), in_parts(sums, out(scale), form).tolist(), strict=True):
        exact = Fraction(out(scale).scale) * given * 100 - 250
        wanted = min(max(exact, INT32_MIN), INT32_MAX)
        assert abs(found - wanted) <= Fraction(1, 2) + abs(exact) / (1 << 29)


def test_what_does_not_fit_is_saturated() -> None:
    found = in_parts(np.array([INT32_MIN + 1, INT32_MAX], np.int32), out(50.0), Number(1000, 7))
    assert found.tolist() == [INT32_MIN, INT32_MAX]


@pytest.mark.parametrize("form", [Number(), Number(1, -5), Number(1000, 12, "mg/m3"), Number(10, 0, "a, b")])
def test_a_form_is_what_its_text_says(form: Number) -> None:
    assert Number.parse(str(form)) == form


@pytest.mark.parametrize("text", ["", "1000", "0,0", "1000,0.5", "10000000,0", "1,99999999999", "x,0,m", "1,2,\u00b5" + "m" * 40])
def test_a_text_that_is_no_form_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Number.parse(text)


def test_a_number_needs_one_int32_with_a_scale() -> None:
    for wrong in (replace(out(1.0), dtype="int8"), replace(out(1.0), shape=(1, 2)), replace(out(1.0), quant=None)):
        with pytest.raises(UsageError, match="it goes with one int32 with a scale"):
            factor(wrong, Number())
    with pytest.raises(UsageError, match="choose other parts"):
        factor(out(1e-30), Number())


def dense(activation: str = "none", units: int = 1) -> Graph:
    """One int8 fully connected layer of so many units."""
    for seed in range(3000):
        graph = OPS["fully_connected"].sample(SeededDraw(seed))
        node, view = graph.nodes[0], graph.view(graph.nodes[0])
        one = view.out.size == units == view.input(1).shape[0] and len(node.inputs) > 2 and node.inputs[2] >= 0
        if one and node.attrs["activation"] == activation:
            return graph
    raise AssertionError("no such sample")


def test_sums_are_the_layers_output_before_it_is_rounded() -> None:
    graph = dense()
    made = with_sums(graph, 3.0)
    x = np.random.default_rng(0).integers(-128, 128, graph.tensors[graph.inputs[0]].shape).astype(np.int8)
    (rounded,), (sums,) = run(graph, [x]), run(made, [x])
    quant = graph.tensors[graph.outputs[0]].quant
    assert quant is not None and sums.dtype == np.int32
    coarse = quant.scale[0] * (int(rounded.item()) - quant.zero_point[0])
    fine = made.tensors[made.outputs[0]].scale * int(sums.item()) / 3
    low, high = (quant.scale[0] * (v - quant.zero_point[0]) for v in (-128, 127))
    assert abs(coarse - min(max(fine, low), high)) <= 0.51 * quant.scale[0]


def test_a_network_that_ends_otherwise_is_told_how_to_end() -> None:
    for graph in (dense("relu"), dense(units=3), OPS["relu"].sample(SeededDraw(0))):
        with pytest.raises(UnsupportedError, match="ends in one linear layer with a bias and no activation"):
            with_sums(graph)
