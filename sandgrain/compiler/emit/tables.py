"""The constant tables of one model: every distinct array once, named after its first user."""

from __future__ import annotations

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.compiler.emit import ctext


class Tables:
    """Collects arrays, gives each a C name, and prints them."""

    def __init__(self, prefix: str, place: str = "") -> None:
        """`place`: what stands between a table's name and its values, such as a section's attribute."""
        self._prefix, self._place = prefix, place
        self._names: dict[tuple[str, bytes], str] = {}
        self._arrays: list[tuple[str, Array]] = []  # written out when somebody reads the text
        self.nbytes = 0

    def name(self, data: Array, hint: str) -> str:
        """The C name of a table that holds `data`; a new table is called PREFIX_`hint`."""
        flat = np.ascontiguousarray(data).reshape(-1)
        if flat.size == 0:
            flat = np.zeros(1, flat.dtype)  # C has no empty arrays
        key = (flat.dtype.name, flat.tobytes())
        if key not in self._names:
            self._names[key] = f"{self._prefix}_{hint}"
            self._arrays.append((self._names[key], flat))
            self.nbytes += flat.nbytes
        return self._names[key]

    def text(self) -> str:
        return "\n".join(ctext.table(name, flat, self._place) for name, flat in self._arrays)
