"""What a firmware author needs to fill a window: names, units and full scales of the channels, and readings as samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sandgrain
from sandgrain.base.errors import UsageError
from sandgrain.compiler import pipeline
from sandgrain.compiler.emit.model import Options
from sandgrain.compiler.emit.parts.signal import samples_of
from sandgrain.dataset.tables import Rows, to_counts
from sandgrain.device import targets
from sandgrain.frontend.blocks import parse
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.frontend.pipeline import Normalization, Pipeline
from sandgrain.frontend.signal import Channel, Signal
from sandgrain.project.features import channels_of
from sandgrain.project.file.schema import Data

WHAT = (Channel("acc_x", "g", 4.0), Channel("gyro */ z", "deg/s", 250.0), Channel("steps"))


def front(channels: tuple[Channel, ...]) -> FrontEnd:
    signal = Signal("motion", (20, 3), 52.0, channels)
    return FrontEnd(Pipeline(signal, parse([{"block": "statistics"}])), Normalization((0.0,), (1.0,)))


def test_the_header_says_what_each_channel_is_and_takes_readings_to_samples() -> None:
    source = pipeline.compile_bytes(None, targets.load("host"), Options("walk"), front=front(WHAT)).source
    comment = source.header.partition("in this order:\n")[2].partition("#define")[0].splitlines()
    assert comment[0] == " * 0: acc_x, g: 32768 stands for 4"
    assert comment[1].endswith(" z, deg/s: 32768 stands for 250") and "*/" not in comment[1]  # a name cannot end the comment
    assert comment[2] == " * 2: steps: the integers of the recordings */"
    assert "#define WALK_FULL_SCALE_1 2.5e+02f\n" in source.header
    assert "int16_t walk_sample_0(float value)" in source.header and "walk_sample_2" not in source.header
    nothing = pipeline.compile_bytes(None, targets.load("host"), Options("walk"), front=front(())).source
    assert "sample_0" not in nothing.header and "in this order" not in nothing.header


def test_a_reading_becomes_the_sample_that_the_data_set_has() -> None:
    """The C's rounding against that of ingest, which divides in float64: the same but for halves that float32 cannot tell."""
    rng = np.random.default_rng(0)
    readings = rng.uniform(-5, 5, 20_000).astype(np.float32)
    counts, _ = to_counts(Rows(readings[:, None].astype(np.float64), "line", range(20_000)), np.array([4.0]), ["x"])
    apart = np.abs(samples_of(readings, np.float32(4.0)).astype(int) - counts[:, 0])
    assert apart.max() <= 1 and (apart > 0).mean() < 0.01


def test_verify_runs_the_conversion_and_finds_a_wrong_one(tmp_path: Path) -> None:
    sandgrain.compile(None, features=front(WHAT), target="cortex-m4", out=tmp_path / "walk", name="walk", measure=False)
    assert sandgrain.verify(tmp_path / "walk", limit=2, on="host").identical
    helper = tmp_path / "walk" / "kernels" / "sg_sample.h"
    helper.write_text(helper.read_text().replace("fraction >= 0.5f", "fraction > 0.5f"))
    verdict = sandgrain.verify(tmp_path / "walk", limit=2, on="host", edited=True)
    assert verdict.difference is not None and verdict.difference.name == "walk_sample_0"


def test_channels_go_through_json_and_what_is_no_channel_is_refused() -> None:
    facts = json.loads(json.dumps(front(WHAT).to_json()))
    assert FrontEnd.from_json(facts).pipeline.signal.channels == WHAT
    assert "channels" not in front(()).to_json()["signal"]  # features of before are the same bytes
    good = facts["signal"]["channels"][0]
    for wrong in ({"name": 3}, {"unit": "x" * 300}, {"full_scale": -1}, {"full_scale": float("inf")}, {"full_scale": "4"}, {"full_scale": 1e-40}):  # fmt: skip
        facts["signal"]["channels"][0] = {**good, **wrong}
        with pytest.raises(ValueError, match="a channel with"):
            FrontEnd.from_json(facts)
    facts["signal"]["channels"] = [good]
    with pytest.raises(ValueError, match="of other channels"):
        FrontEnd.from_json(facts)
    with pytest.raises(UsageError, match="2 channels are described and a window has 3"):
        front(WHAT[:2])


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"columns": ["x", "y"], "full_scale": [4.0], "units": ["g"]}, (Channel("x", "g", 4.0), Channel("y", "g", 4.0))),
        ({"columns": ["x", "y"], "full_scale": [4.0, 8.0]}, (Channel("x", "", 4.0), Channel("y", "", 8.0))),
        ({"units": ["g", "V"]}, (Channel("", "g", 0.0), Channel("", "V", 0.0))),
        ({"columns": ["x", "y"]}, (Channel("x"), Channel("y"))),
        ({}, ()),
    ],
)
def test_a_project_says_what_its_channels_are(keys: dict[str, Any], expected: tuple[Channel, ...]) -> None:
    assert channels_of(Data.model_validate({"kind": "motion", **keys}), 2) == expected
    assert channels_of(Data.model_validate({"kind": "audio"}), 1) == ()
