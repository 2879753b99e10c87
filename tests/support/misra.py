"""Bundles as cppcheck reads them for MISRA C:2012, what it finds in them, and which rules docs/explanation/misra.md lets be broken."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sandgrain.compiler import pipeline
from sandgrain.compiler.emit import bundle
from sandgrain.compiler.emit.model import Options, Source
from sandgrain.device import targets
from tests.conftest import ROOT
from tests.support.c_bundles import DIGITS, streaming

PAGE = ROOT / "docs" / "explanation" / "misra.md"
CPPCHECK = (
    "cppcheck", "--addon=misra", "--enable=style", "--quiet", "-j1", "--std=c99", "--platform=unix32",
    "-DINT_MAX=2147483647", "-DINT32_MAX=2147483647", "-DSG_ANY_CORE", "--template={file}:{line}: {id}",
)  # fmt: skip
_ROW = re.compile(r"^\| (\d+\.\d+) \| (required|advisory) \| (.+) \|$", re.MULTILINE)
_TABLE = re.compile(r"^(static const \w+ \w+)\[\d+\] = \{\n(.*)\n(?:.*\n)*?\};$", re.MULTILINE)
_DECLARATION = re.compile(r"\s*(static |const |register |struct )*\w+ \*?\w+\b[^()]*( = |, |;)")
_FOUND = re.compile(r"^(.+):(\d+): misra-c2012-([\d.]+)$", re.MULTILINE)


@dataclass(frozen=True, order=True)
class Finding:
    rule: str
    place: str  # file:line
    text: str


def bundles() -> list[Source]:
    """Three that between them hold most of what the C consists of: kernels for DSP, portable kernels, and features with a stream,
    labels and decisions."""
    dsp, portable = (
        pipeline.compile_bytes(DIGITS, targets.load(core), Options(name)).source
        for core, name in (("cortex-m4", "packed"), ("cortex-m0plus", "portable"))
    )
    return [dsp, portable, streaming(Options("heard"))]


def deviations(page: str) -> dict[str, str]:
    """Rule -> reason, of the table in the page."""
    return {rule: reason for rule, _, reason in _ROW.findall(page)}


def shortened(text: str) -> str:
    """The C with the first line of each table: the others are more of the same, and cppcheck takes minutes to read them."""
    return _TABLE.sub(lambda found: f"{found[1]}[{found[2].count(',')}] = {{\n{found[2]}\n}};", text)


def program(header: str) -> str:
    """A C file that names all that a header offers: no rule on unused things is then broken because there is no user."""
    macros = re.findall(r"^#define (\w+)(?= |\()", header, re.MULTILINE)
    functions = re.findall(r"^\w+ (\w+)\(.*;$", header, re.MULTILINE)
    tags = re.findall(r"^enum (\w+) \{", header, re.MULTILINE)
    lines = [f"    {name};" for name in (*macros, *functions)] + [f"    enum {tag} some_{tag};" for tag in tags]
    return "\n".join(["void use(void);", "void use(void)", "{", *lines, "}", ""])


def write(source: Source, folder: Path) -> None:
    """The bundle, its tables shortened, and a program that uses it."""
    for path in bundle.write(source, folder):
        path.write_text(shortened(path.read_text("ascii")), "ascii")
    use = f'#include "{source.options.h_file}"\n' + program(source.header)
    (folder / "use.c").write_text(use, "ascii")


def findings(folder: Path) -> list[Finding]:
    """What cppcheck finds in the C files of `folder`, a written bundle."""
    names = sorted(path.name for path in folder.glob("*.c"))
    done = subprocess.run([*CPPCHECK, *names], cwd=folder, capture_output=True, text=True, check=True, timeout=600)
    texts = {path.relative_to(folder).as_posix(): path.read_text("ascii") for path in folder.rglob("*.[ch]")}
    found = []
    for name, line, rule in sorted(set(_FOUND.findall(done.stderr))):
        text = texts[name].split("\n")[int(line) - 1].strip()
        if name != "use.c" and not _mistaken(rule, text, texts.values()):
            found.append(Finding(rule, f"{name}:{line}", text))
    return found


def _mistaken(rule: str, text: str, texts: Iterable[str]) -> bool:
    """Whether a finding is cppcheck's mistake: the comma between two declared names is no comma operator, and a macro is used
    where it stands in text that is for another core."""
    if rule == "2.5":
        name = re.compile(rf"\b{text.split()[1].split('(')[0]}\b")
        return sum(len(name.findall(other)) for other in texts) > 1
    return rule == "12.3" and _DECLARATION.match(text) is not None and not text.startswith("for ")
