"""C literals, identifiers and comments. Whatever comes from a model passes through here before it reaches a C file."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.base.text import printable as printable  # what goes into C comments

KEYWORDS = frozenset(
    [
        "auto",
        "break",
        "case",
        "char",
        "const",
        "continue",
        "default",
        "do",
        "double",
        "else",
        "enum",
        "extern",
        "float",
        "for",
        "goto",
        "if",
        "inline",
        "int",
        "long",
        "register",
        "restrict",
        "return",
        "short",
        "signed",
        "sizeof",
        "static",
        "struct",
        "switch",
        "typedef",
        "union",
        "unsigned",
        "void",
        "volatile",
        "while",
        "main",
    ]
)
# A model's header is NAME.h, and its folder is searched before the system's: none may hide a header of the C library, nor one
# that those include in turn (features.h of glibc, newlib.h of newlib).
_HEADERS = """
alloca assert byteswap complex ctype endian errno features fenv float getopt inttypes iso646 limits locale malloc math memory newlib
picolibc pthread sched semaphore setjmp signal stdalign stdarg stdatomic stdbit stdbool stdckdint stddef stdint stdio stdlib
stdnoreturn string strings syslimits tgmath threads time uchar ucontext unistd wchar wctype xlocale
"""
HEADERS = frozenset(_HEADERS.split())
WIDTH = 118


def _reserved(name: str) -> bool:
    return name in KEYWORDS or name.lower() in HEADERS or name.lower().startswith("sg_")


def identifier(text: str) -> str:
    """A C identifier made from any text: lower-case ASCII letters, digits and underscores, at most 40 characters."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:40].strip("_")
    if not name or name[0].isdigit() or _reserved(name):
        name = f"model_{name}"[:40].rstrip("_")
    return name


def constants(names: Sequence[str], taken: Sequence[str] = ()) -> list[str]:
    """For each of `names` the end of a C constant: upper-case ASCII letters, digits and underscores, at most 40, each another one.

    What is no ASCII letter loses its accent or becomes "_"; where two would be the same, or one is in `taken`, the number of the name
    is put behind it.
    """
    words = []
    for name in names:
        plain = unicodedata.normalize("NFKD", name.upper()).encode("ascii", "ignore").decode()
        words.append(re.sub(r"[^A-Z0-9]+", "_", plain).strip("_")[:40].strip("_"))
    seen = Counter(words)
    found: list[str] = []
    for k, word in enumerate(words):
        alone = word if word and word not in taken and seen[word] == 1 else f"{word}_{k}".lstrip("_")
        while alone in found or alone in taken or (alone != word and alone in seen):
            alone += "_"
        found.append(alone)
    return found


def check_identifier(name: str) -> str:
    """`name` when it can be a C prefix as it stands. Raises UsageError."""
    if name.lower() in HEADERS:
        raise UsageError(f"--name {name}: {name}.h would hide a header of the C library; choose another name")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,39}", name) or _reserved(name):
        raise UsageError(f"--name {printable(name)!r} is not a C identifier; use letters, digits and underscores")
    return name


def remark(text: str) -> str:
    """`text`, which Sandgrain wrote, for a C comment: one line that cannot end the comment."""
    return "".join(ch if " " <= ch <= "~" and ch not in "\\?" else "_" for ch in text).replace("*/", "* /").replace("/*", "/ *")


def check_section(section: str, option: str = "--arena-section") -> str:
    """A linker section name. Raises UsageError."""
    if not re.fullmatch(r"[A-Za-z0-9_.$]{1,64}", section):
        raise UsageError(f"{option} {printable(section)!r} is not a section name; use letters, digits, '.', '_', '$'")
    return section


def string(text: str) -> str:
    """A C string literal; every byte that is not a plain character is a three-digit octal escape."""
    plain = set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 _-.,:;+=()<>[]{}/*#!&|~^@$")
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode("utf-8", "replace")) + '"'


def number(value: int | float) -> str:
    """An int or float32 literal of exactly this value."""
    if isinstance(value, float):
        return real(value)
    if value == -(2**31):
        return "INT32_MIN"
    return str(int(value))


def real(value: float) -> str:
    """A float32 literal with as many digits as the value needs."""
    text = np.format_float_scientific(np.float32(value), unique=True, trim="0")
    return f"{text}f"


def plus(base: str, offset: int) -> str:
    """C: `base + offset`; nothing is added where the offset is 0."""
    return f"{base} + {offset}" if offset else base


def operand(base: str, offset: int) -> str:
    """C: the same for a cast to stand before it."""
    return f"({plus(base, offset)})" if offset else base


def times(value: str, factor: int) -> str:
    """C: `value * factor`; there is no product where the factor is 1."""
    return f"{value} * {factor}" if factor != 1 else value


def wrap(items: Iterable[str], indent: str = "    ") -> str:
    """Items separated by commas, in lines of at most WIDTH."""
    lines, line = [], indent
    for item in items:
        if len(line) + len(item) + 2 > WIDTH:
            lines.append(line.rstrip())
            line = indent
        line += f"{item}, "
    lines.append(line.rstrip())
    return "\n".join(lines)


def c_type(dtype: np.dtype[Any]) -> str:
    """The C type of a table's elements; a tensor's is `Tensor.dtype.c_type`."""
    return f"{dtype.name}_t" if dtype.kind in "iu" else "float"


def table(name: str, data: Array, place: str = "") -> str:
    """`static const TYPE name[n] place = {...};`"""
    flat = data.reshape(-1)
    values = flat.tolist()
    texts = [real(v) for v in values] if flat.dtype.kind == "f" else [number(int(v)) for v in values]
    if flat.dtype == np.int64:
        texts = ["INT64_MIN" if v == -(2**63) else f"INT64_C({v})" for v in values]
    where = f" {place}" if place else ""
    return f"static const {c_type(flat.dtype)} {name}[{flat.size}]{where} = {{\n{wrap(texts)}\n}};\n"
