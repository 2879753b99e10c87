"""C compilers: sources in, firmware or a shared library out.

`build_firmware` makes the ELF that the emulated core runs, with Sandgrain's own startup code around the generated
bundle; `build_shared` makes a library for this computer. Zig from pip is the default and is always there; GCC is used
when it is installed and asked for.
"""

from __future__ import annotations

from sandgrain.toolchain.build import available_compilers, build_firmware, build_object, build_shared

__all__ = ["available_compilers", "build_firmware", "build_object", "build_shared"]
