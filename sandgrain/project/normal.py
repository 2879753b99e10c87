"""The label of what is normal, by its name: detectors of anomalies learn from it, and are judged against it."""

from __future__ import annotations

import re
from collections.abc import Iterable

SPEAKING = frozenset(
    {"normal", "ok", "okay", "good", "healthy", "nominal", "baseline", "undamaged", "no fault", "no faults", "no anomaly"}
)
ANSWERS = frozenset({"none", "no", "false", "negative", "0", "0.0"})  # to the question whether something is wrong
BOTH = 2  # labels of such a question


def by_name(labels: Iterable[str]) -> tuple[str, ...]:
    """Those of `labels` that say by themselves that they are no anomaly, sorted."""
    return tuple(sorted(label for label in labels if _word(label) in SPEAKING | ANSWERS))


def speaking(labels: Iterable[str]) -> str:
    """The one of `labels` that is normal where this is plain whatever is made of the data, or "": `no` is, beside `yes` alone."""
    known = set(labels)
    found = [x for x in by_name(known) if _word(x) in SPEAKING or len(known) == BOTH]
    return found[0] if len(found) == 1 and len(known) >= BOTH else ""


def _word(label: str) -> str:
    return re.sub(r"[\s_-]+", " ", label).strip().lower()
