"""Layers share a copy of a kernel's code only where several call it; nothing in the C is a function that only calls."""

from __future__ import annotations

import re

import pytest

from sandgrain.bundle import tune
from sandgrain.bundle.tune import Figures, Tried
from sandgrain.compiler import passes
from sandgrain.compiler.emit.model import Options, Source, generate
from sandgrain.compiler.pipeline import planned
from sandgrain.compiler.plan import Choice
from sandgrain.device import targets
from sandgrain.formats import text
from sandgrain.graph.ir import Graph
from tests.conftest import ROOT
from tests.support.shared_files import shared_model

M4 = targets.load("cortex-m4")


def digits() -> Graph:
    return passes.optimize(text.read_any((ROOT / "sandgrain" / "demo" / "digits.tflite").read_bytes(), "digits"))


def kws() -> Graph:
    return passes.optimize(text.read_any(shared_model("kws_ref_model"), "kws"))


def everything_shared(graph: Graph) -> Source:
    shared = frozenset(node.outputs[0] for node in graph.nodes)
    return generate(planned(graph, M4.core.features, Choice(shared=shared)), Options("m"))


def wrappers(source: Source) -> list[str]:
    """Functions of the C that hold nothing but one call of a kernel with their own arguments."""
    return re.findall(r"^static SG_NOINLINE void (\w+)\(const struct \w+ \*p.*\)\n\{\n    sg_\w+\(p,", source.body, re.MULTILINE)


@pytest.mark.parametrize("graph", [digits, kws])
def test_every_shared_copy_has_several_callers(graph: object) -> None:
    source = everything_shared(graph())  # type: ignore[operator]
    names = wrappers(source)
    for name in names:
        assert len(re.findall(rf"    {name}\(&", source.body)) > 1, name
    calling = [layer for layer in source.layers if any(f"    {name}(&" in layer.text for name in names)]
    assert [layer for layer in source.layers if layer.shared] == calling


def test_a_kernel_of_one_layer_is_called_by_the_layer_itself() -> None:
    """softmax is the only layer of its kind here."""
    [softmax] = [layer for layer in everything_shared(kws()).layers if layer.op == "softmax"]
    assert "    sg_softmax_s8(&m_p" in softmax.text and not softmax.shared


def test_a_copy_with_one_user_has_its_price() -> None:
    """The own copy of layer 2 is large. Sharing it with nobody would not make it smaller: the faster code is taken."""
    both = [Choice({1: "a", 2: "b"}, frozenset(shared)) for shared in ((), (1, 2))]

    def chosen(lonely: frozenset[int]) -> Choice:
        def tried(choice: Choice) -> Tried:
            own = {t: Figures(1000, code) for t, code in ((1, 100), (2, 4096))}
            layers = {t: Figures(1010, 50) if t in choice.shared - lonely else figures for t, figures in own.items()}
            return Tried(choice, layers, sum(f.instructions for f in layers.values()), sum(f.code for f in layers.values()), 0)

        return tune.best(both, tried, lambda choice: choice.shared - lonely, 0.02)

    assert chosen(frozenset()).shared == {2}
    assert chosen(frozenset({2})).shared == frozenset()


def test_kws_shares_what_several_layers_call_and_nothing_else() -> None:
    graph = kws()
    choice = tune.choose(graph, M4, "zig", "balanced")
    source = generate(planned(graph, M4.core.features, choice), Options("m"))
    nodes = source.plan.graph.nodes
    assert choice.shared == {nodes[layer.index].outputs[0] for layer in source.layers if layer.shared}
    assert {layer.op for layer in source.layers if layer.shared} == {"conv_2d", "depthwise_conv_2d"}
    assert (
        sum(layer.shared for layer in source.layers if layer.op == "conv_2d") == 4
    )  # not the first, which has a kernel of its own
