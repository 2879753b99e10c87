"""How much work a call does: counted where it can be, else processor time without what other tests left behind."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from typing import Any


def calls(work: Callable[[], object]) -> int:
    """Calls of functions (Python's and C's) while `work` runs: the same on every machine, whatever else runs on it."""
    count = 0

    def step(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(step)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def seconds(work: Callable[[], object], enough: float, tries: int = 3) -> float:
    """The least processor time of some tries; one that takes less than `enough` ends them.

    No garbage is collected meanwhile: after some thousand tests one collection takes longer than what is measured here.
    """
    collected = gc.isenabled()
    gc.disable()
    try:
        least = float("inf")
        for _ in range(tries):
            start = time.process_time()
            work()
            least = min(least, time.process_time() - start)
            if least < enough:
                break
        return least
    finally:
        if collected:
            gc.enable()
