"""Zig's C compiler (clang), from the ziglang wheel: builds for every core that Sandgrain knows."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from sandgrain.device.targets import Core
from sandgrain.device.toolchain.process import first_line

NAME = "zig"  # a core's TOML says in [compiler.zig]: target (-target) and cpu (-mcpu)
# Zig instruments C with UBSan traps unless told otherwise.
_PLAIN = ("-fno-sanitize=all", "-Wno-unused-command-line-argument")
NO_LOOP_CALLS: tuple[str, ...] = ()  # -fno-builtin is enough for clang
LINK = ("-g",)  # or Zig strips the symbols at -Os; the linker script drops the debug information
LIBS: tuple[str, ...] = ()  # Zig adds its own compiler-rt


def binary() -> Path | None:
    """The zig executable inside the ziglang package, or None."""
    spec = importlib.util.find_spec("ziglang")
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / ("zig.exe" if sys.platform == "win32" else "zig")
        if os.access(path, os.X_OK):
            return path
    return None


def available(core: Core | None) -> bool:
    return binary() is not None and (core is None or NAME in core.compilers)


def command(core: Core) -> list[str]:
    """The compiler and what selects the core. Raises KeyError for a core whose TOML does not name this compiler."""
    told = core.compilers[NAME]
    return [str(binary()), "cc", "-target", told["target"], f"-mcpu={told['cpu']}"]


def flags(core: Core) -> list[str]:
    return list(_PLAIN)


def version(core: Core) -> str:
    """Zig's own version, which fixes that of its clang."""
    return first_line([str(binary()), "version"])


def host_command() -> list[str]:
    """The compiler for this computer, empty when Zig is not installed."""
    path = binary()
    return [str(path), "cc"] if path else []
