"""The int8 twin: what it computes in training is what the firmware will compute, byte for byte, and it learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from sandgrain.base.errors import UnsupportedError
from sandgrain.graph import interpret, reals
from sandgrain.graph.ir import Array, Graph
from sandgrain.graph.quantization import Quantization, per_tensor
from sandgrain.quantization.calibrate import Range, calibrate
from sandgrain.train import loop
from sandgrain.train.qat import GRADIENTS, LINEAR, Twin
from tests.support.draws import rare
from tests.support.float_graphs import Net, small
from tests.support.integers import to_int8

SHAPE = (1, 8, 6, 4)
SAMPLES = 9


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """So small sums are not worth a second thread, and tests run beside each other."""
    monkeypatch.setattr(loop, "THREADS", 1)
    loop.prepare(0)


def _unary(op: str, **values: object) -> Callable[[Net, int], int]:
    return lambda net, x: net.node(op, (x,), net.tensors[x].shape, **values)


def _binary(op: str, **values: object) -> Callable[[Net, int], int]:
    def build(net: Net, x: int) -> int:
        return net.node(op, (x, net.conv(x, 4, "none")), SHAPE, **values)

    return build


def _pool(op: str, padding: tuple[int, ...]) -> Callable[[Net, int], int]:
    values = {"kernel": (3, 2), "stride": (2, 2), "padding": padding, "activation": "none"}
    return lambda net, x: net.node(op, (x,), (1, 4, 3, 4), **values)


def _rows(net: Net, x: int) -> int:
    return net.node("reshape", (x,), (1, 8, 24), shape=(1, 8, 24))


def _random(net: Net, *shape: int) -> int:
    return net.constant(net.rng.standard_normal(shape) / shape[-1] ** 0.5)


def _transposed(net: Net, x: int) -> int:
    ins = (x, _random(net, 5, 3, 2, 4), _random(net, 5))
    return net.node("transpose_conv", ins, (1, 17, 12, 5), stride=(2, 2), padding=(0, 1), size=(17, 12), activation="relu")


def _matmul(net: Net, x: int) -> int:
    rows = _rows(net, x)
    other = net.node("relu", (rows,), (1, 8, 24))
    return net.node("batch_matmul", (rows, other), (1, 8, 8), adj_x=False, adj_y=True)


def _gru(net: Net, x: int) -> int:
    ins = (_rows(net, x), _random(net, 15, 24), _random(net, 15, 5), _random(net, 15), _random(net, 15))
    return net.node("gru", ins, (1, 5), last=True, reverse=False, reset_first=False)


def _lstm(net: Net, x: int) -> int:
    inner = [_random(net, 5, 24) for _ in range(4)] + [_random(net, 5, 5) for _ in range(4)] + [_random(net, 5) for _ in range(4)]
    values: dict[str, Any] = {"last": False, "reverse": True, "cell_bits": 11, "cell_clip": 0.0}
    return net.node("lstm", (_rows(net, x), *inner), (1, 8, 5), **values)


def _norm(net: Net, x: int) -> int:
    gamma, beta = net.constant(1 + 0.1 * net.rng.standard_normal(24)), _random(net, 24)
    return net.node("layer_norm", (_rows(net, x), gamma, beta), (1, 8, 24), eps=1e-5)


CASES: dict[str, Callable[[Net, int], int]] = {
    "conv_2d": lambda net, x: net.conv(x, 5, "relu6", kernel=3),
    "depthwise_conv_2d": lambda net, x: net.depthwise(x, "none"),
    "transpose_conv": _transposed,
    "fully_connected": lambda net, x: net.dense(_rows(net, x), 7, "relu"),
    "add": _binary("add", activation="relu"),
    "sub": _binary("sub", activation="none"),
    "mul": _binary("mul", activation="none"),
    "maximum": _binary("maximum"),
    "minimum": _binary("minimum"),
    "abs": _unary("abs"),
    "prelu": lambda net, x: net.node("prelu", (x, _random(net, 4)), SHAPE),
    "relu": _unary("relu"),
    "relu6": _unary("relu6"),
    "leaky_relu": _unary("leaky_relu", alpha=float(np.float32(0.1))),
    "hard_swish": _unary("hard_swish"),
    "logistic": _unary("logistic"),
    "tanh": _unary("tanh"),
    "gelu": _unary("gelu", approximate=False),
    "silu": _unary("silu"),
    "elu": _unary("elu"),
    "softplus": _unary("softplus"),
    "mish": _unary("mish"),
    "exp": _unary("exp"),
    "scaled_elu": _unary("scaled_elu", alpha=0.7, scale=1.3, input_scale=0.6),
    "softmax": _unary("softmax", beta=1.0),
    "mean": lambda net, x: net.node("mean", (x,), (1, 4), axes=(1, 2), keep_dims=False),
    "sum": lambda net, x: net.node("sum", (x,), (1, 8, 4), axes=(2,), keep_dims=False),
    "reduce_max": lambda net, x: net.node("reduce_max", (x,), (1, 1, 6, 4), axes=(1,), keep_dims=True),
    "average_pool_2d": _pool("average_pool_2d", (0, 1, 0, 0)),
    "max_pool_2d": _pool("max_pool_2d", (1, 0, 0, 0)),
    "reshape": _rows,
    "concatenation": lambda net, x: net.node("concatenation", (x, net.conv(x, 3)), (1, 8, 6, 7), axis=3),
    "pad": lambda net, x: net.node("pad", (x,), (1, 9, 8, 4), paddings=((0, 0), (1, 0), (0, 2), (0, 0)), value=0),
    "transpose": lambda net, x: net.node("transpose", (x,), (1, 4, 8, 6), perm=(0, 3, 1, 2)),
    "batch_matmul": _matmul,
    "resize_nearest_neighbor": lambda net, x: net.node(
        "resize_nearest_neighbor", (x,), (1, 16, 12, 4), size=(16, 12), align_corners=False, half_pixel_centers=False
    ),
    "resize_bilinear": lambda net, x: net.node(
        "resize_bilinear", (x,), (1, 16, 5, 4), size=(16, 5), align_corners=False, half_pixel_centers=True
    ),
    "strided_slice": lambda net, x: net.node(
        "strided_slice", (x,), (1, 4, 3, 4), start=(0, 1, 0, 0), stride=(1, 2, 2, 1), size=(1, 4, 3, 4), drop=()
    ),
    "gru": _gru,
    "lstm": _lstm,
    "layer_norm": _norm,
}


def case(op: str) -> tuple[Graph, Array]:
    """A convolution, `op`, and its samples, float32 [n, 1, *shape]: the weights in front want a gradient through it."""
    net = Net(SHAPE, seed=len(op))
    graph = net.graph(CASES[op](net, net.conv(0, 4, "none")))
    return graph, net.samples(SAMPLES)


def twin_of(graph: Graph, x: Array, given: dict[int, Quantization] | None = None) -> Twin:
    return Twin(graph, calibrate(graph, [x]), given)


def firmware(twin: Twin, x: Array) -> Array:
    """The reference's int8 outputs of the finished graph, [n, values]."""
    graph = twin.finish().graph
    quant = graph.tensors[graph.inputs[0]].quant
    assert quant is not None
    return np.stack([interpret.run(graph, [to_int8(row, quant)])[0].reshape(-1) for row in x])


def levels(twin: Twin, outputs: torch.Tensor) -> Array:
    """Real outputs back as the int8 that they stand for."""
    graph = twin.finish().graph
    quant = graph.tensors[graph.outputs[0]].quant
    assert quant is not None
    found: Array = np.rint(outputs.detach().numpy().astype(np.float64) / quant.scale[0]) + quant.zero_point[0]
    return found


def test_every_gradient_has_a_case() -> None:
    """A quantize is put in by the conversion where scales must meet: in front of the concatenation here."""
    assert set(GRADIENTS) == {*CASES, "quantize"} and set(LINEAR) <= set(GRADIENTS)


@rare
@pytest.mark.parametrize("op", sorted(CASES))
def test_the_twin_computes_what_the_firmware_computes(op: str) -> None:
    graph, x = case(op)
    twin = twin_of(graph, x).eval()
    with torch.no_grad():
        assert np.array_equal(levels(twin, twin(torch.from_numpy(x[:, 0]))), firmware(twin, x))


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("reverse", [True, False])
@pytest.mark.parametrize("reset_first", [True, False])
def test_a_gru_of_each_form_is_the_real_function(last: bool, reverse: bool, reset_first: bool) -> None:
    net = Net(SHAPE, seed=3)
    ins = (_rows(net, 0), _random(net, 15, 24), _random(net, 15, 5), _random(net, 15), _random(net, 15))
    shape = (1, 5) if last else (1, 8, 5)
    graph = net.graph(net.node("gru", ins, shape, last=last, reverse=reverse, reset_first=reset_first))
    values = reals.run(graph, net.samples(SAMPLES))
    given = [torch.from_numpy(np.array(values[i])) for i in graph.nodes[-1].inputs]
    got = GRADIENTS["gru"](graph.view(graph.nodes[-1]), [given[0].squeeze(1), *given[1:]])
    assert np.abs(got.numpy() - values[graph.outputs[0]][:, 0]).max() < 1e-5


@pytest.mark.parametrize("op", sorted(CASES))
def test_a_gradient_reaches_the_weights_in_front(op: str) -> None:
    graph, x = case(op)
    twin = twin_of(graph, x).train()
    out = twin(torch.from_numpy(x[:, 0]))
    (out * torch.linspace(-1, 1, out.shape[1])).sum().backward()
    grads = [p.grad for p in twin.parameters()]
    assert all(g is not None and torch.isfinite(g).all() for g in grads) and any(
        bool(g.abs().sum() > 0) for g in grads if g is not None
    )


@pytest.mark.parametrize(
    "op", ["conv_2d", "depthwise_conv_2d", "transpose_conv", "fully_connected", "mean", "tanh", "softmax", "average_pool_2d"]
)
def test_the_gradient_is_that_of_the_real_function(op: str) -> None:
    """Where nothing saturates, the derivative along a direction is that of the float graph, up to the int8 rounding."""
    graph, x = case(op)
    wide = {i: Range(1.2 * r.low, 1.2 * r.high) for i, r in calibrate(graph, [x]).items()}
    twin = Twin(graph, wide)
    name, parameter = next(iter(twin.named_parameters()))
    weight = torch.linspace(-1, 1, twin(torch.from_numpy(x[:, 0])).shape[1])
    (twin(torch.from_numpy(x[:, 0])) * weight).sum().backward()
    direction = torch.sign(parameter.grad)
    step = 1e-2

    def moved(by: float) -> float:
        with torch.no_grad():
            parameter.add_(by * direction)
        values = reals.run(twin.floats(), x)[twin.floats().outputs[0]].reshape(SAMPLES, -1)
        with torch.no_grad():
            parameter.sub_(by * direction)
        return float((values * weight.numpy()).sum())

    slope = (moved(step) - moved(-step)) / (2 * step)
    assert float((parameter.grad * direction).sum()) == pytest.approx(slope, rel=0.1), name


def test_training_the_twin_lowers_its_loss_and_still_agrees_with_the_firmware() -> None:
    net, graph = small()
    x = net.samples(64)
    twin = twin_of(graph, x).train()
    wanted = torch.from_numpy(np.arange(64) % 5)
    optimizer = torch.optim.Adam(twin.parameters(), 1e-2)
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = torch.nn.functional.nll_loss(torch.log(twin(torch.from_numpy(x[:, 0])) + 1e-3), wanted)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.05
    twin.eval()
    assert np.array_equal(levels(twin, twin(torch.from_numpy(x[:, 0]))), firmware(twin, x))


def test_a_given_input_quantization_stays() -> None:
    net, graph = small()
    x, quant = net.samples(8), per_tensor(0.05, 3)
    twin = twin_of(graph, x, {graph.inputs[0]: quant}).eval()
    found = twin.finish().graph
    assert found.tensors[found.inputs[0]].quant == quant
    assert np.array_equal(levels(twin, twin(torch.from_numpy(x[:, 0]))), firmware(twin, x))


def test_long_sums_are_exact() -> None:
    """Sums of more than 2^24 do not fit a float: in evaluation they are formed in doubles."""
    net = Net((1, 4000))
    graph = net.graph(net.dense(0, 3))
    x = np.abs(net.samples(4)) + np.float32(1)
    twin = twin_of(graph, x).eval()
    assert np.array_equal(levels(twin, twin(torch.from_numpy(x[:, 0]))), firmware(twin, x))


def test_outputs_of_one_batch_do_not_depend_on_the_others() -> None:
    net, graph = small()
    x = torch.from_numpy(net.samples(6)[:, 0])
    twin = twin_of(graph, x.numpy()[:, np.newaxis]).eval()
    assert torch.equal(twin(x), torch.cat([twin(x[k : k + 1]) for k in range(6)]))


def test_an_op_without_a_gradient_names_itself_and_the_way_out() -> None:
    net = Net(SHAPE)
    graph = net.graph(net.node("arg_max", (net.conv(0, 4),), (1, 8, 6), axis=3))
    with pytest.raises(UnsupportedError, match="arg_max has no gradient; set qat = false"):
        Twin(graph, {i: Range(-1.0, 1.0) for i in range(len(graph.tensors))})
