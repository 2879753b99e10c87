"""What a kernel is: one way to compute a node in C, and what it says of itself.

A kernel is three things in one folder: the C (`NAME.h`, function `sg_NAME`), and beside it a module `NAME.py` with its
descriptor, a `Kernel`, whose `lower` turns a node into calls or says why it cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from sandgrain.graph.ir import View
from sandgrain.graph.ops import OPS

OpKind = TypeVar("OpKind")

# --- a node in calls ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class In:
    """Argument: pointer to input `index` (in the arena, or in flash when it is constant), `offset` bytes into it."""

    index: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Out:
    """Argument: pointer to output `index`, `offset` bytes into it."""

    index: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Scratch:
    """Argument: pointer to the kernel's scratch bytes (int8_t *, or const), `offset` bytes into them."""

    offset: int = 0
    const: bool = False


Arg = In | Out | Scratch

Fields = dict[str, Any]  # of a struct: int | float | tuple[int, ...] | Array | Fields


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call in the generated C: `sg_<stem>(&params, args...)`.

    `stem` names the kernel's file, its function and its struct. `fields` gives every member of the struct: int (any integer member), float (a float member), tuple of ints (an inline
    array member), ndarray (a pointer member to a constant table of the array's dtype, placed in flash) or a mapping of
    such (a struct member).
    """

    stem: str
    fields: Fields
    args: tuple[Arg, ...]

    @property
    def source(self) -> str:
        """The kernel's file: a name that no other folder of kernels has."""
        return f"{self.stem}.h"

    @property
    def function(self) -> str:
        return f"sg_{self.stem}"


@dataclass(frozen=True, slots=True)
class Share:
    """Output 0 may lie over input `position` while the kernel runs.

    `exact`: from the very same start address; the output may be the larger of the two if the kernel walks backwards. Otherwise
    the output may start `lead` bytes (>= 0, the least that is safe) or any number more before the input and run into it,
    because the kernel, walking forwards, reads each input byte for the last time before it writes there.
    """

    position: int
    lead: int = 0
    exact: bool = True


def before(lead: int, position: int = 0) -> Share:
    """The output may start `lead` bytes or more before input `position`."""
    return Share(position, lead, exact=False)


OVER_INPUT = (Share(0),)  # a kernel that may write its output over its only input


@dataclass(frozen=True, slots=True, eq=False)
class Lowered:
    """A node as a kernel computes it: the calls in order, the bytes of arena they need meanwhile, what the output may lie over."""

    calls: tuple[Call, ...]
    scratch: int = 0
    sharing: tuple[Share, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a kernel cannot compute a node: one plain sentence, without a full stop."""

    reason: str


Fit = Lowered | Refused

# --- kernels ---------------------------------------------------------------------------------------------------------

DSP = frozenset({"dsp"})
MVE = frozenset({"mve"})
HELIUM, DSP_CORES, ANY_CORE, LEAST_CODE = 100, 200, 300, 400  # where the ranks of kernels of a kind begin

ONE_INPUT: tuple[Arg, ...] = (In(0), Out(0))
ONE_INPUT_AND_SCRATCH: tuple[Arg, ...] = (In(0), Out(0), Scratch())
TWO_INPUTS: tuple[Arg, ...] = (In(0), In(1), Out(0))


@dataclass(frozen=True, slots=True)
class Kernel:
    """One way to compute some ops in C.

    `name`: its own, that of its C file and, after `sg_`, of its C function.
    `ops`: the ops that it computes. `when`: which of their layers, in words.
    `lower`: a node of these ops as calls, or why the kernel cannot compute it; the core is not looked at.
    `rank`: among the kernels of an op that fit a node, the one of lowest rank is taken; the most specific have the lowest.
    `needs`: core features that it uses ("dsp", "mve", "fpu"). `helped_by`: those that it makes use of and does not need.
    `compact`: it is here for its little code, and only `--optimize size` looks at it.
    """

    name: str
    ops: tuple[str, ...]
    lower: Callable[[View], Fit]
    when: str = "every layer"
    rank: int = ANY_CORE
    needs: frozenset[str] = frozenset()
    helped_by: frozenset[str] = frozenset()
    compact: bool = False

    def missing(self, core: Collection[str]) -> Refused | None:
        """Why a core with the features `core` cannot run this kernel, whatever the node."""
        lacking = sorted(self.needs - set(core))
        return Refused(f"the core has no {' and no '.join(lacking)}") if lacking else None

    def fit(self, view: View, core: Collection[str]) -> Fit:
        """The node as this kernel computes it on a core with the features `core`, or why it cannot."""
        return self.missing(core) or self.lower(view)


def pick(kernels: Sequence[Kernel], wanted: str | None, fit: Callable[[Kernel], Fit]) -> tuple[Kernel, Lowered] | None:
    """The kernel called `wanted` where it fits, otherwise the first that does; one of least code only when nothing else fits."""
    named = [k for k in kernels if k.name == wanted]
    for kernel in (*named, *sorted(kernels, key=lambda k: k.compact)):
        fitted = fit(kernel)
        if isinstance(fitted, Lowered):
            return kernel, fitted
    return None


def op_of(view: View, kind: Callable[[], OpKind]) -> OpKind:
    """The op of a node, which is known to be of this kind."""
    op: Any = OPS[view.node.op]
    assert isinstance(kind, type) and isinstance(op, kind), f"{op.name} is not a {kind}"
    return cast("OpKind", op)


def lowered(
    kernel: str, fields: Fields, args: tuple[Arg, ...] = ONE_INPUT, scratch: int = 0, sharing: tuple[Share, ...] = ()
) -> Lowered:
    """A node that is one call of `kernel`."""
    return Lowered((Call(kernel, fields, args),), scratch, sharing)


__all__ = [
    "ANY_CORE",
    "DSP",
    "DSP_CORES",
    "HELIUM",
    "LEAST_CODE",
    "MVE",
    "ONE_INPUT",
    "ONE_INPUT_AND_SCRATCH",
    "OVER_INPUT",
    "TWO_INPUTS",
    "Arg",
    "Call",
    "Fields",
    "Fit",
    "In",
    "Kernel",
    "Lowered",
    "Out",
    "Refused",
    "Scratch",
    "Share",
    "before",
    "lowered",
    "op_of",
    "pick",
]
