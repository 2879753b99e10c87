"""A firmware ELF as plain values: what is loaded where, which function and which data lie at an address."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from sandgrain.base.errors import RunError

# Functions named `<model>_layer_<i>` are the model's layers; compilers may append ".constprop.0" and the like.
_LAYER = re.compile(r"_layer_(\d+)(?:\..*)?$")


@dataclass(frozen=True, slots=True)
class Segment:
    """Bytes that the image puts at `load_address` (in flash) before the program starts."""

    load_address: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Section:
    name: str
    address: int
    size: int
    data: bytes  # empty for .bss
    writable: bool = True


@dataclass(frozen=True, slots=True, order=True)
class Function:
    """A function's first address (without the Thumb bit), its bytes, and all the names it has."""

    address: int
    size: int
    name: str = field(compare=False)
    aliases: frozenset[str] = field(compare=False, default=frozenset())

    @property
    def end(self) -> int:
        return self.address + self.size

    @property
    def layer(self) -> int | None:
        """The layer that this function is, or None."""
        found = _LAYER.search(self.name)
        return int(found.group(1)) if found else None


@dataclass(frozen=True, slots=True)
class Data:
    """A variable or constant: address, bytes, name."""

    address: int
    size: int
    name: str


class Image:
    """A firmware ELF, read once. Raises RunError when the file is not a 32-bit ELF for Arm or RISC-V with symbols."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as stream:
                self._read(ELFFile(stream))
        except (OSError, ELFError, ValueError, KeyError) as error:
            raise RunError(f"{path.name} is not a firmware image ({error}); build it again") from error

    def _read(self, elf: ELFFile) -> None:
        arch = {"EM_ARM": "thumb", "EM_RISCV": "riscv"}.get(elf["e_machine"])
        if arch is None or elf.elfclass != 32:
            raise ValueError(f"made for {elf['e_machine']}")
        table = elf.get_section_by_name(".symtab")
        if not isinstance(table, SymbolTableSection):
            raise ValueError("it has no symbols")
        self.arch: str = arch
        self.entry: int = elf["e_entry"] & ~1
        self.segments = tuple(
            Segment(s["p_paddr"], s.data()) for s in elf.iter_segments() if s["p_type"] == "PT_LOAD" and s["p_filesz"] > 0
        )
        self.sections = tuple(
            Section(
                s.name, s["sh_addr"], s["sh_size"], b"" if s["sh_type"] == "SHT_NOBITS" else s.data(), bool(s["sh_flags"] & 1)
            )
            for s in elf.iter_sections()
            if s["sh_flags"] & 2  # SHF_ALLOC
        )
        self.symbols: dict[str, int] = {}
        self.data: tuple[Data, ...] = ()
        functions: dict[int, tuple[int, list[str]]] = {}
        data: list[Data] = []
        self._literals: list[tuple[int, bool]] = []  # mapping symbols: from this address on, data (True) or code
        for symbol in table.iter_symbols():
            self._add(symbol.name, symbol["st_value"], symbol["st_size"], symbol["st_info"]["type"], functions, data)
        self.data = tuple(sorted(data, key=lambda d: d.address))
        self._literals.sort()
        self.functions = tuple(
            self._function(address, size or self._reach(address, functions), names)
            for address, (size, names) in sorted(functions.items())
        )
        self._starts = [f.address for f in self.functions]
        self._names = {name: f for f in self.functions for name in f.aliases}

    def _add(
        self, name: str, value: int, size: int, kind: str, functions: dict[int, tuple[int, list[str]]], data: list[Data]
    ) -> None:
        if re.match(r"\$[adtx]", name):
            self._literals.append((value & ~1, name[1] == "d"))
        elif kind == "STT_FUNC":
            known, names = functions.setdefault(value & ~1, (size, []))
            functions[value & ~1] = (max(known, size), [*names, name])
            self.symbols[name] = value & ~1
        elif kind in ("STT_OBJECT", "STT_NOTYPE") and name:
            self.symbols[name] = value
            if kind == "STT_OBJECT":
                data.append(Data(value, size, name))

    def _reach(self, address: int, functions: dict[int, tuple[int, list[str]]]) -> int:
        """Bytes from `address` to the next function or the section's end: assembly often does not state a size."""
        ends = [s.address + s.size for s in self.sections if s.address <= address < s.address + s.size]
        return min([*(a for a in functions if a > address), *ends], default=address) - address

    @staticmethod
    def _function(address: int, size: int, names: list[str]) -> Function:
        """The plainest name: a compiler's runtime has several for one function."""
        best = min(names, key=lambda n: (n.startswith("compiler_rt."), len(n), n))
        return Function(address, size, best, frozenset(names))

    def function_at(self, address: int) -> Function | None:
        """The function that holds `address`, or None."""
        i = bisect_right(self._starts, address) - 1
        if i < 0:
            return None
        f = self.functions[i]
        return f if address < f.end else None

    def function(self, name: str) -> Function | None:
        """The function called `name`, or None."""
        return self._names.get(name)

    def layers(self) -> dict[int, Function]:
        """The model's layer functions by layer number."""
        return {f.layer: f for f in self.functions if f.layer is not None}

    def where(self, address: int) -> str:
        """`function+0x12`, or the bare address when no function holds it."""
        f = self.function_at(address)
        return f"{f.name}+{address - f.address:#x}" if f else f"{address:#010x}"

    def is_literal(self, address: int) -> bool:
        """Whether `address`, inside a function, holds data and not code (a literal pool, by the mapping symbols)."""
        i = bisect_right(self._literals, (address, True)) - 1
        return i >= 0 and self._literals[i][1]

    def bytes_at(self, address: int, size: int) -> bytes | None:
        """`size` bytes of code or constants at `address`, as linked; None outside the image."""
        for section in self.sections:
            if section.address <= address and address + size <= section.address + len(section.data):
                return section.data[address - section.address :][:size]
        return None
