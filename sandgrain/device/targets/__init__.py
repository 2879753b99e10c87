"""Cores and boards: one TOML file each in `cores/` and `boards/`, found by looking.

A core says what the compiler, the emulator and the cost model need; a board says how much memory there is, where, and
how fast and at what current it runs. A core's own name also loads, as a generic board with plenty of memory, and the
path of a board's TOML file loads that file.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sandgrain.base import files
from sandgrain.base.errors import UsageError
from sandgrain.base.text import size
from sandgrain.device.targets import own, unknown

__all__ = ["Board", "Core", "WaitStates", "aliases", "boards", "cores", "cycle_classes", "is_path", "load", "load_core", "write"]

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
    """A board (or a bare chip) that firmware can be built for. RAM is its largest contiguous region.

    `system`: what else lives in its memory in usual use (an operating system, a boot loader), with the source of the figures
    `system_ram_bytes` and `system_flash_bytes`. `aliases`: other names, such as the chip's. `file`: the text of a board that is
    not one of ours, "" otherwise.
    """

    name: str
    title: str = field(compare=False)
    core: Core
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
    aliases: tuple[str, ...] = field(compare=False, default=())
    system: str = field(compare=False, default="")
    system_ram_bytes: int = field(compare=False, default=0)
    system_flash_bytes: int = field(compare=False, default=0)
    file: str = ""
    wait_states: WaitStates | None = field(compare=False, default=None)  # None: nothing known that could be relied on

    @property
    def slowdown(self) -> float:
        """Cycles on this board for each cycle of the zero-wait estimate; 1 where that is not known."""
        return self.wait_states.factor if self.wait_states else 1.0

    @property
    def usable_ram(self) -> int:
        """Bytes of RAM that are left for a program."""
        return self.ram_bytes - self.system_ram_bytes

    @property
    def usable_flash(self) -> int:
        """Bytes of flash that are left for a program."""
        return self.flash_bytes - self.system_flash_bytes

    @property
    def lessened(self) -> tuple[int, ...]:
        """Which of `usable_ram` and `usable_flash` are less than the whole."""
        pairs = ((self.usable_ram, self.system_ram_bytes), (self.usable_flash, self.system_flash_bytes))
        return tuple(usable for usable, taken in pairs if taken)

    @property
    def system_note(self) -> str:
        """What is left of the memory and what takes the rest, as a sentence; "" where a program has all of it."""
        if not self.lessened:
            return ""
        left = f"{size(self.usable_ram)} of {size(self.ram_bytes)} RAM and {size(self.usable_flash)} of {size(self.flash_bytes)} flash"
        return f"{self.name} leaves {left} to a program; the rest: {self.system}"

    @property
    def identity(self) -> str:
        """What tells this board from others in the key of a cache: its name, or its text if it is not one of ours."""
        return self.file or self.name


def boards() -> tuple[str, ...]:
    """The names of all boards, sorted."""
    return _names("boards")


def cores() -> tuple[str, ...]:
    """The names of all cores, sorted. Each also loads as a generic board."""
    return _names("cores")


def load(name: str | os.PathLike[str], folder: Path = Path()) -> Board:
    """The board that `name` means; a core's name gives a generic board.

    `name`: a name or an alias, in upper or lower case, or the path of a board's TOML file (it ends in .toml or has a slash), which
    starts from `folder`. Raises UsageError: what there is instead of an unknown name, or what is wrong with a file.
    """
    if isinstance(name, os.PathLike) or (isinstance(name, str) and is_path(name)):
        return _own(folder / os.fspath(name))
    if not isinstance(name, str):
        raise UsageError(f"a target is a name or a path, not {type(name).__name__}; see: sandgrain targets")
    known = aliases()
    word = unknown.normal(name)
    if word not in known:
        raise UsageError(unknown.sentence(name, known, {real: _load(real).core.name for real in known.values()}))
    return _load(known[word])


def is_path(name: str) -> bool:
    """Whether a target is the path of a file and no name."""
    return name.lower().endswith(".toml") or "/" in name or os.sep in name


@cache
def aliases() -> Mapping[str, str]:
    """Every name that a target may have -> the board or core that it means. Names are their own."""
    found = {name: name for name in (*boards(), *cores())}
    for folder, names in (("boards", boards()), ("cores", cores())):
        for name in names:
            for alias in _read(folder, name).get("aliases", ()):
                if found.setdefault(alias, name) != name:
                    raise UsageError(f"targets: {name}.toml: the alias {alias!r} is {found[alias]}'s; choose another")
    return MappingProxyType(found)


@cache
def _load(name: str) -> Board:
    """The board or core of this very name."""
    if name in boards():
        raw = _read("boards", name)
        return _board(raw, name, load_core(raw.pop("core")))
    core = load_core(name)
    return Board(
        name=name,
        title=f"generic {core.summary}",
        core=core,
        data_sheet="generic: plenty of memory at usual addresses, round figures for clock and current",
        **core.memory,  # type: ignore[arg-type]
    )


def write(path: Path, fields: Mapping[str, Any], *, force: bool = False) -> Board:
    """Write a board's TOML file, and give the board in it. Nothing is written where a field is wrong. Raises UsageError."""
    if path.suffix.lower() != ".toml":
        raise UsageError(f"{own.shown(path)} does not end in .toml, by which a target is known for a file; name it so")
    if path.exists() and not force:
        raise UsageError(f"{own.shown(path)} exists; name another file, or replace it with --force")
    named = {**fields, "core": aliases().get(unknown.normal(str(fields.get("core", ""))), fields.get("core"))}
    text = own.to_toml({key: value for key, value in named.items() if value is not None})
    board = _own(path, text)
    with files.output(path) as file:
        file.write(text.encode())
    return board


def _own(path: Path, text: str | None = None) -> Board:
    """The board of somebody's file. Raises UsageError."""
    text, raw = own.read(path, text)
    core = raw.pop("core")
    real = aliases().get(unknown.normal(core), "")
    if real not in cores() or not load_core(real).runs_firmware:
        fit = [name for name in cores() if load_core(name).runs_firmware]
        raise UsageError(f"{own.shown(path)}: core: there is no core called {own.shown(core)!r}; choose one of {', '.join(fit)}")
    given = own.completed(path, raw, load_core(real).memory)
    if given["name"] in aliases():
        raise UsageError(
            f"{own.shown(path)}: name: {given['name']!r} is a target that Sandgrain has; write another name into the file"
        )
    return _board(given, str(path.name), load_core(real), file=text if "name" in raw else own.named(text, given["name"]))


def _board(raw: dict[str, Any], stem: str, core: Core, **more: Any) -> Board:
    waits = raw.pop("wait_states", None)
    given = {} if waits is None else {"wait_states": _build(WaitStates, stem, waits)}
    given["aliases"] = tuple(raw.pop("aliases", ()))
    board: Board = _build(Board, stem, {"name": stem, **raw}, core=core, **given, **more)
    return board


@cache
def load_core(name: str) -> Core:
    """The core called `name`. Raises UsageError when there is none."""
    if name not in cores():
        raise UsageError(f"there is no core called {name!r}; choose one of {', '.join(cores())}")
    raw = _read("cores", name)
    raw.pop("aliases", None)
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
