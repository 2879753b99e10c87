"""Copies of kernels that several layers share, each as a function of its own that is not inlined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sandgrain.kernels.base import Call

Parameters = Sequence[tuple[str, str]]  # (C type of what is pointed to, name)


@dataclass(slots=True)
class SharedCopies:
    """One copy per kernel and parameter types. Models whose C stands in one file can share them: give `generate` the same object."""

    prefix: str  # of their names
    always: bool = False  # make one for a kernel with a single user, too: more users follow in other models
    _names: dict[tuple[str, ...], str] = field(default_factory=dict)

    def take(self, call: Call, parameters: Parameters) -> tuple[str, str]:
        """(C name, definition) of the copy for a call; the definition is "" where the copy was made before."""
        key = (call.function, *(ctype for ctype, _ in parameters))
        if key in self._names:
            return self._names[key], ""
        several = sum(known[0] == call.function for known in self._names)
        name = self._names[key] = f"{self.prefix}_{call.stem}" + (f"_{several}" if several else "")
        declared = ", ".join([f"const struct {call.function} *p", *(f"{ctype} *{word}" for ctype, word in parameters)])
        passed = ", ".join(["p", *(word for _, word in parameters)])
        return name, f"static SG_NOINLINE void {name}({declared})\n{{\n    {call.function}({passed});\n}}"
