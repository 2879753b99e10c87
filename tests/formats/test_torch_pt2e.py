"""Programs that torchao's PT2E has quantized: every scale and every integer weight is what it was, live and from a file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'sandgrain[train]'")
pytest.importorskip("torchao", reason="needs torchao: pip install 'sandgrain[test]'")
from torch import nn  # noqa: E402

from sandgrain.base.errors import UnsupportedError  # noqa: E402
from sandgrain.formats import sources  # noqa: E402
from sandgrain.formats.aten.ops import HANDLERS  # noqa: E402
from sandgrain.graph import interpret  # noqa: E402
from sandgrain.graph.ir import Array, Graph  # noqa: E402
from sandgrain.graph.quantization import dequantize  # noqa: E402
from sandgrain.graph.text import dump  # noqa: E402
from tests.support.draws import rare, turns  # noqa: E402
from tests.support.import_proof import prove  # noqa: E402
from tests.support.integers import to_int8  # noqa: E402
from tests.support.models import graph_of  # noqa: E402
from tests.support.torch_models import MODELS, Model  # noqa: E402

torch.set_num_threads(1)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import torch.ao.quantization.fx._decomposed
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.testing.pt2e._xnnpack_quantizer import XNNPACKQuantizer, get_symmetric_quantization_config

OPS = torch.ops.quantized_decomposed


def quantized(module: Any, samples: Any, **options: bool) -> tuple[Any, Any]:
    """(the quantized module, its exported program), calibrated on `samples`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(**options))
        prepared = prepare_pt2e(torch.export.export(module, (samples[:1],)).module(), quantizer)
        for x in samples:
            prepared(x[None])
        converted = convert_pt2e(prepared)
        return converted, torch.export.export(converted, (samples[:1],))


def rows(module: Any, samples: Any) -> Array:
    """Outputs of batches of one."""
    return np.stack([module(x[None]).detach().numpy() for x in samples])


def steps_off(graph: Graph, samples: Any, wanted: Array) -> float:
    """The mean difference of the interpreter's outputs, in output steps."""
    source, out = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    x = np.moveaxis(samples.numpy(), 1, -1) if graph.turned(graph.inputs[0]) else samples.numpy()
    assert source.quant is not None and out.quant is not None
    got = np.stack([interpret.run(graph, [q])[0] for q in to_int8(np.ascontiguousarray(x)[:, None], source.quant)])
    assert got.shape == wanted.shape
    return float(np.abs(dequantize(got, out.quant) - wanted).mean() / out.scale)


@rare
@pytest.mark.parametrize(
    ("name", "per_channel"), turns([("ds_cnn", True), ("resnet_8", False), ("autoencoder", True), ("squeezenet", True)], 2)
)
def test_a_quantized_model_keeps_its_scales_and_weights(name: str, per_channel: bool, tmp_path: Path) -> None:
    model: Model = MODELS[name]
    module, samples = model.module(), model.samples(12)
    converted, exported = quantized(module, samples, is_per_channel=per_channel)
    graph = graph_of(exported, name)
    torch.export.save(exported, tmp_path / "m.pt2")
    assert dump(graph_of(tmp_path / "m.pt2", name)) == dump(graph)
    assert not sources.is_float(graph)
    scales = {t.scale for t in graph.tensors if t.quant is not None and t.quant.per_tensor}
    given = [n.args[1] for n in exported.graph.nodes if n.target is OPS.quantize_per_tensor.default]
    assert given and {float(np.float32(s)) for s in given} <= scales
    kept = [np.sort(t.data, axis=None) for t in graph.tensors if t.dtype == "int8" and t.data is not None and t.size > 1]
    theirs = [np.sort(v.numpy(), axis=None) for v in exported.state_dict.values() if v.dtype == torch.int8 and v.numel() > 1]
    assert sorted(map(bytes, kept)) == sorted(map(bytes, theirs))
    x = samples.numpy()
    wanted = rows(module, samples)
    laid_out = np.moveaxis(x, 1, -1) if graph.turned(graph.inputs[0]) else x
    assert prove(graph, [np.ascontiguousarray(laid_out)[:, None]], [wanted]) > 20
    assert steps_off(graph, samples, rows(converted, samples)) < 1.5


class Bytes(nn.Module):
    """Quantized by hand to uint8, the weights' integers kept as they are."""

    def __init__(self, zero_point: int = 0) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randint(-127, 128, (4, 6), dtype=torch.int8))
        self.register_buffer("scales", torch.rand(4) * 0.01 + 0.001)
        self.register_buffer("zeros", torch.full((4,), zero_point))

    def forward(self, x: Any) -> Any:
        x = step(x, 0.02, 128)
        w = OPS.dequantize_per_channel(self.weight, self.scales, self.zeros, 0, -127, 127, torch.int8)
        return step(nn.functional.linear(x, w), 0.05, 120)


def step(x: Any, scale: float, zero: int, dtype: Any = torch.uint8) -> Any:
    about = (scale, zero, 0, 255, dtype)
    return OPS.dequantize_per_tensor(OPS.quantize_per_tensor(x, *about), *about)


def test_uint8_is_shifted_and_means_the_same() -> None:
    torch.manual_seed(0)
    module, samples = Bytes().eval(), torch.randn(20, 6)
    graph = graph_of(torch.export.export(module, (samples[:1],)), "m")
    assert [(graph.tensors[i].scale, graph.tensors[i].zero_point) for i in (*graph.inputs, *graph.outputs)] == [
        (float(np.float32(0.02)), 0),
        (float(np.float32(0.05)), -8),
    ]
    assert steps_off(graph, samples, rows(module, samples)) < 0.05


def test_what_is_quantized_twice_gets_a_layer_between() -> None:
    module = Call(lambda x: step(step(step(x, 0.02, 128).relu(), 0.01, 0), 0.04, 10) * 2)
    graph = graph_of(torch.export.export(Then(module), (torch.zeros(1, 3),)), "m")
    assert [n.op for n in graph.nodes] == ["relu", "quantize", "mul"]


class Call(nn.Module):
    def __init__(self, f: Any) -> None:
        super().__init__()
        self.f = f

    def forward(self, x: Any) -> Any:
        return self.f(x)


class Then(Call):
    """What `f` gives, quantized."""

    def forward(self, x: Any) -> Any:
        return step(self.f(x), 0.1, 7)


@rare
@pytest.mark.parametrize(
    ("module", "fact"),
    [
        (Call(lambda x: step(x, 0.02, 0, torch.int16).relu()), "quantize to int8 or uint8"),
        (Call(lambda x: step(x, 0.02, 300).relu()), "zero point 172; quantize again"),
        (Call(lambda x: torch.tanh(step(x, 0.02, 128) @ torch.ones(6, 2)).abs().sqrt()), "sqrt"),
        (
            Call(lambda x: OPS.dequantize_per_tensor(torch.ones(6, dtype=torch.int8), 0.1, 0, -128, 127, torch.int8) * x),
            "only its weights",
        ),
        (Call(lambda x: step(x.sigmoid() * x, 0.02, 128)), "no scale for"),
    ],
)
def test_what_cannot_be_kept_is_said(module: Any, fact: str) -> None:
    with pytest.raises(UnsupportedError, match=fact) as caught:
        graph_of(torch.export.export(module, (torch.zeros(1, 6),)), "m")
    assert "\n" not in str(caught.value)


class Folded(Bytes):
    """What `f` does to the product, before it is quantized, is a factor of the weights."""

    def __init__(self, f: Any) -> None:
        super().__init__()
        self.f = f

    def forward(self, x: Any) -> Any:
        w = OPS.dequantize_per_channel(self.weight, self.scales, self.zeros, 0, -127, 127, torch.int8)
        return step(self.f(nn.functional.linear(step(x, 0.02, 128), w)), 0.05, 120)


FACTORS = torch.tensor([-2.0, 0.5, -1.0, 3.0])


@rare
@pytest.mark.parametrize(
    "f",
    [
        lambda y: nn.functional.batch_norm(y, torch.zeros(4), torch.ones(4), FACTORS, torch.ones(4)),
        lambda y: y * -1.5,
        lambda y: y / FACTORS,
        lambda y: 0.25 - y,
    ],
)
def test_weights_keep_their_integers_under_a_folded_factor_of_either_sign(f: Any) -> None:
    torch.manual_seed(0)
    module, samples = Folded(f).eval(), torch.randn(20, 6)
    graph = graph_of(torch.export.export(module, (samples[:1],)), "m")
    assert steps_off(graph, samples, rows(module, samples)) < 0.05
    [kept] = [t for t in graph.tensors if t.data is not None and t.data.shape == (4, 6)]
    assert kept.data is not None and np.array_equal(np.abs(kept.data), np.abs(module.weight.numpy()))


def test_a_mistake_of_ours_is_not_called_one_of_the_models(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise AssertionError("a mistake of ours")

    monkeypatch.setitem(HANDLERS, "relu", broken)
    with pytest.raises(AssertionError, match="a mistake of ours"):
        graph_of(torch.export.export(nn.ReLU(), (torch.zeros(1, 6),)), "m")
