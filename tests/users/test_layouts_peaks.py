"""Recordings with one event each at an unknown time: the window around the largest sample, and the board's word for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sandgrain
from sandgrain.base.errors import UsageError
from sandgrain.compiler.emit.parts.centre import is_centred
from sandgrain.dataset.changes import cut_at_changes
from sandgrain.dataset.decode import decode
from sandgrain.dataset.ingest import ingest, open_record
from sandgrain.dataset.peaks import sizes
from sandgrain.dataset.readers import make_layout
from sandgrain.dataset.records import Layout
from sandgrain.dataset.windows import Window, windows_of
from sandgrain.frontend.blocks import parse
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.frontend.pipeline import Normalization, Pipeline
from sandgrain.frontend.signal import Channel, Signal
from sandgrain.project.features import channels_of, windowing_of
from sandgrain.project.file.schema import Data

DRAW = np.random.default_rng(11)


def trial(at: int, rows: int = 120, channels: int = 4) -> np.ndarray:
    """Little noise, a blow in the first channels at row `at`, and something larger but unwanted in the last channel elsewhere."""
    x = DRAW.integers(-300, 300, (rows, channels)).astype(np.int16)
    x[at, :3] = (-9000, 4000, 100)
    x[(at + 60) % rows, 3] = 30000
    return x


def layout(**keys: Any) -> Layout:
    return make_layout("motion", rate=20.0, center="peak", event_s=2.0, **({"center_channels": ("0", "1", "2")} | keys))


def test_each_recording_of_an_npz_is_cut_around_its_largest_sample(tmp_path: Path) -> None:
    places = [30, 57, 90, 20, 100]
    np.savez(tmp_path / "all.npz", x=np.stack([trial(at) for at in places]), y=np.array(["fall", "walk"] * 2 + ["fall"]))
    found = ingest(tmp_path, layout(), workers=1)
    assert [(r.label, r.shape) for r in found.records] == [("fall", (40, 4)), ("walk", (40, 4))] * 2 + [("fall", (40, 4))]
    for record in found.records:
        window = open_record(found, record)
        assert window[20, :3].tolist() == [-9000, 4000, 100] and is_centred(window, [0, 1, 2])
        assert not is_centred(np.roll(window, 1, axis=0), [0, 1, 2])
    every = ingest(tmp_path, layout(center_channels=()), workers=1)
    assert all(open_record(every, every.records[k])[20, 3] == 30000 for k in (0, 2))  # all channels, where nobody says which


@pytest.mark.parametrize(
    ("units", "at"), [(("g", "g", "g", "deg/s"), 50), (("m/s^2", "m/s^2", "m/s^2", "rad/s"), 50), ((), 110), (("V",), 110)]
)
def test_accelerations_count_where_units_say_so(units: tuple[str, ...], at: int, tmp_path: Path) -> None:
    x = trial(50, 200)
    (tmp_path / "fall_1.csv").write_text("x,y,z,w\n" + "\n".join(",".join(map(str, row)) for row in x.tolist()) + "\n")
    found = ingest(tmp_path, layout(center_channels=(), units=units, name="{label}_{index}"), workers=1)
    assert (open_record(found, found.records[0])[20] == x[at]).all()
    named = ingest(tmp_path, layout(center_channels=("w",), columns=("x", "w"), name="{label}_{index}"), workers=1)
    assert (open_record(named, named.records[0])[20] == x[110, [0, 3]]).all()


def test_the_numbers_of_rows_are_cut_as_the_rows_are(tmp_path: Path) -> None:
    x = trial(50)
    rows = (",".join(map(str, (*row, k))) for k, row in enumerate(x.tolist()))
    (tmp_path / "a.csv").write_text("x,y,z,w,force\n" + "\n".join(rows) + "\n")
    for sample in decode(tmp_path, "a.csv", layout(target_column="force", name="{group}")):
        assert sample.numbers is not None and sample.numbers.tolist() == list(range(30, 70))


def test_what_is_too_short_or_lies_at_an_end_is_counted(tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", x=np.stack([trial(at) for at in (3, 60, 118)]))
    note = ingest(tmp_path, layout(), workers=1).notes[0].text
    assert note == "2 recordings are largest so near to an end that the next largest is taken"
    for k, rows in enumerate((39, 40, 41)):
        text = "\n".join(",".join(map(str, row)) for row in trial(20, rows).tolist())
        (tmp_path / f"fall_{k}.csv").write_text("x,y,z,w\n" + text + "\n")
    found = ingest(tmp_path, layout(files=("*.csv",), name="{label}_{index}"), workers=1)
    assert [r.key for r in found.records] == ["fall_1.csv", "fall_2.csv"]
    assert found.bad[0].reason == "has no recording as long as event_s, 2 s"


def test_squares_do_not_overflow() -> None:
    assert sizes(np.full((1, 6), -32768, np.int16), range(6)).tolist() == [6 << 30]


def test_pieces_around_peaks_do_not_follow_one_another() -> None:
    streams = make_layout("motion", label_column="y")
    assert cut_at_changes("a.csv", streams) and not cut_at_changes(
        "a.csv", replace(layout(), options=(*layout().options, *streams.options))
    )


@pytest.mark.parametrize(
    ("kind", "keys", "said"),
    [
        ("motion", {"center": "middle"}, "center is"),
        ("motion", {"center": "", "center_channels": ("0",)}, "goes with center"),
        ("motion", {"event_s": 0.0}, "center needs event_s"),
        ("motion", {"center_channels": ("9",)}, "'9' is no channel"),
        ("motion", {"event_s": 1e300}, "as long as event_s"),
        ("audio", {}, "center is for sensors"),
    ],
)
def test_what_contradicts_itself_is_refused(kind: str, keys: dict[str, Any], said: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", x=np.stack([trial(30)]))
    given: dict[str, Any] = {"center": "peak", "event_s": 2.0, "rate": 20.0}
    with pytest.raises(UsageError) as error:
        ingest(tmp_path, make_layout(kind, **(given | keys)), workers=1, bad="refuse")
    assert said in str(error.value)


def test_the_board_says_when_it_has_such_a_window(tmp_path: Path) -> None:
    data = Data.model_validate({"kind": "motion", "rate": 20.0, "center": "peak", "event_s": 2, "center_channels": ["0", "2"]})
    channels = channels_of(data, 4)
    assert [c.centres for c in channels] == [True, False, True, False] and Channel.from_json(channels[0].to_json()) == channels[0]
    with pytest.raises(ValueError, match="neither centres"):
        Channel.from_json({**channels[0].to_json(), "centres": 1})
    front = FrontEnd(
        Pipeline(Signal("motion", (9, 4), 20.0, channels), parse([{"block": "statistics"}])), Normalization((0.0,), (1.0,))
    )
    sandgrain.compile(None, features=front, target="cortex-m4", out=tmp_path / "fall", name="fall", measure=False)
    assert "fall_is_centred(const int16_t *window)" in (tmp_path / "fall" / "fall.h").read_text()
    assert sandgrain.verify(tmp_path / "fall", limit=2, on="host").identical
    helper = tmp_path / "fall" / "kernels" / "sg_centre.h"
    for right, wrong in (("size >= largest", "size > largest"), ("samples / 2", "(samples + 1) / 2"), ("which[k]", "k")):
        text = helper.read_text()
        assert right in text
        helper.write_text(text.replace(right, wrong))
        verdict = sandgrain.verify(tmp_path / "fall", limit=2, on="host", edited=True)
        assert verdict.difference is not None and verdict.difference.name == "fall_is_centred"
        helper.write_text(text)


@pytest.mark.parametrize(
    ("event_s", "of", "said"),
    [
        (2.0, "start", "set event_s = 2.5,"),
        (2.0, "before", "set event_s = 2.5,"),
        (3.0, "start", "set event_s = 2.5,"),
        (2.5, "group", "no start is left"),
    ],
)
def test_a_lead_is_within_what_is_kept_around_a_peak(event_s: float, of: str, said: str) -> None:
    data = Data.model_validate({"kind": "motion", "rate": 20.0, "window_s": 2, "center": "peak", "event_s": event_s})
    settle = {"block": "settle", "seconds": 0.5}
    with pytest.raises(UsageError) as error:
        windowing_of(data, parse([settle | {"of": of}, {"block": "statistics"}]), 20.0)
    assert said in str(error.value)
    right = Data.model_validate({"kind": "motion", "rate": 20.0, "window_s": 2, "center": "peak", "event_s": 2.5})
    windowing = windowing_of(right, parse([settle, {"block": "statistics"}]), 20.0)
    assert windowing is not None and windows_of((50, 3), windowing) == [Window(10, 50)]  # nothing is padded


@pytest.mark.parametrize("event_s", [1.0, 2.05, 3.0, 8.0])
def test_a_window_is_all_that_is_kept_around_a_peak(event_s: float) -> None:
    """A window of another length has its peak elsewhere than in its middle, where the board looks for it."""
    given = {"kind": "motion", "rate": 20.0, "window_s": 2, "center": "peak"}
    with pytest.raises(UsageError, match="its peak elsewhere than in the middle: set event_s = 2 as window_s, or leave"):
        windowing_of(Data.model_validate(given | {"event_s": event_s}), (), 20.0)
    for right in ({"event_s": 2.0}, {"event_s": 2.02}, {"event_s": event_s, "window_s": 0}):
        windowing = windowing_of(Data.model_validate(given | right), (), 20.0)
        assert windowing is None or windows_of((40, 3), windowing) == [Window(0, 40)]
