"""What a tiny transformer needs: layer norm, GELU and softmax in integers with their errors, and whole encoders on the core."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.support.draws import rare

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'sandgrain[train]'")
from torch import nn  # noqa: E402

from sandgrain.base.errors import UnsupportedError, UsageError  # noqa: E402
from sandgrain.compiler import passes  # noqa: E402
from sandgrain.formats.torch import convert  # noqa: E402
from sandgrain.graph import interpret, rules  # noqa: E402
from sandgrain.graph import reals as floats  # noqa: E402
from sandgrain.graph.ir import Array, Graph, Tensor, attrs  # noqa: E402
from sandgrain.graph.ops import OPS  # noqa: E402
from sandgrain.graph.ops.norm.layer_norm import fraction_bits, reciprocal_root  # noqa: E402
from sandgrain.graph.ops.samples import activation_tensor, one_op  # noqa: E402
from sandgrain.graph.ops.table.scaled_elu import SELU  # noqa: E402
from sandgrain.graph.quantization import Quantization, dequantize, per_tensor  # noqa: E402
from sandgrain.quantization import calibrate, quantize  # noqa: E402
from sandgrain.quantization.weights import quantize_norm  # noqa: E402
from sandgrain.train.models import build, describe  # noqa: E402
from sandgrain.train.qat import Twin  # noqa: E402
from tests.support.feature_windows import check_everywhere  # noqa: E402
from tests.support.integers import to_int8  # noqa: E402

torch.set_num_threads(1)


def one(op: str, x: Tensor, y: Tensor, constants: tuple[Tensor, ...] = (), **values: Any) -> Graph:
    graph = one_op(op, (x, *constants), (y,), attrs(**values))
    rules.check(graph)
    return graph


def steps_off(graph: Graph, inputs: Array, wanted: Array) -> float:
    """The largest error in output steps, where the output does not saturate."""
    out, source = graph.tensors[graph.outputs[0]].quant, graph.tensors[graph.inputs[0]].quant
    assert out is not None and source is not None
    got = np.stack([interpret.run(graph, [x])[0] for x in inputs]).astype(float) - out.zero_point[0]
    inside = np.abs(got + out.zero_point[0] + 0.5) < 127
    return float((np.abs(got - wanted / out.scale[0]) * inside).max())


# --- the errors of integer softmax, layer norm and GELU --------------------------------------------------------------


def test_one_over_a_root_is_close_for_every_size() -> None:
    rng = np.random.default_rng(0)
    powers = 2 ** np.arange(52, dtype=np.int64)
    v = np.unique(np.concatenate([np.arange(1, 50_000), rng.integers(1, 2**52, 50_000), powers, powers[1:] - 1, powers + 1]))
    root, half = reciprocal_root(v)
    assert np.abs(root * 2.0 ** (-30.0 - half) * np.sqrt(v) - 1).max() < 2**-23


@pytest.mark.parametrize("depth", [2, 3, 16, 64, 100, 513])
@pytest.mark.parametrize("spread", [1, 8, 127])
def test_a_layer_norm_is_at_most_0_6_steps_from_the_real_one(depth: int, spread: int) -> None:
    rng = np.random.default_rng(depth)
    x = activation_tensor("x", (20, depth), per_tensor(0.02, 5))
    names = ("gamma", "beta")
    real = [rng.uniform(0.3, 1.5, depth) * rng.choice((-1, 1), depth), rng.standard_normal(depth)]
    reals = [Tensor(n, (depth,), "float32", None, r.astype(np.float32)) for n, r in zip(names, real, strict=True)]
    floating = one_op(
        "layer_norm", (Tensor("x", x.shape, "float32"), *reals), (Tensor("y", x.shape, "float32"),), attrs(eps=1e-5)
    )
    gamma, beta = quantize_norm(floating.view(floating.nodes[0]))
    top = 1.5 * min(math.sqrt(depth - 1), 5.0) + 3
    y = activation_tensor("y", x.shape, per_tensor(top / 127, -3))
    graph = one("layer_norm", x, y, (gamma, beta), eps=1e-5)
    q = np.clip(rng.integers(-spread, spread + 1, (10, *x.shape)) + 5, -128, 127).astype(np.int8)
    assert x.quant is not None
    wanted = floats.run(floating, dequantize(q, x.quant))[floating.outputs[0]]
    assert steps_off(graph, q, wanted) < 0.6


def test_a_row_without_variance_gives_beta() -> None:
    x, y = (activation_tensor(n, (1, 4), per_tensor(0.1, 0)) for n in "xy")
    gamma = Tensor("gamma", (4,), "int16", per_tensor(1 / 32768, 0), np.full(4, 32767, np.int16))
    unit = 2.0 ** -fraction_bits(4) / 32768
    beta = Tensor(
        "beta", (4,), "int32", Quantization((unit,), (0,)), np.round(np.array([0.5, -0.5, 1, 0]) / unit).astype(np.int32)
    )
    graph = one("layer_norm", x, y, (gamma, beta), eps=0.0)
    assert interpret.run(graph, [np.full((1, 4), 77, np.int8)])[0].tolist() == [[5, -5, 10, 0]]


CURVES: dict[str, tuple[dict[str, Any], Any]] = {  # attributes, PyTorch's function
    "gelu": ({"approximate": False}, nn.functional.gelu),
    "silu": ({}, nn.functional.silu),
    "softplus": ({}, nn.functional.softplus),
    "mish": ({}, nn.functional.mish),
    "exp": ({}, torch.exp),
    "scaled_elu": (SELU, nn.functional.selu),
}


@pytest.mark.parametrize("op", CURVES)
@pytest.mark.parametrize("scale", [0.001, 0.03, 0.2])
def test_a_curve_is_at_most_half_a_step_from_the_real_one(op: str, scale: float) -> None:
    values, real_function = CURVES[op]
    x = activation_tensor("x", (1, 256), per_tensor(scale, 10))
    y = activation_tensor("y", (1, 256), per_tensor(scale * 0.7, -90))
    graph = one(op, x, y, **values)
    q = np.arange(-128, 128, dtype=np.int8).reshape(1, 1, 256)
    real = scale * (q.astype(np.float64) - 10)
    assert steps_off(graph, q, real_function(torch.from_numpy(real)).numpy()) < 0.5001


@pytest.mark.parametrize("depth", [2, 25, 400])
def test_a_softmax_is_at_most_one_step_from_the_real_one(depth: int) -> None:
    """An output step is 1/256: 0.4 % of a whole."""
    rng = np.random.default_rng(depth)
    x, y = (
        activation_tensor("x", (20, depth), per_tensor(0.06, 0)),
        activation_tensor("y", (20, depth), per_tensor(1 / 256, -128)),
    )
    graph = one("softmax", x, y, beta=1.0)
    q = rng.integers(-128, 128, (10, *x.shape)).astype(np.int8)
    assert x.quant is not None
    real = torch.softmax(torch.from_numpy(dequantize(q, x.quant)), -1).numpy()
    assert steps_off(graph, q, real) < 1.0


# --- encoders --------------------------------------------------------------------------------------------------------


def trained(shape: tuple[int, ...], width: int, **options: Any) -> Any:
    """An encoder whose norms have seen data and whose layer norms are not those of new ones."""
    torch.manual_seed(0)
    model = build("transformer", shape, 6, width, **options).train()
    with torch.no_grad():
        model(torch.randn(16, *shape))
        for m in model.modules():
            if isinstance(m, nn.LayerNorm):
                m.weight.uniform_(0.5, 1.5)
                m.bias.normal_(0, 0.3)
    return model.eval()


@rare
@pytest.mark.parametrize(("norm", "activation"), [("layer", "gelu"), ("layer", "relu"), ("batch", "gelu")])
def test_every_style_equals_torch(norm: str, activation: str) -> None:
    options = {"norm": norm, "activation": activation, "layers": 1}
    model, x = trained((12, 5), 16, **options), torch.randn(3, 12, 5)
    graph = convert(model, x[:1], "m")
    wanted = model(x).detach().numpy()
    got = floats.outputs(graph, x.numpy()[:, None])[0].reshape(wanted.shape)
    assert np.abs(got - wanted).max() <= 1e-4 * np.abs(wanted).max()
    said = describe("transformer", (12, 5), 6, 16, **options)
    assert said.macs == sum(OPS[n.op].macs(graph.view(n)) for n in graph.nodes)
    norms = sum(n.op == "layer_norm" for n in graph.nodes) * 16
    sizes = sum(t.size * (4 if len(t.shape) == 1 else 1) for t in graph.tensors if t.data is not None)
    assert said.weight_bytes == sizes - 2 * norms  # gamma is int16


@rare
@rare
def test_two_layers_of_width_64_are_the_same_on_the_core() -> None:
    model = trained((49, 10), 64, norm="layer", activation="gelu")
    x = np.random.default_rng(1).standard_normal((16, 1, 49, 10)).astype(np.float32)
    graph = convert(model, torch.from_numpy(x[0]), "m")
    assert {"layer_norm", "gelu", "softmax", "batch_matmul"} <= {n.op for n in graph.nodes}
    int8 = quantize(graph, [x]).graph
    source, out = int8.tensors[int8.inputs[0]].quant, int8.tensors[int8.outputs[0]].quant
    assert source is not None and out is not None
    samples = to_int8(x, source)
    whole = np.stack([interpret.run(int8, [s])[0] for s in samples])
    real = floats.outputs(graph, x)[0]
    noise = dequantize(whole, out) - real
    assert 10 * np.log10((real**2).sum() / (noise**2).sum()) > 25  # dB
    check_everywhere(passes.optimize(int8), list(samples), cores=("cortex-m4",), emulate=2)


def test_the_twin_of_an_encoder_is_the_firmware() -> None:
    model = trained((8, 4), 8, norm="layer", activation="gelu", layers=1)
    x = np.random.default_rng(2).standard_normal((16, 1, 8, 4)).astype(np.float32)
    graph = convert(model, torch.from_numpy(x[0]), "m")
    twin = Twin(graph, calibrate(graph, [x]))
    inputs, labels = torch.from_numpy(x[:, 0]), torch.arange(len(x)) % 2
    optimizer = torch.optim.Adam(twin.parameters(), 0.02)
    losses = []
    for _ in range(8):
        loss = nn.functional.cross_entropy(twin(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]
    with torch.no_grad():
        learned = twin.eval()(inputs).numpy()
    int8 = twin.finish().graph
    source, out = int8.tensors[int8.inputs[0]].quant, int8.tensors[int8.outputs[0]].quant
    assert source is not None and out is not None
    whole = np.stack([interpret.run(int8, [s])[0] for s in to_int8(x, source)])
    assert np.array_equal(dequantize(whole, out).reshape(learned.shape), learned)


def test_layer_norms_of_torch() -> None:
    class Norms(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.LayerNorm(6)
            self.plain = nn.LayerNorm(6, elementwise_affine=False, eps=1e-3)
            self.turned = nn.LayerNorm(4, bias=False)

        def forward(self, x: Any) -> Any:
            return self.first(x), self.plain(x) * 2, self.turned(x.transpose(1, 2))

    model, x = Norms(), torch.randn(2, 4, 6)
    with torch.no_grad():
        for p in model.parameters():
            p.normal_()
    for channels_first in (False, True):
        graph = convert(model, x[:1], "m", channels_first=channels_first)
        given = x.numpy().transpose(0, 2, 1) if channels_first else x.numpy()
        for theirs, ours in zip(model(x), floats.outputs(graph, np.ascontiguousarray(given)[:, None]), strict=True):
            wanted = theirs.detach().numpy()
            got = ours[:, 0].transpose(0, 2, 1) if channels_first else ours[:, 0]
            assert np.abs(got - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_what_a_norm_or_an_option_cannot_be_is_said() -> None:
    with pytest.raises(UnsupportedError, match="a layer norm over several axes"):
        convert(nn.Sequential(nn.LayerNorm([4, 6])), torch.randn(1, 4, 6), "m")
    with pytest.raises(UsageError, match="norm is batch or layer"):
        build("transformer", (8, 4), 3, 8, norm="group")
    with pytest.raises(UsageError, match="give a word, such as batch"):
        build("transformer", (8, 4), 3, 8, norm=3)
