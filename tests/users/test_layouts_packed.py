"""Packed tables, rows that stand alone, rows that are samples of their own, and blocks of neighbours that stay together."""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import sandgrain as api
from sandgrain.base.errors import UsageError
from sandgrain.dataset.ingest import ingest
from sandgrain.dataset.readers import make_layout
from sandgrain.dataset.unpack import unpacked
from sandgrain.project.file.init import How, render, write
from sandgrain.project.file.look import look

DRAW = np.random.default_rng(8)


def test_packed_tables_go_in_as_they_are(tmp_path: Path) -> None:
    for room in (1, 2, 3):
        time = np.cumsum(DRAW.choice([0.25, 0.25, 0.25, 0.5], 400))
        rows = [f"{t:.2f},{np.sin(t):.4f},{np.cos(t):.4f},{('lie', 'sit')[k // 50 % 2]}" for k, t in enumerate(time)]
        (tmp_path / f"room{room}.csv.gz").write_bytes(gzip.compress("\n".join(["t_s,ax,ay,label", *rows, ""]).encode()))
    found = write(tmp_path, tmp_path / "sandgrain.toml")
    assert found.files == ("**/*.csv.gz",) and found.labels == ("lie", "sit") and found.resample
    seen = api.data(tmp_path, workers=1)
    assert not seen.manifest.bad and len(seen.records) == 24


PACKED = {
    "cut short": (lambda data: data[: len(data) // 2], "no whole gzip file"),
    "no gzip file at all": (lambda data: b"t,ax\n1,2\n" * 9, "no whole gzip file"),
}


@pytest.mark.parametrize("case", PACKED)
def test_a_packed_file_that_is_damaged_is_one_line(case: str, tmp_path: Path) -> None:
    change, said = PACKED[case]
    good = gzip.compress("".join(f"{k},{v}\n" for k, v in enumerate(DRAW.integers(0, 9999, 9000))).encode())
    (tmp_path / "a.csv.gz").write_bytes(change(good))
    read = ingest(tmp_path, make_layout("motion", rate=10.0), workers=1)
    assert not read.records and (said in read.bad[0].reason or "line 1 has" in read.bad[0].reason), read.bad


def test_a_packed_file_that_unpacks_beyond_measure_is_not_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"1,2\n" * (18 << 20), 1))
    with (tmp_path / "a.csv.gz").open("rb") as packed:
        inner, size = unpacked(packed, "a.csv.gz")
        assert size > 1 << 20
        with pytest.raises(UsageError, match="as no recording does"):
            list(iter(lambda: len(inner.read(1 << 20)), 0))


def test_a_row_that_stands_alone_between_two_labels_is_left_out_and_counted(tmp_path: Path) -> None:
    labels = ["a"] * 20 + ["b"] + ["a"] * 20 + ["c"] * 20
    (tmp_path / "x.csv").write_text("t,v,l\n" + "".join(f"{k / 10},{k},{label}\n" for k, label in enumerate(labels)))
    layout = make_layout("motion", rate=10.0, resample=True, time_column=("t",), label_column="l", columns=("v",))
    read = ingest(tmp_path, layout, workers=1)
    assert [r.label for r in read.records] == ["a", "a", "c"] and "1 recordings of rows that stand alone left out" in read.notes[
        -1
    ].text


def features(path: Path, names: list[str], spread: float = 0.1) -> None:
    rows = []
    for k in range(150):
        centre = np.arange(len(names)) * (k // 50 + 1)
        rows.append(
            ",".join(f"{v:.4f}" for v in centre + DRAW.normal(0, spread, len(names))) + f",{('frog', 'toad', 'newt')[k // 50]}"
        )
    path.write_text("\n".join([",".join([*names, "species"]), *rows]) + "\n")


ROWS = {
    "coefficients": [f"MFCCs_{k:2}" for k in range(1, 9)],
    "statistics": ["mean_1", "std_1", "rms_1", "kurtosis_1", "zcr_1"],
    "names that say nothing": ["f1", "f2", "f3", "f4"],
}


@pytest.mark.parametrize("case", ROWS)
def test_rows_that_are_samples_of_their_own(case: str, tmp_path: Path) -> None:
    features(tmp_path / "all.csv", ROWS[case])
    found = write(tmp_path, tmp_path / "sandgrain.toml")
    assert dict(found.table)["segment"] == 1 and any("(segment)" in note for note in found.notes)
    text = (tmp_path / "sandgrain.toml").read_text()
    assert 'name = "mlp"' in text and "window_s" not in text and "[[augment]]" not in text and 'by = "block"' in text
    seen = api.data(tmp_path, workers=1)
    assert len(seen.records) == 150 and seen.records[0].shape == (1, len(ROWS[case])) and not seen.timed
    assert {(r.label, seen.sides[r.key]) for r in seen.records} == {
        (a, s) for a in ("frog", "toad", "newt") for s in ("train", "test")
    }  # of one file, all that is not for the test trains


@pytest.mark.parametrize("header", ["ax,ay,az", "x,y,z", "temp_a,temp_b,temp_c"])
def test_columns_of_sensors_are_no_features_however_they_move(header: str, tmp_path: Path) -> None:
    features(tmp_path / "all.csv", header.split(","))
    found = look(tmp_path)
    written = render(found, ".", "cortex-m4")
    assert "segment" not in dict(found.table) and "the features as they are" not in written and "[[augment]]" in written


def test_blocks_keep_neighbours_of_a_file_and_label_together(tmp_path: Path) -> None:
    features(tmp_path / "all.csv", ROWS["coefficients"])
    write(tmp_path, tmp_path / "sandgrain.toml")
    seen = api.data(tmp_path, workers=1)
    order = [seen.sides[r.key] for r in seen.records]
    changes = sum(a != b for a, b in pairwise(order))
    assert changes <= 3 * 9
    assert not any("cut from one file" in remark for remark in seen.remarks)


def test_with_many_files_a_file_is_a_block(tmp_path: Path) -> None:
    for k in range(12):
        rows = "".join(f"{n / 10},{np.sin(n / 3 + k):.3f},{n // 40 % 2}\n" for n in range(160))
        (tmp_path / f"{k}.csv").write_text("time,v,fault\n" + rows)
    found = write(tmp_path, tmp_path / "sandgrain.toml", How())
    assert found.groups == 0 and 'by = "block"' in (tmp_path / "sandgrain.toml").read_text()
    seen = api.data(tmp_path, workers=1)
    homes: dict[str, set[str]] = {}
    for record in seen.records:
        homes.setdefault(record.key.split("#")[0], set()).add(seen.sides[record.key])
    assert len(homes) == 12 and all(len(sides) == 1 for sides in homes.values())
