"""How a model's C is written: its prefix, who owns the arena, what lies in which section, how a stream decides."""

from __future__ import annotations

from dataclasses import dataclass, field

from sandgrain.compiler.emit import ctext
from sandgrain.frontend.signal import Channel
from sandgrain.graph.decisions import Rule
from sandgrain.graph.numbers import Number


@dataclass(frozen=True, slots=True)
class Options:
    """What the user decides about the C; everything else follows from the plan."""

    name: str = "model"  # prefix of every symbol, and of the files
    arena: str = "static"  # or "caller": the caller passes it
    section: str | None = None  # linker section of a static arena
    rule: Rule = field(default_factory=Rule)  # how a stream decides
    threshold: int | None = None  # a score above it is an anomaly; for models with one int32 output
    number: Number | None = None  # how the output becomes a number; for models with one int32 output
    weights_section: str | None = None  # linker section of the constant tables
    # The front end's, not the user's:
    rate: float = 0.0  # of the signal that the features take, samples a second; 0: no signal
    channels: tuple[Channel, ...] = ()  # of that signal, where something is known of them

    @property
    def c_file(self) -> str:
        """The name of the C file. It carries the prefix, so that two models can share a folder."""
        return f"{self.name}.c"

    @property
    def h_file(self) -> str:
        """The name of the header."""
        return f"{self.name}.h"

    def check(self) -> None:
        """Raises UsageError for what must not reach the C."""
        ctext.check_identifier(self.name)
        if self.section is not None:
            ctext.check_section(self.section)
        if self.weights_section is not None:
            ctext.check_section(self.weights_section, "--weights-section")

    @property
    def tables_place(self) -> str:
        """The macro behind the name of a constant table, "" where the linker puts it."""
        return f"{self.name.upper()}_WEIGHTS" if self.weights_section is not None else ""
