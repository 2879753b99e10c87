"""The HTML page about a project's data, with pictures and a map of its recordings."""

from __future__ import annotations

from functools import partial

from sandgrain.dataset import ingest
from sandgrain.dataset import page as pages
from sandgrain.project import features
from sandgrain.project.inspection import Inspection


def render(found: Inspection) -> str:
    """The page about an inspection."""
    place = {r.key: k for k, r in enumerate(found.all_records)}
    own = [place[r.key] for r in found.records]
    prints = found.facts.prints[own]
    made = features.vectors(found, pages.MAX_POINTS)
    says = "its features" if made else "its fingerprint (its features cannot be computed)"
    spread = tuple(range(0, len(own), -(-len(own) // pages.MAX_POINTS)))
    rows, vectors = made or (spread, prints[list(spread)])
    return pages.render(
        pages.Content(
            title=found.name,
            kind=found.kind,
            records=found.records,
            sides=found.sides,
            labels=[(c.label, c.sides, c.seconds) for c in found.counts],
            findings=found.judgement.findings,
            leaks=found.leaks,
            bad=found.manifest.bad,
            sha256=found.manifest.sha256,
            peaks=found.facts.rows["peak"][own],
            prints=prints,
            map_rows=rows,
            map_vectors=vectors,
            map_says=says,
            features=found.features,
            remarks=found.remarks,
            look=found.look.lines() if found.look else (),
            open_record=partial(ingest.open_record, found.manifest),
        )
    )
