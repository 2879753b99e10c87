"""Case 3, of arrays and lists: rows that are moments of one signal, and tables that only say where pieces of one begin."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

import sandgrain as api
from sandgrain.base.errors import UsageError
from sandgrain.dataset.ingest import ingest
from sandgrain.dataset.readers.npz import NpzOptions
from sandgrain.dataset.records import Layout
from sandgrain.project.file.look import look

RNG = np.random.default_rng(7)


def walk(seconds: int, channels: int = 3, rate: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """A person who walks and sits in turn: int16 [n, channels], and which of the two."""
    t = np.arange(seconds * rate)
    y = (t // (5 * rate)) % 2
    turns = np.cumsum(RNG.uniform(0.5, 4, (len(t), channels)), axis=0) / rate  # nobody walks twice alike
    waves = np.sin(2 * np.pi * turns + RNG.uniform(0, 6, channels)) * np.where(y, 4000, 300)[:, None]
    noise = RNG.normal(0, 150, waves.shape)
    return (waves + noise).astype(np.int16), y.astype(np.uint8)


def people(folder: Path, **more: np.ndarray) -> None:
    for person in ("s01", "s02", "s03", "s04"):
        for device in ("phone", "watch"):
            x, y = walk(40)
            np.savez(folder / f"{person}_{device}.npz", x=x, y=y, **more)


def test_03_an_array_of_samples_is_one_stream_cut_where_its_label_changes(tmp_path: Path) -> None:
    people(tmp_path)
    found = look(tmp_path)
    assert dict(found.table)["stream"] is True and found.labels == ("0", "1") and found.groups == 4
    said = " ".join(found.notes)
    assert "one stream of 3 channels" in said and "stream = false" in said and "s01, s02, s03" in said
    api.init(tmp_path, out=tmp_path / "p")
    project = tomllib.loads((tmp_path / "p" / "sandgrain.toml").read_text())
    assert project["data"]["stream"] is True and project["data"]["split"]["by"] == "group"
    report = api.data(tmp_path / "p")
    assert report.manifest.bad == ()
    records = report.manifest.records
    assert (
        len(records) == 8 * 8
        and {r.shape for r in records} == {(250, 3)}
        and {r.group for r in records} == {"s01", "s02", "s03", "s04"}
    )


@pytest.mark.parametrize("order", ["drawn", "by class"])
def test_03_rows_that_do_not_know_of_each_other_are_no_stream(order: str, tmp_path: Path) -> None:
    """A table of measurements, such as flowers': also where it is sorted by class."""
    y = np.arange(150) // 50
    x = RNG.normal(y[:, None] * 3.0, 1.0, (150, 4)).astype(np.float32)
    turn = RNG.permutation(150) if order == "drawn" else np.arange(150)
    np.savez(tmp_path / "flowers.npz", x=x[turn], y=y[turn])
    found = look(tmp_path)
    assert "stream" not in dict(found.table) and "stream = true takes x for one stream of 4 channels" in " ".join(found.notes)


def test_03_windows_that_are_recordings_already_stay_recordings(tmp_path: Path) -> None:
    """[n, samples] of one channel: each row is smooth in itself, and another one follows."""
    t = np.arange(64)
    x = (3000 * np.sin(t[None, :] * RNG.uniform(0.1, 1, (80, 1)) + RNG.uniform(0, 6, (80, 1)))).astype(np.int16)
    np.savez(tmp_path / "waves.npz", x=x, y=np.arange(80) % 2)
    found = look(tmp_path)
    assert "stream" not in dict(found.table)


def test_03_a_stream_of_another_shape_or_with_too_few_labels_says_so(tmp_path: Path) -> None:
    x, y = walk(10)
    layout = Layout("motion", rate=50.0, options=(NpzOptions(stream=True),))
    for arrays, why in (
        ({"x": x, "y": y[:100]}, "y has 100 entries, x has more"),
        ({"x": x[:, :, None]}, "a stream is [samples, channels]"),
    ):
        np.savez(tmp_path / "a.npz", **arrays)
        (bad,) = ingest(tmp_path, layout, workers=1).bad
        assert why in bad.reason


LISTS = {
    "samples": "time,label,start,samples\n" + "".join(f"t{k},{'ab'[k % 2]},{k * 400},400\n" for k in range(20)),
    "end": "start;end;label\n" + "".join(f"{k * 4};{k * 4 + 3};{'ab'[k % 2]}\n" for k in range(20)),
    "length": "Label,Offset,Length\n" + "".join(f"{'ab'[k % 2]},{k * 50},50\n" for k in range(20)),
}


@pytest.mark.parametrize("name", LISTS)
def test_03_a_list_of_stretches_is_not_taken_for_a_signal(name: str, tmp_path: Path) -> None:
    (tmp_path / "walk.csv").write_text(LISTS[name])
    with pytest.raises(UsageError, match=r"walk.csv says where stretches of a longer recording begin and end"):
        look(tmp_path)
    x, _ = walk(160)
    np.savez(tmp_path / "walk.npz", x=x)
    found = look(tmp_path)
    assert dict(found.table).get("stream") is True and found.count == 1
    if name == "length":  # nothing says what is a start
        assert "y of an .npz" in " ".join(found.notes)
    else:
        assert found.labels == ("a", "b") and dict(found.table)["track_suffix"] == ".csv"


def test_03_a_signal_with_a_column_called_start_is_a_signal(tmp_path: Path) -> None:
    rows = "".join(f"{int(900 * np.sin(k / 3))},{k % 7},{k % 2}\n" for k in range(300))
    (tmp_path / "motor.csv").write_text(f"start,count,label\n{rows}")
    assert look(tmp_path).kind == "motion"
