"""How well a detector tells anomalies from normal windows: without a threshold, and at one."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sandgrain.base.arrays import Array
from sandgrain.train import scores as measures

MAX_FPR = 0.1  # of the partial AUC, as in the DCASE challenges


@dataclass(frozen=True, slots=True)
class Rates:
    """`auc`, `pauc` (false positive rates up to MAX_FPR, McClish's scale), `detected`: None where the test has no anomaly.

    `false_alarms`, `detected`: shares of the normal and of the other windows above the threshold. `accuracy`: share of all
    windows that the threshold puts on the right side. `windows`: how many normal ones and others.
    """

    auc: float | None
    pauc: float | None
    false_alarms: float
    detected: float | None
    accuracy: float
    windows: tuple[int, int]

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def rates(scores: Array, anomalies: Array, limit: float) -> Rates:
    """Of scores [n] and which are anomalies, bool [n]; at least one is not. An alarm is a score above `limit`."""
    normal, faulty = scores[~anomalies], scores[anomalies]
    right = float(((scores > limit) == anomalies).mean())
    at = (len(normal), len(faulty))
    alarms = float((normal > limit).mean()) if len(normal) else 0.0
    if not len(faulty) or not len(normal):
        return Rates(None, None, alarms, float((faulty > limit).mean()) if len(faulty) else None, right, at)
    return Rates(
        measures.auc(normal, faulty), measures.pauc(normal, faulty, MAX_FPR), alarms, float((faulty > limit).mean()), right, at
    )
