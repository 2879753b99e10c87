"""GNU C: the bare-metal cross compilers, used when installed and asked for."""

from __future__ import annotations

import shutil

from sandgrain.targets import Core

NO_LOOP_CALLS = ("-fno-tree-loop-distribute-patterns",)  # a memset loop must not become a call of memset
LINK = ("-nostartfiles", "-nostdlib", "-Wl,--no-warn-rwx-segments")
LIBS = ("-lgcc",)


def available(core: Core | None) -> bool:
    prefix = "arm-none-eabi-" if core is None else core.gcc_prefix
    return bool(prefix) and shutil.which(f"{prefix}gcc") is not None


def command(core: Core) -> list[str]:
    """The compiler and the core's selection."""
    return [f"{core.gcc_prefix}gcc", *core.gcc_flags]


def flags(core: Core) -> list[str]:
    return ["-fno-common"]


def host_command() -> list[str]:
    """A C compiler for this computer, empty when there is none."""
    path = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    return [path] if path else []
