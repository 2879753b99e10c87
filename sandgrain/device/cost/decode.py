"""Machine code to what the cost model needs to know of it: an instruction's class, its registers, where it can go.

Classes (`Instruction.kind`) are the keys of a core's cycle table: alu, it, mul, mla, mul_long, div, load, store,
multiple, branch, call, loop_end, fpu, fpu_mla, fpu_div, fpu_load, mve, mve_load, mve_store.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import capstone
from capstone import arm_const as arm
from capstone import riscv_const as riscv

from sandgrain.base.errors import RunError
from sandgrain.device.cost.image import Function, Image

_THUMB_KINDS = {
    "mul": "mul",
    **dict.fromkeys(("mla", "mls"), "mla"),
    **dict.fromkeys(("smull", "umull", "smlal", "umlal", "umaal", "smlald", "smlaldx", "smlsld", "smlsldx"), "mul_long"),
    **dict.fromkeys(("smlalbb", "smlalbt", "smlaltb", "smlaltt"), "mul_long"),
    **dict.fromkeys(("sdiv", "udiv"), "div"),
    **dict.fromkeys(("ldr", "ldrb", "ldrh", "ldrsb", "ldrsh", "ldrt", "ldrbt", "ldrht", "ldrsbt", "ldrsht", "ldrex"), "load"),
    **dict.fromkeys(("str", "strb", "strh", "strt", "strbt", "strht", "strex"), "store"),
    **dict.fromkeys(("ldrd", "strd", "ldm", "ldmdb", "stm", "stmdb", "push", "pop"), "multiple"),
    **dict.fromkeys(("vldmia", "vldmdb", "vstmia", "vstmdb", "vpush", "vpop"), "multiple"),
    **dict.fromkeys(("b", "bx", "cbz", "cbnz", "tbb", "tbh"), "branch"),
    **dict.fromkeys(("bl", "blx"), "call"),
    **dict.fromkeys(("vldr", "vstr"), "fpu_load"),
    **dict.fromkeys(("vmla", "vmls", "vnmla", "vnmls", "vfma", "vfms", "vfnma", "vfnms"), "fpu_mla"),
    **dict.fromkeys(("vdiv", "vsqrt"), "fpu_div"),
    "it": "it",
}
_RISCV_KINDS = (
    (re.compile(r"mulh(su|u)?$"), "mul_long"),
    (re.compile(r"mul$"), "mul"),
    (re.compile(r"(div|rem)u?$"), "div"),
    (re.compile(r"l[bhw]u?$|lwsp$"), "load"),
    (re.compile(r"s[bhw]$|swsp$"), "store"),
    (re.compile(r"b(eq|ne|lt|ge|gt|le|ltu|geu|gtu|leu)z?$"), "branch"),
    (re.compile(r"j$|jr$|ret$"), "branch"),
    (re.compile(r"jal$|jalr$|call$"), "call"),
)


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction.

    `flow`: "next" (falls through), "branch" (may go to `target` or fall through), "jump" (goes to `target`), "call" (to
    `target`, and comes back), "return", or "indirect" / "indirect call" (to an address in a register).
    """

    address: int
    size: int
    mnemonic: str
    text: str
    kind: str
    registers: int = 0  # of a load or store multiple
    flow: str = "next"
    target: int | None = None
    conditional: bool = False
    raw: Any = None  # capstone's object; None for instructions it does not know

    @property
    def end(self) -> int:
        return self.address + self.size


class Decoder:
    """Decodes instructions of an image; each address is decoded once."""

    def __init__(self, image: Image, features: frozenset[str] = frozenset()) -> None:
        self.image = image
        self._mve = "mve" in features
        if image.arch == "thumb":
            self._engine = capstone.Cs(
                capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS | capstone.CS_MODE_V8
            )
        else:
            self._engine = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC)
        self._engine.detail = True
        self._known: dict[int, Instruction] = {}
        self._predicated: set[int] = set()  # addresses inside IT blocks; an IT is always decoded before what it governs

    def at(self, address: int) -> Instruction:
        """The instruction at `address`. Raises RunError outside the image's code."""
        known = self._known.get(address)
        if known is None:
            known = self._known[address] = self._thumb(address) if self.image.arch == "thumb" else self._riscv(address)
        return known

    def block(self, address: int, size: int) -> list[Instruction]:
        """The instructions of a block of `size` bytes."""
        found = []
        end = address + size
        while address < end:
            found.append(self.at(address))
            address = found[-1].end
        return found

    def function(self, function: Function) -> Iterator[Instruction]:
        """A function's instructions in address order, literal pools left out."""
        address = function.address
        while address < function.end:
            if self.image.is_literal(address):
                address += 2
                continue
            instruction = self.at(address)
            yield instruction
            address = instruction.end

    def _halfword(self, address: int) -> int:
        data = self.image.bytes_at(address, 2)
        if data is None:
            raise RunError(f"there is no code at {address:#010x}; the firmware image is damaged, build it again")
        return int.from_bytes(data, "little")

    def _thumb(self, address: int) -> Instruction:
        first, size = self._halfword(address), self._size(address)
        if first & 0xFF00 == 0xBF00 and first & 0xF:
            self._note_it(address + 2, first & 0xF)
        word = first << 16 | self._halfword(address + 2) if size == 4 else first
        if self._mve and size == 4 and (special := _armv81(address, word)):
            return special
        data = first.to_bytes(2, "little") + (word & 0xFFFF).to_bytes(2, "little") * (size == 4)
        raw = next(self._engine.disasm(data, address, 1), None)
        if raw is None or raw.size != size:
            return Instruction(address, size, "unknown", f".inst {word:#x}", "alu")
        return _thumb(raw, self._engine.insn_name(raw.id) or raw.mnemonic, address in self._predicated)

    def _size(self, address: int) -> int:
        return 4 if self._halfword(address) >> 11 in (0b11101, 0b11110, 0b11111) else 2

    def _note_it(self, address: int, mask: int) -> None:
        """An IT with this mask governs one instruction, and one more for each bit above the mask's lowest set bit."""
        for _ in range(5 - (mask & -mask).bit_length()):
            self._predicated.add(address)
            address += self._size(address)

    def _riscv(self, address: int) -> Instruction:
        first = self._halfword(address)
        size = 4 if first & 3 == 3 else 2
        data = self.image.bytes_at(address, size) or b""
        raw = next(self._engine.disasm(data, address, 1), None)
        if raw is None or raw.size != size:
            return Instruction(address, size, "unknown", f".inst {data[::-1].hex()}", "alu")
        return _riscv(raw)


def _thumb(raw: Any, name: str, predicated: bool) -> Instruction:
    kind = _THUMB_KINDS.get(name) or (("mve" if re.search(r"\bq\d", raw.op_str) else "fpu") if name.startswith("v") else "alu")
    text = f"{raw.mnemonic} {raw.op_str}".strip()
    conditional = predicated or raw.cc not in (arm.ARM_CC_AL, arm.ARM_CC_INVALID) or name in ("cbz", "cbnz")
    registers = 0
    if kind == "multiple":
        registers = 2 if name in ("ldrd", "strd") else raw.op_str.count(",") + ("{" in raw.op_str)
        if "{" in raw.op_str:
            registers = sum(1 for _ in raw.op_str[raw.op_str.index("{") :].split(","))
            if re.search(r"\{d", raw.op_str):
                registers *= 2
    flow, target = _thumb_flow(raw, name, conditional)
    return Instruction(raw.address, raw.size, name, text, kind, registers, flow, target, conditional, raw)


def _thumb_flow(raw: Any, name: str, conditional: bool) -> tuple[str, int | None]:
    operands = raw.operands
    if name in ("b", "cbz", "cbnz"):
        return ("branch" if conditional else "jump"), operands[-1].imm
    if name in ("bl", "blx"):
        immediate = operands[0].type == arm.ARM_OP_IMM
        return ("call", operands[0].imm) if immediate else ("indirect call", None)
    if name == "bx":
        return ("return" if operands[0].reg == arm.ARM_REG_LR else "indirect"), None
    if name in ("tbb", "tbh"):
        return "indirect", None
    if name in ("pop", "ldm", "ldmdb"):
        return ("return", None) if any(o.type == arm.ARM_OP_REG and o.reg == arm.ARM_REG_PC for o in operands) else ("next", None)
    if name == "ldr" and operands[0].reg == arm.ARM_REG_PC:  # "ldr pc, [sp], #4" is GCC's return
        memory = operands[1]
        return ("return" if memory.type == arm.ARM_OP_MEM and memory.mem.base == arm.ARM_REG_SP else "indirect"), None
    written = bool(operands) and operands[0].type == arm.ARM_OP_REG and operands[0].reg == arm.ARM_REG_PC
    if written and name in ("mov", "add"):
        source = operands[1]
        back = name == "mov" and source.type == arm.ARM_OP_REG and source.reg == arm.ARM_REG_LR
        return ("return" if back else "indirect"), None
    return "next", None


def _armv81(address: int, word: int) -> Instruction | None:
    """Armv8.1-M instructions that capstone takes for others or does not know: low-overhead loops and Helium."""

    def made(name: str, kind: str, flow: str = "next", target: int | None = None) -> Instruction:
        return Instruction(address, 4, name, f"{name} ({word:#010x})", kind, 0, flow, target, flow == "branch")

    top = word >> 16
    offset = (word & 0x7FE) << 1 | (word & 0x800) >> 10
    if word & 0xFFCFF001 == 0xF00FC001 or word & 0xFFFFF001 in (0xF01FC001, 0xF02FC001):
        return made("le", "loop_end", "branch", address + 4 - offset)
    if word & 0xFF80F001 == 0xF000C001:
        return made("wls", "branch", "branch", address + 4 + offset)
    if word & 0xFF80FFFF == 0xF000E001:
        return made("dls", "alu")
    if word & 0xFFC0FFFF == 0xF000E801:
        return made("vctp", "alu")
    # The vector unit owns coprocessors 14 and 15: loads and stores (but for a pair of lanes), then the arithmetic.
    if top & 0xEE00 == 0xEC00 and word & 0x0E00 == 0x0E00:
        if word & 0x01A00000 == 0:
            return made("vmov.q", "mve")
        return made("vldr.q", "mve_load") if word & 0x00100000 else made("vstr.q", "mve_store")
    if top & 0xEF00 in (0xEE00, 0xEF00) and word & 0x0F00 not in (0x0A00, 0x0B00, 0x0800, 0x0900):
        return made("mve", "mve")
    return None


def _riscv(raw: Any) -> Instruction:
    name = raw.mnemonic.removeprefix("c.")
    kind = next((kind for pattern, kind in _RISCV_KINDS if pattern.match(name)), "alu")
    text = f"{raw.mnemonic} {raw.op_str}".strip()
    flow, target = _riscv_flow(raw, name)
    if kind == "call" and flow in ("jump", "return", "indirect"):
        kind = "branch"
    return Instruction(raw.address, raw.size, name, text, kind, 0, flow, target, flow == "branch", raw)


def _riscv_flow(raw: Any, name: str) -> tuple[str, int | None]:
    operands = raw.operands
    if name in ("jal", "j"):
        linked = name == "jal" and not (operands[0].type == riscv.RISCV_OP_REG and operands[0].reg == riscv.RISCV_REG_X0)
        return ("call" if linked else "jump"), raw.address + operands[-1].imm
    if name == "ret":
        return "return", None
    if name == "jr":
        return ("return" if operands[0].reg == riscv.RISCV_REG_RA else "indirect"), None
    if name == "jalr":
        if len(operands) == 1 or operands[0].reg != riscv.RISCV_REG_X0:
            return "indirect call", None
        return ("return" if operands[1].reg == riscv.RISCV_REG_RA else "indirect"), None
    if name.startswith("b") and operands and operands[-1].type == riscv.RISCV_OP_IMM:
        return "branch", raw.address + operands[-1].imm
    return "next", None
