"""Where the elements of a value lie in memory, so that permuting and flattening cost nothing.

A value's axes are ATen's; its elements may be stored in another order. Each axis is a product of factors (sizes above 1,
outermost first), and `memory` says which factor, counted through all axes, comes first, second ... in memory. A [1, 8, 4, 4]
image that is stored as NHWC is

    axes ((), (8,), (4,), (4,))   memory (1, 2, 0)

Permuting renumbers the factors, flattening joins axes, `view` splits factors: none of them moves an element.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Factors = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """`axes`: the factors of each axis; `memory`: the factors' numbers, slowest in memory first."""

    axes: tuple[Factors, ...]
    memory: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The value's shape as ATen has it."""
        return tuple(math.prod(axis) for axis in self.axes)

    @property
    def sizes(self) -> Factors:
        """All factors in ATen's order."""
        return tuple(f for axis in self.axes for f in axis)

    @property
    def stored(self) -> Factors:
        """All factors in memory order."""
        sizes = self.sizes
        return tuple(sizes[k] for k in self.memory)

    def numbers(self, axis: int) -> tuple[int, ...]:
        """The numbers of an axis's factors."""
        first = sum(len(a) for a in self.axes[:axis])
        return tuple(range(first, first + len(self.axes[axis])))

    def ordered(self, order: Sequence[int], free: Sequence[int] = ()) -> tuple[int, ...]:
        """The memory order in which the axes follow as in `order`; inside the `free` axes the factors stay as they are now."""
        place = {number: k for k, number in enumerate(self.memory)}
        found: list[int] = []
        for axis in order:
            numbers = self.numbers(axis)
            found += sorted(numbers, key=lambda n: place[n]) if axis in free else numbers
        return tuple(found)

    def with_memory(self, memory: Sequence[int]) -> Layout:
        return Layout(self.axes, tuple(memory))

    def indices(self, axis: int) -> npt.NDArray[np.int64]:
        """For each position along `axis` in memory, ATen's index along it."""
        numbers, sizes = self.numbers(axis), self.axes[axis]
        if not sizes:
            return np.zeros(1, np.int64)
        place = [k for k in self.memory if k in numbers]
        grid = np.arange(math.prod(sizes), dtype=np.int64).reshape(sizes)
        return np.ascontiguousarray(grid.transpose([n - numbers[0] for n in place])).reshape(-1)

    def is_last(self, axis: int) -> bool:
        """Whether memory ends with all factors of `axis`: they are the innermost."""
        count = len(self.axes[axis])
        return set(self.memory[len(self.memory) - count :]) == set(self.numbers(axis))

    def permuted(self, perm: Sequence[int]) -> Layout:
        """Axis k becomes axis perm[k]."""
        renumbered = {old: new for new, old in enumerate(n for p in perm for n in self.numbers(p))}
        return Layout(tuple(self.axes[p] for p in perm), tuple(renumbered[k] for k in self.memory))

    def reshaped(self, shape: Sequence[int]) -> Layout | None:
        """The same elements in ATen's order under another shape; None when that would need other factors."""
        flat = Layout((self.sizes,), self.memory).joined()
        pieces = cut(flat.sizes, shape)
        if pieces is None:
            return None
        return flat.split(pieces[0]).regrouped(pieces[1])

    def joined(self) -> Layout:
        """Neighbouring factors of one axis that are also neighbours in memory made one."""
        place = {number: k for k, number in enumerate(self.memory)}
        axes: list[Factors] = []
        kept: list[int] = []  # the first number of each joined factor
        for axis, factors in enumerate(self.axes):
            found: list[int] = []
            for number, size in zip(self.numbers(axis), factors, strict=True):
                if found and place[number] == place[number - 1] + 1:
                    found[-1] *= size
                else:
                    found.append(size)
                    kept.append(number)
            axes.append(tuple(found))
        new = {number: k for k, number in enumerate(kept)}
        return Layout(tuple(axes), tuple(new[n] for n in self.memory if n in new))

    def split(self, pieces: Sequence[Factors]) -> Layout:
        """Factor k replaced by pieces[k], whose product it is."""
        first, total = [], 0
        for piece in pieces:
            first.append(total)
            total += len(piece)
        memory = tuple(first[k] + i for k in self.memory for i in range(len(pieces[k])))
        axes = tuple(tuple(p for n in self.numbers(a) for p in pieces[n]) for a in range(len(self.axes)))
        return Layout(axes, memory)

    def regrouped(self, counts: Sequence[int]) -> Layout:
        """The same factors in axes of counts[k] factors each."""
        sizes, axes, at = self.sizes, [], 0
        for count in counts:
            axes.append(sizes[at : at + count])
            at += count
        return Layout(tuple(axes), self.memory)

    def runs(self, shape: Sequence[int]) -> list[tuple[int, ...]] | None:
        """The numbers that lie, in memory order, in each dimension of a tensor of `shape`; None where one is cut in two."""
        found, at = [], 0
        sizes = self.sizes
        for extent in shape:
            run: list[int] = []
            while math.prod(sizes[n] for n in run) < extent and at < len(self.memory):
                run.append(self.memory[at])
                at += 1
            if math.prod(sizes[n] for n in run) != extent:
                return None
            found.append(tuple(run))
        return found


def dense(shape: Sequence[int], order: Sequence[int] | None = None) -> Layout:
    """A value of `shape` whose axes lie in memory as in `order` (ATen's own order when None)."""
    layout = Layout(tuple((n,) if n > 1 else () for n in shape), tuple(range(sum(n > 1 for n in shape))))
    return layout if order is None else layout.with_memory(layout.ordered(order))


def place(layout: Layout, axis: int) -> int:
    """Where in memory an axis begins; -1 for an axis of size 1."""
    numbers = layout.numbers(axis)
    return min((k for k, number in enumerate(layout.memory) if number in numbers), default=-1)


def cut(factors: Sequence[int], shape: Sequence[int]) -> tuple[list[Factors], list[int]] | None:
    """Factors cut so that they fill the axes of `shape`, outermost first.

    Returns (the pieces of each factor, the number of pieces in each axis), or None when an axis would end within a factor.
    """
    pieces: list[list[int]] = [[] for _ in factors]
    left = list(factors)
    at, counts = 0, []
    for extent in shape:
        count = 0
        while extent > 1:
            if at == len(left):
                return None
            step = left[at] if extent % left[at] == 0 else extent
            if left[at] % step:
                return None
            pieces[at].append(step)
            left[at] //= step
            extent //= step
            count += 1
            at += left[at] == 1
        counts.append(count)
    return ([tuple(p) for p in pieces], counts) if at == len(left) else None


def aligned(a: Layout, b: Layout) -> tuple[Layout, Layout] | None:
    """Two layouts of one rank cut into the same factors along every axis that both have; an axis of size 1 stays without.

    None when their factors do not nest.
    """
    cuts: tuple[list[Factors], list[Factors]] = ([], [])
    for x, y in zip(a.axes, b.axes, strict=True):
        if not x or not y:
            cuts[0].extend((f,) for f in x)
            cuts[1].extend((f,) for f in y)
            continue
        first = _common(x, y)
        if first is None:
            return None
        cuts[0].extend(first[0])
        cuts[1].extend(first[1])
    return a.split(cuts[0]), b.split(cuts[1])


def _common(x: Factors, y: Factors) -> tuple[list[Factors], list[Factors]] | None:
    """The pieces of each factor of `x` and of `y` in their coarsest common refinement."""
    pieces: list[int] = []
    left_x, left_y = list(x), list(y)
    while left_x and left_y:
        step = min(left_x[0], left_y[0])
        if left_x[0] % step or left_y[0] % step:
            return None
        pieces.append(step)
        for left in (left_x, left_y):
            left[0] //= step
            if left[0] == 1:
                left.pop(0)
    if left_x or left_y:
        return None
    cut_x, cut_y = cut(x, pieces), cut(y, pieces)
    return None if cut_x is None or cut_y is None else (cut_x[0], cut_y[0])
