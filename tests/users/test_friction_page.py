"""FRICTION: the page of a build plays its worst windows, fits a phone, and a rate of 0 comes with its bound."""

from __future__ import annotations

import base64
import io
import re
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sandgrain.dataset import charts, kinds
from sandgrain.graph.decisions import Rates, Rule
from sandgrain.project.build import metrics, page
from sandgrain.project.build.spotting import Spotted


def heard(markup: str) -> tuple[int, np.ndarray]:
    """The rate and the samples in a player."""
    [data] = re.findall(r'<audio controls preload="none" src="data:audio/wav;base64,([A-Za-z0-9+/=]+)"></audio>', markup)
    with wave.open(io.BytesIO(base64.b64decode(data))) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2")


def test_sound_can_be_heard_and_other_kinds_are_drawn() -> None:
    x = np.random.default_rng(0).integers(-(2**15), 2**15, (8000, 1)).astype(np.int16)
    rate, samples = heard(kinds.of("audio").player(x, 16_000.0))
    assert rate == 16_000 and np.array_equal(samples, x[:, 0])
    assert len(heard(kinds.of("audio").player(np.zeros((90_000, 1), np.int16), 8_000.0))[1]) == 40_000  # 5 s of it
    assert kinds.of("audio").player(x[:0], 16_000.0) == ""
    assert kinds.of("motion").player(x, 100.0) == "" and "<svg" in kinds.of("motion").picture(x[:100], 100.0)


def test_a_page_may_play_what_it_holds_and_loads_nothing() -> None:
    template = (Path(page.__file__).parent / "page.html.j2").read_text()
    assert "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'" in template and page.HEARD >= 3


def test_wide_tables_scroll_in_their_own_box_on_a_phone() -> None:
    css = (Path(charts.__file__).parent / "style.css").read_text()
    phone = css[css.index("@media (max-width: 600px)") :]
    assert "table { display: block; overflow-x: auto; }" in phone and ".half { grid-template-columns: minmax(0, 1fr); }" in phone


@pytest.mark.parametrize(("count", "bound"), [(0, 2.9957), (1, 4.7439), (5, 10.5130)])
def test_a_count_has_its_exact_upper_bound(count: int, bound: float) -> None:
    found = metrics.poisson_bound(count)
    assert found == pytest.approx(bound, abs=1e-3)
    chances = [np.exp(-found) * found**k / np.prod(np.arange(1, k + 1, dtype=float)) for k in range(count + 1)]
    assert sum(chances) == pytest.approx(0.05)


def test_nothing_in_seven_minutes_is_not_nothing_in_an_hour() -> None:
    hours = 6.9 / 60
    quiet = Spotted(Rule(), Rates(0.0, 0.1, hours, 20), 414.0, 10, "silence", 100, 2, 0, True, 0, None, ())
    assert quiet.accepts == "0 per hour" and quiet.counted == "0 in 6.9 min: below 26 per hour with 95 % confidence"
    assert quiet.to_json()["false_accepts_per_hour_at_most"] == pytest.approx(2.9957 / hours, abs=0.01)
    long = replace(quiet, rates=Rates(0.0, 0.1, 24.0, 20), seconds=86400.0)
    assert "below 0.125 per hour" in long.counted
