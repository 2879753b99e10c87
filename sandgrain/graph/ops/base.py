"""What an op is: the contract that every file in this folder fulfils.

An op file defines one `Op` subclass and nothing needs to be told about it: `sandgrain.graph.ops` finds it. The file holds the
op's shapes, its integer meaning in numpy, its MACs, its names in foreign formats and its test cases. Its kernels name it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np

from sandgrain.base.errors import ModelError, UnsupportedError
from sandgrain.graph.dtypes import ACTIVATION, ACTIVATIONS, INT8, DType
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View
from sandgrain.graph.ops.attributes import Kind, faults, kinds
from sandgrain.graph.ops.channels import Interval, Link, Mask
from sandgrain.graph.ops.step import Step as Step
from sandgrain.graph.ops.traits import NO_INPUTS, OWN_OUTPUT, PadValue, Weight
from sandgrain.graph.quantization import Quantization

Shape = tuple[int, ...]
T = TypeVar("T")

# --- foreign formats ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Option:
    """One field of a .tflite options table: its name, flatbuffer slot, scalar kind and default.

    `kind`: "i8" (also enums), "u8", "i32", "f32", "bool", or "i32s" (a vector of int32).
    """

    name: str
    slot: int
    kind: str
    default: Any = 0


@dataclass(frozen=True, slots=True)
class Foreign:
    """An operator of the .tflite format that decodes to this op."""

    name: str  # as the format's schema spells it: "CONV_2D"
    code: int  # BuiltinOperator
    options_tag: int = 0  # BuiltinOptions union member, 0 for none
    options: tuple[Option, ...] = ()
    version: int = 1  # operator version to write
    int16: bool = False  # TensorFlow Lite Micro computes it with int16 activations as well


@dataclass(frozen=True, slots=True)
class Decoded:
    """A foreign node in Sandgrain's terms: attributes, and which foreign inputs stay inputs (in order)."""

    attrs: Attrs
    inputs: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A node in .tflite terms: operator name, option values, inputs (a position of the node's, an array, a state that the file's
    operator keeps for itself, or None)."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[int | Array | Tensor | None, ...] = (0,)


# --- test cases ----------------------------------------------------------------------------------------------------


class Draw(Protocol):
    """Where a random test case takes its choices from (hypothesis, or a seeded generator for long runs)."""

    def integer(self, low: int, high: int) -> int:
        """An integer, both ends included."""
        ...

    def choice(self, options: Sequence[T]) -> T: ...

    def real(self, low: float, high: float) -> float: ...

    def array(self, shape: Sequence[int], low: int, high: int, dtype: str = ACTIVATION.name) -> Array:
        """Random integers, both ends included, as `dtype`."""
        ...


# --- the op --------------------------------------------------------------------------------------------------------


class Op(ABC):
    """One operation of the IR. Subclasses are stateless; the registry holds one instance of each."""

    name: ClassVar[str]
    summary: ClassVar[str]  # one line for `sandgrain ops`
    attributes: ClassVar[Mapping[str, Kind]] = kinds()  # its attributes, and what kind of value each has
    optional: ClassVar[Mapping[str, Kind]] = kinds()  # those that it may have, beside `clamp` where it activates
    foreign: ClassVar[tuple[Foreign, ...]] = ()  # what names any has `decode` and `encode`
    instead: ClassVar[str] = "export the model without it"  # the way out, where no file format has the op
    is_view: ClassVar[bool] = False  # output 0 is input 0's bytes under another shape: no code, no memory
    moves: ClassVar[bool] = False  # each output element is an element of an input (or a fill value), whatever its type
    activates: ClassVar[bool] = False  # has the attribute `activation`, and clamps its outputs to it
    reads_caller: ClassVar[bool] = False  # reads a graph input where the caller keeps it, instead of from a copy in the arena

    # What passes, quantization and file formats ask for, instead of for the op's name.
    weights: ClassVar[tuple[Weight, ...]] = ()  # constants that it multiplies with, and their biases
    normalizes: ClassVar[bool] = False  # inputs 1 and 2 are the trained constants gamma and beta
    indices_in: ClassVar[tuple[int, ...]] = ()  # positions of inputs that are int32 indices, in a graph of floats as well
    indices_out: ClassVar[bool] = False  # its outputs are int32 indices, in a graph of floats as well
    data_inputs: ClassVar[int | None] = None  # how many of a float node's inputs the integer node reads; None: all
    same_scale_inputs: ClassVar[slice] = (
        NO_INPUTS  # inputs that have its outputs' scale and zero point: bytes are copied or picked
    )
    enlarges: ClassVar[bool] = False  # gives more elements than it reads: rescaling is cheaper before it than after it
    stays_within: ClassVar[bool] = False  # its outputs lie between the least and the greatest element of input 0
    fixed_output: ClassVar[Quantization | None] = None  # the int8 quantization that its output always has
    windowed: ClassVar[bool] = False  # windows slide over height and width, in rows: attributes `stride`, `padding` of four sides
    pad_value: ClassVar[PadValue | None] = None  # None: no windows, or what lies outside is left out
    fused_as: ClassVar[str] = ""  # the value of `activation` by which the layer before can do it instead

    def wrong_attributes(self, given: Attrs) -> Iterator[str]:
        """What is wrong with the names and kinds of a node's attributes, a fact each."""
        may = {**self.optional, **({"clamp": (int, int)} if self.activates else {})}  # `clamp`: what a pass has fused
        return faults(self.attributes, may, given)

    @property
    def trained(self) -> bool:
        """Whether all inputs behind the first are trained constants: weights, biases, gamma and beta."""
        return bool(self.weights) or self.normalizes

    @property
    def linear(self) -> Weight | None:
        """The weights of a convolution or fully connected layer: one product, a bias and perhaps a fused activation, output
        channels on the last axis. None for every other op.
        """
        return self.weights[0] if len(self.weights) == 1 else None

    @property
    def recurrent(self) -> bool:
        """Whether it reads its own output of the step before, from the attribute `reverse`'s end of a sequence to the other."""
        return any(w.source == OWN_OUTPUT for w in self.weights)

    @abstractmethod
    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        """Output shapes. Raises ModelError when the inputs do not fit together."""

    @abstractmethod
    def check(self, view: View) -> None:
        """Dtype, quantization and attribute rules beyond shapes. Raises ModelError / UnsupportedError: fact; way out."""

    @abstractmethod
    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        """The op's meaning, exact to the bit: numpy in (constants included), numpy out, shapes and dtypes as in `view`."""

    def step(self, view: View) -> Step | None:
        """How the op runs on a part of its input, None where it needs all of it."""
        return None

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        """The op's meaning in real numbers, batched: what training and quantization start from.

        `view`: a node of a graph of floats; weights and biases are taken from its constants. `inputs`: those that are present,
        float32 [n, *shape] for n inferences at once, indices int32, constants [1, *shape]. Outputs are float32 [n, *shape] (indices
        int32); values that leave float32 may be infinite or NaN. Raises UnsupportedError for an op without such a meaning.
        """
        raise UnsupportedError(f"{self.name} has no float meaning here; build the model from other layers")

    @property
    def has_real(self) -> bool:
        """Whether `real` is defined."""
        return type(self).real is not Op.real

    def interval(self, view: View, known: Sequence[Interval]) -> Sequence[Interval] | None:
        """What the channels of each int8 output can hold, never too small; None: any int8.

        `known`: what the channels of the int8 inputs can hold, in the order of the inputs.
        """
        return None

    def links(self, view: View) -> Sequence[Link] | None:
        """Which channels of inputs and outputs can only be removed together; None: all channels must stay.

        An input channel that no link names is read by the whole layer; an output channel that none names is made by the layer
        alone (padding, the sum of a dense layer).
        """
        return None

    def narrowed_attrs(self, view: View, kept: Sequence[Mask]) -> Mapping[str, Any]:
        """The attributes that change once output k of a linked layer keeps only its channels `kept[k]`."""
        return {}

    def taps(self, view: View) -> tuple[Mask, Mask] | None:
        """Of a linear layer whose weights are read tap by tap: does each ever read the input, does it ever read padding.

        None for every other op, and where that is not known.
        """
        return None

    def passes_factors(self, view: View, channels: int) -> bool:
        """Whether positive factors, one per channel (an index of the last axis modulo `channels`), come out as they went in."""
        return False

    def columns(self, view: View, x: Array, limit: int) -> Array | None:
        """What the weights of a linear layer multiply: float64 [groups, rows, depth], depth in the order of the weights behind their
        channel axis; about `limit` rows at most. `x`: float32 [n, *shape], the layer's input. None where rounding ignores it.
        """
        return None

    def integer_attrs(self, values: Attrs, out: Quantization) -> Attrs:
        """A float node's attributes as the integer node has them whose output is quantized by `out`."""
        return values

    def macs(self, view: View) -> int:
        """Multiply-accumulates per inference."""
        return 0

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        """From foreign operator `name`. `options` holds every declared option of that Foreign, defaults filled in."""
        raise UnsupportedError(f"no file format has {self.name}")

    def encode(self, view: View) -> Encoded:
        """To .tflite terms: the inverse of `decode`."""
        raise UnsupportedError(f".tflite has no {self.name}; {self.instead}")

    @abstractmethod
    def sample(self, draw: Draw) -> Graph:
        """A random legal graph of this one op, sizes around the vector widths, for the registry-driven tests."""


# --- rules that several ops share -----------------------------------------------------------------------------------


def need(condition: bool, message: str) -> None:
    """Raise UnsupportedError unless `condition`."""
    if not condition:
        raise UnsupportedError(message)


def need_inputs(inputs: Sequence[Tensor | None], low: int, high: int | None = None) -> None:
    """Between `low` and `high` inputs, the first `low` present."""
    top = low if high is None else high
    if not low <= len(inputs) <= top or any(t is None for t in inputs[:low]):
        raise ModelError(f"has {sum(t is not None for t in inputs)} inputs, needs {low}" + (f" to {top}" if top != low else ""))


def need_dtype(tensor: Tensor, *dtypes: DType | str) -> None:
    if tensor.dtype not in dtypes:
        raise UnsupportedError(
            f"{tensor.dtype} tensor where {' or '.join(map(str, dtypes))} is needed; quantize the model to {ACTIVATION} (full integer)"
        )


def need_quantized(*tensors: Tensor) -> None:
    """Each tensor of a type that layers compute with, with one positive scale and a zero point in range."""
    for t in tensors:
        need_dtype(t, *ACTIVATIONS)
        if t.quant is None or not t.quant.per_tensor:
            raise UnsupportedError(f"{t.dtype} values without exactly one scale; quantize activations per tensor")


def same_quant(a: Tensor, b: Tensor) -> bool:
    return (
        a.quant is not None
        and b.quant is not None
        and a.quant.scale == b.quant.scale
        and a.quant.zero_point == b.quant.zero_point
    )


def constant_ints(tensor: Tensor | None, what: str) -> list[int]:
    """The values of a constant integer tensor, flattened."""
    if tensor is None or tensor.data is None:
        raise UnsupportedError(f"{what} is computed at run time; make it a constant")
    if tensor.data.dtype.kind not in "iu":
        raise ModelError(f"{what} is not an integer tensor")
    return [int(v) for v in tensor.data.reshape(-1)]


def i32(values: Any) -> Array:
    return np.asarray(values, np.int32)


def i8(values: Any) -> Array:
    return np.asarray(values, INT8.numpy)
