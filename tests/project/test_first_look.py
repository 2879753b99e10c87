"""A first look: can the labels be told apart, which are mixed up, and would more data help?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sandgrain
from sandgrain.dataset import kinds
from sandgrain.project import first_look, sample
from sandgrain.project.inspection import Inspection
from tests.support.command import sandgrain as command
from tests.support.draws import rare
from tests.support.sensor_project import project

PROJECT = """\
[data]
path = "."
kind = "motion"
files = ["*.csv"]
name = "{label}-{group}-{index}"
rate = 50
window_s = 1

[data.split]
by = "group"
"""


def people(folder: Path, apart: float, groups: int = 6, own: float = 0.0, samples: int = 100) -> Inspection:
    """Three labels of a level each, `apart` from one another, in recordings of people whose own level differs by `own`."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    for person in range(groups):
        shift = rng.normal(0, own)
        for label, level in (("sit", 0.0), ("stand", apart), ("walk", 3000.0)):
            for k in range(3):
                x = rng.normal(level + shift, 60, (samples, 2)).round().astype(int)
                rows = "\n".join(f"{a},{b}" for a, b in x)
                (folder / f"{label}-p{person}-{k}.csv").write_text(f"x,y\n{rows}\n")
    (folder / "sandgrain.toml").write_text(PROJECT)
    return sandgrain.data(folder, workers=1)


def test_labels_that_simple_numbers_tell_apart(tmp_path: Path) -> None:
    found = people(tmp_path / "a", apart=900.0).look
    assert found is not None and found.told_apart > 0.98 and found.chance == pytest.approx(1 / 3)
    assert found.whole == "groups" and found.folds == 5 and found.windows == found.total == 108
    assert "small model will do" in found.advice and not found.pairs
    assert "first look: a linear rule" in str(sandgrain.data(tmp_path / "a", workers=1))


def test_the_labels_that_are_mixed_up_are_named(tmp_path: Path) -> None:
    found = people(tmp_path / "a", apart=0.0).look
    assert found is not None and 0.5 < found.told_apart < 0.85
    assert {p.label for p in found.pairs[:2]} == {p.said for p in found.pairs[:2]} == {"sit", "stand"}
    assert "a larger model or other features" in found.advice or "what is new is told worse" in found.advice


def test_people_that_differ_are_a_reason_for_more_people(tmp_path: Path) -> None:
    """What was learned is told well, somebody new is not: the same windows, split by recording, would look fine."""
    found = people(tmp_path / "a", apart=900.0, own=900.0, groups=10)
    assert found.look is not None and found.look.learned - found.look.told_apart > 0.1
    assert "groups" in found.look.advice
    alone = replace(found, records=tuple(replace(r, group="") for r in found.records))
    blind = first_look.look(alone)
    assert blind is not None and blind.whole == "recordings" and blind.told_apart > found.look.told_apart


def test_a_curve_that_rises_asks_for_more() -> None:
    curve = ((0.25, 0.4), (0.5, 0.6), (1.0, 0.75))
    assert "more groups would help: 60.0 %" in first_look._advice(0.75, 0.8, curve, "groups")
    flat = ((0.25, 0.7), (0.5, 0.74), (1.0, 0.75))
    assert "would not help" in first_look._advice(0.75, 0.8, flat, "groups")
    assert "told worse" in first_look._advice(0.75, 0.99, flat, "recordings")


@rare
def test_what_is_looked_at_is_bounded_and_spread(tmp_path: Path) -> None:
    found = people(tmp_path / "a", apart=900.0, samples=2000)
    assert len(found.records) == 54
    some = sample.sampled(found, found.records, 120)
    assert some is not None and some.total == 54 * 40 and len(some.x) <= 130 and some.x.shape[1:] == (50, 2)
    assert np.bincount(some.y).tolist() == [40, 40, 40] and len(np.unique(some.records)) == 54
    again = sample.sampled(found, found.records, 120)
    assert again is not None and np.array_equal(some.x, again.x)


def test_a_rare_label_is_looked_at_all_the_same() -> None:
    assert len(sample._spread(np.arange(100_000), 1200, 100_070, 3)) == 1199
    assert (
        sample._spread(np.arange(70), 1200, 100_070, 3).tolist()[:2] == [0, 1]
        and len(sample._spread(np.arange(70), 1200, 100_070, 3)) == 60
    )
    assert (
        sample._spread(np.array([4, 5]), 1200, 100_070, 3).tolist() == [4, 5] and len(sample._spread(np.arange(0), 9, 9, 3)) == 0
    )


@pytest.mark.parametrize(
    ("kind", "shape"),
    [("motion", (1, 1)), ("motion", (3, 40)), ("motion", (200, 3)), ("audio", (5, 1)), ("audio", (16000, 1)), ("image", (1, 1, 1)), ("image", (40, 30, 3))],
)  # fmt: skip
def test_statistics_of_any_shape_are_finite(kind: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 255, (4, *shape)).astype(np.uint8 if kind == "image" else np.int16)
    made = kinds.of(kind).statistics(x)
    assert made.shape[0] == 4 and made.ndim == 2 and np.isfinite(made).all() and made.shape[1] <= 400
    assert np.isfinite(kinds.of(kind).statistics(np.zeros_like(x))).all()


@rare
def test_nothing_is_said_of_one_label_and_the_terminal_says_the_rest(tmp_path: Path) -> None:
    folder = project(tmp_path / "waves")
    page = folder / "data.html"
    done = command("data", "--html", str(page), cwd=folder)
    assert done.code == 0 and "first look a linear rule on simple statistics tells the labels apart in" in done.out
    assert "A first look" in page.read_text("utf-8") and max(map(len, done.out.splitlines())) <= 80
    (folder / "sandgrain.toml").write_text(
        (folder / "sandgrain.toml").read_text().replace("rate = 64", 'rate = 64\nclasses = ["slow"]')
    )
    found = sandgrain.data(folder, workers=1)
    assert found.look is None and found.to_json()["first_look"] is None
