"""Bundles that are spoiled on purpose, one small change each: single bits of tables, and bugs in kernels."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

NUMBER = re.compile(r"(?<![\w.])-?\d+(?![\w.])")
TABLE = re.compile(
    r"^static const (int8_t|uint8_t|int16_t|uint16_t|int32_t|uint32_t) \w+\[\d+\]\w* ?\w*= \{\n(.*?)^\};", re.M | re.S
)
STRUCT = re.compile(r"^static const struct \w+ \w+ = \{\n(.*?)^\};", re.M | re.S)
FIELD = re.compile(r"(?<== )-?\d+(?=[,\s])")
WORDS = re.compile(r"_labels\[\w+\] = \{\n(.*?)^\};", re.M | re.S)


@dataclass(frozen=True, slots=True)
class Spoil:
    """One change: `file` of the bundle, where, and what stands there instead."""

    file: str
    start: int
    end: int
    instead: str
    says: str

    def put(self, made: Path, folder: Path) -> None:
        """The bundle in `made`, copied to `folder` with the change."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(made, folder)
        text = (made / self.file).read_text()
        (folder / self.file).write_text(text[: self.start] + self.instead + text[self.end :])


# --- single bits of tables ------------------------------------------------------------------------------------------------------


def flips(bundle: Path, count: int, seed: int) -> list[Spoil]:
    """Single bits of numbers in tables and parameter structs, and of the labels."""
    file = next(p.name for p in bundle.glob("*.c"))
    text, rng = (bundle / file).read_text(), np.random.default_rng(seed)
    places: list[tuple[int, int, int]] = []  # start, end, bits
    for table in TABLE.finditer(text):
        bits = int(re.sub(r"\D", "", table[1]))
        places += [(m.start(), m.end(), bits) for m in NUMBER.finditer(text, table.start(2), table.end(2))]
    for struct in STRUCT.finditer(text):
        places += [(m.start(), m.end(), 32) for m in FIELD.finditer(text, struct.start(1), struct.end(1))]
    for words in WORDS.finditer(text):
        places += [(k, k + 1, 0) for k in range(words.start(1), words.end(1)) if text[k].isalpha()]
    found = []
    for k in rng.choice(len(places), count, replace=False):
        start, end, bits = places[k]
        if bits == 0:
            instead = chr(ord(text[start]) ^ 1 << int(rng.integers(5)))
            instead = instead if instead.isalpha() else chr(ord(text[start]) ^ 32)
        else:
            bit = int(rng.integers(bits))
            raw = (int(text[start:end]) ^ 1 << bit) & (1 << bits) - 1
            signed = text[start] == "-" or int(text[start:end]) < 1 << bits - 1
            instead = str(raw - (1 << bits) if signed and raw >> bits - 1 else raw)
        found.append(Spoil(file, start, end, instead, f"{file}: {text[start:end]} is {instead}"))
    return found


# --- bugs in kernels --------------------------------------------------------------------------------------------------------------

SWAPS = (
    (r" \+ ", " - "), (r" - ", " + "), (r" \* ", " + "), (r" << ", " >> "), (r" >> ", " << "), (r" < ", " <= "), (r" <= ", " < "),
    (r" > ", " >= "), (r" >= ", " > "), (r" == ", " != "), (r" && ", " || "), (r" \|\| ", " && "), (r" \+= ", " -= "),
    (r"\b127\b", "126"), (r"-128\b", "-127"), (r"(?<![\w.\[])1(?![\w.])", "2"), (r"(?<![\w.\[])2(?![\w.])", "1"),
    (r"(?<![\w.\[])0(?![\w.])", "1"), (r"\b31\b", "30"), (r"\b30\b", "31"), (r"\+\+", "--"),
)  # fmt: skip
COMMENT = re.compile(r"/\*.*?\*/|^[ \t]*#.*?$|^struct.*?^\};", re.M | re.S)


def bugs(bundle: Path, seed: int, reached: Mapping[str, set[int]]) -> list[Spoil]:
    """Operators and constants in the kernels' C: rounding, clamps, offsets, bounds of loops, shifts, padding, in an order that the
    seed draws. `reached`: by file, the lines that count.
    """
    rng, places = np.random.default_rng(seed), list[Spoil]()
    for path in sorted((bundle / "kernels").glob("*.h")):
        text = path.read_text()
        code = COMMENT.sub(lambda m: " " * len(m[0]), text)
        for pattern, instead in SWAPS:
            for m in re.finditer(pattern, code):
                line = text.count("\n", 0, m.start()) + 1
                if line not in reached.get(path.name, ()):
                    continue
                says = f"{path.name}:{line}: {m[0].strip()} is {instead.strip()}"
                places.append(Spoil(f"kernels/{path.name}", m.start(), m.end(), instead, says))
    return [places[k] for k in rng.permutation(len(places))]


# --- bugs of the device ------------------------------------------------------------------------------------------------------------

ASSEMBLY = (
    (r"#1\b", "#2"), (r"#4\b", "#8"), (r"#8\b", "#4"), (r"#16\b", "#0"), (r"\badds?\b", "sub"), (r"\bsubs?\b", "add"),
    (r"\bsmlad\b", "smladx"), (r"\bsmmlar\b", "smmla"), (r"\bsmmulr\b", "smmul"), (r"\bsxtb16\b", "uxtb16"), (r"\bssat\b", "usat"),
    (r"\bmla\b", "mls"), (r"\bsxtb\b", "uxtb"), (r"\bldrsb\b", "ldrb"), (r"\basrs?\b", "lsr"), (r"\bbne\b", "beq"), (r"\bbgt\b", "bge"),
    (r"\bbge\b", "bgt"), (r"\bbhs\b", "bhi"), (r"\bvqrdmulh\b", "vqdmulh"), (r"\bvrshl\b", "vshl"), (r"\bvmladava\b", "vmladavax"),
    (r"\bvqadd\b", "vadd"), (r"\bvqmovnb\b", "vmovnb"), (r"\bvmax\b", "vmin"),
)  # fmt: skip
DEVICE = re.compile(r"SG_HAS_DSP|SG_MVE\b|__ARM|__arm|__thumb|__riscv")


def device_bugs(bundle: Path, seed: int) -> list[Spoil]:
    """The same, and some for assembly, in the lines that are compiled for a device and not for this computer."""
    rng, places = np.random.default_rng(seed), list[Spoil]()
    for path in sorted((bundle / "kernels").glob("*.h")):
        text, lines = path.read_text(), device_lines(path.read_text())
        code = COMMENT.sub(lambda m: " " * len(m[0]), text)
        for pattern, instead in (*SWAPS, *ASSEMBLY):
            for m in re.finditer(pattern, code):
                line = text.count("\n", 0, m.start()) + 1
                if line in lines:
                    says = f"{path.name}:{line}: {m[0].strip()} is {instead.strip()}"
                    places.append(Spoil(f"kernels/{path.name}", m.start(), m.end(), instead, says))
    return [places[k] for k in rng.permutation(len(places))]


def device_lines(text: str) -> set[int]:
    """The lines behind an #if that asks for a device, up to its #else."""
    found, asked = set[int](), list[bool]()
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"\s*#\s*if", line):
            asked.append(bool(DEVICE.search(line)) and not re.search(r"#\s*ifndef|#\s*if !", line))
        elif re.match(r"\s*#\s*el", line):
            asked[-1] = False
        elif re.match(r"\s*#\s*endif", line):
            asked.pop()
        elif any(asked):
            found.add(number)
    return found
