"""The catalogue of models: every family builds, costs what it says, and computes the same as its graph, down to the C."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'sandgrain[train]'")
from torch import nn  # noqa: E402

from sandgrain.base.errors import UsageError  # noqa: E402
from sandgrain.bundle import on_host  # noqa: E402
from sandgrain.compiler import passes  # noqa: E402
from sandgrain.compiler.emit import model as generator  # noqa: E402
from sandgrain.compiler.plan import plan  # noqa: E402
from sandgrain.formats import text  # noqa: E402
from sandgrain.formats.torch import convert  # noqa: E402
from sandgrain.graph import reals  # noqa: E402
from sandgrain.graph.interpret import run as interpret  # noqa: E402
from sandgrain.graph.ir import Graph  # noqa: E402
from sandgrain.graph.ops import OPS  # noqa: E402
from sandgrain.graph.quantization import dequantize, per_tensor  # noqa: E402
from sandgrain.quantization import quantize  # noqa: E402
from sandgrain.train import models, network  # noqa: E402
from sandgrain.train.loop import Options  # noqa: E402
from sandgrain.train.models import CATALOGUE, build, describe, load_user_module  # noqa: E402
from tests.support.draws import rare, turns  # noqa: E402
from tests.support.integers import to_int8  # noqa: E402

torch.set_num_threads(1)

SHAPES: dict[str, tuple[tuple[int, ...], ...]] = {
    "autoencoder": ((24,), (5, 16)),
    "cnn1d": ((64, 6), (50,)),
    "conv_autoencoder": ((15, 18, 2), (16, 10)),
    "dscnn": ((49, 10),),
    "gru": ((20, 10), (30,)),
    "lstm": ((20, 10),),
    "mlp": ((33,), (8, 8, 1)),
    "mobilenetv1": ((32, 32, 1),),
    "mobilenetv2": ((48, 48, 3),),
    "resnet8": ((16, 16, 3), (8, 8, 1)),
    "tcresnet": ((49, 20),),
    "transformer": ((30, 10), (16, 16, 3)),
}
FEWER: dict[str, dict[str, int]] = {"mobilenetv1": {"blocks": 7}, "mobilenetv2": {"stages": 4}}  # an export takes its time
CASES = [(name, shape) for name, shapes in SHAPES.items() for shape in shapes]


def trained(name: str, shape: tuple[int, ...], **options: Any) -> Any:
    """A model whose batch norms have seen data."""
    torch.manual_seed(0)
    model = build(name, shape, 5, **options).train()
    with torch.no_grad():
        model(torch.randn(8, *shape))
    return model.eval()


def test_every_family_has_a_case() -> None:
    assert SHAPES.keys() == CATALOGUE.keys()


@rare
@pytest.mark.parametrize("name", turns(list(CATALOGUE), 4))
def test_every_family_comes_out_of_the_recipe_as_bytes_that_are_read_again(name: str) -> None:
    """Whatever its layers and paddings are: as a .tflite, or as a graph's text where the format has no such layer."""
    shape = SHAPES[name][0]
    training = Options(epochs=1, batch=8)
    recipe = network.Recipe(name, shape, 5, None, FEWER.get(name, {}), training, qat=False)
    features = np.random.default_rng(0).integers(-128, 128, (4, *shape), np.int8)
    graph = text.read_any(network.untrained(recipe, features, per_tensor(0.02, -3)), "m")
    assert graph.tensors[graph.inputs[0]].shape == (1, *shape)


@rare
@pytest.mark.parametrize(("name", "shape"), turns(CASES, 7))
def test_a_model_and_its_graph_agree(name: str, shape: tuple[int, ...]) -> None:
    options = FEWER.get(name, {})
    model, x = trained(name, shape, **options), torch.randn(3, *shape)
    graph = convert(model, x[:1], name)
    wanted = model(x).detach().numpy()
    got = reals.outputs(graph, x.numpy()[:, None])[0].reshape(wanted.shape)
    assert np.abs(got - wanted).max() <= 1e-4 * np.abs(wanted).max()
    assert graph.tensors[graph.inputs[0]].shape == (1, *shape)
    assert wanted.shape[1:] == (shape if CATALOGUE[name].reconstructs else (5,))
    transposes = sum(n.op == "transpose" for n in graph.nodes)
    assert transposes == (8 if name == "transformer" else 0)  # one for each of query, key, value and result of a layer
    said = describe(name, shape, 5, **options)
    assert said.macs == sum(OPS[n.op].macs(graph.view(n)) for n in graph.nodes)
    assert said.weight_bytes == sum(t.size * (4 if len(t.shape) == 1 else 1) for t in graph.tensors if t.data is not None)
    assert said.parameters == sum(p.numel() for p in model.parameters())


@rare
@pytest.mark.parametrize("name", CATALOGUE)
def test_width_sizes_a_model(name: str) -> None:
    shape = SHAPES[name][0]
    small, large = (describe(name, shape, 4, width) for width in (4, 16))
    assert small.macs < large.macs and small.parameters < large.parameters
    assert describe(name, shape, 4).width == CATALOGUE[name].width


def test_known_sizes() -> None:
    """MLPerf Tiny's reference models (Banbury et al. 2021): MobileNetV1 0.25 has about 7.5 million products, ResNet-8 12.5."""
    assert describe("mobilenetv1", (96, 96, 3), 2).macs == pytest.approx(7.5e6, rel=0.4)
    assert describe("resnet8", (32, 32, 3), 10).parameters == pytest.approx(78_666, rel=0.02)
    assert describe("dscnn", (49, 10), 12, 64).parameters == pytest.approx(24_908, rel=0.06)


def host_outputs(graph: Graph, x: Any) -> Any:
    """What the generated C gives for int8 samples [n, *shape]."""
    optimized = passes.optimize(graph)
    return on_host.loaded(generator.generate(plan(optimized, frozenset()), generator.Options("m"))).run([x])[0]


@rare
@pytest.mark.parametrize("name", turns(["conv_autoencoder", "resnet8", "tcresnet", "transformer"], 2))
def test_an_int8_model_is_the_same_on_the_host(name: str) -> None:
    shape = SHAPES[name][-1]
    model = trained(name, shape, width=8)
    graph = convert(model, torch.randn(1, *shape), name)
    samples = np.random.default_rng(0).standard_normal((24, 1, *shape)).astype(np.float32)
    int8 = quantize(graph, [samples]).graph
    quant = int8.tensors[int8.inputs[0]].quant
    assert quant is not None
    x = to_int8(samples, quant)
    wanted = np.stack([interpret(int8, [sample])[0] for sample in x])
    assert (host_outputs(int8, x) == wanted).all()
    real = reals.outputs(graph, samples)[0]
    out = int8.tensors[int8.outputs[0]].quant
    assert out is not None
    noise = dequantize(wanted, out) - real
    assert 10 * np.log10((real**2).sum() / (noise**2).sum()) > 20  # dB


@pytest.mark.parametrize(
    ("call", "fact"),
    [
        (lambda: build("resnet9", (8, 8, 1), 2), "no model is called resnet9; choose"),
        (lambda: build("resnet8", (8,), 2), "takes features of 2 or 3 axes"),
        (lambda: build("mlp", (8,), 0), "0 outputs; mlp needs one for a number, or one a class"),
        (lambda: build("mlp", (8,), 2, 0), "a width of 0"),
        (lambda: build("mlp", (8,), 2, depth=3), "has no option depth; it has dropout, layers, norm"),
        (lambda: build("mlp", (8,), 2, layers="3"), "whole number"),
        (lambda: build("cnn1d", (8, 2), 2, norm="layer"), "norm = layer; choose batch or none"),
        (lambda: build("mlp", (8,), 2, layers=0), "whole number"),
        (lambda: build("mlp", (0,), 2), "takes features"),
    ],
)
def test_what_does_not_fit_is_said(call: Any, fact: str) -> None:
    with pytest.raises(UsageError, match=fact):
        call()


USER = """
import torch
from torch import nn


class Wide(nn.Module):
    def __init__(self, shape, classes, hidden=3):
        super().__init__()
        self.net = nn.Sequential(nn.Conv1d(shape[1], hidden, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(classes))
        self.net(torch.zeros(1, shape[1], shape[0]))

    def forward(self, x):
        return self.net(x)


def picture(classes):
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))


def rows(shape, classes):
    return nn.Sequential(nn.Linear(shape[1], 4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * shape[0], classes))


number = 3
"""


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("sandgrain_user_models:Wide", {"hidden": 5}),
        ("sandgrain_user_models:picture", {"fed": "image"}),
        ("sandgrain_user_models:rows", {"fed": "channels_last"}),
    ],
)
@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
def test_a_users_module_takes_features_as_they_are(path: str, options: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "sandgrain_user_models.py").write_text(USER)
    before = list(sys.path)
    module = load_user_module(path, (12, 3), 4, root=tmp_path, **options)
    assert sys.path == before
    x = torch.randn(2, 12, 3)
    graph = convert(module, x[:1], "user")
    assert graph.tensors[graph.inputs[0]].shape == (1, 12, 3)
    assert not [n for n in graph.nodes if n.op == "transpose"]
    got = reals.outputs(graph, x.numpy()[:, None])[0][:, 0]
    assert np.allclose(got, module.eval()(x).detach().numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("path", "fact"),
    [
        ("sandgrain_user_models", "is no import path"),
        ("sandgrain_user_models:Nobody", "AttributeError"),
        ("sandgrain_no_such_module:X", "ModuleNotFoundError"),
        ("sandgrain_user_models:number", "TypeError"),
        ("os:getcwd", "not a torch.nn.Module"),
        ("os; import sys:x", "is no import path"),
    ],
)
def test_a_wrong_path_of_a_module_is_said(path: str, fact: str, tmp_path: Path) -> None:
    (tmp_path / "sandgrain_user_models.py").write_text(USER)
    with pytest.raises(UsageError, match=fact):
        load_user_module(path, (12, 3), 4, root=tmp_path)


def test_models_are_modules_of_torch() -> None:
    assert all(isinstance(build(name, SHAPES[name][0], 3), nn.Module) for name in CATALOGUE)


@pytest.mark.parametrize("name", ["mlp", "cnn1d"])
def test_models_of_numbers_have_no_batch_norm_unless_it_is_asked_for(name: str) -> None:
    asked = {"norm": "batch"}
    plain, normed = (build(name, (16, 3), 1, 8, **models.for_numbers(name, own)) for own in ({}, asked))
    assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in plain.modules())
    assert any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in normed.modules())
    assert models.for_numbers("dscnn", {"x": 1}) == {"x": 1} and models.for_numbers("", {}) == {}
