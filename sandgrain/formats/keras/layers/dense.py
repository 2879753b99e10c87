"""Dense layers, embeddings and attention."""

from __future__ import annotations

import math

import numpy as np

from sandgrain.base.errors import ModelError, UnsupportedError
from sandgrain.formats.aten.builder import Value
from sandgrain.formats.aten.ops.linear import linear
from sandgrain.formats.keras.layers.activation import activated
from sandgrain.formats.keras.layers.base import Handler, Layer, aten
from sandgrain.formats.keras.weights import taken


def _dense(layer: Layer) -> Value:
    units, x = layer.config.whole("units", low=1), layer.x
    bias_shape = (units,) if layer.config.flag("use_bias", True) else None
    kernel, bias = taken(layer.weights, kernel=(x.shape[-1], units), bias=bias_shape)
    return activated(layer, linear(layer.b, x, kernel.T, bias))


def _embedding(layer: Layer) -> Value:
    if layer.config.flag("mask_zero"):
        raise UnsupportedError("mask_zero; build the layer without it")
    rows, depth = layer.config.whole("input_dim", low=1), layer.config.whole("output_dim", low=1)
    (table,) = taken(layer.weights, embeddings=(rows, depth))
    return aten(layer.b, "embedding", (*layer.x.shape, depth), weight=table, indices=layer.x)  # type: ignore[no-any-return]


def _attention(layer: Layer) -> Value:
    """softmax(q k^T / sqrt(key_dim)) v for each head, between four dense layers (Vaswani et al. 2017)."""
    config, b = layer.config, layer.b
    names = ("query", "value", "key")
    given = {**dict(zip(names, layer.args, strict=False)), **{n: layer.kwargs[n] for n in names if n in layer.kwargs}}
    query, value = given.get("query"), given.get("value")
    key = given.get("key") or value
    rest = {k: v for k, v in layer.kwargs.items() if k not in names and k != "training" and v}
    if rest or len(layer.args) > 3:
        raise UnsupportedError(f"{', '.join(sorted(rest)) or 'a mask'}; leave it out")
    if not (isinstance(query, Value) and isinstance(value, Value) and isinstance(key, Value)):
        raise UnsupportedError("query and value that are not computed from the input; feed it what layers give")
    if any(len(v.shape) != 3 for v in (query, value, key)) or config.values.get("attention_axes") not in (None, [1], 1):
        raise UnsupportedError("attention over other axes than the steps; reshape to [steps, features]")
    if config.flag("use_gate") or config.has("sliding_window"):
        raise UnsupportedError("use_gate or sliding_window; leave them out")
    heads, depth = config.whole("num_heads", low=1), config.whole("key_dim", low=1)
    wide = config.whole("value_dim", low=1) if config.has("value_dim") else depth
    width = query.shape[2]
    if config.has("output_shape"):
        (width,) = config.sizes("output_shape", 1)
    biased = config.flag("use_bias", True)

    def projected(x: Value, name: str, size: int) -> Value:
        features = x.shape[2]
        kernel, bias = taken(
            layer.weights.inner(f"{name}_dense"), kernel=(features, heads, size), bias=(heads, size) if biased else None
        )
        flat = linear(b, x, kernel.reshape(features, -1).T, None if bias is None else bias.reshape(-1))
        split = b.reshape(flat, (1, x.shape[1], heads, size))
        return Value(split.tensor, split.layout.permuted((0, 2, 1, 3)))

    parts = [projected(x, n, size) for x, n, size in ((query, "query", depth), (key, "key", depth), (value, "value", wide))]
    if key.shape[1] != value.shape[1]:
        raise ModelError("as many keys as values are needed; feed sequences of one length")
    steps = query.shape[1]
    mixed = aten(
        b,
        "scaled_dot_product_attention",
        (1, heads, steps, wide),
        query=parts[0],
        key=parts[1],
        value=parts[2],
        scale=1.0 / math.sqrt(depth),
    )
    joined = b.reshape(Value(mixed.tensor, mixed.layout.permuted((0, 2, 1, 3))), (1, steps, heads * wide))
    kernel, bias = taken(layer.weights.inner("output_dense"), kernel=(heads, wide, width), bias=(width,) if biased else None)
    return linear(b, joined, np.ascontiguousarray(kernel.reshape(-1, width).T), bias)


HANDLERS: dict[str, Handler] = {"Dense": _dense, "Embedding": _embedding, "MultiHeadAttention": _attention}
HINTS = {
    "EinsumDense": "use Dense on a reshaped input",
    "Attention": "use MultiHeadAttention",
    "AdditiveAttention": "use MultiHeadAttention",
    "GroupQueryAttention": "use MultiHeadAttention",
    "GroupedQueryAttention": "use MultiHeadAttention",
    "ReversibleEmbedding": "use Embedding, and Dense at the end",
}
