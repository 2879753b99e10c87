"""Builds firmware for a board and shared libraries for this computer."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType

from sandgrain.base.errors import ToolchainError, UsageError
from sandgrain.base.scratch import scratch
from sandgrain.device.targets import Board, Core
from sandgrain.device.toolchain import gcc, zig
from sandgrain.device.toolchain.process import compile_in

FIRMWARE = Path(__file__).parent / "firmware"
MIN_STACK = 512  # bytes: linking fails when static memory leaves less than this to the stack

# No contraction of a*b+c, so floats round as on the host; sections for --gc-sections; no jump tables, so that the stack
# bound can follow every branch; no unwind tables, nothing unwinds.
FLAGS = (
    "-std=c99",
    "-ffreestanding",
    "-ffunction-sections",
    "-fdata-sections",
    "-fomit-frame-pointer",
    "-ffp-contract=off",
    "-fno-jump-tables",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
    "-fno-stack-protector",
)
# LLVM 22's superword vectorizer gives wrong bytes on x86-64 for a window kernel whose rows are gathered by shifts (a test has the
# case); the cores that we emulate have no such pass to go wrong. The host build is a proof, not a product: it can do without.
HOST_ONLY = ("-fno-slp-vectorize",)
LINK = ("-Wl,-z,max-page-size=16", "-Wl,--gc-sections", "-Wl,--build-id=none")


@dataclass(frozen=True, slots=True)
class Toolchain:
    """The compiler that builds the C, and its optimization flags.

    `compiler`: a name in COMPILERS. `opt`: one or more flags ("-O2", "-Os -flto").
    """

    compiler: str = "zig"
    opt: str = "-O2"


DEFAULT = Toolchain()


@dataclass(frozen=True, slots=True)
class Extras:
    """What a firmware may have beside its sources. `main` replaces `firmware/main.c`; `timeout`: seconds, for the whole build."""

    defines: Mapping[str, str | int] = field(default_factory=dict)
    main: Path | None = None
    timeout: float = 300.0


NO_EXTRAS = Extras()


def _find_compilers() -> dict[str, ModuleType]:
    """Every module beside this one that names a compiler (NAME), the default first.

    Such a module has `available(core)`, `command(core)`, `flags(core)`, `version(core)`, `host_command()`, NO_LOOP_CALLS, LINK and
    LIBS, and reads what it needs of a core from the table [compiler.NAME] of the core's TOML.
    """
    names = (
        info.name for info in pkgutil.iter_modules(sys.modules["sandgrain.device.toolchain"].__path__) if info.name != "build"
    )
    modules = [importlib.import_module(f"sandgrain.device.toolchain.{name}") for name in names]
    found = {module.NAME: module for module in modules if hasattr(module, "NAME")}
    return dict(sorted(found.items(), key=lambda item: (item[0] != DEFAULT.compiler, item[0])))


COMPILERS: Mapping[str, ModuleType] = _find_compilers()


def available_compilers(board: Board | None = None) -> tuple[str, ...]:
    """The compilers that are installed and can build for `board` (for any board when it is None), default first."""
    return tuple(name for name, compiler in COMPILERS.items() if compiler.available(None if board is None else board.core))


@cache
def compiler_version(name: str, core: Core) -> str:
    """What the compiler of that name calls its version; "" where it does not say. Raises KeyError for a name that there is not."""
    return str(COMPILERS[name].version(core))


@cache
def startup_digest() -> str:
    """A hash of the C that every firmware has beside the generated bundle."""
    texts = [path.name.encode() + path.read_bytes() for path in sorted(FIRMWARE.iterdir()) if path.is_file()]
    return hashlib.sha256(b"".join(texts)).hexdigest()


def build_firmware(
    sources: Sequence[Path],
    include_dirs: Sequence[Path],
    board: Board,
    out_elf: Path,
    toolchain: Toolchain = DEFAULT,
    extras: Extras = NO_EXTRAS,
) -> Path:
    """Compile and link `sources` with Sandgrain's startup code into `out_elf`, laid out for `board`.

    The sources must define `int sg_infer(void)` and the sg_input / sg_output tables (see `firmware/main.c` and
    `sandgrain.device.run.elf`). Symbols are kept and debug information is not, so the bytes of the ELF depend on the sources
    and the compiler alone. The first build for a core also compiles Zig's runtime (about 10 s).

    Returns `out_elf`. Raises UsageError for a compiler that cannot build for this board, ToolchainError with the
    compiler's first error otherwise.
    """
    core = board.core
    if not core.runs_firmware:
        raise UsageError("the host runs a shared library, not firmware; choose a board with a microcontroller")
    chosen = _compiler(toolchain.compiler, board)
    program = "main_semihosting.c" if core.emulator == "qemu" else "main.c"
    startup = [FIRMWARE / f"startup_{core.arch}.c", extras.main or FIRMWARE / program]
    with scratch() as work:
        script = work / "link.ld"
        script.write_text(link_script(board), encoding="utf-8")
        common = [*chosen.flags(core), *FLAGS, *(f"-D{k}={v}" for k, v in extras.defines.items())]
        memops = work / "memops.o"
        alone = ["-O2", "-fno-builtin", *chosen.NO_LOOP_CALLS, "-c", str(FIRMWARE / "memops.c"), "-o", str(memops)]
        compile_in(work, [*chosen.command(core), *common, *alone], extras.timeout)
        includes = [f"-I{path.resolve()}" for path in include_dirs]
        files = [str(path.resolve()) for path in [*startup, *sources]]
        link = [*LINK, *chosen.LINK, "-T", str(script), "-Wl,-e,sg_reset"]
        elf = work / "out.elf"
        compile_in(
            work,
            [
                *chosen.command(core),
                *common,
                *toolchain.opt.split(),
                *includes,
                *files,
                str(memops),
                *link,
                *chosen.LIBS,
                "-o",
                str(elf),
            ],
            extras.timeout,
        )
        out_elf.parent.mkdir(parents=True, exist_ok=True)
        out_elf.write_bytes(elf.read_bytes())
    return out_elf


def build_object(
    source: Path,
    include_dirs: Sequence[Path],
    board: Board,
    out: Path,
    toolchain: Toolchain = DEFAULT,
    timeout: float = 120.0,
) -> Path:
    """Compile one source for `board`'s core into an object file, as `build_firmware` would. Same errors."""
    chosen = _compiler(toolchain.compiler, board)
    out.parent.mkdir(parents=True, exist_ok=True)
    includes = [f"-I{path.resolve()}" for path in include_dirs]
    flags = [*chosen.flags(board.core), *FLAGS, *toolchain.opt.split(), *includes]
    files = ["-c", str(source.resolve()), "-o", str(out.resolve())]
    compile_in(out.parent, [*chosen.command(board.core), *flags, *files], timeout)
    return out


def build_shared(
    sources: Sequence[Path],
    out_so: Path,
    flags: Sequence[str] = (),
    *,
    include_dirs: Sequence[Path] = (),
    opt: str = "-O2",
    compiler: str | None = None,
) -> Path:
    """Compile `sources` into a shared library for this computer, for ctypes.

    `compiler` is "zig" or "cc"; None takes Zig where it is installed and cc otherwise. Returns `out_so`. Raises
    ToolchainError with the compiler's first error, or when there is no compiler.
    """
    command = [] if compiler == "cc" else zig.host_command()
    extra = ["-fno-sanitize=all", *HOST_ONLY] if command else []
    if not command and compiler != "zig":
        command = gcc.host_command()
    if not command:
        raise ToolchainError("no C compiler for this computer was found; pip install ziglang")
    out_so.parent.mkdir(parents=True, exist_ok=True)
    pic = [] if sys.platform == "win32" else ["-fPIC"]
    with scratch() as folder:
        built = folder / out_so.name
        includes = [f"-I{path.resolve()}" for path in include_dirs]
        files = [str(path.resolve()) for path in sources]
        arguments = ["-std=c99", "-shared", *pic, opt, "-ffp-contract=off", *extra, *includes, *flags, *files]
        compile_in(folder, [*command, *arguments, "-o", str(built)], NO_EXTRAS.timeout)
        out_so.write_bytes(built.read_bytes())
    return out_so


def link_script(board: Board) -> str:
    """The linker script for `board`: its memory, then `firmware/link.ld`."""
    memory = (
        "MEMORY\n{\n"
        f"    flash (rx) : ORIGIN = {board.flash_base:#x}, LENGTH = {board.flash_bytes:#x}\n"
        f"    ram (rwx) : ORIGIN = {board.ram_base:#x}, LENGTH = {board.ram_bytes:#x}\n"
        "}\n"
    )
    text = (FIRMWARE / "link.ld").read_text(encoding="utf-8")
    return memory + text.replace("SG_MIN_STACK", str(MIN_STACK))


def check_compiler(name: str, board: Board) -> None:
    """Raises UsageError unless `name` is a compiler that is installed and can build for `board`."""
    _compiler(name, board)


def _compiler(name: str, board: Board) -> ModuleType:
    if name not in COMPILERS:
        raise UsageError(f"there is no compiler called {name!r}; choose one of {', '.join(COMPILERS)}")
    if name not in available_compilers(board):
        raise UsageError(f"{name} for {board.core.name} is not installed; use --compiler zig")
    return COMPILERS[name]
