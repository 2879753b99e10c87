"""What arrays of samples are told, whatever file they lie in."""

from __future__ import annotations

from dataclasses import dataclass

from sandgrain.base.npy import Header
from sandgrain.dataset.records import Layout, option


@dataclass(frozen=True, slots=True)
class ArrayOptions:
    """Which axis is which."""

    channels_first: bool = option(
        False, "NPZ and NPY: recordings and streams are [channels, samples]. Otherwise [samples, channels]."
    )


def by_samples(head: Header, layout: Layout) -> Header:
    """The header of one recording or stream as that of [samples, channels]: the same bytes, the axes changed where the layout says so."""
    return head.turned if layout.get(ArrayOptions).channels_first and len(head.shape) == 2 else head
