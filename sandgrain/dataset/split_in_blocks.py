"""Recordings that lie beside each other stay together: for data whose neighbours are alike, and nobody says who they are of.

a.csv#1 ... a.csv#40, all "sit"      ->  ten blocks of four, each on one side
many files                           ->  a file is a block
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from sandgrain.dataset.names import split_key
from sandgrain.dataset.records import Record

BLOCKS = 10  # of the recordings of a file with one label; and files from which on they are the blocks


def grouped(records: Sequence[Record]) -> list[Record]:
    """The records, in their order, with the block that each lies in as its group."""
    places = [split_key(r.key) for r in records]
    if len({path for path, _ in places}) >= BLOCKS:
        return [replace(r, group=path) for r, (path, _) in zip(records, places, strict=True)]
    own = [(path, r.label) for r, (path, _) in zip(records, places, strict=True)]
    total, at = Counter(own), Counter[tuple[str, str]]()
    made = {}
    for k in sorted(range(len(records)), key=lambda k: places[k]):
        mark = own[k]
        made[k] = f"{mark[0]} {mark[1]} {at[mark] * min(BLOCKS, total[mark]) // total[mark]}"
        at[mark] += 1
    return [replace(r, group=made[k]) for k, r in enumerate(records)]
