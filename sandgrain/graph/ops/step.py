"""How an op runs on a part of its input, which is what makes a stream of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """How an op runs on a part of its input, as a stream calls it.

    `takes`: "samples", any number of them; the C function is the kernel's with `_step` behind it, `(&params, state, in, out, count)`,
    `count` samples of every channel in, the number of samples written out (void where as many come out as come in). Or "frame",
    `window` samples in and a row out, every `hop` samples; the C function is the kernel's own, with `fields` in its struct instead of
    those of a whole window. `state`: bytes that live from one step to the next, a multiple of 4; its pointer is NULL where there are none. `factor`: samples in per sample out.
    `lead`: samples, at a stream's start, for which none comes out. `follows`: what a sample is measured against are always the `lead`
    samples just before it, and not those of the start.
    `refused`: why this node cannot be streamed, and the way out.
    """

    takes: str
    state: int = 0
    factor: int = 1
    window: int = 0
    hop: int = 0
    fields: tuple[tuple[str, int], ...] = ()
    refused: str = ""
    lead: int = 0
    follows: bool = False

    @property
    def even(self) -> bool:
        """Whether as many samples come out of each chunk as went in."""
        return self.factor == 1 and not self.lead
