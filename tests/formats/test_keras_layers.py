"""Keras's layers as float graphs, over their attributes: the same numbers as in Keras, with nothing left to move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from sandgrain.base.errors import UnsupportedError, UsageError
from sandgrain.formats import sources
from sandgrain.graph import reals
from sandgrain.graph.ir import Array, Graph
from tests.support.keras_models import computed, keras, kl, settled

CLOSE = 1e-4  # of the largest output
FEW = settings(max_examples=10, deadline=None, phases=(Phase.explicit, Phase.generate))  # shrinking takes minutes


def agree(model: Any, *samples: Array) -> Graph:
    """Convert, compare every output on two samples, and return the graph."""
    settled(model)
    if not samples:
        rng = np.random.default_rng(3)
        samples = tuple(rng.standard_normal((2, *i.shape[1:])).astype(np.float32) for i in model.inputs)
    graph = sources.load(model, "m")
    stacks = [x[:, None] for x in samples]
    for ours, theirs in zip(
        reals.outputs(graph, stacks if len(stacks) > 1 else stacks[0]), computed(model, *samples), strict=True
    ):
        assert ours.size == theirs.size, (ours.shape, theirs.shape)
        assert np.abs(ours.reshape(theirs.shape) - theirs).max() <= CLOSE * max(1e-3, np.abs(theirs).max())
    return graph


def each(layers: Sequence[Callable[[Any], Any]], *shape: int) -> Graph:
    """Many layers on one input: one model for all. A product behind each, so that not the layer's input comes out."""
    keras.utils.set_random_seed(1)
    x = keras.Input(shape)
    return agree(keras.Model(x, [layer(x) * 1.5 for layer in layers]))


def ops(graph: Graph) -> list[str]:
    return [n.op for n in graph.nodes]


def sizes(axes: int, most: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[st.integers(1, most)] * axes)


# --- layers, over their attributes -----------------------------------------------------------------------------------


@FEW
@given(st.integers(1, 2), st.data())
def test_convolutions_of_any_attributes(axes: int, data: st.DataObject) -> None:
    def draw() -> Any:
        kind = data.draw(st.sampled_from(("Conv", "Conv", "DepthwiseConv", "SeparableConv")))
        strides = data.draw(st.sampled_from(((1,) * axes, (2,) * axes, (3,) * axes)))
        options: dict[str, Any] = {
            "padding": data.draw(st.sampled_from(("same", "valid", *(("causal",) if axes == 1 and kind == "Conv" else ())))),
            "use_bias": data.draw(st.booleans()),
            "strides": strides,
            "dilation_rate": data.draw(st.integers(1, 2)) if max(strides) == 1 else 1,
            "activation": data.draw(st.sampled_from((None, "relu", "hard_silu"))),
        }
        kernel = data.draw(sizes(axes, 4))
        if kind == "DepthwiseConv":
            return kl.__dict__[f"{kind}{axes}D"](kernel, depth_multiplier=data.draw(st.integers(1, 2)), **options)
        if kind == "SeparableConv":
            return kl.__dict__[f"{kind}{axes}D"](5, kernel, depth_multiplier=data.draw(st.integers(1, 2)), **options)
        groups = data.draw(st.sampled_from((1, 1, 2, 6)))
        return kl.__dict__[f"{kind}{axes}D"](6, kernel, groups=groups, **options)

    graph = each([draw() for _ in range(5)], *((13,) if axes == 1 else (9, 8)), 6)
    assert "transpose" not in ops(graph)


@FEW
@given(st.integers(1, 2), st.data())
def test_pools_and_paddings_of_any_attributes(axes: int, data: st.DataObject) -> None:
    size = (13,) if axes == 1 else (9, 8)

    def pool(kind: str, padding: str) -> Any:
        return kl.__dict__[f"{kind}Pooling{axes}D"](
            data.draw(sizes(axes, 4)), data.draw(st.sampled_from((None, 1, 2, 3))), padding
        )

    def sides(most: int) -> Any:
        pairs = data.draw(st.lists(sizes(2, most), min_size=axes, max_size=axes))
        return pairs[0] if axes == 1 else tuple(pairs)

    layers = [pool("Max", "same"), pool("Max", "valid"), pool("Average", "valid")]
    layers += [kl.__dict__[f"ZeroPadding{axes}D"](sides(3)), kl.__dict__[f"Cropping{axes}D"](sides(3))]
    keep = data.draw(st.booleans())
    layers += [kl.__dict__[f"Global{kind}Pooling{axes}D"](keepdims=keep) for kind in ("Max", "Average")]
    factor = data.draw(st.integers(1, 3))
    layers += (
        [kl.UpSampling1D(factor)]
        if axes == 1
        else [kl.UpSampling2D(data.draw(sizes(2, 3))), kl.UpSampling2D(factor, interpolation="bilinear")]
    )
    assert "transpose" not in ops(each(layers, *size, 5))


def test_an_average_leaves_the_padding_out() -> None:
    """As in TensorFlow; Keras on PyTorch repeats the border where the padding is uneven."""
    graph = agree(keras.Sequential([kl.Input((6, 6, 2)), kl.AveragePooling2D(3, 1, "same")]))
    assert graph.nodes[0].attrs["padding"] == (1, 1, 1, 1)
    uneven = sources.load(keras.Sequential([kl.Input((5, 1)), kl.AveragePooling1D(2, 1, "same")]), "m")
    x = np.array([1, 2, 3, 4, 6], np.float32).reshape(1, 1, 5, 1)
    assert reals.outputs(uneven, x)[0].reshape(-1).tolist() == [1.5, 2.5, 3.5, 5, 6]


def test_a_padding_around_one_pixel_moves_nothing() -> None:
    x = keras.Input((1, 1, 4))
    y = kl.DepthwiseConv2D(3, padding="same")(x)
    graph = agree(keras.Model(x, kl.Conv2D(3, 3, padding="same")(kl.ZeroPadding2D(((0, 1), (0, 1)))(y))))
    assert "transpose" not in ops(graph)


@FEW
@given(st.integers(1, 2), st.data())
def test_transposed_convolutions(axes: int, data: st.DataObject) -> None:
    def draw() -> Any:
        kernel, stride, padding = data.draw(
            st.sampled_from(((2, 2, "same"), (3, 2, "same"), (4, 2, "same"), (3, 1, "valid"), (3, 3, "valid")))
        )
        return kl.__dict__[f"Conv{axes}DTranspose"](
            3, kernel, stride, padding, use_bias=data.draw(st.booleans()), activation="relu"
        )

    assert "transpose" not in ops(each([draw() for _ in range(3)], *((7,) if axes == 1 else (4, 5)), 6))


@FEW
@given(st.sampled_from(("GRU", "LSTM")), st.integers(1, 5), st.data())
def test_recurrent_layers_of_any_attributes(kind: str, units: int, data: st.DataObject) -> None:
    def draw() -> Any:
        both, sequences = data.draw(st.booleans()), data.draw(st.booleans())
        options = {"return_sequences": sequences, "use_bias": data.draw(st.booleans())}
        if kind == "GRU":
            options["reset_after"] = data.draw(st.booleans())
        layer = kl.__dict__[kind](units, go_backwards=not both and data.draw(st.booleans()), **options)
        return kl.Bidirectional(layer, merge_mode=data.draw(st.sampled_from(("concat", "sum", "ave", "mul")))) if both else layer

    assert "transpose" not in ops(each([draw() for _ in range(3)], 6, 3))


@FEW
@given(st.integers(1, 3), st.integers(1, 4), st.booleans(), st.data())
def test_attention_of_any_attributes(heads: int, depth: int, bias: bool, data: st.DataObject) -> None:
    query, other = keras.Input((5, 6)), keras.Input((data.draw(st.integers(1, 7)), 4))
    wide = data.draw(st.sampled_from((None, 3)))
    layer = kl.MultiHeadAttention(heads, depth, wide, use_bias=bias, output_shape=data.draw(st.sampled_from((None, 7))))
    agree(keras.Model([query, other], layer(query, other)))


def test_activations_by_name_and_as_layers() -> None:
    names = ("relu", "relu6", "leaky_relu", "elu", "gelu", "silu", "swish", "hard_silu", "hard_swish", "hard_sigmoid", "sigmoid",
             "tanh", "softmax", "softplus", "linear", "selu", "celu", "mish", "exponential")  # fmt: skip
    layers = [kl.Activation(n) for n in names] + [kl.Dense(3, activation=n) for n in names]
    layers += [
        kl.ReLU(),
        kl.ReLU(6),
        kl.ReLU(1.5),
        kl.ReLU(negative_slope=0.3),
        kl.LeakyReLU(),
        kl.LeakyReLU(0.1),
        kl.ELU(),
        kl.ELU(0.4),
    ]
    layers += [kl.Softmax(), kl.Softmax(1), kl.PReLU(), kl.PReLU(shared_axes=[1, 2]), kl.Dense(3, activation=kl.LeakyReLU(0.2))]
    layers += [
        keras.activations.relu,
        keras.activations.gelu,
        keras.ops.sigmoid,
        keras.ops.tanh,
        keras.ops.silu,
        keras.ops.softplus,
        keras.ops.selu,
        keras.ops.celu,
        lambda x: keras.ops.celu(x, 0.6),
        lambda x: keras.ops.elu(x, 2.5),
        keras.ops.exp,
    ]
    layers += [
        keras.ops.gelu,
        lambda x: keras.ops.gelu(x, approximate=False),
        lambda x: keras.ops.leaky_relu(x, 0.3),
        keras.ops.softmax,
    ]
    each(layers, 3, 4, 5)
    each([kl.PReLU(), kl.Softmax(), kl.Dense(4, activation="relu")], 6)


def test_normalizations() -> None:
    layers = [kl.BatchNormalization(), kl.BatchNormalization(1), kl.BatchNormalization(center=False, scale=False, epsilon=0.1)]
    layers += [kl.LayerNormalization(), kl.LayerNormalization(center=False), kl.LayerNormalization(scale=False, epsilon=0.1)]
    layers += [
        kl.Normalization(),
        kl.Normalization((1, 3)),
        kl.Normalization(None, mean=0.5, variance=4.0),
        kl.Rescaling(0.1, -3.0),
    ]
    layers += [kl.Normalization(-1, [1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 0.25, 4.0, 9.0, 1.0], invert=True)]
    each(layers, 3, 4, 5)
    each([kl.BatchNormalization(), kl.Normalization(), kl.Rescaling(2.0)], 6)
    for shape in ((5, 4, 6), (7, 6)):
        groups = [kl.GroupNormalization(n, center=n > 1, scale=n != 3) for n in (-1, 1, 2, 3, 6)]
        each([kl.RMSNormalization(), kl.RMSNormalization(epsilon=0.1), *groups], *shape)


def test_elements_move() -> None:
    layers = [
        kl.Reshape((4, 15)),
        kl.Reshape((-1, 5)),
        kl.Reshape((60,)),
        kl.Flatten(),
        kl.Permute((2, 1, 3)),
        kl.Permute((3, 1, 2)),
    ]
    layers += [kl.Dropout(0.5), kl.SpatialDropout2D(0.1), kl.Identity(), kl.GaussianNoise(0.1), kl.TimeDistributed(kl.Dense(3))]
    layers += [lambda x: kl.Flatten()(kl.Permute((3, 1, 2))(x)), lambda x: kl.Dense(4)(kl.Flatten()(kl.Permute((2, 1, 3))(x)))]
    each(layers, 3, 4, 5)
    each([kl.RepeatVector(3), lambda x: kl.Reshape((2, 3))(x), kl.Flatten()], 6)


def test_merges_and_arithmetic() -> None:
    k = keras.ops
    x, y = keras.Input((4, 5, 6)), keras.Input((4, 5, 6))
    found = [kind()([x, y]) for kind in (kl.Add, kl.Subtract, kl.Multiply, kl.Average, kl.Maximum, kl.Minimum, kl.Concatenate)]
    found += [kl.Add()([x, y, x]), kl.Concatenate(1)([x, y]), x + y, x - 2.0, 3.0 - x, x * y, x / 4.0, -x, x * x, 2.0 * x + y]
    found += [
        x * kl.GlobalAveragePooling2D(keepdims=True)(y),
        k.mean(x, axis=1),
        k.mean(x, axis=(1, 2), keepdims=True),
        k.max(x, axis=2),
    ]
    found += [k.sum(x, axis=-1), k.reshape(x, (-1, 20, 6)), k.transpose(x, (0, 2, 1, 3)) * 2.0, k.expand_dims(x, 1) * 2.0]
    found += [x[:, 1:3, ::2], x[:, -1], x[..., 0], k.matmul(x, k.transpose(y, (0, 1, 3, 2))), k.concatenate([x, y], axis=2)]
    found += [k.squeeze(x[:, :1], 1), k.square(x), k.maximum(x, 0.5), k.add(x, np.arange(6, dtype=np.float32))]
    agree(keras.Model([x, y], [kl.Rescaling(2.0)(f) for f in found]))


def test_embeddings_take_positions() -> None:
    words = np.random.default_rng(1).integers(0, 9, (2, 7)).astype(np.int32)
    for model in (
        keras.Sequential([kl.Input((7,), dtype="int32"), kl.Embedding(9, 4), kl.Conv1D(3, 2)]),
        keras.Sequential([kl.Input((7,)), kl.Embedding(9, 4), kl.GRU(3)]),
    ):
        graph = agree(model, words)
        assert graph.tensors[graph.inputs[0]].dtype == "int32"


# --- models ------------------------------------------------------------------------------------------------------------


def test_models_in_models_and_layers_that_are_shared() -> None:
    inner = keras.Sequential([kl.Input((8,)), kl.Dense(6, activation="relu"), kl.Dense(8)], name="inner")
    x, y = keras.Input((8,)), keras.Input((8,))
    both = keras.Model([x, y], [inner(x) + y, kl.Dense(2)(inner(y))], name="both")
    a, b = keras.Input((8,)), keras.Input((8,))
    first, second = both([a, b])
    wide = kl.Dense(8)(second)
    graph = agree(keras.Model([a, b], [kl.Concatenate()([first, inner(wide)]), second]))
    assert ops(graph).count("fully_connected") == 8


def test_what_two_layers_read_is_not_changed_for_one() -> None:
    x = keras.Input((6, 6, 3))
    y = kl.Conv2D(4, 3)(x)
    z = kl.Dropout(0.1)(y)
    agree(keras.Model(x, [kl.BatchNormalization()(z) + kl.ReLU()(z), y, kl.ReLU()(kl.Flatten()(y)), kl.ZeroPadding2D(1)(z)]))


def test_layers_fold_into_the_ones_before() -> None:
    layers = [
        kl.Conv2D(4, 3, 2, "same", use_bias=False),
        kl.BatchNormalization(),
        kl.ReLU(6),
        kl.DepthwiseConv2D(3, padding="same"),
    ]
    layers += [kl.BatchNormalization(), kl.Activation("relu"), kl.GlobalAveragePooling2D(), kl.Dense(5), kl.BatchNormalization()]
    graph = agree(keras.Sequential([kl.Input((9, 8, 3)), *layers]))
    assert ops(graph) == ["conv_2d", "depthwise_conv_2d", "mean", "fully_connected"]
    assert [n.attrs.get("activation") for n in graph.nodes] == ["relu6", "relu", None, "none"]


def test_zero_padding_goes_into_a_grouped_convolution_once() -> None:
    graph = agree(keras.Sequential([kl.Input((7, 7, 4)), kl.ZeroPadding2D(1), kl.Conv2D(6, 2, 2, groups=2)]))
    assert [n.attrs["padding"] for n in graph.nodes if n.op == "conv_2d"] == [(1, 1, 1, 1)] * 2


def test_open_sizes_come_from_the_example() -> None:
    model = settled(keras.Sequential([kl.Input((None, 4)), kl.Conv1D(3, 3), kl.GlobalMaxPooling1D()]))
    with pytest.raises(UsageError, match=r"give example_input=numpy.zeros"):
        sources.load(model, "m")
    with pytest.raises(UsageError, match="give an example of the model's shape"):
        sources.load(model, "m", np.zeros((1, 9, 5)))
    assert sources.load(model, "m", np.zeros((1, 9, 4))).tensors[0].shape == (1, 9, 4)


# --- what is refused -----------------------------------------------------------------------------------------------------


class Own(keras.layers.Layer):  # type: ignore[misc]
    """A layer of a user's own."""

    def call(self, x: Any) -> Any:
        return x + 1


class Subclass(keras.Model):  # type: ignore[misc]
    """A model with a class of its own."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)
        self.dense = kl.Dense(2)

    def call(self, x: Any) -> Any:
        return self.dense(x)


def refusal(*layers: Any, shape: tuple[int, ...] = (6, 6, 4)) -> str:
    with pytest.raises(UnsupportedError) as caught:
        sources.load(keras.Sequential([kl.Input(shape), *layers]), "m")
    return str(caught.value)


def test_every_layer_that_is_not_supported_is_told_at_once() -> None:
    x = keras.Input((6, 6, 4))
    y = kl.UnitNormalization(name="norm")(kl.Conv2D(4, 1, activation="softsign", name="first")(x))
    model = keras.Model(x, kl.Dense(2)(kl.Lambda(lambda v: v * 2, name="code")(Own(name="mine")(y))))
    with pytest.raises(UnsupportedError) as caught:
        sources.load(model, "m")
    text = str(caught.value)
    assert text.startswith(
        "4 layers cannot be converted: first (Conv2D): the activation softsign is not supported; use tanh; norm (UnitNormalization): "
    )
    assert "mine (Own): a class of its own, which is not run; build it from Keras's layers" in text
    assert "code (Lambda): it holds code, which is not run; use a layer instead" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("layers", "shape", "words"),
    [
        ([("GRU", 3, {"activation": "relu"})], (5, 4), "use those"),
        ([("LSTM", 3, {"activation": "relu"})], (5, 4), "use those"),
        ([("SimpleRNN", 3, {})], (5, 4), "use GRU or LSTM"),
        ([("Conv2D", 3, {"kernel_size": 1, "data_format": "channels_first"})], (4, 6, 6), "channels_last"),
        ([("Masking", 0.0, {})], (5, 4), "feed sequences of one length"),
        ([("Embedding", 9, {"output_dim": 2, "mask_zero": True})], (5,), "mask_zero"),
        ([("Softmax", (1, 2), {})], (5, 4), "several axes"),
        ([("Dense", 3, {}), ("UnitNormalization", -1, {}), ("Dense", 3, {"activation": "softsign"})], (5,), "2 layers"),
    ],
)
def test_a_refusal_names_the_way_out(layers: list[Any], shape: tuple[int, ...], words: str) -> None:
    assert words in refusal(*(kl.__dict__[kind](first, **options) for kind, first, options in layers), shape=shape)


def test_models_with_a_class_of_their_own_are_refused() -> None:
    model = Subclass()
    model(np.zeros((1, 3), np.float32))
    for given_model in (model, kl.Dense(3)):
        with pytest.raises(UnsupportedError, match=r"a class of its own .*; build it with keras\.Sequential"):
            sources.load(given_model, "m")
    x = keras.Input((3,))
    with pytest.raises(UnsupportedError, match=r"subclass \(Subclass\): "):
        sources.load(keras.Model(x, kl.Dense(2)(Subclass(name="subclass")(x))), "m")


def test_layers_are_named_with_the_models_that_hold_them() -> None:
    inner = keras.Sequential([kl.Input((4,)), kl.Dense(3, activation="softsign", name="odd")], name="inside")
    assert "inside/odd (Dense): the activation softsign" in refusal(kl.Dense(4), inner, shape=(3,))
