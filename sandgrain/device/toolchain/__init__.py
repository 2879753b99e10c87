"""C compilers: sources in, firmware or a shared library out.

`build_firmware` makes the ELF that the emulated core runs, with Sandgrain's own startup code around the generated
bundle, by a `Toolchain` (a compiler and its flags); `build_shared` makes a library for this computer. Zig from pip is the
default and is always there; GCC is used when it is installed and asked for. A compiler is one module of this package that
names itself (`NAME`), and a table `[compiler.NAME]` in the TOML of each core that it builds for.
"""

from __future__ import annotations

from sandgrain.device.toolchain.build import (
    DEFAULT,
    Extras,
    Toolchain,
    available_compilers,
    build_firmware,
    build_object,
    build_shared,
    check_compiler,
    compiler_version,
    startup_digest,
)

__all__ = [
    "DEFAULT",
    "Extras",
    "Toolchain",
    "available_compilers",
    "build_firmware",
    "build_object",
    "build_shared",
    "check_compiler",
    "compiler_version",
    "startup_digest",
]
