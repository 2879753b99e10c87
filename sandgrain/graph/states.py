"""State from one call to the next: what a model's file keeps, and the C does not."""

from __future__ import annotations

from sandgrain.base.text import printable
from sandgrain.graph.ir import Graph

NAMED = 3  # layers that a note names
STATE = "state starts from zero at each call; TensorFlow Lite Micro keeps it from one to the next"


def state_note(graph: Graph) -> str:
    """One line on the layers whose state the model's file keeps between calls; "" where there are none."""
    names = graph.restarts
    if not names:
        return ""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    what = f"layer{'s' * (len(names) > 1)} {', '.join(printable(name) for name in names[:NAMED])}{more}"
    return f"{what}: {STATE}. Give a whole sequence at each call"
