"""Layers over all of their attributes, drawn by hypothesis: the float graph gives PyTorch's numbers, or one line that says why not."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.support.draws import rare

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'sandgrain[train]'")
from torch import nn  # noqa: E402
from torch.nn import functional as fn  # noqa: E402

from sandgrain.base.errors import UnsupportedError  # noqa: E402
from sandgrain.formats import sources  # noqa: E402
from sandgrain.formats.aten.ops.einsum import terms  # noqa: E402
from sandgrain.formats.torch import convert  # noqa: E402
from sandgrain.graph import reals  # noqa: E402
from tests.support.einsum_equations import ELLIPSES, MOST, NO_PRODUCTS, products  # noqa: E402

torch.set_num_threads(1)
CLOSE = 1e-4  # of the largest output
AT_ONCE = 8  # layers that one export holds
# Without shrinking: an example takes an export, and its failing layer is named anyway.
few = settings(max_examples=4, phases=(Phase.explicit, Phase.generate))  # of AT_ONCE layers each
Draw = Callable[..., Any]


class Each(nn.Module):
    """Many layers on one input: one export for all."""

    def __init__(self, layers: Sequence[Any]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(f if isinstance(f, nn.Module) else Call(f) for f in layers)

    def forward(self, x: Any) -> Any:
        return tuple(layer(x) * 1.25 for layer in self.layers)


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, f: Callable[..., Any]) -> None:
        super().__init__()
        self.f = f

    def forward(self, x: Any) -> Any:
        return self.f(x)


def agree(layers: Sequence[Any], *shape: int, channels_first: bool = True) -> None:
    """Every layer gives what PyTorch gives on two samples."""
    module, x = Each(layers).eval(), torch.randn(2, *shape, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())) * 0.5)
    graph = convert(module, x[:1].clone(), "m", channels_first=channels_first)
    first = graph.turned(graph.inputs[0])
    rows = np.moveaxis(x.numpy(), 1, -1) if first else x.numpy()
    values = reals.outputs(graph, np.ascontiguousarray(rows)[:, None])
    for k, index in enumerate(graph.outputs):
        for sample in range(2):
            own = x[sample : sample + 1].clone()  # a layer that works in place may not reach the next run's input
            wanted = module(own)[k].detach().numpy()
            wanted = np.moveaxis(wanted, 1, -1) if graph.turned(index) else wanted
            error = np.abs(values[k][sample].reshape(wanted.shape) - wanted).max()
            assert error <= CLOSE * max(1e-3, np.abs(wanted).max()), (module.layers[k], error)


def several(data: st.DataObject, draw_layer: Callable[[Draw], Any]) -> list[Any]:
    """Layers, drawn one after another."""
    return [draw_layer(data.draw) for _ in range(AT_ONCE)]


def ints(draw: Draw, low: int, high: int, count: int) -> tuple[int, ...]:
    return tuple(draw(st.integers(low, high)) for _ in range(count))


@rare
@pytest.mark.parametrize("axes", [1, 2])
@given(data=st.data())
@few
def test_convolutions(axes: int, data: st.DataObject) -> None:
    def layer(draw: Draw) -> Any:
        groups = draw(st.sampled_from((1, 2, 3, 6)))
        stride = ints(draw, 1, 3, axes)
        padding: Any = ints(draw, 0, 2, axes)
        padding = draw(st.sampled_from((padding, "valid", "same"))) if max(stride) == 1 else padding
        sizes = (ints(draw, 1, 4, axes), stride, padding, ints(draw, 1, 2, axes))
        return (nn.Conv1d, nn.Conv2d)[axes - 1](6, groups * draw(st.integers(1, 3)), *sizes, groups, draw(st.booleans()))

    agree(several(data, layer), 6, *(11, 9)[:axes])


@rare
@pytest.mark.parametrize("axes", [1, 2])
@given(data=st.data())
@few
def test_transposed_convolutions(axes: int, data: st.DataObject) -> None:
    def layer(draw: Draw) -> Any:
        groups, kernel, stride = draw(st.sampled_from((1, 2))), ints(draw, 1, 4, axes), ints(draw, 1, 3, axes)
        padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
        more = tuple(draw(st.integers(0, s - 1)) for s in stride)
        kind = (nn.ConvTranspose1d, nn.ConvTranspose2d)[axes - 1]
        return kind(4, groups * draw(st.integers(1, 3)), kernel, stride, padding, more, groups, draw(st.booleans()))

    agree(several(data, layer), 4, *(6, 5)[:axes])


@rare
@pytest.mark.parametrize("axes", [1, 2])
@given(data=st.data())
@few
def test_pools(axes: int, data: st.DataObject) -> None:
    def layer(draw: Draw) -> Any:
        kernel, stride = ints(draw, 1, 4, axes), ints(draw, 1, 4, axes)
        padding, ceil = tuple(draw(st.integers(0, k // 2)) for k in kernel), draw(st.booleans())
        kind = draw(st.sampled_from(("max", "average", "adaptive")))
        if kind == "max":
            return (nn.MaxPool1d, nn.MaxPool2d)[axes - 1](kernel, stride, padding, ceil_mode=ceil)
        if kind == "average":
            counted = draw(st.booleans())
            return (nn.AvgPool1d, nn.AvgPool2d)[axes - 1](kernel, stride, padding, ceil_mode=ceil, count_include_pad=counted)
        size = tuple(draw(st.integers(1, n)) for n in (12, 7)[:axes])
        name = draw(st.sampled_from(("AdaptiveAvgPool", "AdaptiveMaxPool")))
        return getattr(nn, f"{name}{axes}d")(size)

    agree(several(data, layer), 3, *(12, 7)[:axes])


@given(data=st.data())
@few
def test_activations(data: st.DataObject) -> None:
    bound = st.floats(-3, 3, width=16)
    slope = st.floats(0.015625, 1.5, width=16)

    def layer(draw: Draw) -> Any:
        low, high = sorted((draw(bound), draw(bound)))
        return draw(st.sampled_from((
            nn.ReLU(draw(st.booleans())), nn.ReLU6(), nn.LeakyReLU(draw(slope)), nn.PReLU(draw(st.sampled_from((1, 4)))), nn.ELU(),
            nn.GELU(draw(st.sampled_from(("none", "tanh")))), nn.SiLU(), nn.Hardswish(), nn.Hardsigmoid(), nn.Softplus(), nn.Tanh(),
            nn.Sigmoid(), nn.Softmax(draw(st.integers(1, 2))), nn.Hardtanh(low - 1, high), lambda x: x.clamp(low, high),
            lambda x: x.clamp(min=low), lambda x: x.clamp(max=high),
        )))  # fmt: skip

    agree(several(data, layer), 4, 7)


@given(alpha=st.floats(0.0625, 3, width=16))
@few
def test_activations_of_exponentials(alpha: float) -> None:
    agree([nn.ELU(alpha), nn.ELU(-alpha), nn.SELU(), nn.CELU(), nn.CELU(alpha), nn.Mish(), torch.exp], 4, 7)


@rare
@given(data=st.data())
@few
def test_interpolation(data: st.DataObject) -> None:
    def layer(draw: Draw) -> Any:
        mode, factor = draw(st.sampled_from(("nearest", "bilinear"))), draw(st.integers(1, 3))
        corners = {"align_corners": draw(st.booleans())} if mode == "bilinear" else {}
        if draw(st.booleans()):
            return nn.Upsample(scale_factor=factor, mode=mode, **corners)
        size = ints(draw, 1, 9, 2) if mode == "bilinear" else (4 * factor, 3 * factor)
        return nn.Upsample(size, mode=mode, **corners)

    agree(several(data, layer), 3, 4, 3)


@rare
@given(data=st.data())
@few
def test_linear_layers_and_norms(data: st.DataObject) -> None:
    def layer(draw: Draw) -> Any:
        affine, bias, units = draw(st.booleans()), draw(st.booleans()), draw(st.integers(1, 9))
        eps = draw(st.sampled_from((1e-5, 1e-3)))
        return draw(st.sampled_from((
            nn.Linear(6, units, bias), nn.LayerNorm(6, eps, affine, bias), nn.RMSNorm(6, elementwise_affine=affine),
            nn.RMSNorm(6, eps), nn.BatchNorm1d(5, eps, affine=affine), nn.Sequential(nn.Linear(6, 4), nn.LayerNorm(4)),
            nn.Sequential(nn.Flatten(), nn.Linear(30, units, bias)),
        )))  # fmt: skip

    agree(several(data, layer), 5, 6, channels_first=data.draw(st.booleans()))


@rare
@pytest.mark.parametrize("places", [(5, 4), (7,)])
@given(data=st.data())
@few
def test_norms_of_groups(places: tuple[int, ...], data: st.DataObject) -> None:
    def layer(draw: Draw) -> Any:
        affine, eps = draw(st.booleans()), draw(st.sampled_from((1e-5, 1e-2)))
        if draw(st.booleans()):
            return nn.GroupNorm(draw(st.sampled_from((1, 2, 3, 6))), 6, eps, affine)
        kind = (nn.InstanceNorm1d, nn.InstanceNorm2d)[len(places) - 1]
        return kind(6, eps, affine=affine, track_running_stats=draw(st.booleans()))

    agree(several(data, layer), 6, *places, channels_first=data.draw(st.booleans()))


@rare
@given(data=st.data())
@few
def test_attention(data: st.DataObject) -> None:
    count, size = data.draw(st.sampled_from(((1, 4), (2, 8), (4, 8))))
    bias, flip = data.draw(st.booleans()), data.draw(st.booleans())
    attention = nn.MultiheadAttention(size, count, bias=bias, batch_first=True)
    scale = data.draw(st.sampled_from((None, 0.5)))
    project = nn.Linear(size, size)

    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.project = attention, project

        def forward(self, x: Any) -> Any:
            q = self.project(x) if flip else x
            split = [t.reshape(1, 5, count, size // count).transpose(1, 2) for t in (q, x, x * 2)]
            own = fn.scaled_dot_product_attention(*split, scale=scale).transpose(1, 2).reshape(1, 5, size)
            return self.attention(q, x, x, need_weights=flip)[0] + own

    agree([Heads()], 5, size, channels_first=False)


@rare
@given(data=st.data())
@few
def test_recurrent_layers(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from((nn.GRU, nn.LSTM)))
    options = {
        "num_layers": data.draw(st.integers(1, 2)),
        "bidirectional": data.draw(st.booleans()),
        "bias": data.draw(st.booleans()),
    }
    layer = kind(4, data.draw(st.integers(1, 5)), batch_first=True, **options)

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: Any) -> Any:
            y, state = self.layer(x)
            return y[:, -1] + (state[0] if isinstance(state, tuple) else state).mean((0, 2))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agree([Last()], 6, 4, channels_first=False)


class Product(nn.Module):
    """An einsum of two parts of one input, or of a part and a constant."""

    def __init__(self, equation: str, shapes: list[list[int]], constant: int | None) -> None:
        super().__init__()
        self.equation, self.shapes, self.constant = equation, shapes, constant
        self.weights = nn.Parameter(torch.zeros(self.shapes[constant or 0]))

    def forward(self, x: Any) -> Any:
        flat = x.flatten()
        given = [flat[: math.prod(s)].reshape(s) + 0.1 * k for k, s in enumerate(self.shapes)]
        if self.constant is not None:
            given[self.constant] = self.weights
        return torch.einsum(self.equation, *given)


@rare
@given(data=st.data())
@settings(max_examples=8, phases=(Phase.explicit, Phase.generate))
def test_einsums_that_are_matrix_products(data: st.DataObject) -> None:
    layers = []
    for _ in range(AT_ONCE):
        equation, shapes = data.draw(products())
        layers.append(Product(equation, shapes, data.draw(st.sampled_from((None, None, 0, 1)))))
    agree(layers, MOST, channels_first=False)


@pytest.mark.parametrize(
    ("equation", "ranks", "fact"),
    [
        ("bii->bi", [3], "a letter twice"), ("bij->bji", [2], "for other shapes"), ("bij,bjk->bik", [3], "for 1 operands"),
        ("b1->b", [2], "write it with matrix products"), ("bi->bk", [2], "export the model again"), ("b\ue000->b", [2], "write it with matrix products"),
        ("b..->b", [2], "write it with"), ("......->b", [1], "write it with"), ("", [1], "for other shapes"),
        (".b,bc->.c", [2, 2], "write it with"), ("b->...b.", [1], "write it with"), ("...->......", [1], "write it with"),
    ],
)  # fmt: skip
def test_an_equation_that_is_none_is_refused(equation: str, ranks: list[int], fact: str) -> None:
    with pytest.raises(UnsupportedError, match=fact):
        terms(equation, ranks)


@pytest.mark.parametrize(("equation", "shape"), ELLIPSES)
def test_einsums_with_an_ellipsis(equation: str, shape: tuple[int, ...]) -> None:
    agree([lambda x: torch.einsum(equation, *[x, x + 0.5][: equation.count(",") + 1])], *shape, channels_first=False)


@rare
def test_a_group_norm_of_a_decomposed_program() -> None:
    module = nn.Sequential(nn.Conv1d(3, 4, 3), nn.GroupNorm(2, 4), nn.ReLU()).eval()
    exported = torch.export.export(module, (torch.zeros(1, 3, 8),))
    with warnings.catch_warnings():  # of PyTorch, about its own trees
        warnings.simplefilter("ignore")
        decomposed = exported.run_decompositions()
    assert "aten.native_group_norm.default" in [str(n.target) for n in decomposed.graph.nodes]
    ops = [[n.op for n in sources.load(program, "m").nodes] for program in (exported, decomposed)]
    assert ops[0] == ops[1] and "layer_norm" in ops[0]


@given(rows=st.integers(2, 9), width=st.integers(1, 6), steps=st.integers(1, 5))
@few
def test_embeddings(rows: int, width: int, steps: int) -> None:
    module = nn.Sequential(nn.Embedding(rows, width), nn.Linear(width, 3), nn.Flatten()).eval()
    tokens = torch.randint(0, rows, (4, steps), generator=torch.Generator().manual_seed(rows))
    graph = convert(module, tokens[:1], "m")
    got = reals.outputs(graph, tokens.numpy().astype(np.int32)[:, None])[0]
    wanted = module(tokens).detach().numpy()
    assert np.abs(got.reshape(wanted.shape) - wanted).max() <= CLOSE * np.abs(wanted).max()


@rare
@pytest.mark.parametrize(
    ("layer", "way_out"),
    [
        (lambda x: nn.GroupNorm(2, 4)(x.repeat(1, 1, 300)), "4800 values in a group; normalize at most 4096"),
        (nn.LocalResponseNorm(2), ";"),
        (nn.Conv1d(4, 4, 3, padding=1, padding_mode="circular"), ";"),
        (nn.Conv1d(4, 4, 3, padding=1, padding_mode="reflect"), "pad with zeros"),
        (nn.Softplus(2.0), "use the default, 1"),
        (nn.CELU(-0.5), "use one above 0"),
        (nn.GLU(1), "use a product with nn.Sigmoid"),
        (nn.LogSoftmax(1), "leave it out"),
        (nn.ConstantPad1d(1, 2.0), "pad with zeros"),
        *((lambda x, e=equation: torch.einsum(e, *[x] * (e.count(",") + 1)), fact) for equation, fact in NO_PRODUCTS.items()),
        (nn.RNN(8, 3, batch_first=True), "use nn.GRU or nn.LSTM"),
        (lambda x: x.sort(1).values, ";"),
    ],
)
def test_what_is_refused_names_a_way_out(layer: Any, way_out: str) -> None:
    inner = layer if not isinstance(layer, nn.RNN) else Call(lambda x, rnn=layer: rnn(x)[0])
    with pytest.raises(UnsupportedError) as caught:
        convert(Each([inner]), torch.randn(1, 4, 8), "m", channels_first=True)
    assert way_out in str(caught.value) and "please report" not in str(caught.value), caught.value
