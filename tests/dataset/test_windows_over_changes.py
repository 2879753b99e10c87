"""Windows that run over changes of label: what they hold, whose label they have, and that pieces are joined only where they touch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandgrain.base.arrays import Array
from sandgrain.dataset.changes import runs
from sandgrain.dataset.readers import make_layout
from sandgrain.dataset.records import Record
from sandgrain.dataset.windows import Run, Windowing, count, owned, owners, stream
from sandgrain.project.file.schema import Data

STREAMS = make_layout("motion", stream=True)
TABLES = make_layout("motion", label_column="y")


def piece(key: str, label: str, samples: int, group: str = "g") -> Record:
    return Record(key, label, group, "motion", (samples, 1), 50.0, key)


def run_of(*pieces: tuple[str, int]) -> Run:
    return Run(tuple(piece(f"a.npz#{k}", label, n) for k, (label, n) in enumerate(pieces, 1)))


def samples_of(record: Record) -> Array:
    """Each sample tells its piece."""
    return np.full(record.shape, int(record.key.split("#")[1]), np.int16)


lists = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 9)), min_size=1, max_size=7)


@given(lists, st.integers(1, 12), st.integers(1, 5), st.sampled_from([0.0, 0.4, 0.5, 0.6, 0.75, 1.0]))
def test_a_window_has_the_label_of_its_largest_share(
    pieces: list[tuple[str, int]], length: int, stride: int, purity: float
) -> None:
    run, windowing = run_of(*pieces), Windowing(length, stride, "none", purity=purity)
    each = [label for label, n in pieces for _ in range(n)]
    wanted = []
    for start in range(0, len(each) - length + 1, stride):
        inside = each[start : start + length]
        most = max(inside.count(label) for label in set(inside))
        if most >= purity * length:
            wanted.append((start, {label for label in set(inside) if inside.count(label) == most}))
    found = owned(run, windowing)
    assert [w.start for _, w in found] == [start for start, _ in wanted]
    assert all(record.label in labels for (record, _), (_, labels) in zip(found, wanted, strict=True))
    assert count([run], windowing) == len(wanted)
    assert list(owners([run], windowing)) == [record for record, _ in found]
    cuts = list(stream([run], samples_of, windowing))
    assert [(c.record, w.start) for c, (_, w) in zip(cuts, found, strict=True)] == [(r, w.start) for r, w in found]
    whole = np.concatenate([samples_of(r) for r in run.records])
    assert all(np.array_equal(c.x, whole[w.start : w.stop]) for c, (_, w) in zip(cuts, found, strict=True))
    assert len({(c.record.key, c.index) for c in cuts}) == len(cuts)


def test_the_piece_that_a_window_holds_most_of_is_its_own() -> None:
    run = run_of(("a", 2), ("b", 3), ("a", 4), ("b", 1))
    ((record, _),) = owned(run, Windowing(10, 10))
    assert record.key == "a.npz#3"  # 6 of a, 4 of them in the third piece
    assert not owned(run, Windowing(10, 10, purity=0.7))


def test_a_short_stream_is_padded_as_a_short_recording_is() -> None:
    run = run_of(("a", 2), ("b", 3))
    (found,) = stream([run], samples_of, Windowing(9, 9, "end"))
    assert found.record.label == "b" and found.x[:, 0].tolist() == [1, 1, 2, 2, 2, 0, 0, 0, 0]


def test_pieces_are_joined_only_where_they_touch() -> None:
    first, second, third = (piece(f"a.npz#{k}", label, 5) for k, label in ((1, "a"), (2, "b"), (3, "a")))
    assert runs([first, second, third], STREAMS) == [Run((first, second, third))]
    assert runs([first, third], STREAMS) == [first, third]  # one between them is not there
    assert runs([first, replace(second, group="h")], STREAMS) == [first, replace(second, group="h")]
    assert runs([first, replace(second, key="b.npz#2")], STREAMS) == [first, replace(second, key="b.npz#2")]
    assert runs([first, replace(second, part=(second, 0))], STREAMS)[0] == first
    assert runs([first, second], make_layout("motion")) == [first, second]  # rows of x that are recordings
    assert runs([first, second], TABLES) == [first, second]
    tables = [replace(r, key=r.key.replace("npz", "csv")) for r in (first, second)]
    assert runs(tables, TABLES) == [Run(tuple(tables))]
    assert runs(tables, make_layout("motion", label_column="y", segment=5)) == tables


@pytest.mark.parametrize(
    ("ending", "keys", "joined"),
    [
        (".CSV", {"label_column": "y"}, True),
        (".csv.gz", {"label_column": "y"}, True),
        (".parquet", {"label_column": "y"}, True),
        (".json", {"label_column": "y"}, False),  # a list of recordings, from anywhere
        (".json", {"label_column": "y", "stream": True}, False),
        (".csv", {"label_column": "y", "labels": "index.csv"}, False),  # a column of the index
        (".csv", {"label_column": "y", "label_tracks": True}, False),  # what no stretch covers is left out
        (".npz", {"stream": True, "label_tracks": True}, False),
        (".npz", {"stream": True, "track_file": "stretches.csv"}, False),
        (".npz", {"stream": True, "event_array": "r_peak"}, False),
        (".NPZ", {"stream": True}, True),
        (".xyz", {"stream": True, "label_column": "y"}, False),
    ],
)
def test_only_readers_that_cut_at_changes_have_pieces_that_follow(ending: str, keys: dict[str, Any], joined: bool) -> None:
    pieces = [piece(f"a{ending}#{k}", label, 5) for k, label in enumerate("aba", 1)]
    assert len(runs(pieces, make_layout("motion", **keys))) == (1 if joined else 3)


@pytest.mark.parametrize("given", [{"window_s": 1}, {"stream": True}, {"window_s": 1, "label_column": "y", "segment": 9}])
def test_purity_is_refused_where_no_window_can_run_over_a_change(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="purity is for windows of streams"):
        Data(kind="motion", purity=0.6, **given)
    assert Data(kind="motion", purity=0.6, window_s=1, stream=True).purity == 0.6
