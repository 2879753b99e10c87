"""Structs that assembly reads by offset: a member that moves stops the build for every core that has that assembly."""

from __future__ import annotations

import re
import shutil
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from sandgrain.device import targets
from sandgrain.device.toolchain import zig
from sandgrain.kernels import headers
from tests.support.c_programs import run_compiler
from tests.support.draws import rare

CORES = {"mve": "cortex-m55"}  # by a part of the layout's name; else:
CORE = "cortex-m4"
STRUCTS = {"block_2x4", "depthwise_3x3_line", "block_4x2", "fully_connected_block", "rows", "mve_dot", "mve_line"}
LAYOUT = re.compile(r"^SG_LAYOUT\((\w+), (.*?)\);", re.MULTILINE | re.DOTALL)
MEMBER = re.compile(r"SG_AT\((\w+), ([\w.]+), (\d+)\)")


@cache
def layouts() -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """Layout's name -> header, struct, members in the order of their offsets."""
    found = {}
    for header, path in headers().items():
        for name, text in LAYOUT.findall(path.read_text()):
            members = [(struct, member, int(at)) for struct, member, at in MEMBER.findall(text)]
            assert [at for _, _, at in members] == sorted(at for _, _, at in members)
            found[name] = (header, members[0][0], tuple(member for _, member, _ in members))
    return found


def compiled(header: str, changed: str, place: Path) -> str:
    """What the compiler says about `header`, whose text is `changed`, for the core that has its assembly."""
    if not zig.host_command():
        pytest.skip("zig is not installed")
    for path in headers().values():
        shutil.copy(path, place)
    (place / header).write_text(changed)
    (place / "main.c").write_text(f'#include "{header}"\n')
    core = targets.load(next((core for part, core in CORES.items() if part in header), CORE)).core
    command = [*zig.command(core), *zig.flags(core), "-std=c99", "-ffreestanding", "-w", "-c", "main.c", "-o", "main.o"]
    return run_compiler(command, place)


def swapped(text: str, struct: str, first: str, second: str) -> str:
    """The header with two members of `struct` in each other's place."""
    names = {first: second, second: first}
    body = re.search(rf"^struct {struct} {{\n(.*?)^}};", text, re.MULTILINE | re.DOTALL)
    assert body is not None
    code = re.sub(r"/\*.*?\*/", "", body[1], flags=re.DOTALL)
    assert all(len(re.findall(rf"\b{name}\b", code)) == 1 for name in names), (struct, names)
    moved = re.sub(rf"\b({first}|{second})\b", lambda name: names[name[0]], code)
    return text[: body.start(1)] + moved + text[body.end(1) :]


def swaps() -> list[tuple[str, str, str, str]]:
    """(header, struct, member, the next one) of every layout; members of a struct inside a struct change places there."""
    found = []
    for header, struct, members in layouts().values():
        for pair in pairwise(members):
            inner = [name.rpartition(".") for name in pair]
            if inner[0][0] == inner[1][0]:
                found.append((header, "sg_limits" if inner[0][0] else struct, inner[0][2], inner[1][2]))
    return found


def test_every_struct_that_assembly_reads_has_its_layout_checked() -> None:
    assert set(layouts()) == STRUCTS


@rare
@pytest.mark.parametrize("header", sorted({header for header, _, _ in layouts().values()}))
def test_the_layout_is_the_one_that_the_assembly_reads(header: str, tmp_path: Path) -> None:
    assert compiled(header, headers()[header].read_text(), tmp_path) == ""


@rare
@pytest.mark.parametrize(("header", "struct", "first", "second"), swaps())
def test_a_member_that_moves_stops_the_build(header: str, struct: str, first: str, second: str, tmp_path: Path) -> None:
    said = compiled(header, swapped(headers()[header].read_text(), struct, first, second), tmp_path)
    assert "sg_layout_of_" in said or "negative" in said, said
