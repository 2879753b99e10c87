"""A data set as one self-contained HTML page: nothing is loaded, no script runs, and what comes from outside is escaped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.text import plain
from sandgrain.base.version import __version__
from sandgrain.dataset import kinds, pictures
from sandgrain.dataset.quality import Finding
from sandgrain.dataset.records import SPLITS, BadFile, Kind, Record

MAX_LABELS = 60  # rows of the table of labels
MAX_ROWS = 24  # labels that are shown in pictures
ODD = 1  # of them are the ones most unlike their label
MAX_POINTS = 3000  # on the map
MAX_BAD = 500


@dataclass(frozen=True, slots=True, eq=False)
class Content:
    """What the page shows. `records` and `sides`: key -> side; `labels`: (label, records of each
    side, seconds). `prints`: fingerprints, a row a record. `map_vectors`: a row for each of `map_rows`, places in the records."""

    title: str
    kind: Kind
    records: Sequence[Record]
    sides: Mapping[str, str]
    labels: Sequence[tuple[str, tuple[int, ...], float]]
    findings: Sequence[Finding]
    leaks: Sequence[str]
    bad: Sequence[BadFile]
    sha256: str
    peaks: Array  # the largest magnitude of each record, in its own units
    prints: Array
    map_rows: Sequence[int]
    map_vectors: Array
    map_says: str
    features: str
    remarks: Sequence[str]
    look: Sequence[str]  # a first look at the labels, a sentence each
    open_record: Callable[[Record], Array]


def render(content: Content) -> str:
    """The page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    values = {
        **_head(content),
        **_labels(content),
        **_charts(content),
        **_examples(content),
        **_map(content),
        "checks": _checks(content),
        "bad": [(plain(b.path, 200), plain(b.reason, 300)) for b in content.bad[:MAX_BAD]],
        "more_bad": max(0, len(content.bad) - MAX_BAD),
    }
    return environment.get_template("page.html.j2").render(values)


def _head(content: Content) -> dict[str, Any]:
    rates = sorted({r.rate for r in content.records if r.rate})
    groups = len({r.group for r in content.records if r.group})
    sides = [sum(counts[k] for _, counts, _ in content.labels) for k in range(len(SPLITS))]
    facts = [
        (f"{len(content.records):,}", kinds.of(content.kind).noun),
        (len(content.labels), "labels"),
    ]
    facts += [(groups, "groups")] if groups else []
    facts += [(_time(sum(s for *_, s in content.labels)), "in all")] if kinds.of(content.kind).sampled else []
    facts += [(" / ".join(f"{n:,}" for n in sides), " / ".join(SPLITS)), (f"{len(content.bad):,}", "bad files")]
    rate = f" at {', '.join(f'{r:g}' for r in rates[:3])} Hz" if rates else ""
    shapes = sorted({r.shape for r in content.records})
    inner = f", {' x '.join(map(str, shapes[0]))}" if not kinds.of(content.kind).sampled and len(shapes) == 1 else ""
    return {
        "title": plain(content.title),
        "kind": content.kind,
        "summary": f"{content.kind}{rate}{inner}",
        "hash": content.sha256,
        "facts": [{"value": v, "name": n} for v, n in facts],
        "version": __version__,
        "features": plain(content.features, 200),
        "remarks": [plain(r, 300) for r in content.remarks],
        "look": [plain(line, 300) for line in content.look],
        "small": kinds.of(content.kind).is_small(shapes),
    }


def _checks(content: Content) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {
            "topic": f.topic,
            "count": f.count,
            "done": f.done,
            "rule": f.rule,
            "examples": [{"names": [plain(k, 100) for k in e.keys], "detail": plain(e.detail, 100)} for e in f.examples],
        }
        for f in content.findings
    ]
    leaks = [{"names": [plain(line, 200)], "detail": ""} for line in content.leaks[:20]]
    rule = "copies or near-copies on two sides of the split"
    return [*rows, {"topic": "leaks", "count": len(content.leaks), "done": "", "rule": rule, "examples": leaks}]


def _labels(content: Content) -> dict[str, Any]:
    most = max((sum(counts) for _, counts, _ in content.labels), default=1) or 1
    rows = []
    for label, counts, seconds in content.labels[:MAX_LABELS]:
        total = sum(counts)
        bars = [{"name": side, "width": f"{100 * n / max(1, total):.2f}"} for side, n in zip(SPLITS, counts, strict=True)]
        rows.append(
            {
                "label": plain(label) or "(none)",
                "sides": counts,
                "total": total,
                "time": _time(seconds),
                "bars": bars,
                "width": f"{100 * total / most:.2f}",
            }
        )
    return {"labels": rows, "more_labels": max(0, len(content.labels) - MAX_LABELS), "timed": kinds.of(content.kind).sampled}


def _charts(content: Content) -> dict[str, Any]:
    """Histograms of durations (of images: of longer sides) and of peak levels; where all are alike, a sentence."""
    from markupsafe import Markup

    if not kinds.of(content.kind).sampled:
        charts = [("Longer side", "pixels", np.asarray([float(max(r.shape[:2])) for r in content.records]))]
    elif all(r.rate for r in content.records):
        charts = [("Durations", "seconds", np.asarray([r.shape[0] / r.rate for r in content.records]))]
    else:
        charts = [("Lengths", "samples", np.asarray([float(r.shape[0]) for r in content.records]))]
    if kinds.of(content.kind).sampled:
        charts.append(("Peaks", "dB of full scale", 20 * np.log10(np.maximum(content.peaks, 1) / 32768)))
    made = []
    for title, unit, values in charts:
        alike = bool(values.max() - values.min() < 1e-6 * max(1.0, abs(float(values.max()))))
        say = f"The same for all: {values[0]:.4g} {unit}" if alike else ""
        made.append({"title": title, "say": say, "markup": "" if alike else Markup(pictures.histogram(values, unit))})
    return {"charts": made}


def _examples(content: Content) -> dict[str, Any]:
    """A row of pictures a label: some spread over its records, and the one whose fingerprint is most unlike the others'."""
    from markupsafe import Markup

    by_label: dict[str, list[int]] = {}
    for k, record in enumerate(content.records):
        by_label.setdefault(record.label, []).append(k)
    rows = []
    for label, *_ in content.labels[:MAX_ROWS]:
        own = by_label.get(label, [])
        if not own:
            continue
        odd = _odd(content.prints[own], own) if len(own) > kinds.of(content.kind).shown else []
        rest = [k for k in own if k not in odd]
        count = min(len(rest), kinds.of(content.kind).shown - len(odd))
        shown = [rest[int(k)] for k in np.linspace(0, len(rest) - 1, count)] + odd
        figures = []
        for k in shown:
            record = content.records[k]
            markup = Markup(kinds.of(record.kind).picture(content.open_record(record), record.rate))
            figures.append(
                {
                    "markup": markup,
                    "key": plain(record.key, 200),
                    "short": _tail(record.key, kinds.of(record.kind).shown_name),
                    "odd": k in odd,
                }
            )
        rows.append({"label": plain(label) or "(none)", "pictures": figures})
    say = (
        "Each label's examples are spread over its files; the framed one is the most unlike its label's average, by fingerprint."
    )
    return {"rows": rows, "more_rows": max(0, len(content.labels) - MAX_ROWS), "examples_say": say}


def _tail(key: str, limit: int) -> str:
    """The end of a key, where names differ."""
    return plain(key if len(key) <= limit else f"\u2026{key[1 - limit :]}", limit)


def _odd(prints: Array, own: Sequence[int]) -> list[int]:
    x = prints.astype(np.float64)
    distance = ((x - x.mean(axis=0)) ** 2).sum(axis=1)
    return [own[int(k)] for k in np.argsort(-distance, kind="stable")[:ODD]]


def _map(content: Content) -> dict[str, Any]:
    """Two principal components of the vectors, coloured by label."""
    names = [label for label, *_ in content.labels]
    palette = pictures.colours(len(names))
    legend = [{"c": c, "colour": palette[c], "label": plain(name, 30) or "(none)"} for c, name in enumerate(names)]
    base: dict[str, Any] = {"legend": legend, "points": [], "map_title": "", "map_say": "", "radius": 3}
    total, use = len(content.records), content.map_rows
    x = content.map_vectors.astype(np.float32)
    if len(use) < 3 or not (x.std(axis=0) > 1e-9).any():
        return base
    from sklearn.decomposition import PCA

    solver = PCA(n_components=2, svd_solver="randomized", random_state=0).fit(x)
    share = 100 * float(solver.explained_variance_ratio_.sum())
    of = {name: c for c, name in enumerate(names)}
    chosen = [content.records[k] for k in use]
    titles = [f"{plain(r.label, 30)}: {plain(r.key, 100)}" for r in chosen]
    some = f"{len(use):,} of {total:,} recordings; each" if len(use) < total else "Each"
    say = (
        f"{some} point is a recording, at the two principal components of {content.map_says}, which hold {share:.0f} % of the"
        " variance. What overlaps here may be apart in the other dimensions; a point among another label's is worth a look. Point at"
        " one for its file, at a label to see it alone."
    )
    points = pictures.scatter(solver.transform(x), [of[r.label] for r in chosen], titles, palette)
    return {
        **base,
        "points": points,
        "map_title": "Map of the features",
        "map_say": say,
        "radius": 4 if len(use) < 400 else 3 if len(use) < 1500 else 2.4,
    }


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
