"""Flash and RAM of a firmware image, section by section and symbol by symbol."""

from __future__ import annotations

from pathlib import Path

from sandgrain.device.cost import Image

_KINDS = {".text": "text", ".rodata": "rodata", ".data": "data", ".bss": "bss"}


def sections(elf: Path | Image) -> dict[str, int]:
    """Bytes of `text` (code), `rodata` (constants), `data` (in flash and in RAM) and `bss` (in RAM).

    Flash is text + rodata + data, static RAM is data + bss. Raises RunError for a file that is no firmware image.
    """
    image = elf if isinstance(elf, Image) else Image(elf)
    sizes = dict.fromkeys(_KINDS.values(), 0)
    for section in image.sections:
        kind = _KINDS.get(section.name) or ("bss" if not section.data else "data" if section.writable else "rodata")
        sizes[kind] += section.size
    return sizes


def code_sizes(elf: Path | Image) -> dict[str, int]:
    """Bytes of each function, its literal pool included."""
    image = elf if isinstance(elf, Image) else Image(elf)
    return {f.name: f.size for f in image.functions}


def data_sizes(elf: Path | Image) -> dict[str, int]:
    """Bytes of each variable and constant, by name; equal names (static ones of several files) are added."""
    image = elf if isinstance(elf, Image) else Image(elf)
    sizes: dict[str, int] = {}
    for item in image.data:
        sizes[item.name] = sizes.get(item.name, 0) + item.size
    return sizes
