"""Follows the stack pointer through instructions: how deep it is, and which registers hold copies or known numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from capstone import arm_const as arm
from capstone import riscv_const as riscv

from sandgrain.device.cost.decode import Instruction
from sandgrain.device.cost.image import Image

# A register's value: ("sp", k) is the entry's stack pointer plus k, ("int", n) a known number, ("return",) the address
# that the function returns to. Anything else is not known, and absent.
Value = tuple[str, int]
RETURN: Value = ("return", 0)


class Unclear(Exception):  # noqa: N818  (caught by stack.py, never seen by a user)
    """The stack pointer takes a value that cannot be followed."""


@dataclass(frozen=True, slots=True)
class State:
    """`depth`: bytes that the stack pointer lies below its value at the function's entry."""

    depth: int
    values: tuple[tuple[int, Value], ...] = ()  # by register number, sorted
    target: int | None = None  # of an indirect jump just decoded, where it is known
    returns: bool = False  # the indirect jump just decoded goes back to the caller

    def join(self, other: State | None) -> State:
        """Both: the deeper stack, and what both know."""
        if other is None:
            return State(self.depth, self.values)
        return State(max(self.depth, other.depth), tuple(v for v in self.values if v in other.values))

    def get(self, register: int) -> Value | None:
        return dict(self.values).get(register)

    def put(self, register: int, value: Value | None) -> State:
        rest = {r: v for r, v in self.values if r != register}
        if value is not None:
            rest[register] = value
        return State(self.depth, tuple(sorted(rest.items())))

    def at_depth(self, depth: int) -> State:
        if depth < 0:
            raise Unclear("the stack pointer rises above its caller's")
        return State(depth, self.values)


def start(arch: str) -> State:
    """At a function's entry: only the return address is known."""
    return State(0, ((arm.ARM_REG_LR if arch == "thumb" else riscv.RISCV_REG_RA, RETURN),))


def step(image: Image, instruction: Instruction, state: State) -> State:
    """The state after `instruction`. Raises Unclear when it moves the stack pointer to an unknown place."""
    if instruction.raw is None:
        return state
    if image.arch == "thumb":
        return _thumb(image, instruction, state)
    return _riscv(instruction, state)


# --- Thumb -------------------------------------------------------------------------------------------------------

_SP = arm.ARM_REG_SP
_CLOBBERED = (arm.ARM_REG_R0, arm.ARM_REG_R1, arm.ARM_REG_R2, arm.ARM_REG_R3, arm.ARM_REG_R12, arm.ARM_REG_LR)


def _thumb(image: Image, instruction: Instruction, state: State) -> State:
    raw, name = instruction.raw, instruction.mnemonic
    operands = raw.operands
    if name in ("push", "vpush"):
        return state.at_depth(state.depth + _list_bytes(operands))
    if name == "pop" and instruction.conditional and any(o.reg == arm.ARM_REG_PC for o in operands):
        return state  # where it is taken, the function ends
    if name in ("pop", "vpop"):
        return _forget(state, raw).at_depth(state.depth - _list_bytes(operands))
    if name in ("stmdb", "ldm", "vstmdb", "vldmia", "stm", "vstmia", "ldmdb") and operands[0].reg == _SP and _writes_back(raw):
        moved = _list_bytes(operands[1:])
        down = name in ("stmdb", "vstmdb", "ldmdb")
        return _forget(state, raw, but=_SP).at_depth(state.depth + (moved if down else -moved))
    if instruction.flow in ("indirect", "indirect call") and name in ("bx", "blx", "mov"):
        known = state.get(operands[-1].reg)
        return State(state.depth, state.values, known[1] & ~1 if known and known[0] == "int" else None, known == RETURN)
    if instruction.flow in ("call", "indirect call"):
        for register in _CLOBBERED:
            state = state.put(register, None)
        return state
    memory = next((o.mem for o in operands if o.type == arm.ARM_OP_MEM), None)
    if memory is not None and memory.base == _SP and _writes_back(raw):
        moved = operands[-1].imm if operands[-1].type == arm.ARM_OP_IMM else memory.disp
        if operands[-1].type == arm.ARM_OP_IMM and operands[-1].subtracted:
            moved = -moved
        state = _forget(state, raw, but=_SP) if name.startswith(("ldr", "vldr")) else state
        return state.at_depth(state.depth - moved)
    return _thumb_arithmetic(image, instruction, state)


def _thumb_arithmetic(image: Image, instruction: Instruction, state: State) -> State:
    raw, name = instruction.raw, instruction.mnemonic
    operands = raw.operands
    if not operands or operands[0].type != arm.ARM_OP_REG or not _writes_first(raw):
        return _forget(state, raw)
    target = operands[0].reg

    def value(operand: Any) -> Value | None:
        if operand.type == arm.ARM_OP_IMM:
            return ("int", operand.imm)
        if operand.type != arm.ARM_OP_REG or operand.shift.type not in (arm.ARM_SFT_INVALID,):
            return None
        return ("sp", -state.depth) if operand.reg == _SP else state.get(operand.reg)

    result: Value | None = None
    if name in ("mov", "movw", "movs") and len(operands) == 2:
        result = value(operands[1])
    elif name == "movt":
        low = state.get(target)
        result = ("int", operands[1].imm << 16 | low[1] & 0xFFFF) if low and low[0] == "int" else None
    elif name in ("add", "sub", "addw", "subw", "lsl", "rsb", "mvn", "adr"):
        left, right = map(value, operands[-2:])
        result = _combine(name, left, right)
    elif name in ("bfc", "bic", "and") and (before := value(operands[0] if name == "bfc" else operands[1])):
        result = _aligned(name, operands, before)
    elif name == "ldr" and operands[1].type == arm.ARM_OP_MEM and operands[1].mem.base == arm.ARM_REG_PC:
        literal = image.bytes_at((instruction.address + 4 & ~3) + operands[1].mem.disp, 4)
        result = ("int", int.from_bytes(literal, "little")) if literal else None
    if instruction.conditional and result is not None and target != _SP:
        result = None  # either value may hold
    return _assign(_forget(state, raw, but=_SP), state.depth, target, _SP, result, instruction.conditional)


def _list_bytes(operands: Any) -> int:
    """Bytes of a register list: 8 for d registers, 4 for the rest."""
    wide = range(arm.ARM_REG_D0, arm.ARM_REG_D31 + 1)
    return sum(8 if o.reg in wide else 4 for o in operands if o.type == arm.ARM_OP_REG)


def _writes_back(raw: Any) -> bool:
    return bool(raw.writeback) or "!" in raw.op_str or "], #" in raw.op_str


def _writes_first(raw: Any) -> bool:
    return raw.operands[0].reg in set(raw.regs_access()[1])


def _forget(state: State, raw: Any, but: int = 0) -> State:
    """Registers that `raw` writes are no longer known."""
    written = set(raw.regs_access()[1]) - {but}
    if _SP in written and but != _SP and raw.insn_name() not in ("pop", "push", "vpop", "vpush"):
        raise Unclear("it sets the stack pointer in a way that is not followed")
    return State(state.depth, tuple((r, v) for r, v in state.values if r not in written))


# --- RISC-V ------------------------------------------------------------------------------------------------------

_RV_SP, _RV_RA, _RV_ZERO = riscv.RISCV_REG_SP, riscv.RISCV_REG_RA, riscv.RISCV_REG_X0
_SAVED = {riscv.RISCV_REG_S0, riscv.RISCV_REG_S1, _RV_SP, *range(riscv.RISCV_REG_S2, riscv.RISCV_REG_S11 + 1)}
_STORES = re.compile(r"(c\.)?(s[bhw]|swsp)$|(c\.)?b\w+z?$|(c\.)?nop$|fence|e(call|break)$")


def _riscv(instruction: Instruction, state: State) -> State:
    raw, name = instruction.raw, instruction.mnemonic
    operands = raw.operands
    if instruction.flow in ("indirect", "indirect call"):
        known = state.get(operands[-2].reg if len(operands) > 1 else operands[0].reg)
        offset = operands[-1].imm if len(operands) > 1 else 0
        target = known[1] + offset & 0xFFFFFFFE if known and known[0] == "int" else None
        cleared = _riscv_call(state) if instruction.flow == "indirect call" else state
        return State(cleared.depth, cleared.values, target, known == RETURN)
    if instruction.flow == "call":
        return _riscv_call(state)
    if not operands or operands[0].type != riscv.RISCV_OP_REG or _STORES.match(raw.mnemonic) or instruction.flow != "next":
        return state
    target = operands[0].reg

    def value(operand: Any) -> Value | None:
        if operand.type == riscv.RISCV_OP_IMM:
            return ("int", operand.imm)
        if operand.type != riscv.RISCV_OP_REG:
            return None
        if operand.reg == _RV_ZERO:
            return ("int", 0)
        return ("sp", -state.depth) if operand.reg == _RV_SP else state.get(operand.reg)

    result: Value | None = None
    if name in ("mv", "li") and len(operands) == 2:
        result = value(operands[1])
    elif name == "lui":
        result = ("int", operands[1].imm << 12 & 0xFFFFFFFF)
    elif name == "auipc":
        result = ("int", instruction.address + (operands[1].imm << 12) & 0xFFFFFFFF)
    elif name in ("add", "addi", "sub", "addi16sp", "addi4spn", "slli"):
        left, right = map(value, operands[-2:])
        result = _combine({"addi": "add", "addi16sp": "add", "addi4spn": "add", "slli": "lsl"}.get(name, name), left, right)
    elif name == "andi" and (before := value(operands[-2])) and before[0] == "sp":
        result = ("sp", before[1] - (-operands[-1].imm - 1))
    return _assign(state, state.depth, target, _RV_SP, result, False)


def _riscv_call(state: State) -> State:
    return State(state.depth, tuple((r, v) for r, v in state.values if r in _SAVED))


# --- both --------------------------------------------------------------------------------------------------------


def _combine(name: str, left: Value | None, right: Value | None) -> Value | None:
    """left + right and the like, where the outcome is known."""
    if name == "mvn" and right is not None and right[0] == "int":
        return ("int", ~right[1] & 0xFFFFFFFF)
    if left is None or right is None or "return" in (left[0], right[0]):
        return None
    if right[0] == "int":
        number = right[1] if right[1] < 1 << 31 else right[1] - (1 << 32)
        results: dict[str, Callable[[], Value]] = {
            "add": lambda: (left[0], left[1] + number),
            "sub": lambda: (left[0], left[1] - number),
            "lsl": lambda: (left[0], left[1] << (number & 31)),
            "rsb": lambda: (left[0], number - left[1]),
        }
        if left[0] == "sp" and name in ("lsl", "rsb"):
            return None
        made = results.get(name.removesuffix("w"))
        return _wrapped(made()) if made else None
    return _combine(name, right, left) if name == "add" and left[0] == "int" else None


def _wrapped(value: Value) -> Value:
    """Numbers as 32 bits; stack offsets stay signed."""
    return ("int", value[1] & 0xFFFFFFFF) if value[0] == "int" else value


def _aligned(name: str, operands: Any, before: Value) -> Value | None:
    """A copy of the stack pointer with its low bits cleared lies at most that much lower."""
    if before[0] != "sp":
        return None
    if name == "bfc":
        return ("sp", before[1] - ((1 << operands[2].imm) - 1)) if operands[1].imm == 0 else None
    mask = operands[-1].imm if operands[-1].type == arm.ARM_OP_IMM else None
    if mask is None:
        return None
    slack = mask if name == "bic" else ~mask & 0xFFFFFFFF
    return ("sp", before[1] - slack) if slack & (slack + 1) == 0 and slack < 4096 else None


def _assign(state: State, depth: int, target: int, sp: int, result: Value | None, conditional: bool) -> State:
    if target != sp:
        return state.put(target, result)
    if result is None or result[0] != "sp":
        raise Unclear("it sets the stack pointer to a value that is not known")
    return state.at_depth(max(depth, -result[1]) if conditional else -result[1])
