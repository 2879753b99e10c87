"""Whole networks from PyTorch: the same numbers as there, the same bytes in numpy, on the host and on the core."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'sandgrain[train]'")

from sandgrain.formats import sources  # noqa: E402
from sandgrain.graph import reals  # noqa: E402
from sandgrain.graph.ir import Array, Graph  # noqa: E402
from sandgrain.graph.text import dump  # noqa: E402
from tests.support.draws import rare, turns  # noqa: E402
from tests.support.import_proof import prove  # noqa: E402
from tests.support.torch_models import MODELS  # noqa: E402

torch.set_num_threads(1)
CLOSE = 1e-4  # of the largest output
DECIBELS = 20.0
LARGEST = "mobilenet_v2_035"


def laid_out(x: Any, graph: Graph, index: int) -> Array:
    """A batch of PyTorch's values as the graph's input or output `index` has them: [n, 1, ...], channels last."""
    values = x.detach().numpy()
    moved = np.moveaxis(values, 1, -1) if graph.turned(index) else values
    return np.ascontiguousarray(moved)[:, None]


@rare
@pytest.mark.parametrize("name", [pytest.param(LARGEST, marks=pytest.mark.slow), *turns([m for m in MODELS if m != LARGEST], 3)])
def test_a_model_is_the_same_in_torch_in_numpy_and_on_the_core(name: str, tmp_path: Path) -> None:
    model = MODELS[name]
    module, samples = model.module(), model.samples()
    graph = sources.load(module, name, samples[:1])
    results = module(samples)
    results = results if isinstance(results, tuple) else (results,)
    wanted = [laid_out(r, graph, i) for r, i in zip(results, graph.outputs, strict=True)]
    x = laid_out(samples, graph, graph.inputs[0])
    for ours, theirs in zip(reals.outputs(graph, x), wanted, strict=True):
        assert np.abs(ours.reshape(theirs.shape) - theirs).max() <= CLOSE * np.abs(theirs).max()
    if model.images:
        assert graph.channels_first and "transpose" not in [n.op for n in graph.nodes]
    with warnings.catch_warnings():  # of recurrent layers, about their own attributes
        warnings.simplefilter("ignore")
        exported = torch.export.export(module, (samples[:1],))
    torch.export.save(exported, tmp_path / "m.pt2")
    assert dump(sources.load(exported, name)) == dump(sources.load(tmp_path / "m.pt2", name)) == dump(graph)
    ratio = prove(graph, [x], wanted)
    print(f"{name}: {ratio:.1f} dB")
    assert ratio > DECIBELS
