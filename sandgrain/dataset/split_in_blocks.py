"""Recordings that lie beside each other stay together: for data whose neighbours are alike, and nobody says who they are of.

a.csv#1 ... a.csv#40, all "sit"      ->  ten blocks of four, each on one side
many files of several recordings     ->  a file is a block
one/img_001.jpg ... one/img_100.jpg  ->  ten blocks of ten, in the order of their numbers
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from sandgrain.dataset.names import split_key
from sandgrain.dataset.records import Record

BLOCKS = 10  # of the recordings of a file with one label, or of the files of a folder with one; and files from which on they are the blocks


def grouped(records: Sequence[Record]) -> list[Record]:
    """The records, in their order, with the block that each lies in as its group."""
    places = [split_key(r.key) for r in records]
    alone = not any(number for _, number in places)  # a file is a recording, and its folder is what holds several
    if len({path for path, _ in places}) >= BLOCKS and not alone:
        return [replace(r, group=path) for r, (path, _) in zip(records, places, strict=True)]
    own = [(path.rpartition("/")[0] if alone else path, r.label) for r, (path, _) in zip(records, places, strict=True)]
    total, at = Counter(own), Counter[tuple[str, str]]()
    made = {}
    for k in sorted(range(len(records)), key=lambda k: (*_by_number(places[k][0]), places[k][1])):
        mark = own[k]
        made[k] = f"{mark[0]} {mark[1]} {at[mark] * min(BLOCKS, total[mark]) // total[mark]}"
        at[mark] += 1
    return [replace(r, group=made[k]) for k, r in enumerate(records)]


def _by_number(path: str) -> tuple[list[str], list[int], str]:
    """What sorts names as people count: img_2 before img_10."""
    pieces = re.split(r"([0-9]+)", path)
    return pieces[::2], [int(n) for n in pieces[1::2]], path
