"""The most stack that a function can use, from its machine code: a bound that holds for every input.

Each function is followed along all its branches with the depth of its stack pointer; a call adds the callee's own
bound. The firmware that Sandgrain builds has no recursion and no calls through pointers, so this ends; code that has
them is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from sandgrain.base.errors import RunError
from sandgrain.device.cost.decode import Decoder
from sandgrain.device.cost.image import Function, Image
from sandgrain.device.cost.pointer import State, Unclear, start, step

_VISITS = 64  # a loop that makes the stack grow comes by more often than any sound function


@dataclass(frozen=True, slots=True)
class StackBound:
    """Bytes of stack that `function` and all it calls can use, and the chain of calls that uses most."""

    function: str
    bytes: int
    chain: tuple[tuple[str, int], ...]  # (function, bytes below its caller) from the outermost call inwards


def stack_bound(image: Image, function: str = "sg_infer", features: frozenset[str] = frozenset()) -> StackBound:
    """The bound for `function`, its return address included. `features` are the core's (Helium is decoded with "mve").

    Raises RunError naming the function that recurses, calls through a pointer, or moves the stack pointer in a way that
    cannot be followed.
    """
    entry = image.function(function)
    if entry is None:
        raise RunError(f"the firmware has no function {function}; build it with the generated harness")
    return _Walk(image, features).bound(entry, ())


@dataclass(frozen=True, slots=True)
class Reach:
    """What calling a function can lead to: bytes of stack, and every function below it by name -> bytes of code."""

    stack: int
    below: Mapping[str, int]


def reach(image: Image, functions: Iterable[Function], features: frozenset[str] = frozenset()) -> dict[str, Reach]:
    """Name -> what each of `functions` can lead to. Raises what `stack_bound` raises."""
    walk = _Walk(image, features)
    return {f.name: Reach(walk.bound(f, ()).bytes, {g.name: g.size for g in walk.below(f)}) for f in functions}


class _Walk:
    def __init__(self, image: Image, features: frozenset[str]) -> None:
        self._image = image
        self._decoder = Decoder(image, features)
        self._done: dict[int, StackBound] = {}
        self._callees: dict[int, tuple[Function, ...]] = {}

    def bound(self, function: Function, callers: tuple[Function, ...]) -> StackBound:
        if function in callers:
            raise RunError(f"{function.name} calls itself; its stack has no bound, write it as a loop")
        if function.address not in self._done:
            self._done[function.address] = self._follow(function, (*callers, function))
        return self._done[function.address]

    def below(self, function: Function) -> set[Function]:
        """The functions that one whose bound is known can call, directly or not."""
        found: set[Function] = set()
        for callee in self._callees[function.address]:
            found |= {callee} | self.below(callee)
        return found

    def _follow(self, function: Function, callers: tuple[Function, ...]) -> StackBound:
        deepest = 0
        calls: dict[int, int] = {}  # callee: deepest at its calls
        known: dict[int, State] = {}
        visits: dict[int, int] = {}
        work = [(function.address, start(self._image.arch))]
        while work:
            address, state = work.pop()
            merged = state.join(known.get(address))
            if merged == known.get(address):
                continue
            visits[address] = visits.get(address, 0) + 1
            if visits[address] > _VISITS:
                self._refuse(function, address, "its stack grows in a loop")
            known[address] = merged
            instruction = self._decoder.at(address)
            try:
                after = step(self._image, instruction, merged)
            except Unclear as error:
                self._refuse(function, address, str(error))
            deepest = max(deepest, after.depth, merged.depth)
            work += [(target, after) for target in self._next(function, address, after, calls)]
        self._callees[function.address] = tuple(self._callee(function, callee) for callee in calls)
        chain: tuple[tuple[str, int], ...] = ((function.name, deepest),)
        for callee, depth in calls.items():
            inner = self.bound(self._callee(function, callee), callers)
            if depth + inner.bytes > deepest:
                deepest, chain = depth + inner.bytes, ((function.name, depth), *inner.chain)
        return StackBound(function.name, deepest, chain)

    def _next(self, function: Function, address: int, after: State, calls: dict[int, int]) -> list[int]:
        """Where the function goes on after the instruction at `address`; calls (tail calls too) are noted."""
        instruction = self._decoder.at(address)
        flow, target = instruction.flow, instruction.target
        if flow in ("indirect", "indirect call") and after.target is not None:
            flow, target = ("jump" if flow == "indirect" else "call"), after.target
        if flow in ("indirect", "indirect call"):
            if after.returns:
                return [instruction.end] if instruction.conditional else []
            self._refuse(function, address, "it jumps through a pointer")
        if flow == "call" and target is not None and function.address < target < function.end:
            flow = "jump"  # on Armv6-M the compiler uses BL to get far inside a function: nothing comes back
        falls = flow in ("next", "branch", "call") or instruction.conditional
        found = [instruction.end] if falls else []
        if target is not None and flow in ("branch", "jump", "call"):
            if flow != "call" and function.address <= target < function.end:
                found.append(target)
            else:
                calls[target] = max(calls.get(target, 0), after.depth)
        return found

    def _callee(self, caller: Function, address: int) -> Function:
        callee = self._image.function_at(address)
        if callee is None:
            raise RunError(f"{caller.name} calls {address:#010x}, where there is no function; build the firmware again")
        # A jump into the middle of another function (assembly does it) costs no more than that function as a whole.
        return callee

    def _refuse(self, function: Function, address: int, why: str) -> NoReturn:
        text = self._decoder.at(address).text
        raise RunError(f"{function.name}: {why} ({text} at {address:#010x}); its stack cannot be bounded, rewrite it in plain C")
