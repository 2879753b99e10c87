"""Bundles in other people's programs: several in one folder, called from C and from C++, compiled apart and linked."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from sandgrain.base.errors import UsageError
from sandgrain.bundle import on_host
from sandgrain.compiler.emit import bundle, ctext
from sandgrain.compiler.emit.model import Options
from sandgrain.device.toolchain import zig
from sandgrain.graph import interpret
from tests.conftest import ROOT
from tests.support.c_bundles import digits, kinds, main_text
from tests.support.c_programs import ANY_CORE, STRICT, driver, flat, host_compilers, run_compiler, run_program
from tests.support.draws import random_inputs, rare

STANDARD = """
assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdarg stdbool stddef stdint stdio stdlib string
tgmath time uchar unistd wchar wctype
"""
CPP = ("-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wcast-align", "-Werror")


def c_compiler() -> list[str]:
    command = next(iter(host_compilers().values()), None)
    if command is None:
        pytest.skip("no C compiler for this computer is installed")
    return command


def cpp_compiler() -> list[str]:
    if shutil.which("g++"):
        return ["g++", ANY_CORE]
    if not zig.host_command():
        pytest.skip("no C++ compiler for this computer is installed")
    return [zig.host_command()[0], "c++", "-fno-sanitize=all", ANY_CORE]


def objects(place: Path) -> list[str]:
    """Every C file of `place` compiled by itself, as C99."""
    names = sorted(path.stem for path in place.glob("*.c"))
    for name in names:
        assert run_compiler([*c_compiler(), *STRICT, "-O1", "-c", f"{name}.c", "-o", f"{name}.o"], place) == ""
    return [f"{name}.o" for name in names]


@rare
@pytest.mark.parametrize("kind", kinds())
def test_a_cpp_program_compiles_and_links_with_every_kind_of_bundle(kind: str, tmp_path: Path) -> None:
    made = kinds()[kind]
    bundle.write(made.source, tmp_path)
    parts = objects(tmp_path)
    (tmp_path / "main.cpp").write_text(main_text({kind: made}), "ascii")
    assert run_compiler([*cpp_compiler(), *CPP, "main.cpp", *parts, "-o", "program"], tmp_path) == ""
    assert run_program(tmp_path / "program", b"") == b""


@rare
def test_all_kinds_of_bundles_share_one_folder_and_one_program(tmp_path: Path) -> None:
    for made in kinds().values():
        bundle.write(made.source, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == ["kernels"]
    parts = objects(tmp_path)
    (tmp_path / "main.cpp").write_text(main_text(kinds()), "ascii")
    assert run_compiler([*cpp_compiler(), *CPP, "main.cpp", *parts, "-o", "program"], tmp_path) == ""
    assert run_program(tmp_path / "program", b"") == b""


def test_two_models_in_one_folder_each_give_their_own_answers(tmp_path: Path) -> None:
    models = [digits(Options("one")), kinds()["float ports"].source]
    for source in models:
        bundle.write(source, tmp_path)
    parts = objects(tmp_path)
    headers = "".join(f'#include "{source.options.h_file}"\n' for source in models)
    (tmp_path / "main.c").write_text(driver(models, headers), "ascii")
    assert run_compiler([*c_compiler(), "-std=c99", "main.c", *parts, "-o", "program"], tmp_path) == ""
    inputs = [[x[0] for x in random_inputs(s.plan.graph, k, 1)] for k, s in enumerate(models)]
    expected = b"".join(flat(interpret.run(s.plan.graph, x)) for s, x in zip(models, inputs, strict=True))
    assert run_program(tmp_path / "program", b"".join(map(flat, inputs))) == expected


def test_a_kernels_file_name_says_which_file_it_is() -> None:
    """Bundles share kernels/, where files of all folders lie side by side."""
    names = [path.name for path in (ROOT / "sandgrain" / "kernels").rglob("*.h")]
    assert len(names) == len({name.lower() for name in names}) > 100


def test_every_header_that_the_c_library_includes_is_known(tmp_path: Path) -> None:
    """As the compiler of this computer lists them: those that are looked for in a folder with a model."""
    (tmp_path / "all.c").write_text("".join(f"#include <{name}.h>\n" for name in STANDARD.split()))
    listed = run_compiler([*c_compiler(), "-M", "all.c"], tmp_path)
    found = {
        Path(word).stem for word in re.findall(r"\S+\.h\b", listed) if Path(word).parent.name in ("include", "x86_64-linux-gnu")
    }
    found = {name for name in found if name.isidentifier()}
    assert len(found) > 15 and found <= ctext.HEADERS, found - ctext.HEADERS


@pytest.mark.parametrize("name", ["math", "time", "stdint", "String", "features"])
def test_no_model_hides_a_header_of_the_c_library(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name}.h would hide"):
        ctext.check_identifier(name)
    assert ctext.identifier(name) == f"model_{name.lower()}"


@rare
@pytest.mark.parametrize("name", ["harness", "driver", "kernels", "main_", "startup_thumb"])
def test_a_model_may_be_called_as_a_file_of_the_harness(name: str) -> None:
    source = digits(Options(name))
    inputs = [x[:1] for x in random_inputs(source.plan.graph, 1, 1)]
    assert flat(on_host.loaded(source).run(inputs)) == flat(interpret.run(source.plan.graph, [inputs[0][0]]))
