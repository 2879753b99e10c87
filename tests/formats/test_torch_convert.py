"""Torch modules as float graphs: the same numbers, in Sandgrain's layout, with nothing left to move."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.draws import rare

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'sandgrain[train]'")
from torch import nn  # noqa: E402
from torch.nn import functional as fn  # noqa: E402

from sandgrain.base.errors import ModelError, UnsupportedError, UsageError  # noqa: E402
from sandgrain.formats.aten.layout import Layout, aligned, dense  # noqa: E402
from sandgrain.formats.torch import convert  # noqa: E402
from sandgrain.graph import reals  # noqa: E402
from sandgrain.graph.ir import Graph  # noqa: E402
from sandgrain.quantization import quantize  # noqa: E402

torch.set_num_threads(1)
CLOSE = 1e-4  # of the largest output


class Each(nn.Module):
    """Many layers on one input: one export for all."""

    def __init__(self, layers: Sequence[Any]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(f if isinstance(f, nn.Module) else Call(f) for f in layers)

    def forward(self, x: Any) -> Any:
        return tuple(layer(x) for layer in self.layers)


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, f: Callable[..., Any]) -> None:
        super().__init__()
        self.f = f

    def forward(self, *x: Any) -> Any:
        return self.f(*x)


def scaled(f: Any) -> Any:
    """A layer and a product behind it, so that not the layer's input comes out."""
    return nn.Sequential(f if isinstance(f, nn.Module) else Call(f), Call(lambda y: y * 1.5))


def randomized(module: Any) -> Any:
    """Batch norms with statistics that are not those of new ones."""
    for m in module.modules():
        if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d):
            m.running_mean.normal_()
            m.running_var.uniform_(0.5, 2.0)
            if m.weight is not None:
                with torch.no_grad():
                    m.weight.normal_()
                    m.bias.normal_()
    return module.eval()


def last(x: Any, channels_first: bool) -> Any:
    """A torch value as Sandgrain has it."""
    x = x.detach().numpy()
    return np.moveaxis(x, 1, -1) if channels_first and x.ndim > 2 else x


def agree(module: Any, *shape: int, channels_first: bool = True, **options: Any) -> Graph:
    """Convert, compare every output on two samples, and return the graph."""
    torch.manual_seed(1)
    module = randomized(module if isinstance(module, nn.Module) else Call(module))
    x = torch.randn(2, *shape)
    graph = convert(module, x[:1], "m", channels_first=channels_first, **options)
    values = reals.run(graph, last(x, channels_first)[:, None])
    for sample in range(2):
        given = x[sample : sample + 1].clone()
        results = module(given)
        results = results if isinstance(results, tuple) else (results,)
        assert len(results) == len(graph.outputs)
        for k, (index, result) in enumerate(zip(graph.outputs, results, strict=True)):
            wanted, got = last(result, graph.turned(index)), values[index][sample]
            assert got.size == wanted.size and (got.shape == wanted.shape or wanted.ndim < 2), (k, got.shape, wanted.shape)
            close = np.abs(got.reshape(wanted.shape) - wanted).max() <= CLOSE * max(1e-3, np.abs(wanted).max())
            assert close, (k, module.layers[k] if isinstance(module, Each) else module)
    return graph


def ops(graph: Graph) -> list[str]:
    return [n.op for n in graph.nodes]


# --- layout ----------------------------------------------------------------------------------------------------------


class Tracked:
    """A value whose elements are numbered, and the memory it was first stored in."""

    def __init__(self, shape: tuple[int, ...], order: tuple[int, ...]) -> None:
        self.value = np.arange(math.prod(shape)).reshape(shape)
        self.memory = self.value.transpose(order).reshape(-1)
        self.layout = dense(shape, order)

    def check(self) -> None:
        """The layout finds in memory what torch's value holds."""
        layout = self.layout
        stored = self.memory.reshape(layout.stored)
        back = np.argsort(layout.memory)
        assert layout.shape == self.value.shape
        assert (stored.transpose(back).reshape(layout.shape) == self.value).all()


@given(st.data())
def test_a_layout_follows_permutes_and_reshapes(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.sampled_from((1, 2, 3, 4, 6, 12)), min_size=1, max_size=4)))
    t = Tracked(shape, tuple(data.draw(st.permutations(range(len(shape))))))
    for _ in range(data.draw(st.integers(1, 5))):
        rank = t.value.ndim
        if data.draw(st.booleans()):
            perm = data.draw(st.permutations(range(rank)))
            t.value, t.layout = t.value.transpose(perm), t.layout.permuted(perm)
        else:
            primes = [
                f for n in t.value.shape for f in ((2, 2, 3) if n == 12 else (2, 3) if n == 6 else (2, 2) if n == 4 else (n,))
            ]
            cuts = sorted(data.draw(st.lists(st.integers(0, len(primes)), max_size=3)))
            new = [math.prod(primes[a:b]) for a, b in itertools.pairwise([0, *cuts, len(primes)])]
            layout = t.layout.reshaped(new)
            if layout is None:
                continue
            t.value, t.layout = t.value.reshape(new), layout
        t.check()
        joined = t.layout.joined()
        assert joined.shape == t.layout.shape
        for axis, size in enumerate(joined.shape):
            assert sorted(joined.indices(axis)) == list(range(size))


def test_a_reshape_of_torch_order_always_works() -> None:
    assert dense((4, 6)).reshaped((3, 8)) == dense((3, 8))
    assert dense((4, 6), (1, 0)).reshaped((3, 8)) is None


def test_aligned_layouts_have_the_same_factors() -> None:
    a, b = Layout(((2, 3), (4,)), (0, 1, 2)), Layout(((6,), ()), (0,))
    x, y = aligned(a, b) or (a, b)
    assert x.axes == ((2, 3), (4,)) and y.axes == ((2, 3), ())
    assert aligned(Layout(((2, 3),), (0, 1)), Layout(((3, 2),), (0, 1))) is None


# --- layers, over their attributes -------------------------------------------------------------------------------------


def convolutions(rng: random.Random, axes: int, count: int) -> list[Any]:
    """Random convolutions of 6 channels."""
    found: list[Any] = []
    kind = nn.Conv1d if axes == 1 else nn.Conv2d
    while len(found) < count:
        kernel = tuple(rng.randint(1, 4) for _ in range(axes))
        stride = tuple(rng.choice((1, 1, 2, 3)) for _ in range(axes))
        dilation = tuple(rng.choice((1, 1, 2)) for _ in range(axes))
        groups = rng.choice((1, 1, 6, 6, 2, 3))
        outputs = groups * rng.randint(1, 3)
        padding: Any = tuple(rng.randint(0, 2) for _ in range(axes))
        if max(stride) == 1:
            padding = rng.choice(("same", "valid", padding))
        bias = rng.choice((True, False))
        found.append(kind(6, outputs, kernel, stride, padding, dilation, groups, bias))
    return found


@rare
@pytest.mark.parametrize(("axes", "seed"), [(1, 0), (2, 0), (2, 1)])
def test_convolutions_of_any_attributes(axes: int, seed: int) -> None:
    torch.manual_seed(seed)
    graph = agree(Each(convolutions(random.Random(seed), axes, 25)), 6, *((11,) if axes == 1 else (9, 8)))
    assert "transpose" not in ops(graph)


def transposed(rng: random.Random, axes: int, count: int) -> list[Any]:
    """Random transposed convolutions of 6 channels."""
    found: list[Any] = []
    kind = nn.ConvTranspose1d if axes == 1 else nn.ConvTranspose2d
    while len(found) < count:
        kernel = tuple(rng.randint(1, 4) for _ in range(axes))
        stride = tuple(rng.choice((1, 2, 2, 3)) for _ in range(axes))
        padding = tuple(rng.randint(0, k // 2) for k in kernel)
        more = tuple(rng.randint(0, s - 1) for s in stride)
        groups, bias = rng.choice((1, 1, 2, 3)), rng.choice((True, False))
        found.append(kind(6, groups * rng.randint(1, 3), kernel, stride, padding, more, groups, bias))
    return found


@pytest.mark.parametrize("axes", [1, 2])
def test_transposed_convolutions_of_any_attributes(axes: int) -> None:
    torch.manual_seed(axes)
    graph = agree(Each(transposed(random.Random(axes), axes, 15)), 6, *((7,) if axes == 1 else (5, 4)))
    assert "transpose" not in ops(graph)


def test_a_batch_norm_and_a_relu_go_into_a_transposed_convolution() -> None:
    graph = agree(nn.Sequential(nn.ConvTranspose2d(4, 5, 2, 2), nn.BatchNorm2d(5), nn.ReLU()), 4, 3, 5)
    assert ops(graph) == ["transpose_conv"] and graph.nodes[0].attrs["activation"] == "relu"


def pools(rng: random.Random, axes: int, count: int) -> list[Any]:
    found: list[Any] = []
    while len(found) < count:
        kernel = tuple(rng.randint(1, 4) for _ in range(axes))
        stride = tuple(rng.randint(1, 4) for _ in range(axes))
        padding = tuple(rng.randint(0, k // 2) for k in kernel)
        ceil = rng.choice((True, False))
        if rng.choice((True, False)):
            found.append((nn.MaxPool1d if axes == 1 else nn.MaxPool2d)(kernel, stride, padding, ceil_mode=ceil))
        else:
            kind = nn.AvgPool1d if axes == 1 else nn.AvgPool2d
            found.append(kind(kernel, stride, padding, ceil_mode=ceil, count_include_pad=rng.choice((True, False))))
    return found


@pytest.mark.parametrize("axes", [1, 2])
def test_pools_of_any_attributes(axes: int) -> None:
    adaptive: list[Any] = (
        [nn.AdaptiveAvgPool1d(3), nn.AdaptiveMaxPool1d(1), nn.AdaptiveAvgPool1d(1)]
        if axes == 1
        else [
            nn.AdaptiveAvgPool2d((3, 2)),
            nn.AdaptiveAvgPool2d((None, 1)),
            nn.AdaptiveMaxPool2d(1),
            nn.AdaptiveMaxPool2d((9, 4)),
            nn.AdaptiveMaxPool2d((8, 5)),  # windows of one size along the first axis, of two along the second
        ]
    )
    whole: list[Any] = [lambda x: x.mean(1), lambda x: x.mean(-1, keepdim=True), lambda x: x.amax(2), lambda x: x.sum(1)]
    whole += [lambda x: x.mean(), lambda x: x.max(1).values, lambda x: x.mean((-1, 1))]
    graph = agree(Each(pools(random.Random(axes), axes, 40) + adaptive + whole), 5, *((9,) if axes == 1 else (9, 8)))
    assert [n.name for n in graph.nodes if n.op == "transpose" and not n.name.startswith("output")] == []


def test_activations() -> None:
    one_a_channel = nn.PReLU(4)
    with torch.no_grad():
        one_a_channel.weight.copy_(torch.tensor([0.1, -0.2, 0.5, 1.5]))
    layers = [
        nn.ReLU(), nn.ReLU6(), nn.Hardtanh(), nn.Hardtanh(0, 6), nn.LeakyReLU(0.3), nn.PReLU(), one_a_channel, nn.Hardswish(),
        nn.Hardsigmoid(), nn.Sigmoid(), nn.Tanh(), nn.SiLU(), nn.GELU(), nn.GELU("tanh"), nn.ELU(), nn.Softplus(), nn.Softmax(1), nn.Softmax(2), nn.Softmax(-1),
        lambda x: x.clamp(0, 6), lambda x: x.clamp(min=0), lambda x: torch.softmax(x * 2, 1),
    ]  # fmt: skip
    agree(Each(layers), 4, 3, 5)
    agree(Each(layers[:12]), 4, 7)


def test_sums_and_products_broadcast() -> None:
    channel, row, whole = torch.randn(4, 1, 1), torch.randn(5), torch.randn(1, 4, 3, 5)
    layers = [
        lambda x: x + channel, lambda x: x * channel - 3, lambda x: 2 - x, lambda x: row - x, lambda x: x * whole,
        lambda x: -x / 4, lambda x: x / row, lambda x: x**2, lambda x: torch.add(x, whole, alpha=3),
        lambda x: torch.sub(x, x.mean(1, keepdim=True), alpha=2), lambda x: x.mean((2, 3), keepdim=True) * x,
        lambda x: x.mean(1, keepdim=True) - x.mean(3, keepdim=True), lambda x: x + x.mean((1, 2)),
        lambda x: x.permute(0, 2, 3, 1) + x.reshape(1, 3, 5, 4), lambda x: x.flatten(1) * x.transpose(1, 2).flatten(1),
        lambda x: x.mean((1, 2)) - torch.ones(3, 1),
    ]  # fmt: skip
    agree(Each(layers), 4, 3, 5)


@rare
def test_elements_move() -> None:
    layers = [
        nn.Flatten(), lambda x: x.permute(0, 2, 3, 1), lambda x: x.transpose(1, 3).reshape(1, -1), lambda x: x.flatten(2),
        nn.PixelShuffle(2), nn.ChannelShuffle(4), lambda x: x.flip(3), lambda x: x[:, 1:6:2, ::2, -3:], lambda x: x[:, 2],
        lambda x: x[..., -1], lambda x: x.narrow(2, 1, 2), lambda x: torch.cat([x, x[:, :1]], 1),
        lambda x: torch.cat([x.flatten(1), x.mean((2, 3))], 1), lambda x: torch.stack([x, x * 2], 1).flatten(1, 2),
        lambda x: x.chunk(3, 1)[2], lambda x: torch.split(x, [1, 5, 2], 1)[1], lambda x: x.unbind(3)[1],
        lambda x: fn.pad(x, (1, 2, 0, 3)), lambda x: fn.pad(x, (-1, 1)), lambda x: fn.pad(x.flatten(2), (0, 1, 2, 0)),
        nn.Upsample(scale_factor=2), nn.Upsample((7, 9)), nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Upsample((7, 9), mode="bilinear"), nn.Upsample((7, 9), mode="bilinear", align_corners=True),
        lambda x: fn.interpolate(x, (12, 4), mode="nearest-exact"),
        nn.Identity(), nn.Dropout(), lambda x: x.unsqueeze(2).squeeze(2), lambda x: x.reshape(1, 2, 4, 4, 6).mean(2),
        lambda x: torch.cat([x, torch.ones(1, 8, 4, 1)], 3), lambda x: x.reshape(1, 16, 3, 4), nn.Unflatten(1, (2, 4)),
    ]  # fmt: skip
    agree(Each([scaled(f) for f in layers]), 8, 4, 6)
    sequence = [nn.Upsample(scale_factor=3), nn.Flatten(), lambda x: x[:, :, 2:], lambda x: fn.pad(x, (2, 0))]
    agree(Each([scaled(f) for f in sequence]), 8, 4)


@rare
def test_products_of_matrices() -> None:
    w = torch.randn(6, 4)
    layers = [
        nn.Linear(6, 3),
        nn.Linear(6, 3, bias=False),
        lambda x: x @ w,
        lambda x: x @ x.transpose(1, 2),
        lambda x: x.transpose(1, 2) @ x,
        lambda x: fn.scaled_dot_product_attention(x, x * 2, x + 1),
        lambda x: torch.bmm(x, x.mT),
        nn.Sequential(nn.Flatten(), nn.Linear(30, 4)),
    ]
    agree(Each(layers), 5, 6, channels_first=False)
    agree(Each(layers), 5, 6, channels_first=True)
    agree(Each([nn.Linear(5, 2), lambda x: x @ x.mT, nn.Sequential(nn.Flatten(2), nn.Linear(20, 3))]), 3, 4, 5)


def test_multi_head_attention() -> None:
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    graph = agree(lambda x: attention(x, x, x, need_weights=False)[0] + x, 7, 8, channels_first=False)
    assert ops(graph).count("batch_matmul") == 2


# --- what goes into the layer before -----------------------------------------------------------------------------------


def test_batch_norm_and_relu_go_into_the_layer_before() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=8), nn.BatchNorm2d(8), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 6), nn.BatchNorm1d(6), nn.Hardtanh(), nn.Dropout(), nn.Linear(6, 3),
    )  # fmt: skip
    graph = agree(net, 3, 8, 9)
    assert ops(graph) == ["conv_2d", "depthwise_conv_2d", "mean", "fully_connected", "fully_connected"]
    assert [n.attrs.get("activation") for n in graph.nodes] == ["relu", "relu6", None, "relu_n1_to_1", "none"]


def test_a_relu_behind_a_max_pool_goes_before_it() -> None:
    graph = agree(nn.Sequential(nn.Conv1d(3, 4, 3), nn.MaxPool1d(2), nn.ReLU()), 3, 12)
    assert [n.attrs.get("activation") for n in graph.nodes if n.op != "reshape"] == ["relu", "none"]


def test_a_batch_norm_alone_is_one_layer() -> None:
    graph = agree(nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3, padding=1)), 3, 5, 5)
    assert ops(graph) == ["depthwise_conv_2d", "conv_2d"]
    agree(nn.Sequential(nn.BatchNorm1d(3, affine=False), nn.ReLU()), 3, 7)
    agree(nn.BatchNorm1d(3), 3)
    agree(Each([nn.BatchNorm1d(4), lambda x: x * 2]), 4, 6, channels_first=False)


def test_zero_padding_goes_into_the_convolution_behind() -> None:
    graph = agree(nn.Sequential(nn.ZeroPad2d((0, 1, 2, 1)), nn.Conv2d(3, 4, 3, 2, padding=(0, 1))), 3, 8, 8)
    assert ops(graph) == ["conv_2d"] and graph.nodes[0].attrs["padding"] == (2, 1, 1, 2)
    causal = nn.Sequential(nn.ConstantPad1d((4, 0), 0.0), nn.Conv1d(3, 4, 3, dilation=2))
    assert "pad" not in ops(agree(causal, 3, 9))
    for groups in (1, 2, 4):  # one, several, depthwise
        padded = nn.Sequential(nn.ZeroPad2d((1, 2, 0, 1)), nn.Conv2d(4, 8, 3, padding=1, groups=groups))
        assert "pad" not in ops(agree(padded, 4, 6, 5))


def test_what_two_layers_read_is_not_changed_for_one() -> None:
    conv, norm, linear = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Linear(16, 2)

    def forward(x: Any) -> Any:
        y = conv(x)
        z = y.permute(0, 2, 3, 1)
        return norm(y) + fn.relu(y), z.relu() - z, linear(y.flatten(1)), fn.pad(y, (1, 1)) + fn.pad(y, (2, 0))

    module = Call(forward)
    module.layers = nn.ModuleList([conv, norm, linear])
    agree(module, 3, 2, 2)


@rare
def test_layers_that_work_in_place() -> None:
    def forward(x: Any) -> Any:
        y = x * 2
        flat = y.view(1, -1)
        flat.add_(1).relu_()
        return y - 1, x + y

    agree(forward, 3, 2, 2)
    agree(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True), nn.Hardswish(inplace=True)), 3, 4, 4)


def test_constants_are_computed_on_the_host() -> None:
    weight = torch.randn(4, 3, 1)
    agree(lambda x: fn.conv1d(x, weight / weight.norm(dim=1, keepdim=True)) + torch.arange(5).float(), 3, 5)


def test_a_flatten_before_a_linear_layer_permutes_its_weights() -> None:
    graph = agree(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 4 * 5, 6)), 3, 6, 7)
    assert ops(graph) == ["conv_2d", "reshape", "fully_connected"]


def test_shuffled_channels_stay_where_they_are() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ChannelShuffle(2), nn.Conv2d(8, 16, 3, groups=8), nn.Conv2d(16, 4, 1))
    assert ops(agree(net, 3, 5, 5)) == ["conv_2d", "depthwise_conv_2d", "conv_2d"]


# --- the input's layout, and modules that do not fit --------------------------------------------------------------------


def test_the_input_is_laid_out_for_the_fewest_transposes() -> None:
    image = convert(nn.Conv2d(3, 4, 3), torch.randn(1, 3, 8, 9), "m")
    assert image.tensors[image.inputs[0]].shape == (1, 8, 9, 3)
    tokens = convert(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)), torch.randn(1, 5, 6), "m")
    assert tokens.tensors[tokens.inputs[0]].shape == (1, 5, 6)
    assert "transpose" not in ops(image) + ops(tokens)
    last = convert(Call(lambda x: fn.relu(x.permute(0, 3, 1, 2))), torch.randn(1, 8, 9, 3), "m", channels_first=False)
    assert last.tensors[last.inputs[0]].shape == (1, 8, 9, 3)


def test_several_inputs() -> None:
    module = Call(lambda x, y: x.mean((2, 3)) + y)
    x, y = torch.randn(1, 3, 4, 5), torch.randn(1, 3)
    graph = convert(module, (x, y), "m")
    assert [graph.tensors[i].shape for i in graph.inputs] == [(1, 4, 5, 3), (1, 3)]
    got = reals.outputs(graph, [last(x, True)[None], y.numpy()[None]])[0]
    assert np.allclose(got[0], module(x, y).numpy(), atol=1e-6)


def test_the_larger_and_the_smaller_of_two() -> None:
    layers = [
        lambda x: torch.maximum(x, x * 2), lambda x: torch.minimum(x, torch.ones(3, 1, 1) * 0.3), lambda x: x.clamp(-0.5, 0.7),
        lambda x: x.clamp(max=0.2), lambda x: x.clamp(min=-0.1), lambda x: torch.max(x, x.flip(2)), lambda x: torch.min(x, -x),
        lambda x: (x - 0.1).abs(), lambda x: x.sum(1), lambda x: x.sum((2, 3), keepdim=True), lambda x: x.sum(),
    ]  # fmt: skip
    agree(Each(layers), 3, 4, 5)


def test_words_become_rows_of_a_table() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Embedding(11, 6), nn.Linear(6, 3)).eval()
    words = torch.randint(0, 11, (2, 5))
    graph = convert(net, words[:1], "m")
    assert graph.tensors[graph.inputs[0]].dtype == "int32" and ops(graph)[0] == "gather"
    got = reals.outputs(graph, words.numpy().astype(np.int32)[:, None])[0]
    assert np.allclose(got.reshape(2, 5, 3), net(words).detach().numpy(), atol=1e-6)
    made = quantize(graph, [words.numpy().astype(np.int32)[:, None]])
    assert made.graph.tensors[made.graph.inputs[0]].dtype == "int32"


def test_fixed_positions_are_gathered() -> None:
    wanted = torch.tensor([3, 0, 0, -1])
    agree(Call(lambda x: x.index_select(1, wanted % 4) * 2.0), 4, 3, 5)


def test_the_module_is_left_as_it_was() -> None:
    net = nn.Sequential(nn.Conv1d(2, 3, 1), nn.BatchNorm1d(3), nn.Dropout())
    net[1].eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    convert(net, torch.randn(1, 2, 4), "m")
    assert [m.training for m in net.modules()] == [True, True, False, True]
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_everything_that_is_unsupported_is_named_at_once() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(nn.Conv1d(2, 4, 3), nn.LogSoftmax(1))
            self.cell = nn.RNN(4, 4, batch_first=True)

        def forward(self, x: Any) -> Any:
            y = self.cell(self.stem(x).transpose(1, 2))[0]
            return torch.sqrt(y) + fn.pad(y, (1, -1), mode="constant", value=2.0)

    with pytest.raises(UnsupportedError) as caught:
        convert(Net(), torch.randn(1, 2, 8), "m")
    text = str(caught.value)
    assert "\n" not in text and text.startswith("4 layers cannot be converted: stem.1 (log_softmax")
    for piece in ("leave it out: the class", "cell (rnn_tanh", "sqrt, test_torch_convert.py:", "padding with 2.0"):
        assert piece in text


@rare
@pytest.mark.parametrize(
    ("module", "x", "error", "fact"),
    [
        (nn.Identity(), torch.zeros(1, 3), UnsupportedError, "returns its input"),
        (Call(lambda x: torch.ones(3)), torch.zeros(1, 3), UnsupportedError, "does not depend on the input"),
        (Call(lambda x: (x * 2,) * 2), torch.zeros(1, 3), UnsupportedError, "twice"),
        (Call(lambda x: x * 2 if x.sum() > 0 else x), torch.zeros(1, 3), ModelError, "torch.export failed"),
        (nn.Linear(4, 2), torch.zeros(1, 3), ModelError, "torch.export failed"),
        (nn.Linear(4, 2), torch.zeros(1, 4, dtype=torch.bool), UsageError, "float tensor"),
        (Call(lambda x: x + 1), torch.zeros(1, 4, dtype=torch.int64), UnsupportedError, "int32 tensor where a float model"),
        (nn.AdaptiveAvgPool1d(30), torch.zeros(1, 2, 32), UnsupportedError, "choose sizes that divide"),
        (nn.ConvTranspose2d(1, 1, 3, dilation=2), torch.zeros(1, 1, 4, 4), UnsupportedError, "use dilation 1"),
    ],
)
def test_what_cannot_be_converted_is_said_in_one_line(module: Any, x: Any, error: type[Exception], fact: str) -> None:
    with pytest.raises(error, match=fact) as caught:
        convert(module, x, "m")
    assert "\n" not in str(caught.value)
