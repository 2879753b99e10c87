"""Rows whose number nobody says: which windows they take the number from, and how a manifest, a pool and a cache carry them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.dataset import targets
from sandgrain.dataset.grid import on_grid
from sandgrain.dataset.ingest import ingest, load_manifest, open_numbers, save
from sandgrain.dataset.pool import parse_reply
from sandgrain.dataset.readers import make_layout
from sandgrain.dataset.readers.base import MAX_UNKNOWN, BadFileError
from sandgrain.dataset.records import Layout, Manifest, Record
from sandgrain.dataset.split_in_time import Cutting
from sandgrain.dataset.split_in_time import cut as cut_in_time
from sandgrain.dataset.unknown import SHARE, WAYS, Unknown, edges_of
from sandgrain.dataset.windows import Run, Windowing, count, owners, stream, windows_in, windows_of

TABLE = make_layout("motion", files=("*.csv", "*.parquet"), rate=1.0, full_scale=(4.0,), target_column="y")
ROWS = st.lists(st.booleans(), min_size=2, max_size=60).map(lambda rows: np.where(rows, np.nan, np.arange(len(rows)) * 1.0))


def record(numbers: Array, how: str = "last", key: str = "r.csv", label: str = "") -> Record:
    edges = edges_of(numbers, len(numbers))
    return Record(
        key, label, "", "motion", (len(numbers), 1), 1.0, "0" * 64, unknown=Unknown(edges, how) if edges else None
    )  # fmt: skip


def has_number(rows: Array, how: str) -> bool:
    """As the rule says, row by row."""
    there = ~np.isnan(rows)
    return bool(there[-1]) if how == "last" else there.sum() >= SHARE * len(rows)


@given(ROWS, st.sampled_from([*WAYS]), st.integers(1, 9), st.integers(1, 9), st.sampled_from(["none", "end"]))
def test_windows_without_a_number_are_left_out_and_no_others(
    numbers: Array, how: str, length: int, stride: int, pad: Any
) -> None:
    windowing, own = Windowing(length, stride, pad), record(numbers, how)
    expected = [w for w in windows_of(own.shape, windowing) if has_number(numbers[w.start : w.stop], how)]
    assert windows_in(own, windowing) == expected and count([own], windowing) == len(expected)
    given = targets.of_windows([own], lambda _: numbers, windowing, how)
    assert len(given) == len(expected) and not np.isnan(given).any()
    cuts = list(stream([own], lambda _: np.zeros(own.shape, np.int16), windowing))
    assert len(cuts) == len(expected) == len(list(owners([own], windowing)))


@given(ROWS, ROWS, st.sampled_from([*WAYS]), st.integers(1, 9))
def test_windows_over_a_change_of_label_know_the_rows_of_both_sides(one: Array, two: Array, how: str, length: int) -> None:
    run = Run((record(one, how, "r.csv#1", "a"), record(two, how, "r.csv#2", "b")))
    windowing, both = Windowing(length, 1, "none"), np.concatenate([one, two])
    expected = [w for w in windows_of(run.shape, windowing) if has_number(both[w.start : w.stop], how)]
    numbers = targets.of_windows([run], lambda r: one if r.key.endswith("1") else two, windowing, how)
    assert count([run], windowing) == len(expected) == len(numbers)
    assert numbers == pytest.approx([WAYS[how](both[w.start : w.stop]) for w in expected])


@pytest.mark.parametrize("before", [0, 3, 5, 20])
def test_numbers_are_those_of_the_windows_behind_a_lead(before: int) -> None:
    numbers = np.where(np.arange(30) % 4 == 3, np.nan, np.arange(30) * 1.0)
    own, windowing = replace(record(numbers), before=before), Windowing(4, 1, "none", lead=5, lead_of="before")
    first = max(5 - before, 0)
    expected = [numbers[s + 3] for s in range(first, 27) if not np.isnan(numbers[s + 3])]
    assert targets.of_windows([own], lambda _: numbers, windowing, "last") == pytest.approx(expected)
    assert count([own], windowing) == len(expected)


@given(ROWS, st.data())
def test_parts_of_a_recording_have_their_own_rows(numbers: Array, draw: st.DataObject) -> None:
    first = draw.draw(st.integers(0, len(numbers) - 2))
    end = draw.draw(st.integers(first + 2, len(numbers)))
    whole = record(numbers).unknown
    part = None if whole is None else whole.between(first, end)
    assert (() if part is None else part.edges) == edges_of(numbers[first:end], end - first)
    assert whole is None or whole.rows == np.isnan(numbers).sum()


def test_a_recording_cut_by_time_has_them_on_the_right_side() -> None:
    numbers = np.where(np.arange(100) % 10 == 9, np.nan, 1.0)
    parts, sides = cut_in_time([record(numbers)], lambda r: Cutting(0.0, 0.35))
    assert [sides[p.key] for p in parts] == ["train", "test"] and [p.shape[0] for p in parts] == [65, 35]
    assert parts[1].unknown is not None and parts[1].unknown.edges == edges_of(numbers[65:], 35)


def test_a_recording_whose_one_number_is_missing_has_no_window() -> None:
    assert edges_of(np.array([np.nan]), 30) == (0, 30) and edges_of(np.array([3.0]), 30) == () == edges_of(None, 30)
    unknown = Record("r", "", "", "motion", (30, 1), 1.0, "0" * 64, unknown=Unknown((0, 30), "last"))
    assert count([unknown], None) == 0 == count([unknown], Windowing(10))


def test_numbers_on_a_grid_lie_between_rows_that_both_have_one() -> None:
    times = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 4.5])
    numbers = np.array([0.0, 1.0, np.nan, 3.0, 4.0, 5.0])
    (part,), _ = on_grid(times, np.zeros((6, 1), np.int16), 2.0, numbers)
    assert part.numbers == pytest.approx([0, 0.5, 1, np.nan, np.nan, np.nan, 3, 3.5, 4, 5], nan_ok=True)


# --- files -------------------------------------------------------------------------------------------------------------------


def write(folder: Path, numbers: Array, name: str = "a.csv") -> None:
    folder.mkdir(exist_ok=True)
    rows = "".join(f"{k % 3},{'' if np.isnan(n) else n}\n" for k, n in enumerate(numbers))
    (folder / name).write_text(f"x,y\n{rows}")


@pytest.fixture
def data(tmp_path: Path) -> tuple[Manifest, Array]:
    """40 rows, 12 of them without a number."""
    numbers = np.where(np.arange(40) % 10 > 6, np.nan, np.arange(40) / 8)
    write(tmp_path / "data", numbers)
    return ingest(tmp_path / "data", TABLE, workers=1, cache=tmp_path / "cache"), numbers


def test_all_rows_stay_and_a_manifest_and_a_cache_keep_which_have_no_number(data: tuple[Manifest, Array], tmp_path: Path) -> None:
    found, numbers = data
    (own,) = found.records
    assert own.shape == (40, 1) and own.unknown == Unknown((7, 10, 17, 20, 27, 30, 37, 40), "last")
    assert open_numbers(found, own) == pytest.approx(numbers, nan_ok=True)
    assert found.notes[0].text == "12 rows have no number, and stay input of windows that have one"
    save(found, tmp_path / "m")
    assert load_manifest(tmp_path / "m").records == found.records
    assert ingest(tmp_path / "data", TABLE, workers=1, cache=tmp_path / "cache") == found
    write(tmp_path / "data", np.nan_to_num(numbers))
    assert ingest(tmp_path / "data", TABLE, workers=1).sha256 != found.sha256


@pytest.mark.parametrize(
    "steps",
    [
        "[7, -3]",
        "[7]",
        "[7, 3, 99, 1]",
        "[7.0, 3]",
        "[7, 0]",
        "[-1, 3]",
        "[]",
        "{}",
        "[7, 3], 1",
        "[true, 3]",
        "[7, " + "9" * 999 + "]",
    ],
)
def test_a_manifest_with_rows_that_cannot_be_is_one_line(steps: str, data: tuple[Manifest, Array], tmp_path: Path) -> None:
    save(data[0], tmp_path / "m")
    text = (tmp_path / "m").read_text()
    assert "[7, 3, 7, 3, 7, 3, 7, 3]" in text
    (tmp_path / "m").write_text(text.replace("[7, 3, 7, 3, 7, 3, 7, 3]", steps))
    with pytest.raises(UsageError, match="not a manifest that can be used") as error:
        load_manifest(tmp_path / "m")
    assert "\n" not in str(error.value)


def test_a_manifest_whose_rows_were_changed_is_told_by_its_hash(data: tuple[Manifest, Array], tmp_path: Path) -> None:
    save(data[0], tmp_path / "m")
    (tmp_path / "m").write_text((tmp_path / "m").read_text().replace("[7, 3, 7, 3, 7, 3, 7, 3]", "[7, 3]"))
    with pytest.raises(UsageError, match="it was changed"):
        load_manifest(tmp_path / "m")


@pytest.mark.parametrize(
    "edges", [[3], [3, 2], [3, 3], [-1, 2], [0, 41], [0.0, 2], [True, 2], "07", None, [0, 2] * (MAX_UNKNOWN + 1)]
)
def test_a_reply_with_edges_that_cannot_be_is_none(edges: Any) -> None:
    reply = [[0, None, None, 1.0, [40, 1], "0" * 64, 0, "", [3, 5]]]
    assert (found := parse_reply(json.loads(json.dumps(reply)))) is not None and found[0].unknown == (3, 5)  # type: ignore[union-attr]
    reply[0][8] = edges
    assert parse_reply(json.loads(json.dumps(reply))) is None


def test_numbers_that_are_missing_in_too_many_places_are_refused_and_as_many_as_may_be_fit_a_line(tmp_path: Path) -> None:
    most = np.ones(2 * MAX_UNKNOWN + 2)
    most[1 : 2 * MAX_UNKNOWN : 2] = np.nan
    assert len(edges_of(most, len(most))) == 2 * MAX_UNKNOWN
    write(tmp_path / "data", most)
    found = ingest(tmp_path / "data", TABLE, workers=1)
    save(found, tmp_path / "m")
    assert load_manifest(tmp_path / "m").records == found.records
    most[-1] = np.nan
    with pytest.raises(BadFileError, match="write it to several files"):
        edges_of(most, len(most))


def test_a_parquet_table_may_lack_numbers_too(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    (tmp_path / "data").mkdir()
    columns = {"x": [1, 2, 3, 1, 2], "y": pyarrow.array([1.0, None, 3.0, float("nan"), 5.0])}
    parquet.write_table(pyarrow.table(columns), tmp_path / "data" / "a.parquet")
    found = ingest(tmp_path / "data", TABLE, workers=1)
    (own,) = found.records
    assert own.shape == (5, 1) and own.unknown == Unknown((1, 2, 3, 4), "last")


@pytest.mark.parametrize("cell", ["inf", "1e999", "often"])
def test_a_number_that_is_none_is_no_missing_one(cell: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n2,3\n" + f"3,{cell}\n")
    found = ingest(tmp_path, TABLE, workers=1)
    assert not found.records and "line 4, column y" in found.bad[0].reason


def test_a_data_set_without_missing_numbers_has_the_hash_of_before(tmp_path: Path) -> None:
    layout = Layout("motion", rate=1.0)
    (tmp_path / "a.csv").write_text("x\n1\n2\n")
    save(ingest(tmp_path, layout, workers=1), tmp_path / "m")
    assert len(json.loads((tmp_path / "m").read_text().splitlines()[1])) == 9, "a line of before"
