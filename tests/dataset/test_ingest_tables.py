"""Tables: CSV, Parquet, JSON and NPZ give the same recordings, cut, scaled and checked alike."""

from __future__ import annotations

import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sandgrain.dataset.decode import decode, describe, in_own_code
from sandgrain.dataset.dialect import _distinct
from sandgrain.dataset.ingest import Few
from sandgrain.dataset.npz_arrays import Texts
from sandgrain.dataset.readers import make_layout
from sandgrain.dataset.readers.base import MAX_RECORDS, SMALL, BadFileError, Sample
from sandgrain.dataset.readers.npz import NpzOptions
from sandgrain.dataset.records import Kind, Layout
from sandgrain.dataset.rows import RowOptions
from sandgrain.dataset.walk import Found
from tests.support.draws import rare
from tests.support.effort import seconds

MOTION = Layout("motion")


def read(tmp_path: Path, content: bytes | str, layout: Layout = MOTION, name: str = "a.csv") -> list[Sample]:
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return list(decode(tmp_path, name, layout))


def refused(tmp_path: Path, content: bytes | str, layout: Layout = MOTION, name: str = "a.csv") -> str:
    with pytest.raises(BadFileError) as error:
        read(tmp_path, content, layout, name)
    return str(error.value)


def parquet(**columns: Any) -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as pq

    made = io.BytesIO()
    pq.write_table(pyarrow.table(columns), made, row_group_size=5)
    return made.getvalue()


def npz(**arrays: Any) -> bytes:
    made = io.BytesIO()
    np.savez_compressed(made, **arrays)
    return made.getvalue()


# --- CSV --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "x,y\n1,2\n3,4\n",
        "x;y\r\n1;2\r\n\r\n3;4",
        "\ufeffx\ty\n1\t2\n3\t4\n\n\n",
        "1,2\n3,4\n",
        '"x","y"\n"1","2"\n3, 4\n',
        "x,y\n1.0,2e0\n+3,4.\n",
    ],
)
def test_csv_is_read_however_it_is_written(text: str, tmp_path: Path) -> None:
    (sample,) = read(tmp_path, text)
    assert sample.data.dtype == np.int16 and sample.data.tolist() == [[1, 2], [3, 4]] and sample.index == 0


def test_columns_are_chosen_by_name_and_in_order(tmp_path: Path) -> None:
    (sample,) = read(tmp_path, "note,x,y,z\nhello,1,2,3\n,4,5,6\n", make_layout("motion", columns=("z", "x")))
    assert sample.data.tolist() == [[3, 1], [6, 4]]
    assert refused(tmp_path, "x,y\n1,2\n", make_layout("motion", columns=("z",))) == "has no column 'z'; it has x, y"
    wide = ",".join(f"a rather long name {k}" for k in range(9))
    said = refused(tmp_path, f"{wide}\n{','.join('123456789')}\n", make_layout("motion", columns=("z",)))
    assert said.endswith("a rather long name 2 and 6 more")
    assert read(tmp_path, "x,x,\n1,2,3\n", make_layout("motion", columns=("column 3", "x (2)")))[0].data.tolist() == [[3, 2]]


def test_units_become_counts_and_what_is_clipped_is_counted(tmp_path: Path) -> None:
    layout = make_layout("motion", full_scale=(4.0, 2000.0))
    (sample,) = read(tmp_path, "a,g\n1,-2000\n-4,1000\n4,3000\n0.00006104,0.0305\n", layout)
    assert sample.data.tolist() == [[8192, -32768], [-32768, 16384], [32767, 32767], [1, 0]]
    assert sample.clipped == 2
    assert "full_scale has 2 values" in refused(tmp_path, "a\n1\n", layout)
    assert refused(tmp_path, "a,b\n1,2\n1,0.5\n") == "line 3, column b: 0.5 is no int16 integer; give full_scale"
    assert "40000 is no int16 integer" in refused(tmp_path, "a,b\n1,40000\n")


def test_one_table_holds_many_recordings(tmp_path: Path) -> None:
    layout = make_layout("motion", label_column="what", group_column="who")
    text = "x,what,who\n1,up,a\n2,up,a\n3,up,b\n4,down,b\n5,up,a\n"
    found = read(tmp_path, text, layout)
    assert [(s.index, s.label, s.group, s.data[:, 0].tolist()) for s in found] == [
        (1, "up", "a", [1, 2]),
        (2, "up", "b", [3]),
        (3, "down", "b", [4]),
        (4, "up", "a", [5]),
    ]
    again = read(
        tmp_path, parquet(x=[1, 2, 3, 4, 5], what=["up", "up", "up", "down", "up"], who=list("aabba")), layout, "a.parquet"
    )
    assert [(s.index, s.label, s.group, s.data.tolist()) for s in again] == [
        (s.index, s.label, s.group, s.data.tolist()) for s in found
    ]


@rare
@pytest.mark.parametrize("rows", [1, 3, 4095, 4096, 4097, 5000])
def test_recordings_reach_over_the_blocks_that_are_read(rows: int, tmp_path: Path) -> None:
    values = np.arange(10_000) % 1000
    content = "x,k\n" + "\n".join(f"{v},{k // rows}" for k, v in enumerate(values))
    found = read(tmp_path, content, make_layout("motion", label_column="k"))
    assert [len(s.data) for s in found] == [min(rows, 10_000 - at) for at in range(0, 10_000, rows)]
    assert np.array_equal(np.concatenate([s.data for s in found])[:, 0], values)


def test_segments_are_of_one_length(tmp_path: Path) -> None:
    layout = make_layout("motion", segment=3)
    found = read(tmp_path, "x\n" + "\n".join(map(str, range(9))), layout)
    assert [(s.index, s.data[:, 0].tolist()) for s in found] == [(1, [0, 1, 2]), (2, [3, 4, 5]), (3, [6, 7, 8])]
    why = refused(tmp_path, "x\n" + "\n".join(map(str, range(8))), layout)
    assert why == "line 8: the recording that begins here has 2 rows, not 3"


def timed(times: list[float]) -> str:
    return "t,x\n" + "\n".join(f"{t!r},{k}" for k, t in enumerate(times))


@rare
def test_times_give_the_rate_and_are_checked(tmp_path: Path) -> None:
    layout = make_layout("motion", time_column="t")
    steady = [1e9 + k * 0.01 for k in range(9000)]
    (sample,) = read(tmp_path, timed(steady), layout)
    assert sample.rate == 100 and sample.data.shape == (9000, 1)
    known = make_layout("motion", time_column="t", rate=101)
    assert read(tmp_path, timed(steady), known)[0].rate == 101
    assert "100 Hz, the data set at 200 Hz" in refused(tmp_path, timed(steady), make_layout("motion", time_column="t", rate=200))
    assert "jump" in refused(tmp_path, timed([*steady[:50], *steady[51:]]), layout)
    assert (
        refused(tmp_path, timed([0.0, 0.1, 0.1, 0.2]), layout)
        == "line 4: the time does not grow; resample = true leaves such rows out"
    )
    assert "does not grow" in refused(tmp_path, timed([0.0, 0.1, 0.05]), layout)
    late = [k * 0.01 for k in range(4096)]
    assert refused(tmp_path, timed([*late, late[-1]]), layout).startswith("line 4098: the time does not grow;")
    assert "not a finite number" in refused(tmp_path, timed([0.0, float("inf"), 3.0]), layout)
    assert "Hz; rates from" in refused(tmp_path, timed([0.0, 1e-9, 2e-9]), layout)
    same = read(tmp_path, parquet(t=steady, x=np.arange(9000)), layout, "a.parquet")
    assert same[0].rate == 100


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x,y\n1,2\n3\n", "line 3 has 1 columns, the first line 2"),
        ("x,y\n1,2\n3,\n", "line 3, column y: a value is missing"),
        ("x,y\n1,2\n3,NaN\n", "line 3, column y: nan is not a finite number"),
        ("x,y\n1,2\n3,1e999\n", "line 3, column y: inf is not a finite number"),
        ("x,y\n1,2\n3,0x10\n", "line 3, column y: '0x10' is not a number"),
        ('x,y\n1,"2\n3",4\n', "line 2: a quotation mark is not closed"),
        ("x,y\n", "it holds no samples"),
        ("\n\n\n", "it holds no samples"),
        (b"x,y\n1,\xff\n", "line 2, column y: '\u00ff' is not a number"),
        (b"x,y" + b" " * 80 + b"\n1,\0\n", "line 2 holds a zero byte: this is no text"),
        ("x\n" + "1," * 40_000, "line 2 has more than 1024 columns; lines of at most 65536 bytes are read"),
        ("x" * 70_000, "line 1 is longer; lines of at most 65536 bytes are read"),
        (",".join(map(str, range(2000))) + "\n", "has 2000 columns; at most 1024 are read"),
    ],
)
def test_a_bad_csv_says_where(text: str | bytes, why: str, tmp_path: Path) -> None:
    assert refused(tmp_path, text) == why


# --- Parquet ----------------------------------------------------------------------------------------------------------


def test_parquet_columns_must_be_numbers_without_holes(tmp_path: Path) -> None:
    name = "a.parquet"
    assert read(tmp_path, parquet(x=[1, 2, 3], y=[4.0, 5.0, 6.0]), name=name)[0].data.tolist() == [[1, 4], [2, 5], [3, 6]]
    assert refused(tmp_path, parquet(x=[1, None, 3]), name=name) == "row 2, column x: a value is missing"
    assert refused(tmp_path, parquet(x=["a", "b"]), name=name) == "column x holds string, not numbers"
    assert "holds list" in refused(tmp_path, parquet(x=[[1], [2]]), name=name)
    assert refused(tmp_path, parquet(x=[1.0] * 6 + [float("nan")]), name=name) == "row 7, column x: nan is not a finite number"
    assert refused(tmp_path, parquet(x=np.zeros(0)), name=name) == "it holds no samples"
    assert "2000 columns" in refused(tmp_path, parquet(**{f"c{k}": [1] for k in range(2000)}), name=name)


ROWS = 12_000
GAPS: dict[int, float | str | None] = {
    0: None,
    1: None,
    7: -200.0,
    8: math.nan,
    4095: math.inf,
    4096: None,
    4097: -200.0,
    ROWS - 1: -math.inf,
}


def with_gaps(form: str) -> tuple[bytes, str]:
    """A table of 100 Hz with `GAPS` in x, whose line of the first row is 1, and its name."""
    x: list[Any] = [GAPS.get(k, float(k % 1000)) for k in range(ROWS)]
    if form == "parquet":
        return parquet(t=np.arange(ROWS) / 100, x=x, what=[f"l{k // 4000}" for k in range(ROWS)]), "a.parquet"
    if form == "npz":
        return npz(x=np.array([math.nan if v is None else v for v in x]), y=np.arange(ROWS) // 4000), "a.npz"
    cells = ("" if v is None else f"{v}" for v in x)
    return ("t,x,what\n" + "".join(f"{k / 100},{c},l{k // 4000}\n" for k, c in enumerate(cells))).encode(), "a.csv"


@pytest.mark.parametrize("form", ["csv", "parquet", "npz"])
def test_rows_without_a_value_are_left_out_and_counted_in_every_format(form: str, tmp_path: Path) -> None:
    content, name = with_gaps(form)
    columns = {"stream": True} if form == "npz" else {"label_column": "what", "time_column": "t"}
    found = read(tmp_path, content, make_layout("motion", missing=(-200.0,), **columns), name)
    good = [k for k in range(ROWS) if k not in GAPS]
    assert np.array_equal(np.concatenate([s.data[:, 0] for s in found]), np.array(good) % 1000)
    assert [len(s.data) for s in found] == [sum(k // 4000 == part for k in good) for part in range(3)]
    assert {s.rate for s in found} == ({0.0} if form == "npz" else {100.0}), "gaps are steps of the clock"
    first = (
        "row 1, column 1: nan is not a finite number"
        if form == "npz"
        else f"{'line 2' if form == 'csv' else 'row 1'}, column x: a value is missing"
    )
    assert found[-1].note == f"8 of {ROWS} rows left out: {first}"
    few = make_layout("motion", missing=(-200.0,), bad_rows=0.0001, **columns)
    assert refused(tmp_path, content, few, name) == f"{first}; 8 of {ROWS} rows are like it (see bad_rows)"
    kept = read(tmp_path, content, make_layout("motion", full_scale=(1e3,), **columns), name)
    assert sum(len(s.data) for s in kept) == ROWS - 6, "-200 is a value where nobody says otherwise"


def test_a_time_that_is_missing_leaves_its_row_out(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    moments = pyarrow.array([None if k == 2 else 10_000_000 * k for k in range(40)], pyarrow.timestamp("ns"))
    clocks = {
        "numbers": [None if k == 2 else k / 100 for k in range(40)],
        "texts": [None if k == 2 else f"12:00:{k / 100:05.2f}" for k in range(40)],
        "first": [None if k == 0 else f"{k / 100:.2f}" for k in range(40)],
        "moments": moments,
    }
    for what, clock in clocks.items():
        layout = make_layout("motion", columns=("x",), time_column="t")
        (sample,) = read(tmp_path, parquet(t=clock, x=np.arange(40)), layout, "a.parquet")
        assert (len(sample.data), sample.rate) == (39, 100.0), what
        row = 1 if what == "first" else 3
        assert sample.note == f"1 of 40 rows left out: row {row}, column t: a value is missing"
    text = "t,x\n,0\n" + "".join(f"{k / 100},{k}\n" for k in range(1, 40))
    (sample,) = read(tmp_path, text, make_layout("motion", time_column="t"))
    assert sample.note == "1 of 40 rows left out: line 2, column of the time: a value is missing"


@pytest.mark.parametrize(
    ("content", "name", "options", "why"),
    [
        (npz(x=np.full((2, 9), -9, np.int16)), "a.npz", {}, "recording 1, row 1, column 1: a value is missing (-9)"),
        (npz(x=np.full(9, -9), o=np.array([0, 4])), "a.npz", {"stream": True, "offset_array": "o"}, "row 1, column 1: a value is missing (-9)"),
        ("[[1, 2], [3, -9]]", "a.json", {}, "point 2, column 2: a value is missing (-9)"),
    ],
)  # fmt: skip
def test_whole_recordings_lose_no_rows(
    content: bytes | str, name: str, options: dict[str, Any], why: str, tmp_path: Path
) -> None:
    assert refused(tmp_path, content, make_layout("motion", missing=(-9.0,), **options), name) == why


def test_parquet_of_other_writers_is_read(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from decimal import Decimal

    from pyarrow import parquet as pq

    x = pyarrow.array([Decimal("1.50"), Decimal("-2.25"), Decimal("0.75")], pyarrow.decimal128(9, 2))
    columns = {"x": x, "y": pyarrow.array([1, 2, 3], pyarrow.uint8()), "on": pyarrow.array([True, True, False])}
    table = pyarrow.table({**columns, "who": pyarrow.array(["a", "a", "b"], pyarrow.string_view())})
    layout = make_layout("motion", columns=("x", "y"), full_scale=(4.0,), label_column="on", group_column="who")
    for options in (
        {"store_schema": False, "version": "1.0", "compression": "gzip"},
        {"data_page_version": "2.0", "compression": "zstd", "write_statistics": False},
        {"use_dictionary": False, "compression": "none", "write_page_index": True},
    ):
        made = io.BytesIO()
        pq.write_table(table, made, **options)
        found = read(tmp_path, made.getvalue(), layout, "a.parquet")
        assert [(s.label, s.group, s.data.tolist()) for s in found] == [
            ("True", "a", [[12288, 8192], [-18432, 16384]]),
            ("False", "b", [[6144, 24576]]),
        ]


@pytest.mark.parametrize("size", [4, 8, 11, 12, 40, -1, -8, -30])
def test_a_cut_parquet_is_refused(size: int, tmp_path: Path) -> None:
    whole = parquet(x=np.arange(50))
    assert refused(tmp_path, whole[:size], name="a.parquet")


# --- JSON -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "layout"),
    [
        ([[1, 2], [3, 4]], MOTION),
        ([{"x": 1, "y": 2}, {"y": 4, "x": 3}], MOTION),
        ({"p": [{"y": 2, "x": 1, "z": 9}, {"x": 3, "y": 4}]}, make_layout("motion", points="p", columns=("x", "y"))),
        ({"payload": {"values": [[1, 2], [3.0, 4]]}}, make_layout("motion", points="payload.values")),
    ],
)
def test_json_of_one_recording(document: Any, layout: Layout, tmp_path: Path) -> None:
    (sample,) = read(tmp_path, json.dumps(document), layout, "a.json")
    assert sample.data.tolist() == [[1, 2], [3, 4]] and sample.index == 0


def test_json_of_many_recordings_of_any_length(tmp_path: Path) -> None:
    many = [{"p": [{"x": k}] * (k + 1), "label": k, "who": "anna"} for k in range(3)]
    layout = make_layout("motion", records="r", points="p", group_key="who")
    found = read(tmp_path, json.dumps({"r": many}), layout, "a.json")
    assert [(s.index, s.label, s.group, s.data[:, 0].tolist()) for s in found] == [
        (1, "0", "anna", [0]),
        (2, "1", "anna", [1, 1]),
        (3, "2", "anna", [2, 2, 2]),
    ]
    same = read(tmp_path, json.dumps(many), make_layout("motion", points="p", group_key="who"), "a.json")
    assert [s.data.tolist() for s in same] == [s.data.tolist() for s in found]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"r": [{"p": [[1], [NaN]]}]}', "recording 1: point 2, column 1: nan is not a finite number"),
        ('{"r": [{"p": [[1], [1e999]]}]}', "recording 1: point 2, column 1: inf is not a finite number"),
        ('{"r": [{"p": [[1], ["2"]]}]}', "recording 1: point 2: value 1 is missing or not a number"),
        ('{"r": [{"p": [[1], [true]]}]}', "recording 1: point 2: value 1 is missing or not a number"),
        ('{"r": [{"p": [[1], [2, 3]]}]}', "recording 1: point 2: value 1 is missing or not a number"),
        ('{"r": [{"p": [{"x": 1}, {"y": 1}]}]}', "recording 1: point 2: x is missing or not a number"),
        ('{"r": [{"p": [{"x": 1}, [1]]}]}', "recording 1: point 2: x is missing or not a number"),
        ('{"r": [{"p": [1, 123456789]}]}', "recording 1: point 2, column 1: 1.23457e+08 is no int16 integer; give full_scale"),
        ('{"r": [{"p": [1, ' + "9" * 400 + "]}]}", "recording 1: point 2: a number is too large"),
        ('{"r": [{"p": [1, ' + "9" * 5000 + "]}]}", "holds a number of thousands of digits"),
        ('{"r": [{"p": []}]}', "recording 1: it has no list of points"),
        ('{"r": [{"p": [[]]}]}', "recording 1: points have 0 values; 1 to 1024 are read"),
        ('{"r": [{"q": []}]}', "has no recording 1: points under 'p'; it has q"),
        ('{"r": [{"p": [1], "label": {}}]}', "recording 1: its label is neither text nor an integer"),
        ('{"r": {}}', "'r' is not a list of recordings"),
        ('{"r": []}', "it holds no recordings"),
        ("{}", "has no records under 'r'; it has "),
        ("[1]", "has no records under 'r'"),
        ('{"r": [\n', "line 2 is not JSON (Expecting value)"),
        ("[" * 100_000 + "]" * 100_000, "its lists are nested too deeply"),
        ('{"r":' * 100_000, "its lists are nested too deeply"),
    ],
)
def test_a_bad_json_says_where(text: str, why: str, tmp_path: Path) -> None:
    assert refused(tmp_path, text, make_layout("motion", records="r", points="p"), "a.json") == why


def test_a_long_json_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    assert "longer than 16777216 bytes" in refused(tmp_path, "[" + "1," * (1 << 23) + "1]", name="a.json")


# --- NPZ --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npz_gives_a_recording_an_index(save: Any, order: Any, tmp_path: Path) -> None:
    x = np.arange(24, dtype=np.int16).reshape(4, 3, 2)
    save(
        tmp_path / "a.npz",
        x=np.asarray(x, order=order),
        y=np.array([1, 0, 1, 0]),
        labels=np.array(["no", "yes"]),
        group=list("abab"),
    )
    found = list(decode(tmp_path, "a.npz", Layout("motion", rate=50)))
    assert [(s.index, s.label, s.group, s.rate) for s in found] == [
        (1, "yes", "a", 50),
        (2, "no", "b", 50),
        (3, "yes", "a", 50),
        (4, "no", "b", 50),
    ]
    assert np.array_equal([s.data for s in found], x)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_npz_stream_has_more_samples_than_a_file_may_have_recordings(save: Any, order: Any, tmp_path: Path) -> None:
    n, ends = MAX_RECORDS + 5000, (70_001, 70_002, MAX_RECORDS + 5000)
    x = np.arange(2 * n).astype(np.int16).reshape(n, 2)
    y, at = np.zeros(n, np.int64), 0
    for number, end in zip((1, 0, 2), ends, strict=True):
        y[at:end], at = number, end
    save(tmp_path / "a.npz", x=np.asarray(x, order=order), y=y, labels=["no", "yes", "both"], rate=50)
    layout = Layout("motion", options=(NpzOptions(stream=True),))
    found = list(decode(tmp_path, "a.npz", layout))
    assert [(s.label, len(s.data), s.rate) for s in found] == [("yes", 70_001, 50), ("no", 1, 50), ("both", n - 70_002, 50)]
    assert np.array_equal(np.concatenate([s.data for s in found]), x)
    assert "y has 70001 entries, x has more" in refused(tmp_path, npz(x=x, y=y[:70_001]), layout, "b.npz")


@pytest.mark.parametrize(
    ("kind", "x", "expected"),
    [
        ("audio", np.array([[0, 0.5, -1.0]], np.float32), [[0], [16384], [-32768]]),
        ("audio", np.array([[1, 2]], np.int8), [[1], [2]]),
        ("motion", np.array([[1, 2]], np.int64), [[1], [2]]),
        ("image", np.array([[[0, 255]]], np.uint8), [[[0], [255]]]),
        ("image", np.array([[[-128, 127]]], np.int8), [[[0], [255]]]),
        ("image", np.array([[[0, 1.0]]], np.float64), [[[0], [255]]]),
        ("image", np.array([[[[1, 2, 3]]]], np.uint8), [[[1, 2, 3]]]),
    ],
)
def test_npz_numbers_become_samples(kind: Kind, x: Any, expected: Any, tmp_path: Path) -> None:
    (sample,) = read(tmp_path, npz(x=x), Layout(kind), "a.npz")
    assert sample.data.tolist() == expected and sample.data.dtype == (np.uint8 if kind == "image" else np.int16)


@pytest.mark.parametrize(
    ("kind", "arrays", "why"),
    [
        ("motion", {"z": [1]}, "has no array x"),
        ("motion", {"x": np.zeros(3)}, "give numbers"),
        ("motion", {"x": np.array([["a"]])}, "give numbers"),
        ("motion", {"x": np.array([[{}]])}, "never unpickled"),
        ("motion", {"x": np.zeros((0, 3))}, "has 0 recordings"),
        ("motion", {"x": np.zeros((3, 0))}, "no samples"),
        ("motion", {"x": np.zeros((2, 3)), "y": [1]}, "y has 1 entries"),
        ("motion", {"x": np.zeros((1, 3)), "y": np.array([0.5])}, "give integers or short text"),
        ("motion", {"x": np.zeros((1, 2000 * 3)).reshape(1, 3, 2000)}, "2000 channels"),
        ("motion", {"x": np.array([[1.0, np.nan]])}, "recording 1, row 2, column 1: nan is not a finite number"),
        ("motion", {"x": np.array([[0.5]])}, "give full_scale"),
        ("motion", {"x": np.zeros((1, 2, 2, 2))}, "motion takes [samples, channels]"),
        ("audio", {"x": np.zeros((1, 2, 2))}, "audio takes [samples]"),
        ("image", {"x": np.full((1, 2, 2), 3.0)}, "not 0 to 1"),
        ("image", {"x": np.full((1, 2, 2), np.nan)}, "not 0 to 1"),
        ("image", {"x": np.zeros((1, 2, 2), np.int32)}, "save them as uint8"),
        ("motion", {f"x{k}": [1] for k in range(1100)}, "1100 arrays"),
    ],
)
def test_a_bad_npz_says_why(kind: Kind, arrays: dict[str, Any], why: str, tmp_path: Path) -> None:
    assert why in refused(tmp_path, npz(**arrays), Layout(kind), "a.npz")


def test_a_label_of_a_stream_is_made_into_text_once_for_all_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.repeat(np.random.default_rng(0).integers(0, 5, 300), 7)
    texts, made = Texts("y", values, ("a", "b", "c", "d", "e")), list[int]()
    own = Texts._text
    monkeypatch.setattr(Texts, "_text", lambda self, value: (made.append(1), own(self, value))[1])
    for first, end in ((0, len(values)), (3, 1000), (8, 9), (5, 5)):
        made.clear()
        assert texts.of(first, end) == ["abcde"[v] for v in values[first:end]]
        assert len(made) <= 1 + np.count_nonzero(np.diff(values[first:end]))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", [np.ascontiguousarray, np.asfortranarray])
def test_an_npz_stream_may_have_its_channels_first(save: Any, order: Any, tmp_path: Path) -> None:
    x, y = np.arange(30_000).reshape(10_000, 3) % 1000, np.arange(10_000) // 6000
    for turned in (False, True):
        made = io.BytesIO()
        save(made, x=order(x.T if turned else x), y=y, cut=np.array([0, 300]))
        layout = make_layout("motion", stream=True, channels_first=turned)
        found = read(tmp_path, made.getvalue(), layout, "a.npz")
        assert [len(s.data) for s in found] == [6000, 4000] and np.array_equal(np.concatenate([s.data for s in found]), x)
        pieces = read(
            tmp_path, made.getvalue(), make_layout("motion", stream=True, channels_first=turned, offset_array="cut"), "a.npz"
        )
        assert [s.data.shape for s in pieces] == [(300, 3), (5700, 3), (4000, 3)] and np.array_equal(pieces[1].data, x[300:6000])
    content = npz(x=x[:2000])
    said = refused(tmp_path, content, make_layout("motion", stream=True, channels_first=True), "a.npz")
    assert said.startswith("x is [3, 2000]; a stream is [samples, channels] ([channels, samples] with channels_first)")
    channels = npz(a=x[:, 0], b=x[:, 1])
    (sample,) = read(tmp_path, channels, make_layout("motion", stream=True, channels_first=True, x_array=("a", "b")), "a.npz")
    assert np.array_equal(sample.data, x[:, :2]), "arrays of one dimension have no axis to change"


def test_an_npz_stream_that_lies_channel_by_channel_and_is_large_says_how_to_save_it(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        head = io.BytesIO()
        np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (2, SMALL // 8)})
        archive.writestr("x.npy", head.getvalue() + np.random.default_rng(0).bytes(1 << 22) + bytes(2 * SMALL - (1 << 22)))
    said = refused(tmp_path, made.getvalue(), make_layout("motion", stream=True, channels_first=True), "a.npz")
    assert said == f"x lies channel by channel and takes {2 * SMALL} bytes; save x.T in C order and leave channels_first out"


def test_a_number_that_nobody_knows_in_an_npz_is_as_an_empty_cell(tmp_path: Path) -> None:
    layout = make_layout("motion", target_array="t", missing=(-200.0,))
    each = npz(x=np.zeros((4, 9), np.int16), t=np.array([1.5, np.nan, -200.0, 2.0]))
    found = read(tmp_path, each, layout, "a.npz")
    assert [None if n is None else n.tolist() for n in (s.numbers for s in found)][::3] == [[1.5], [2.0]]
    assert all(s.numbers is not None and np.isnan(s.numbers).all() for s in found[1:3])
    said = describe(tmp_path, "a.npz", layout)
    assert [d.unknown for d in said] == [(), (0, 9), (0, 9), ()], "windows of these are left out"
    rows = npz(x=np.arange(6), t=np.array([np.nan, 1, 2, np.nan, -200, 3]), cut=np.array([0, 4]))
    for options in ({}, {"offset_array": "cut"}):
        (tmp_path / "a.npz").write_bytes(rows)
        stream = make_layout("motion", target_array="t", missing=(-200.0,), stream=True, **options)
        unknown = [d.unknown for d in describe(tmp_path, "a.npz", stream)]
        assert unknown == ([(0, 1, 3, 4), (0, 1)] if options else [(0, 1, 3, 5)])
    bad = npz(x=np.arange(3), t=np.array([1, np.inf, 2]))
    assert refused(tmp_path, bad, layout, "a.npz") == "t holds inf at place 1 (target_array); write NaN where nobody knows"


def test_a_bomb_is_refused_by_its_directory(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as stream:
        for _ in range(80):
            stream.write(bytes(1 << 20))
    assert "unpacks to 83886080 bytes" in refused(tmp_path, made.getvalue(), name="a.npz")


@pytest.mark.parametrize("row", ["0.5,1", "x,1", "nan,1"])
@pytest.mark.parametrize("name", ["a" * 3000, "\x1b[2J" * 900])
def test_a_name_that_fills_a_screen_is_cut_in_what_is_said(name: str, row: str, tmp_path: Path) -> None:
    said = refused(tmp_path, f"{name},b\n{row}\n3,1\n", Layout("motion", options=(RowOptions(bad_rows=0.0),)))
    assert len(said) <= 600 and said.startswith("line 2") and said.isprintable()
    assert said.endswith(("give full_scale", "is not a number", "is not a finite number"))


@pytest.mark.parametrize("names", ["a", "a,a (2)", "column 3,"])
def test_a_header_of_one_name_again_and_again_costs_what_its_length_does(names: str) -> None:
    wide = (names + ",") * 8000
    assert seconds(lambda: _distinct(wide.split(",")), 0.5) < 0.5  # it took 20 s


def test_names_that_come_again_get_numbers() -> None:
    assert _distinct(["a", "a", "a (2)", "", "a", "column 4"]) == ("a", "a (2)", "a (2) (2)", "column 4", "a (3)", "column 4 (2)")


def test_a_packed_file_counts_as_what_is_in_it(tmp_path: Path) -> None:
    plain, packed = Found("a.csv", 900, 0), Found("b.csv.gz", 500, 0)
    assert Few(9, 2000).of([plain, packed]) == [plain] and Few(9, 6000).of([plain, packed]) == [plain, packed]
    assert in_own_code([".csv", ".npz"]) and not in_own_code([".csv", ".csv.gz"])  # it is read where time is bounded
