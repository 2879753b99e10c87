"""Detectors of anomalies, fitted to normal features alone: k-means, Gaussian mixtures, Mahalanobis distance, autoencoders.

Each becomes an integer graph that takes the int8 features of one window and gives one int32 score, the larger the stranger,
with a threshold that normal samples held out of the fit decide. scikit-learn fits the first three, PyTorch the last.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sandgrain.base.errors import ModelError, UsageError, printable
from sandgrain.bundle import on_host
from sandgrain.device.run.host import HostModel
from sandgrain.graph import rules
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array, Graph, Node, Tensor, View, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.detect.whitened_distance import MAX_DEPTH
from sandgrain.graph.ops.table.unary import UnaryOp
from sandgrain.graph.quantization import Quantization, per_tensor
from sandgrain.graph.text import dump, parse
from sandgrain.train import scores as measures
from sandgrain.train.detector_graphs import Converted, Mixture, Rows, convert, reconstruction

KINDS = ("kmeans", "gmm", "mahalanobis", "autoencoder")
MAX_FITTED = 50_000  # rows that a fit looks at
MEAN_ROOM = 1.0  # averaged frames: int8 reaches this share of the normal range beyond it, on both sides


@dataclass(frozen=True, slots=True)
class Options:
    """How a detector is fitted.

    `view`: what one row is: "frames" (one frame of features, the window's score is the mean of all), "window" (all its values)
    or "mean" (the frames' mean); "auto" takes frames where there are any. `context`: frames a row ("frames" only), overlapping.
    `reduce`: "mean" or "max" over the rows. `components`: centroids or Gaussians. `covariance`: "diag" or "full" of a mixture,
    "shrunk" (Ledoit and Wolf, 2004), "robust" (Rousseeuw's minimum covariance determinant) or "empirical" of Mahalanobis;
    "auto" is "diag" and "shrunk". `standardize`: k-means in units of each column's deviation. `false_alarms`: share of normal
    windows that may exceed the threshold. `held_out`: share of them that the fit does not see. `model`, `width`, `epochs`:
    of the autoencoder, one of the catalogue's.
    """

    view: Literal["auto", "frames", "window", "mean"] = "auto"
    context: int = 1
    reduce: Literal["mean", "max"] = "mean"
    components: int = 8
    covariance: Literal["auto", "diag", "full", "shrunk", "robust", "empirical"] = "auto"
    standardize: bool = False
    false_alarms: float = 0.01
    held_out: float = 0.2
    seed: int = 0
    model: str = "autoencoder"
    width: int | None = None
    epochs: int = 60

    def __post_init__(self) -> None:
        allowed = {
            "view": ("auto", "frames", "window", "mean"),
            "reduce": ("mean", "max"),
            "covariance": ("auto", "diag", "full", "shrunk", "robust", "empirical"),
        }
        for name, choices in allowed.items():
            if getattr(self, name) not in choices:
                raise UsageError(f"{name} = {printable(str(getattr(self, name)))}; choose {', '.join(choices)}")
        if not 1 <= self.components <= 64 or self.context < 1:
            raise UsageError(f"{self.components} components, context {self.context}; 1 to 64 components, 1 or more frames work")
        if not 0 < self.held_out < 1 or not 0 <= self.false_alarms < 1:
            raise UsageError(f"held_out = {self.held_out:g}, false_alarms = {self.false_alarms:g}; both are shares below 1")


@dataclass(frozen=True, eq=False)
class Detector:
    """`graph`: int8 [1, *features] in, int32 [1] out. An alarm is a score above `threshold`.

    `unit`, `offset`: a score stands for unit * score + offset in the fitted model's own measure (mean squared distance a row,
    negative log-likelihood, mean squared error). `facts`: how it was made, plain values. `real(x)`: the same scores in floating
    point, of int8 features [n, ...]; None for a detector that was loaded.
    """

    graph: Graph
    threshold: int
    unit: float
    offset: float
    facts: Mapping[str, Any]
    real: Callable[[Array], Array] | None = None

    @cached_property
    def _host(self) -> HostModel:
        return on_host.compiled(self.graph)

    def scores(self, x: Array) -> Array:
        """int32 [n] of int8 features [n, *shape]: the emitted C, run on this computer."""
        return self._host.run([x])[0].reshape(-1)

    def alarms(self, x: Array) -> Array:
        """bool [n]."""
        above: Array = self.scores(x) > self.threshold
        return above

    def to_json(self) -> dict[str, Any]:
        """A plain object that `from_json` takes back."""
        return {
            "graph": dump(self.graph, data=True),
            "threshold": self.threshold,
            "unit": self.unit,
            "offset": self.offset,
            "facts": dict(self.facts),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Detector:
        """Raises ModelError for a graph that is no detector; KeyError, TypeError or ValueError for anything else."""
        graph = parse(str(raw["graph"]))
        rules.check(graph)
        if len(graph.outputs) != 1 or graph.tensors[graph.outputs[0]].dtype != "int32":
            raise ModelError("not a detector: its output is no int32 score")
        return cls(graph, int(raw["threshold"]), float(raw["unit"]), float(raw["offset"]), dict(raw["facts"]))


def fit(
    kind: str,
    features: Array,
    quant: Quantization,
    *,
    held_out: Array | None = None,
    checkpoint: Path | None = None,
    **options: Any,
) -> Detector:
    """A detector of `kind` (one of KINDS) for features as the front end gives them.

    `features`: int8 [n, *shape] of normal windows, quantized by `quant`. `held_out`: more of them, from other recordings, for
    the threshold; by default a random share of `features` is kept back. `checkpoint`: where an autoencoder's training keeps its
    state and goes on from. `options`: fields of Options.
    Raises UsageError for features or options that cannot be used, ModelError for a model too large for the ops.
    """
    known = _options(options)
    if kind not in KINDS:
        raise UsageError(f"a detector called {printable(kind)}; choose {', '.join(KINDS)}")
    if features.dtype != ACTIVATION.numpy or features.ndim < 2 or len(features) < 2 or not quant.per_tensor:
        raise UsageError(f"features {features.dtype} {list(features.shape)}; a detector needs int8 [n, ...], n > 1, one scale")
    if held_out is None:
        order = np.random.default_rng(known.seed).permutation(len(features))
        count = min(max(1, round(known.held_out * len(features))), len(features) - 1)
        features, held_out = features[np.sort(order[count:])], features[np.sort(order[:count])]
    if kind == "autoencoder":
        made, real, facts = _autoencoder(features, held_out, quant, known, checkpoint)
    else:
        made, real, facts = _mixture(kind, features, held_out, quant, known)
    return _with_threshold(made, real, held_out, known, {"kind": kind, **facts, "fitted": len(features)})


def detect_by_reconstruction(
    model: Graph, held_out: Array, false_alarms: float = 0.01, floats: Callable[[Array], Array] | None = None
) -> Detector:
    """A detector from any int8 autoencoder graph; its threshold from normal int8 windows that it was not trained on.

    `floats`: the float model's scores of int8 features, if they are wanted as `real`.
    """
    options = Options(false_alarms=false_alarms)
    return _with_threshold(reconstruction(model), floats, held_out, options, {"kind": "autoencoder"})


def _with_threshold(
    made: Converted, real: Callable[[Array], Array] | None, held_out: Array, options: Options, facts: Mapping[str, Any]
) -> Detector:
    draft = Detector(made.graph, 0, made.unit, made.offset, {}, real)
    scores = draft.scores(held_out)
    limit = measures.threshold(scores, options.false_alarms)
    told = {
        **facts,
        "held_out": len(held_out),
        "false_alarms_asked": options.false_alarms,
        "false_alarms": float((scores > limit).mean()),
    }
    return replace(draft, threshold=limit, facts=told)


def _options(given: Mapping[str, Any]) -> Options:
    names = [f.name for f in fields(Options)]
    for name in given:
        if name not in names:
            raise UsageError(f"a detector has no option {printable(name)}; it has {', '.join(sorted(names))}")
    return Options(**given)


# --- rows of features --------------------------------------------------------------------------------------------------


def layout(features: Array, quant: Quantization, options: Options) -> Rows:
    """What a row is, for features [n, *shape]. Raises UsageError where the view does not fit."""
    shape = features.shape[1:]
    view = options.view if options.view != "auto" else "window" if len(shape) == 1 else "frames"
    frame = int(np.prod(shape[1:]))
    if view != "window" and len(shape) < 2:
        raise UsageError(f"view = {view} of features without frames; choose window")
    if view == "frames":
        if options.context > shape[0]:
            raise UsageError(f"context {options.context} in windows of {shape[0]} frames; choose fewer")
        return Rows(shape, options.context * frame, frame, quant)
    if view == "window":
        return Rows(shape, shape[0] * frame, shape[0] * frame, quant)
    real = _real(features, quant).mean(axis=1)
    low, high = float(real.min()), float(real.max())
    room = MEAN_ROOM * (high - low)
    ends = ((ACTIVATION.low - quant.zero_point[0]) * quant.scale[0], (ACTIVATION.high - quant.zero_point[0]) * quant.scale[0])
    low, high = max(low - room, ends[0]), min(high + room, ends[1])
    scale = max((high - low) / ACTIVATION.span, quant.scale[0] / 64)
    return Rows(
        shape,
        frame,
        frame,
        per_tensor(scale, int(np.clip(round(ACTIVATION.low - low / scale), ACTIVATION.low, ACTIVATION.high))),
        mean=True,
    )


def rows_of(features: Array, quant: Quantization, rows: Rows) -> Array:
    """int8 [n, rows, depth]: what the distances read, as the board computes it."""
    flat = features.reshape(len(features), -1)
    if rows.mean:
        x = Tensor("x", features.shape, ACTIVATION, quant)
        y = Tensor("y", (len(features), *rows.shape[1:]), ACTIVATION, rows.quant)
        node = Node("mean", "mean", (0,), (1,), attrs(axes=(1,), keep_dims=False))
        flat = OPS["mean"].reference(View(node, (x,), (y,)), [features])[0].reshape(len(features), -1)
    return np.lib.stride_tricks.sliding_window_view(flat, rows.depth, axis=1)[:, :: rows.step]


def _real(q: Array, quant: Quantization) -> Array:
    return (q.astype(np.float64) - quant.zero_point[0]) * quant.scale[0]


# --- k-means, mixtures, Mahalanobis ------------------------------------------------------------------------------------

Fitted = tuple[Converted, Callable[[Array], Array], dict[str, Any]]


def _mixture(kind: str, normal: Array, held_out: Array, quant: Quantization, options: Options) -> Fitted:
    rows = layout(normal, quant, options)
    full = kind == "mahalanobis" or (kind == "gmm" and options.covariance == "full")
    if full and rows.depth > MAX_DEPTH:
        raise UsageError(f"rows of {rows.depth} values; full covariances take up to {MAX_DEPTH}: average or pick fewer")

    def windows(x: Array) -> Array:
        return _real(rows_of(x, quant, rows), rows.quant)

    x = windows(normal).reshape(-1, rows.depth)
    if len(x) > MAX_FITTED:
        x = x[np.sort(np.random.default_rng(options.seed).choice(len(x), MAX_FITTED, replace=False))]
    if len(x) < options.components or (full and len(x) <= 2):
        raise UsageError(f"{len(x)} rows of normal features for {options.components} components; record more, or use fewer")
    model, converged = {"kmeans": _kmeans, "gmm": _gmm, "mahalanobis": _mahalanobis}[kind](x, rows.quant.scale[0], options)
    if options.reduce == "max":
        model = replace(model, reduce="max")
    seen = np.concatenate([x, windows(held_out).reshape(-1, rows.depth)])
    largest = float((model.row_scores(seen) - (0.0 if model.bias is None else model.bias.min())).max())
    made = convert(model, rows, quant, largest, f"{kind}_detector")
    facts = {
        **asdict(options),
        "rows": rows.count,
        "depth": rows.depth,
        "components": len(model.means),
        "converged": converged,
        "unit": made.unit,
        "offset": made.offset,
    }
    return made, lambda features: model.scores(windows(features)), facts


def _grid(step: float) -> float:
    """Variance that rounding to int8 itself has: no column can be known better."""
    return step * step / 12


def _kmeans(x: Array, step: float, options: Options) -> tuple[Mixture, bool]:
    cluster = _sklearn("cluster")
    deviation = np.sqrt(x.var(axis=0) + _grid(step)) if options.standardize else np.ones(x.shape[1])
    found = cluster.KMeans(options.components, n_init=4, random_state=options.seed)
    converged = _quietly(found, x / deviation)
    means = found.cluster_centers_ * deviation
    scales = np.broadcast_to(1 / deviation, means.shape) if options.standardize else None
    return Mixture(means, scales=scales), converged


def _gmm(x: Array, step: float, options: Options) -> tuple[Mixture, bool]:
    mixture = _sklearn("mixture")
    kind = "diag" if options.covariance == "auto" else options.covariance
    if kind not in ("diag", "full"):
        raise UsageError(f"covariance = {kind} of a mixture; choose diag or full")
    found = mixture.GaussianMixture(
        options.components, covariance_type=kind, reg_covar=max(_grid(step), 1e-6), random_state=options.seed, max_iter=200
    )
    converged = _quietly(found, x)
    chol = found.precisions_cholesky_
    diagonal = chol if kind == "diag" else np.diagonal(chol, axis1=1, axis2=2)
    bias = -np.log(found.weights_) + 0.5 * x.shape[1] * np.log(2 * np.pi) - np.log(diagonal).sum(axis=1)
    if kind == "diag":
        return Mixture(found.means_, scales=chol, bias=bias), converged
    return Mixture(found.means_, factors=chol.transpose(0, 2, 1), bias=bias), converged


def _mahalanobis(x: Array, step: float, options: Options) -> tuple[Mixture, bool]:
    covariance = _sklearn("covariance")
    kind = "shrunk" if options.covariance == "auto" else options.covariance
    if kind == "robust":
        found = covariance.MinCovDet(random_state=options.seed)
    elif kind in ("shrunk", "empirical"):
        found = covariance.LedoitWolf() if kind == "shrunk" else covariance.EmpiricalCovariance()
    else:
        raise UsageError(f"covariance = {kind} of a Mahalanobis distance; choose shrunk, robust or empirical")
    converged = _quietly(found, x)
    lower = np.linalg.cholesky(found.covariance_ + _grid(step) * np.eye(x.shape[1]))
    return Mixture(found.location_[None], factors=np.tril(np.linalg.inv(lower))[None]), converged


def _sklearn(part: str) -> Any:
    try:
        import importlib

        return importlib.import_module(f"sklearn.{part}")
    except ImportError as error:
        raise UsageError("detectors need scikit-learn: pip install 'sandgrain[train]'") from error


def _quietly(model: Any, x: Array) -> bool:
    """Fit `model`; whether it was content."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model.fit(x)
    return not said


# --- autoencoders ------------------------------------------------------------------------------------------------------


def _autoencoder(normal: Array, held_out: Array, quant: Quantization, options: Options, checkpoint: Path | None) -> Fitted:
    """Trained on rows ("frames": one net for all frames of a window, run on each), quantized after training."""
    try:
        from sandgrain.train.reconstruct import trained
    except ImportError as error:
        raise UsageError("an autoencoder needs PyTorch: pip install 'sandgrain[train]'") from error
    rows = layout(normal, quant, options)
    if rows.mean or (rows.depth != rows.step):
        raise UsageError("an autoencoder takes single frames or whole windows; choose view = frames with context 1, or window")
    shape = rows.shape if rows.count == 1 else (rows.depth,)

    def split(x: Array) -> Array:
        return _real(rows_of(x, quant, rows), quant).astype(np.float32).reshape(-1, *shape)

    o = options
    graph, floats = trained(split(normal), split(held_out), quant, o.model, o.width, o.epochs, o.seed, checkpoint)
    made = reconstruction(over_rows(graph, rows))

    def real(features: Array) -> Array:
        x = split(features)
        return ((floats(x).reshape(x.shape) - x) ** 2).astype(np.float64).reshape(len(features), -1).mean(axis=1)

    facts = {**asdict(options), "rows": rows.count, "depth": rows.depth, "unit": made.unit, "offset": made.offset}
    return made, real, facts


def _by_rows(node: Node) -> bool:
    """Whether several rows at once are the same to the layer as one after the other: dense, or value by value."""
    return OPS[node.op].is_view or isinstance(OPS[node.op], UnaryOp) or node.op == "fully_connected"


def over_rows(graph: Graph, rows: Rows) -> Graph:
    """A graph for one row [1, depth] as a graph for windows of `rows.count` of them: layer by layer, all rows at once.

    Raises UsageError for a graph with other than dense layers and what works value by value.
    """
    source = graph.tensors[graph.inputs[0]]
    if rows.count == 1:
        return graph
    count, bad = rows.count, [n.op for n in graph.nodes if not _by_rows(n)]
    if bad:
        raise UsageError(f"an autoencoder with {', '.join(sorted(set(bad)))} cannot run on single frames; choose view = window")
    tensors = [t if t.data is not None else replace(t, shape=(count * t.shape[0], *t.shape[1:])) for t in graph.tensors]
    nodes = [
        replace(n, attrs=attrs(**{**n.attrs, "shape": tensors[n.outputs[0]].shape})) if OPS[n.op].is_view else n
        for n in graph.nodes
    ]
    outside = Tensor("features", (1, *rows.shape), ACTIVATION, source.quant)
    first = graph.inputs[0]
    join = Node("reshape", "rows", (len(tensors),), (first,), attrs(shape=tensors[first].shape))
    made = replace(graph, tensors=(*tensors, outside), nodes=(join, *nodes), inputs=(len(tensors),))
    rules.check(made)
    return made
