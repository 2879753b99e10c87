"""What the names of files say: folders of classes, or one folder of speaking names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

SPLIT_WORDS = frozenset({"train", "training", "test", "testing", "validation", "val"})


def naming(names: Sequence[str]) -> dict[str, Any]:
    """`name`, `labels`, `groups`, `has_split` as far as relative posix paths tell: folders of classes, with or without
    train/test above them, or one folder of speaking names."""
    parts = [n.rsplit(".", 1)[0].split("/") for n in names]
    depth = Counter(len(p) for p in parts).most_common(1)[0][0]
    usual = [p for p in parts if len(p) == depth]
    if depth >= 2 and {p[0].lower() for p in usual} <= SPLIT_WORDS and depth >= 3:
        given = {p[0] for p in usual} <= {"train", "test", "validation"}
        first = "{split}" if given else "{side}"
        labels = tuple(sorted({p[1] for p in usual}))
        return {"name": "/".join([first, "{label}", *_rest(depth - 2)]), "labels": labels, "has_split": given}
    if depth >= 2:
        labels = tuple(sorted({p[0] for p in usual}))
        stems = [p[-1] for p in usual]
        speaker = all(re.fullmatch(r"[0-9a-f]{8}_nohash_\d+", s) for s in stems)
        if speaker and depth == 2:  # Speech Commands: the first eight digits are the speaker
            return {"name": "{label}/{group}_nohash_{index}", "labels": labels, "groups": len({s[:8] for s in stems})}
        return {"name": "/".join(["{label}", *_rest(depth - 1)]), "labels": labels}
    return speaking([p[0] for p in usual])


def _rest(count: int) -> list[str]:
    return [*(f"{{folder{k}}}" if k else "{folder}" for k in range(count - 1)), "{index}"]


def speaking(stems: Sequence[str]) -> dict[str, Any]:
    """Names such as 7_jackson_32: the pieces that repeat are label and group, the piece that counts is the index."""
    for mark in "_-.":
        rows = [s.split(mark) for s in stems]
        width = Counter(map(len, rows)).most_common(1)[0][0]
        if width < 2 or width > 8 or sum(len(r) == width for r in rows) < 0.95 * len(rows):
            continue
        columns = list(zip(*(r for r in rows if len(r) == width), strict=True))
        distinct = [len(set(c)) for c in columns]
        index = max(
            (k for k in range(width) if all(v.isdigit() for v in columns[k])), key=lambda k: (distinct[k], k), default=None
        )
        varied = [k for k in range(width) if k != index and 2 <= distinct[k] <= max(2, len(stems) // 2)]
        if not varied:
            continue
        label, group = varied[0], next((k for k in varied[1:] if not all(v.isdigit() for v in columns[k])), None)
        extra = iter(range(1, width))
        pieces = []
        for k in range(width):
            constant = distinct[k] == 1 and re.fullmatch(r"[\w ]+", columns[k][0])
            pieces.append(
                "{label}" if k == label else "{group}" if k == group else "{index}" if k == index
                else columns[k][0] if constant else f"{{part{next(extra)}}}"
            )  # fmt: skip
        return {
            "name": mark.join(pieces),
            "labels": tuple(sorted(set(columns[label]))),
            "groups": distinct[group] if group is not None else 0,
        }
    return {}
