"""What the compiled C holds: no heap, no libm, no global constructors, no writable memory but the arena, no recursion."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from sandgrain.compiler.emit import bundle
from sandgrain.compiler.emit.model import Options, generate, harness
from sandgrain.compiler.plan import plan
from sandgrain.device import targets
from sandgrain.device.cost import Image, stack_bound
from sandgrain.device.toolchain import build_firmware
from sandgrain.device.toolchain.build import build_object
from tests.support.c_programs import mixed_graph, sources, write
from tests.support.draws import rare

# What a compiler may call on its own: memory functions, and arithmetic that a core has no instruction for.
HELPERS = re.compile(
    r"mem(cpy|set|move)|__aeabi_(mem(cpy|set|move|clr)[48]?|[a-z]?(u?l|i|ui)(div|mul|divmod|dz)\w*|l(mul|lsl|lsr|asr|cmp)|ul(div|cmp)\w*|[fil]\w+)"
    r"|__(mul|div|udiv|mod|umod|ashl|ashr|lshr|clz|ctz)[sd]i[23]|__(add|sub|mul|div|eq|ne|lt|le|gt|ge|unord)sf[23]|__(fix|float)\w*s[fi]\w*|__gnu_thumb1_case_\w+"
)
FORBIDDEN = re.compile(
    r"malloc|calloc|realloc|free|printf|abort|assert|alloca|pow|exp|log|tanh|sqrt|floor|ceil|round|(?<!_)errno"
)
SHF_WRITE = 1
SLOW = pytest.mark.slow  # the same fact for another instruction set
TARGETS = ("cortex-m4", pytest.param("cortex-m0plus", marks=SLOW), pytest.param("rv32imc", marks=SLOW))


@rare
@pytest.mark.parametrize("target", TARGETS)
def test_an_object_holds_code_constants_and_the_arena_alone(target: str, tmp_path: Path) -> None:
    board = targets.load(target)
    made = sources(board.core.features, whole=target == "cortex-m4")
    source = write(made, tmp_path)
    file = ELFFile(io.BytesIO(build_object(source, [tmp_path], board, tmp_path / "all.o").read_bytes()))
    wanted = {s.name for s in file.get_section_by_name(".symtab").iter_symbols() if s["st_shndx"] == "SHN_UNDEF" and s.name}
    assert {name for name in wanted if not HELPERS.fullmatch(name) or FORBIDDEN.search(name)} == set()
    writable = {s.name: s["sh_size"] for s in file.iter_sections() if s["sh_flags"] & SHF_WRITE and s["sh_size"]}
    assert writable == {f".bss.{s.options.name}_arena": -(-s.plan.arena_bytes // 8) * 8 for s in made}
    assert not [s.name for s in file.iter_sections() if s.name.startswith((".init_array", ".ctors", ".preinit", ".fini"))]


@rare
@pytest.mark.parametrize("target", TARGETS)
def test_no_function_recurses_or_calls_through_a_pointer(target: str, tmp_path: Path) -> None:
    """The stack bound refuses both, by name; it is taken for every op's code in one firmware."""
    board = targets.load(target)
    made = sources(board.core.features, whole=False)
    write(made, tmp_path)
    main = generate(plan(mixed_graph(), board.core.features), Options("model"))
    bundle.write(main, tmp_path / "main")
    (tmp_path / "main" / "harness.c").write_text(harness(main))
    table = "".join(f"    (void *)(uintptr_t){s.options.name}_run,\n" for s in made)
    (tmp_path / "keep.c").write_text(
        f'#include "all.c"\nextern void *const keep[];\n__attribute__((used, retain)) void *const keep[] = {{\n{table}}};\n'
    )
    elf = build_firmware(
        [tmp_path / "keep.c", tmp_path / "main" / "model.c", tmp_path / "main" / "harness.c"],
        [tmp_path, tmp_path / "main"],
        board,
        tmp_path / "all.elf",
    )
    image = Image(elf)
    bounds = {s.options.name: stack_bound(image, f"{s.options.name}_run", board.core.features).bytes for s in made}
    assert {name: bound for name, bound in bounds.items() if bound > 1024} == {}
    assert max(bounds.values()) > 0


@rare
def test_a_bundle_holds_exactly_the_kernels_that_its_model_uses() -> None:
    for source in sources(()):
        files = bundle.files(source)
        named = set(re.findall(r'#include "kernels/([^"]+)"', source.body + files[source.options.h_file]))
        wanted = set(named)
        while (
            more := {i for n in wanted for i in re.findall(r'^#include "([^"]+)"', files[f"kernels/{n}"], re.MULTILINE)} - wanted
        ):
            wanted |= more
        assert {f"kernels/{n}" for n in wanted} | {source.options.c_file, source.options.h_file} == set(files)
        calls = set(re.findall(r"^    sg_(\w+)\((?:&|p,)", source.body, re.MULTILINE))
        assert calls == {n.removesuffix(".h") for n in named if not n.startswith("sg_")}
