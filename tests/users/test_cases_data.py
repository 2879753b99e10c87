"""Entries of the list of cases that are about reading what people have: tables, times, labels, lengths of sound."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sandgrain as api
from sandgrain.dataset.decode import decode
from sandgrain.dataset.ingest import ingest
from sandgrain.dataset.readers import make_layout
from sandgrain.dataset.readers.base import BadFileError, Sample
from sandgrain.dataset.records import Layout
from sandgrain.project.file.load import load
from sandgrain.project.file.look import Look

MOTION = Layout("motion")


def looked(tmp_path: Path, text: str | bytes, name: str = "walk.csv") -> tuple[Look, dict[str, Any]]:
    """What `init` sees in one table, and what it writes into [data]."""
    (tmp_path / "x").mkdir(exist_ok=True)
    (tmp_path / "x" / name).write_bytes(text.encode() if isinstance(text, str) else text)
    found = api.init(tmp_path / "x", out=tmp_path / "sandgrain.toml", force=True)
    return found, load(tmp_path / "sandgrain.toml").project.data.model_dump()


def read(tmp_path: Path, content: str | bytes, layout: Layout = MOTION, name: str = "a.csv") -> list[Sample]:
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return list(decode(tmp_path, name, layout))


def rows(times: Any, header: str = "time", count: int = 60) -> str:
    waves = np.round(1000 * np.sin(np.arange(count) / 3)).astype(int)
    return f"{header},ax,ay\n" + "".join(f"{times(k)},{waves[k]},{waves[-k]}\n" for k in range(count))


# --- 3: columns, times, labels ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "time", "unit", "rate"),
    [
        ("time", lambda k: f"{k * 0.02:.2f}", "s", 50),
        ("Time (s)", lambda k: f"{k / 100:.2f}", "s", 100),
        ("t_ms", lambda k: k * 20, "ms", 50),
        ("t_ms", lambda k: k, "ms", 1000),
        ("time", lambda k: 5000 + k * 10, "ms", 100),
        ("millis", lambda k: k * 1000, "ms", 1),
        ("micros", lambda k: 81_000 + k * 2500, "us", 400),
        ("timestamp", lambda k: k * 10_000, "us", 100),
        ("TimeStamp_ns", lambda k: k * 5_000_000, "ns", 200),
        ("seconds_elapsed", lambda k: f"{k * 0.0100121:.7f}", "s", 99.88),
        ("epoch", lambda k: f"{1.7e9 + k * 0.04:.2f}", "s", 25),
        ("utc", lambda k: 1_700_000_000_000 + k * 40, "ms", 25),
        ("timestamp", lambda k: f"2024-01-31T10:00:{k // 50:02}.{k % 50 * 20:03}", "iso", 50),
        ("datetime", lambda k: f"2024-01-31 10:{k:02}:00+01:00", "iso", 0.01667),
        ("date", lambda k: f"31.12.2023 10:{k:02}:00", "iso", 0.01667),
        ("when", lambda k: f"01/02/2024 10:00:{k:02}", "iso", 1),
        ("clock", lambda k: f"10:00:{k // 10:02}.{k % 10}", "iso", 10),
        ("q", lambda k: k * 20, "ms", 50),  # no name: it rises evenly
    ],
)
def test_03_a_time_is_found_by_rising_evenly_and_its_unit_by_name_or_size(
    header: str, time: Any, unit: str, rate: float, tmp_path: Path
) -> None:
    found, data = looked(tmp_path, rows(time, header))
    assert (data["time_column"], data["rate"], data["columns"]) == ((header,), rate, ("ax", "ay"))
    assert data["time_unit"] == unit
    (sample,) = ingest(tmp_path / "x", load(tmp_path).project.data.layout).records
    assert sample.rate == rate  # `data` takes what `init` wrote
    verdict = next(v for v in found.columns if v.column == header)
    assert verdict.role == "time" and ("rising" in verdict.why or "rise" in verdict.why)


def test_03_a_date_and_a_time_of_day_in_two_columns_are_one_time(tmp_path: Path) -> None:
    text = "Date,Time,ax\n" + "".join(f"{d}/03/2004,{h:02}:00:00,{(h * 7) % 11}\n" for d in (12, 13, 14) for h in range(24))
    _, data = looked(tmp_path, text)
    assert (data["time_column"], data["columns"], data["rate"]) == (("Date", "Time"), ("ax",), 0.0002778)
    assert len(ingest(tmp_path / "x", load(tmp_path).project.data.layout).records) == 1


@pytest.mark.parametrize("header", ["index", "", "row", "sample_id", "Unnamed: 0"])
def test_03_the_number_of_a_row_is_no_channel(header: str, tmp_path: Path) -> None:
    found, data = looked(tmp_path, rows(lambda k: k, header))
    assert data["columns"] == ("ax", "ay") and not data["time_column"]
    assert any(v.role == "index" and "counts the rows" in v.why for v in found.columns)


def test_03_the_unit_can_be_given(tmp_path: Path) -> None:
    text = rows(lambda k: k * 10)
    for unit, rate in (("ms", 100), ("us", 100_000), ("s", 0.1)):
        (sample,) = read(tmp_path, text, make_layout("motion", columns=("ax",), time_column=("time",), time_unit=unit))
        assert sample.rate == rate
    with pytest.raises(BadFileError, match="time_unit 'furlong' is not known; use one of s, ms, us"):
        read(tmp_path, text, make_layout("motion", columns=("ax",), time_column=("time",), time_unit="furlong"))


def test_03_a_column_y_beside_x_and_z_is_a_channel(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(-900, 900, (200, 3))
    found, data = looked(tmp_path, "x,y,z\n" + "".join(f"{a},{b},{c}\n" for a, b, c in noise))
    assert data["columns"] == ("x", "y", "z") and not data["label_column"]
    assert "too many for a label" in next(v.why for v in found.columns if v.column == "y")


@pytest.mark.parametrize("name", ["y", "activity", "what", "mode"])
def test_03_a_label_is_what_takes_few_values(name: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(-900, 900, (200, 2))
    text = f"ax,az,{name}\n" + "".join(f"{a},{b},{('walk', 'run', 'sit')[k // 25 % 3]}\n" for k, (a, b) in enumerate(noise))
    found, data = looked(tmp_path, text)
    assert (data["label_column"], data["columns"], found.labels) == (name, ("ax", "az"), ("run", "sit", "walk"))


@pytest.mark.parametrize("cell", ["", "NaN", "error", "1.2.3"])
def test_03_a_bad_cell_costs_its_row_and_never_its_channel(cell: str, tmp_path: Path) -> None:
    text = rows(lambda k: k * 10).replace("\n300,", "\n300," + cell + ",0\n300,", 1)
    found, data = looked(tmp_path, text)
    assert data["columns"] == ("ax", "ay")
    assert "1 of 61 cells (such as " in next(v.why for v in found.columns if v.column == "ax")
    manifest = ingest(tmp_path / "x", load(tmp_path).project.data.layout)
    assert [r.shape for r in manifest.records] == [(60, 2)] and manifest.records[0].rate == 100
    assert "1 of 61 rows left out: line 32, column ax: " in manifest.notes[0].text


def test_03_a_row_without_a_number_leaves_no_jump_in_the_time(tmp_path: Path) -> None:
    text = rows(lambda k: k * 10).replace("\n300,", "\n300,lost", 1)
    (sample,) = read(tmp_path, text, make_layout("motion", columns=("ax", "ay"), time_column=("time",), time_unit="ms"))
    assert sample.data.shape == (59, 2) and sample.rate == 100 and "1 of 60 rows left out: line 32" in sample.note


def test_03_many_bad_cells_cost_the_file(tmp_path: Path) -> None:
    with pytest.raises(
        BadFileError, match=r"^line 3, column ax: 'x' is not a number; 30 of 60 rows are like it \(see bad_rows\)$"
    ):
        read(tmp_path, "ax\n" + "1\nx\n" * 30)


def test_03_every_column_has_a_verdict_with_a_reason(tmp_path: Path) -> None:
    text = "n,t_ms,ax,note,empty,subject,fixed,label\n" + "".join(
        f"{k},{k * 10},{k * 37 % 101},{'free text ' * (k % 7)}{k},,p{k // 40},a,{'ab'[k // 20 % 2]}\n" for k in range(120)
    )
    found, _ = looked(tmp_path, text)
    roles = {v.column: v.role for v in found.columns}
    used = {"t_ms": "time", "ax": "channel", "subject": "group", "label": "label"}
    assert roles == used | {"n": "index", "note": "unused", "empty": "unused", "fixed": "unused"}
    assert all(v.why for v in found.columns)
    written = (tmp_path / "sandgrain.toml").read_text()
    assert all(f"# column {v.column}: " in written for v in found.columns) and "(time_column, time_unit)" in written


def test_03_explain_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.csv").write_text(rows(lambda k: k * 10))
    found = api.init(tmp_path / "x", out=tmp_path / "new", explain=True)
    assert found.columns and [p.name for p in tmp_path.iterdir()] == ["x"]


# --- 17: lengths in WAV headers --------------------------------------------------------------------------------------------


def riff(body: bytes, length: int, *, code: int = 1, bits: int = 16, magic: bytes = b"RIFF") -> bytes:
    width = bits // 8
    form = struct.pack("<HHIIHH", code, 1, 8000, 8000 * width, width, bits)
    return magic + bytes(4) + b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", length) + body


def wav(frames: int, length: int, *, magic: bytes = b"RIFF", tail: bytes = b"") -> bytes:
    return riff(np.arange(1, frames + 1, dtype="<i2").tobytes() + tail, length, magic=magic)


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0, 244, 202, 0xFFFFFFFF - 36])
def test_17_the_samples_that_are_there_are_read_whatever_the_header_promises(length: int, tmp_path: Path) -> None:
    for magic in (b"RIFF", b"RF64"):
        (sample,) = read(tmp_path, wav(100, length, magic=magic), Layout("audio"), "a.wav")
        assert sample.data[:, 0].tolist() == list(range(1, 101)) and "are read" in sample.note


def test_17_an_odd_byte_at_the_end_is_left_out(tmp_path: Path) -> None:
    for length in (201, 0xFFFFFFFF, 0):
        (sample,) = read(tmp_path, wav(100, length, tail=b"\1"), Layout("audio"), "a.wav")
        assert len(sample.data) == 100 and "no whole frame" in sample.note
    (sample,) = read(tmp_path, wav(100, 200, tail=b"LIST\4\0\0\0abcd"), Layout("audio"), "a.wav")
    assert len(sample.data) == 100 and not sample.note


def test_17_the_note_is_in_the_report_and_init_reads_what_data_reads(tmp_path: Path) -> None:
    for word in ("no", "yes"):
        for k in range(3):
            (tmp_path / "x" / word).mkdir(parents=True, exist_ok=True)
            (tmp_path / "x" / word / f"{k}.wav").write_bytes(wav(800 + k, 0xFFFFFFFF))
    found = api.init(tmp_path / "x", out=tmp_path)
    assert found.rate == 8000 and found.seconds[0] == 0.1
    manifest = ingest(tmp_path / "x", Layout("audio"))
    assert len(manifest.records) == len(manifest.notes) == 6 and not manifest.bad


# --- 18: dialects of CSV -----------------------------------------------------------------------------------------------------

TABLE = [[0.0, 1.5, -2.0], [0.02, 2.25, 3.0], [0.04, -1.0, 4.5], [0.06, 0.5, 1.0]]


def table(delimiter: str, decimal: str = ".", header: str | None = None, after: str = "") -> str:
    lines = [delimiter.join(("t", "x", "y")) if header is None else header]
    lines += [delimiter.join(f"{v:g}".replace(".", decimal) for v in row) + after for row in TABLE]
    return "\n".join(lines) + "\n"


def quoted(decimal: str) -> str:
    return '"t","x","y"\n' + "".join(",".join(f'"{v:g}"'.replace(".", decimal) for v in row) + "\n" for row in TABLE)


DIALECTS = {
    "comma": table(","),
    "semicolon": table(";"),
    "tab": table("\t"),
    "bar": table("|"),
    "blank": table(" "),
    "blanks": table("   "),
    "decimal comma": table(";", ","),
    "decimal comma and tab": table("\t", ","),
    "decimal comma and blanks": table("  ", ","),
    "sep line": "sep=;\n" + table(";", ","),
    "blank after comma": table(", "),
    "trailing comma": table(",", after=","),
    "trailing comma and header": table(",", header="t,x,y,", after=","),
    "comments": "# a logger\n# rate 50\n" + table(",").replace("\n0.04", "\n# a pause\n0.04"),
    "header in a comment": "# t x y\n" + table(" ").split("\n", 1)[1],
    "percent comments": "% a logger\n" + table(","),
    "units below": table(",").replace("x,y\n", "x,y\n[s],[m/s^2],[m/s^2]\n"),
    "bare units below": table(",").replace("x,y\n", "x,y\ns,g,g\n"),
    "preamble": "Device: X200\nSerial;12\nDate;2024-01-02\n\n" + table(";", ","),
    "padded preamble": "Device,X200,\nOwner,,\n" + table(","),
    "quoted": quoted("."),
    "quoted decimal commas": quoted(","),
    "old mac": table(",").replace("\n", "\r"),
    "windows": table(",").replace("\n", "\r\n"),
}


@pytest.mark.parametrize("text", DIALECTS.values(), ids=DIALECTS.keys())
def test_18_a_table_is_read_in_every_dialect_that_is_plain(text: str, tmp_path: Path) -> None:
    layout = make_layout("motion", columns=("x", "y"), time_column=("t",), full_scale=(16.0,))
    (sample,) = read(tmp_path, text, layout)
    assert np.array_equal(sample.data / 2048.0, np.array(TABLE)[:, 1:]) and sample.rate == 50


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"])
def test_18_a_table_is_read_in_every_encoding(encoding: str, tmp_path: Path) -> None:
    text = table(";").replace("t;x;y", "t;x [\u00b0C];y [\u00b5T]")
    layout = make_layout("motion", columns=("x [\u00b0C]", "y [\u00b5T]"), time_column=("t",), full_scale=(16.0,))
    (sample,) = read(tmp_path, text.encode(encoding), layout)
    assert sample.data.shape == (4, 2)
    found, data = looked(tmp_path, text.encode(encoding))
    assert data["columns"] == ("x [\u00b0C]", "y [\u00b5T]") and found.count == 1


def test_18_what_is_not_plain_names_line_cause_and_key(tmp_path: Path) -> None:
    cause = r"line 2 has 4 cells, the header 2: its commas are both decimal marks and delimiters; .*delimiter"
    with pytest.raises(BadFileError, match=cause):
        read(tmp_path, "x,y\n1,5,2,5\n1,6,2,7\n")
    with pytest.raises(BadFileError, match="encoding 'klingon' is not known; use one of utf-8"):
        read(tmp_path, "x\n1\n2\n", make_layout("motion", encoding="klingon"))
    with pytest.raises(BadFileError, match="header_line = 3 is not a line of text above the values"):
        read(tmp_path, "x\n1\n2\n", make_layout("motion", header_line=3))


def test_18_the_dialect_can_be_given(tmp_path: Path) -> None:
    (sample,) = read(tmp_path, "1,5\n2,5\n", make_layout("motion", decimal=",", delimiter=";", full_scale=(4.0,)))
    assert sample.data[:, 0].tolist() == [12288, 20480]
    (sample,) = read(tmp_path, "a,b\nc,d\n1,2\n3,4\n", make_layout("motion", header_line=1, columns=("b",)))
    assert sample.data[:, 0].tolist() == [2, 4]


# --- 20: uneven times --------------------------------------------------------------------------------------------------------


def test_20_uneven_times_are_put_on_a_grid_on_request(tmp_path: Path) -> None:
    times = [0.0, 0.01, 0.024, 0.03, 0.047, 0.05]
    text = "t,x\n" + "".join(f"{t},{round(1000 * t)}\n" for t in times)
    layout = make_layout("motion", columns=("x",), time_column=("t",))
    with pytest.raises(BadFileError, match="resample = true to put its rows on an even grid"):
        read(tmp_path, text, layout)
    (sample,) = read(tmp_path, text, make_layout("motion", columns=("x",), time_column=("t",), rate=100, resample=True))
    assert sample.data[:, 0].tolist() == [0, 10, 20, 30, 40, 50] and sample.rate == 100
    assert "put on a grid of 100 Hz" in sample.note


def test_20_a_long_gap_ends_a_recording_and_is_reported(tmp_path: Path) -> None:
    times = [*range(20), *range(100, 120), 119, 118, *range(120, 130)]
    text = "t,x\n" + "".join(f"{t},{t}\n" for t in times)
    layout = make_layout("motion", columns=("x",), time_column=("t",), rate=2, resample=True)
    one, two = read(tmp_path, text, layout)
    assert (
        one.data[:, 0].tolist()[-1] == 19 and two.data[[0, -1], 0].tolist() == [100, 129] and (one.index, two.index) == (1, 3)
    )  # 2: the gap
    assert "1 gaps, the longest 81 s" in two.note and "2 rows left out, for their time does not grow" in two.note


def test_20_init_asks_for_the_grid_where_data_would_refuse(tmp_path: Path) -> None:
    jitter = np.cumsum(np.random.default_rng(2).uniform(5, 15, 200)).round(2)
    found, data = looked(tmp_path, rows(lambda k: jitter[k], "time_ms", 200))
    assert data["resample"] and found.resample and 85 < data["rate"] < 115
    manifest = ingest(tmp_path / "x", load(tmp_path).project.data.layout)
    assert len(manifest.records) == 1 and "grid" in manifest.notes[0].text


# --- 27: floats beyond one ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("factor", "said"), [(1.0, ""), (32768.0, "int16 counts"), (2147483648.0, "int32 counts")])
def test_27_floats_that_are_counts_are_no_square_wave(factor: float, said: str, tmp_path: Path) -> None:
    tone = 0.5 * np.sin(np.arange(800) / 7)
    raw = (tone * factor).astype("<f4").tobytes()
    (sample,) = read(tmp_path, riff(raw, len(raw), code=3, bits=32), Layout("audio"), "a.wav")
    assert np.abs(sample.data[:, 0] - tone * 32768).max() <= 1 and sample.clipped == 0
    assert said in sample.note and bool(said) == bool(sample.note)


def test_27_floats_that_are_neither_are_refused_with_a_way_out(tmp_path: Path) -> None:
    raw = np.linspace(-9.3, 9.7, 100).astype("<f4").tobytes()
    with pytest.raises(BadFileError, match=r"its floats reach 9\.7, .*divide them by their full scale"):
        read(tmp_path, riff(raw, len(raw), code=3, bits=32), Layout("audio"), "a.wav")


# --- 19: Edge Impulse --------------------------------------------------------------------------------------------------------


def acquisition(seed: int, interval: float = 10) -> dict[str, Any]:
    values = np.random.default_rng(seed).normal(0, 9, (40, 3)).round(3).tolist()
    sensors = [{"name": name, "units": "m/s2"} for name in ("accX", "accY", "accZ")]
    payload = {"device_name": "x", "device_type": "y", "interval_ms": interval, "sensors": sensors, "values": values}
    return {"protected": {"ver": "v1", "alg": "none"}, "signature": "0" * 64, "payload": payload}


def as_cbor(value: Any) -> bytes:
    """Just enough of CBOR, written independently of the reader: floats as doubles, lengths of 16 bits."""
    if isinstance(value, dict):
        return bytes([0xA0 | len(value)]) + b"".join(as_cbor(k) + as_cbor(v) for k, v in value.items())
    if isinstance(value, list):
        return b"\x99" + struct.pack(">H", len(value)) + b"".join(map(as_cbor, value))
    if isinstance(value, str):
        raw = value.encode()
        return (bytes([0x60 | len(raw)]) if len(raw) < 24 else b"\x79" + struct.pack(">H", len(raw))) + raw
    return b"\x19" + struct.pack(">H", value) if isinstance(value, int) else b"\xfb" + struct.pack(">d", value)


@pytest.mark.parametrize("suffix", ["json", "cbor"])
@pytest.mark.parametrize("listed", [False, True])
def test_19_an_edge_impulse_export_is_recognized(suffix: str, listed: bool, tmp_path: Path) -> None:
    files = []
    for k in range(6):
        side, label = ("training", "testing")[k % 3 == 2], ("idle", "wave")[k % 2]
        path = tmp_path / "x" / side / f"{label}.{k}abc.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = acquisition(k)
        path.write_bytes(as_cbor(content) if suffix == "cbor" else json.dumps(content).encode())
        named = {"type": "label", "label": label.upper()}
        files.append({"path": f"{side}/{path.name}", "name": path.stem, "category": side, "label": named})
    if listed:
        (tmp_path / "x" / "info.labels").write_text(json.dumps({"version": 1, "files": files}))
    found = api.init(tmp_path / "x", out=tmp_path)
    labels = ("IDLE", "WAVE") if listed else ("idle", "wave")
    assert (found.kind, found.rate, found.labels, found.has_split) == ("motion", 100, labels, True)
    manifest = ingest(tmp_path / "x", load(tmp_path).project.data.layout)
    assert not manifest.bad and manifest.labels == labels
    assert {(r.rate, r.shape, r.split) for r in manifest.records} == {(100.0, (40, 3), "train"), (100.0, (40, 3), "test")}


@pytest.mark.parametrize("size", [1, 20, 100, 700])
def test_19_a_cbor_that_is_cut_is_one_line(size: int, tmp_path: Path) -> None:
    with pytest.raises(BadFileError):
        read(tmp_path, as_cbor(acquisition(1))[:size], name="a.cbor")
    for content in (
        b"\xa1gpayload" + b"\x9f" * 5000,
        b"\xa1gpayload\x9b" + b"\xff" * 8,
        b"\xbfgpayload\xff",
        b"\xa1gpayload\xff",
    ):
        with pytest.raises(BadFileError):
            read(tmp_path, content, name="a.cbor")
