"""From a signal and a list of blocks to a graph: raw, to learn the features' mean and deviation; then with int8 output."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sandgrain.base.errors import UsageError
from sandgrain.frontend.blocks import Block
from sandgrain.frontend.blocks.normalize import Normalize
from sandgrain.frontend.blocks.settle import Settle
from sandgrain.frontend.build import Builder, fixed
from sandgrain.frontend.signal import Signal
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array, Graph, Node
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.signal.base import SignalOp
from sandgrain.graph.ops.signal.image import WHITE
from sandgrain.graph.ops.signal.standardize import attributes
from sandgrain.graph.quantization import Quantization, per_tensor

ORDER = ("samples", "image", "frames", "window")  # of the stages in a list of blocks


LARGEST = 1e30  # of a feature, a deviation, and 1 over a deviation: floats of what comes after have room for their products


@dataclass(frozen=True, slots=True)
class Normalization:
    """(value - mean) / std of real feature values, and how far int8 reaches: from -`clip` to +`clip` deviations.

    `mean`, `std`: one value, or one for each index of the last axis. `fixed`: they are no statistics but a factor and an offset that a
    project chose, `limits` the range into which what comes out is clipped; () where the int8 of the model's input is the only limit.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    clip: float = 4.0
    fixed: bool = False
    limits: tuple[float, ...] = ()

    @property
    def quant(self) -> Quantization:
        """Of the model's input; of a fixed normalization, where the model does not bring one. Raises UsageError where nothing says it."""
        if self.fixed:
            if not self.limits:
                raise UsageError("normalize: a fixed `scale` without a model says no range; give `low` and `high`")
            scale = (self.limits[1] - self.limits[0]) / ACTIVATION.span
            zero = round(ACTIVATION.low - self.limits[0] / scale)
            if not ACTIVATION.low <= zero <= ACTIVATION.high:
                raise UsageError(
                    f"normalize: the range {self.limits[0]:g} to {self.limits[1]:g} leaves 0 out; take another offset"
                )
            return per_tensor(scale, zero)
        return per_tensor(2 * self.clip / ACTIVATION.span, 0)

    def to_json(self) -> dict[str, Any]:
        more = {"fixed": True, "limits": list(self.limits)} if self.fixed else {}
        return {"mean": list(self.mean), "std": list(self.std), "clip": self.clip, **more}

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Normalization:
        """The inverse of `to_json`. Raises KeyError, TypeError or ValueError for anything else."""
        try:
            mean, std = (tuple(float(v) for v in facts[name]) for name in ("mean", "std"))
            limits = tuple(float(v) for v in facts.get("limits", ()))
            made = cls(mean, std, float(facts["clip"]), facts.get("fixed", False) is True, limits)
        except OverflowError:  # a whole number that no float holds
            raise ValueError("a normalization beyond floats") from None
        scales_fit = all(1 / LARGEST < v < LARGEST for v in (*made.std, made.clip))
        if len(made.mean) != len(made.std) or not made.mean or not scales_fit or not all(abs(v) < LARGEST for v in made.mean):
            raise ValueError("a normalization whose lists do not fit")
        if limits and not (len(limits) == 2 and -LARGEST < limits[0] < limits[1] < LARGEST):
            raise ValueError("a normalization with limits that are none")
        return made


@dataclass(frozen=True)
class Pipeline:
    """A signal and what is done to it. Raises UsageError or ModelError where a block does not fit."""

    signal: Signal
    blocks: tuple[Block, ...]

    def __post_init__(self) -> None:
        stages = []
        for block in self.blocks:
            if self.signal.kind not in block.kinds:
                raise UsageError(
                    f"{block.name()} takes {' and '.join(block.kinds)}, not {self.signal.kind}; choose another block"
                )
            stages.append(ORDER.index(block.stage))
        if stages != sorted(stages):
            raise UsageError(
                f"{', '.join(b.name() for b in self.blocks)}: filters come first, then one feature block, then normalize"
            )
        if sum(b.stage in ("frames", "window") and not isinstance(b, Normalize) for b in self.blocks) > 1:
            raise UsageError(f"{', '.join(b.name() for b in self.blocks)}: only one of them can be the feature block")
        if sum(isinstance(b, Normalize) for b in self.blocks) > 1:
            raise UsageError("normalize stands twice; leave one")
        _ = self.raw

    @property
    def normalize(self) -> Normalize:
        """The block that says how to normalize: the project's, or the default one."""
        return next((b for b in self.blocks if isinstance(b, Normalize)), Normalize())

    @property
    def settle(self) -> Settle | None:
        """The block that measures a recording against itself, where there is one."""
        return next((b for b in self.blocks if isinstance(b, Settle)), None)

    @property
    def lead(self) -> int:
        """Samples that the graph takes in front of a window."""
        return 0 if self.settle is None else self.settle.lead(self.signal.rate)

    @property
    def given(self) -> Normalization | None:
        """The normalization where the blocks say it themselves; None where it is learned from training windows."""
        block = self.normalize
        if block.scale is None:
            return None
        limits = () if block.low is None or block.high is None else (block.low, block.high)
        return Normalization((-block.offset / block.scale,), (1 / block.scale,), fixed=True, limits=limits)

    @cached_property
    def raw(self) -> Graph | None:
        """The graph before normalization; None when the samples themselves are the features."""
        builder = self._builder()
        return builder.graph() if builder.nodes else None

    def _builder(self) -> Builder:
        builder = Builder(self.signal)
        for block in self.blocks:
            block.add(builder)
        return builder

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the features of one window, without the leading 1."""
        return self._builder().tensor.shape[1:]

    @property
    def per_column(self) -> bool:
        """Whether every index of the last axis has a mean of its own."""
        per = self.normalize.per
        return per == "column" or (per == "auto" and not self._finishing(self._builder()))

    def scales(self) -> Array:
        """Real value of one unit of the raw output: float64, one value or one a column."""
        builder = self._builder()
        if self.signal.kind == "image":
            return np.array([1 / WHITE])
        if builder.nodes:
            op, view = OPS[builder.nodes[-1].op], builder.view()
            assert isinstance(op, SignalOp)
            columns = op.column_scales(view)
            return np.array([op.fixed_scale(view)]) if columns is None else np.asarray(columns, np.float64)
        return np.array([1 / 32768])

    def graph(self, norm: Normalization, quant: Quantization | None = None) -> Graph:
        """Raw samples in, the model's int8 input out. `quant`: of that input, where it is not the normalization's."""
        builder, quant = self._builder(), norm.quant if quant is None else quant
        columns = builder.tensor.shape[-1]
        if len(norm.mean) not in (1, columns):
            raise UsageError(f"a normalization of {len(norm.mean)} columns for features with {columns}; build it again")
        if self.signal.kind == "image":
            mean, std = (tuple(np.broadcast_to(np.asarray(v, np.float64), columns).tolist()) for v in (norm.mean, norm.std))
            builder.add("image_normalize", dtype=ACTIVATION.name, quant=quant, mean=mean, std=std)
        elif self._finishing(builder) and len(norm.mean) == 1:
            scale = float(self.scales()[0])
            builder.replace_last(quant, mean=fixed(norm.mean[0], scale), std=norm.std[0])
        else:
            scales = np.broadcast_to(self.scales(), columns)
            mean_, std_ = (np.broadcast_to(np.asarray(v, np.float64), columns) for v in (norm.mean, norm.std))
            builder.add("standardize", dtype=ACTIVATION.name, quant=quant, **attributes(mean_, std_, scales, quant))
        if norm.limits:
            builder.clip(*norm.limits)
        return builder.graph()

    @staticmethod
    def _finishing(builder: Builder) -> bool:
        """Whether the last op can write the model's input itself."""
        if not builder.nodes:
            return False
        op = OPS[builder.nodes[-1].op]
        return isinstance(op, SignalOp) and op.finishes

    def node(self) -> Node | None:
        """The feature block's node."""
        nodes = self._builder().nodes
        return nodes[-1] if nodes else None


class Moments:
    """Mean and standard deviation of values that come in batches (Chan, Golub and LeVeque's pairwise update, 1979)."""

    def __init__(self, columns: int, *, per_column: bool) -> None:
        self._shape = columns if per_column else 1
        self.count = 0
        self._mean = np.zeros(self._shape)
        self._squares = np.zeros(self._shape)

    def add(self, values: Array) -> None:
        """`values` [..., columns]."""
        rows = np.asarray(values, np.float64).reshape(-1, self._shape)
        mean, count = rows.mean(axis=0), len(rows)
        total = self.count + count
        step = mean - self._mean
        self._squares += ((rows - mean) ** 2).sum(axis=0) + step**2 * (self.count * count / total)
        self._mean = self._mean + step * (count / total)
        self.count = total

    def normalization(self, scales: Array, clip: float) -> Normalization:
        """In real units: `scales` real value of one unit, one or one a column. A column that never varies keeps deviation 1 unit."""
        if not self.count:
            raise UsageError("no training sample to learn the features' mean from; give at least one")
        scale = np.broadcast_to(scales, self._shape)
        std = np.sqrt(self._squares / self.count)
        std = np.where(std < 1e-3, 1.0, std)
        return Normalization(tuple((self._mean * scale).tolist()), tuple((std * scale).tolist()), clip)
