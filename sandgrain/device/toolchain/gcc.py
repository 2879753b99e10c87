"""GNU C: the bare-metal cross compilers, used when installed and asked for."""

from __future__ import annotations

import shutil

from sandgrain.device.targets import Core
from sandgrain.device.toolchain.process import first_line

NAME = "gcc"  # a core's TOML says in [compiler.gcc]: prefix of the command, and flags that select the core
NO_LOOP_CALLS = ("-fno-tree-loop-distribute-patterns",)  # a memset loop must not become a call of memset
LINK = ("-nostartfiles", "-nostdlib", "-Wl,--no-warn-rwx-segments")
LIBS = ("-lgcc",)


def available(core: Core | None) -> bool:
    prefix = "arm-none-eabi-" if core is None else core.compilers.get(NAME, {}).get("prefix")
    return prefix is not None and shutil.which(f"{prefix}gcc") is not None


def command(core: Core) -> list[str]:
    """The compiler and what selects the core. Raises KeyError for a core whose TOML does not name this compiler."""
    told = core.compilers[NAME]
    return [f"{told['prefix']}gcc", *told["flags"]]


def flags(core: Core) -> list[str]:
    return ["-fno-common"]


def version(core: Core) -> str:
    """What the compiler says of itself, the distribution's revision included."""
    return first_line([*command(core)[:1], "--version"])


def host_command() -> list[str]:
    """A C compiler for this computer, empty when there is none."""
    path = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    return [path] if path else []
