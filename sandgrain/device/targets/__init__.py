"""Cores and boards: one TOML file each in `cores/` and `boards/`, found by looking.

A core says what the compiler, the emulator and the cost model need; a board says how much memory there is, where, and
how fast and at what current it runs. A core's own name also loads, as a generic board with plenty of memory.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sandgrain.base.errors import UsageError

__all__ = ["Board", "Core", "WaitStates", "boards", "cores", "cycle_classes", "load", "load_core"]

_HERE = Path(__file__).parent

# Classes of instructions (`sandgrain.device.cost.decode` tells them apart), by what a core can execute. A core's cycle table has a figure for
# each, and for nothing else: an estimate never rests on a figure that nobody wrote down.
_COMMON = ("alu", "branch", "branch_taken", "call", "div", "load", "load_next", "mul", "mul_long", "store")
_BY_ARCH = {"thumb": (*_COMMON, "it", "mla", "multiple", "multiple_register"), "riscv": _COMMON, "host": ()}
_BY_FEATURE = {"fpu": ("fpu", "fpu_div", "fpu_load", "fpu_mla"), "mve": ("loop_end", "mve", "mve_load", "mve_store")}


@dataclass(frozen=True, slots=True)
class Core:
    """A processor core. Hashed and compared by name: the files are the only source of cores."""

    name: str
    summary: str = field(compare=False)
    arch: str = field(compare=False)  # "thumb", "riscv" or "host"
    features: frozenset[str] = field(compare=False)  # what kernels may need: "dsp", "fpu", "mve", "div", ...
    compilers: Mapping[str, Mapping[str, Any]] = field(
        compare=False
    )  # by compiler: how it is told of this core; empty on the host
    emulator: str = field(compare=False)  # "unicorn", "qemu" or "host"
    cpu_model: str = field(compare=False)  # the emulator's name for the core
    machine: str = field(compare=False)  # QEMU's machine, "" elsewhere
    memory: Mapping[str, int | float] = field(compare=False)  # the generic board: Board's number fields by name
    cycles: Mapping[str, float] = field(compare=False)  # cycles an instruction, by class (sandgrain.device.cost.decode)
    cycles_source: str = field(compare=False)  # where those figures come from

    @property
    def runs_firmware(self) -> bool:
        """Whether firmware is built for this core; False for this computer, which runs a shared library."""
        return self.arch != "host"


@dataclass(frozen=True, slots=True)
class WaitStates:
    """How far a board's memory slows down what the cycle table, which knows no wait states, says.

    `factor`: the board's cycles over the zero-wait estimate. `error`: the share of the product by which it may be off,
    either way, the table's own error included. `source`: what both rest on.
    """

    factor: float
    error: float
    source: str


@dataclass(frozen=True, slots=True)
class Board:
    """A board (or a bare chip) that firmware can be built for. RAM is its largest contiguous region."""

    name: str
    title: str = field(compare=False)
    core: Core = field(compare=False)
    ram_base: int = field(compare=False)
    ram_bytes: int = field(compare=False)
    flash_base: int = field(compare=False)
    flash_bytes: int = field(compare=False)
    clock_hz: int = field(compare=False)
    supply_v: float = field(compare=False)
    active_ma: float = field(compare=False)  # typical run current at clock_hz and supply_v
    data_sheet: str = field(compare=False)  # where the figures come from
    sleep_ma: float | None = field(
        compare=False, default=None
    )  # typical, the chip alone: RAM kept, woken by a clock; None: not known
    sleep_source: str = field(compare=False, default="")
    notes: str = field(compare=False, default="")
    wait_states: WaitStates | None = field(compare=False, default=None)  # None: nothing known that could be relied on

    @property
    def slowdown(self) -> float:
        """Cycles on this board for each cycle of the zero-wait estimate; 1 where that is not known."""
        return self.wait_states.factor if self.wait_states else 1.0


def boards() -> tuple[str, ...]:
    """The names of all boards, sorted."""
    return _names("boards")


def cores() -> tuple[str, ...]:
    """The names of all cores, sorted. Each also loads as a generic board."""
    return _names("cores")


@cache
def load(name: str) -> Board:
    """The board called `name`; a core's name gives a generic board. Raises UsageError naming close matches."""
    if name in boards():
        raw = _read("boards", name)
        core = load_core(raw.pop("core"))
        waits = raw.pop("wait_states", None)
        given = {} if waits is None else {"wait_states": _build(WaitStates, name, waits)}
        board: Board = _build(Board, name, raw, name=name, core=core, **given)
        return board
    if name in cores():
        core = load_core(name)
        return Board(
            name=name,
            title=f"generic {core.summary}",
            core=core,
            data_sheet="generic: plenty of memory at usual addresses, round figures for clock and current",
            **core.memory,  # type: ignore[arg-type]
        )
    near = difflib.get_close_matches(name, boards() + cores(), n=3, cutoff=0.4)
    way_out = f"did you mean {' or '.join(near)}?" if near else f"choose one of {', '.join(boards() + cores())}"
    raise UsageError(f"there is no board or core called {name!r}; {way_out}")


@cache
def load_core(name: str) -> Core:
    """The core called `name`. Raises UsageError when there is none."""
    if name not in cores():
        raise UsageError(f"there is no core called {name!r}; choose one of {', '.join(cores())}")
    raw = _read("cores", name)
    cycles = raw.pop("cycles", {})
    source = str(cycles.pop("source", ""))
    compilers = raw.pop("compiler", {})
    emulator, features = raw.pop("emulator"), frozenset(raw.pop("features"))
    core: Core = _build(
        Core,
        name,
        raw,
        name=name,
        features=features,
        compilers=MappingProxyType({k: MappingProxyType(v) for k, v in compilers.items()}),
        emulator=emulator["kind"],
        cpu_model=emulator.get("cpu", ""),
        machine=emulator.get("machine", ""),
        memory=MappingProxyType(raw.pop("memory")),
        cycles=_cycles(name, cycles, cycle_classes(raw["arch"], features)),
        cycles_source=source,
    )
    return core


def cycle_classes(arch: str, features: Collection[str]) -> frozenset[str]:
    """The classes of instructions that a core of `arch` with `features` executes, as its cycle table names them."""
    added = (name for feature in features for name in _BY_FEATURE.get(feature, ()))
    return frozenset(_BY_ARCH.get(arch, _COMMON)) | frozenset(added)


def _cycles(name: str, table: Mapping[str, float], wanted: frozenset[str]) -> Mapping[str, float]:
    """The cycle table of core `name`, complete. Raises UsageError naming the classes that are missing or unknown."""
    if missing := sorted(wanted - set(table)):
        raise UsageError(f"targets: {name}.toml gives no cycles for {', '.join(missing)}; add them to [cycles]")
    if unknown := sorted(set(table) - wanted):
        raise UsageError(
            f"targets: {name}.toml gives cycles for {', '.join(unknown)}, which this core does not have; remove them"
        )
    return MappingProxyType({k: float(v) for k, v in table.items()})


@cache
def _names(folder: str) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in (_HERE / folder).glob("*.toml")))


def _read(folder: str, name: str) -> dict[str, Any]:
    return tomllib.loads((_HERE / folder / f"{name}.toml").read_text(encoding="utf-8"))


def _build(kind: Any, stem: str, raw: dict[str, Any], **given: Any) -> Any:
    """`kind` from the file's fields and `given`; a field too many or too few names the file."""
    known = {f.name for f in fields(kind)}
    values = {**raw, **given}
    try:
        if unknown := set(values) - known:
            raise TypeError(f"unknown fields {sorted(unknown)}")
        return kind(**values)
    except TypeError as error:
        raise UsageError(f"targets: {stem}.toml is not a {kind.__name__.lower()}: {error}") from error
