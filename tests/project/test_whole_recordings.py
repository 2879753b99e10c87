"""Whole recordings in a build of a detector: heard as `score` hears them, their alarms an hour in the budget; and what [decide] is not for."""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sandgrain as tool
from sandgrain.base.errors import UsageError
from sandgrain.dataset.readers import make_layout
from sandgrain.dataset.records import Record
from sandgrain.dataset.tracks import Stretch
from sandgrain.project import watching
from sandgrain.project.build import detection, guarding, limits
from sandgrain.project.build import page as pages
from sandgrain.project.file.load import load, parse
from sandgrain.project.file.schema import Budget
from sandgrain.project.streams import whole, with_changes
from sandgrain.project.tasks import task_of
from sandgrain.project.watching import Guard
from tests.project.test_watched import FAULT, LIMIT, Level, judged, stream
from tests.support.draws import rare
from tests.support.sensor_project import project as waves

PROJECT = """\
[data]
path = "."
kind = "motion"
files = ["*.csv"]
name = "{group}"
label_column = "faulty"
rate = 32
window_s = 1
stride_s = 0.5
columns = ["a", "b"]
full_scale = 4

[data.split]
by = "group"
validation = 0.25
test = 0.4

[[features]]
block = "statistics"

[model]
name = "mahalanobis"

[target]
board = "cortex-m4"

[budget]
false_alarms_per_hour = 2000
"""


def pumps(folder: Path, count: int = 10) -> Path:
    """A pump a file, 20 s each; of every second one there is a fault, which is louder, from 8 to 12 s."""
    rng = np.random.default_rng(4)
    folder.mkdir()
    for k in range(count):
        faulty = (np.arange(640) // 32 >= 8) & (np.arange(640) // 32 < 12) & (k % 2 == 0)
        x = rng.normal(0, np.where(faulty, 0.9, 0.2)[:, np.newaxis], (640, 2))
        rows = (f"{a:.4f},{b:.4f},{'yes' if f else 'no'}\n" for (a, b), f in zip(x, faulty, strict=True))
        (folder / f"pump{k}.csv").write_text("a,b,faulty\n" + "".join(rows))
    (folder / "sandgrain.toml").write_text(PROJECT)
    return folder


@rare
def test_a_build_hears_the_test_recordings_of_a_detector_as_score_does(tmp_path: Path) -> None:
    folder = pumps(tmp_path / "pumps")
    built = tool.build(folder, out=tmp_path / "out", verify=4)
    found = built.to_json()
    sides = built.samples.found.sides
    tested = {key.partition("#")[0] for key, side in sides.items() if side == "test"}
    intact = {name for name in tested if all(s == "test" for key, s in sides.items() if key.partition("#")[0] == name)}
    assert "no is normal by its name" in " ".join(built.notes) and len(intact) == 4
    (tmp_path / "heard").mkdir()
    for name in intact:
        shutil.copy(folder / name, tmp_path / "heard" / name)
    alone = tool.score(tmp_path / "out", tmp_path / "heard", label_column="faulty").to_json()
    whole_ones = [r for r in found["whole_recordings"]["recordings"] if r["name"] in intact]
    for key in ("events", "hits", "false_alarms", "f1", "auc"):
        assert [r[key] for r in whole_ones] == [r[key] for r in alone["recordings"]], key
    assert sum(r["events"] for r in whole_ones) >= 1 and sum(r["hits"] for r in whole_ones) >= 1
    (limit,) = (c for c in built.checks if c.name == "false alarms")
    assert limit.value == pytest.approx(found["whole_recordings"]["false_alarms_per_hour"])
    assert ">Whole recordings</h2>" in pages.render(built)
    assert "whole recordings" in str(built) and "one that lasts is one" in " ".join(str(built).split())


def test_what_begins_behind_the_lead_of_its_stream_is_not_heard_from_its_own_start() -> None:
    records = [Record(f"a.csv#{k}", label, "", "motion", (20, 1), 10.0, "") for k, label in enumerate(("sit", "walk"), 1)]
    layout = make_layout("motion", label_column="y")

    def opened(record: Record) -> np.ndarray:
        return np.zeros(record.shape, np.int16)

    later = [replace(r, before=20 * k + 40) for k, r in enumerate(records)]
    assert [s.length for s in whole(later, layout, opened)] == [40] and len(with_changes(later, layout, opened)) == 1
    assert whole(later, layout, opened, lead=5) == with_changes(later, layout, opened, lead=5) == []
    first = [replace(r, before=20 * k) for k, r in enumerate(records)]
    assert [s.length for s in whole(first, layout, opened, lead=5)] == [40]
    assert [s.length for s in whole(first[:1], layout, opened)] == [20] and with_changes(first[:1], layout, opened) == []


def test_recordings_that_several_detectors_heard_are_counted_as_one_test() -> None:
    one, other = stream([0, 0, 0, 0, 90, 90, 0, 0], [FAULT]), stream([0, 90, 0, 0, 0, 0], [Stretch(3, 5, "leak")], name="b.csv")
    guard, both = Guard(10, LIMIT, ()), watching.Tally()
    for part in (one, other):
        of_fold = watching.Tally()
        of_fold.hear([part], guard, Level())
        both.add(of_fold)
    assert watching.summed(both, ("pump", "cortex-m4"), guard).to_json() == judged(one, other).to_json()


def test_the_page_says_what_was_found_and_the_budget_counts_alarms_that_last_once() -> None:
    found = judged(stream([0, 90, 90, 0, 0, 90, 90, 0], [Stretch(5, 7, "leak")]))
    rows = guarding.rows(found)
    assert [row[:2] for row in rows] == [("anomalies", "1 of 1"), ("F1 of the time", "0.571"), ("false alarms", "655 per hour")]
    assert rows[0][2] == "found: leak 1 of 1 after 0.5 s" and rows[2][2].endswith(
        "one that lasts is one; 1 test recording, 8.0 s"
    )
    f: Any = detection.Anomalies("no", *[detection.Rates(1.0, 1.0, 0.0, 1.0, 1.0, (9, 9))] * 5, (), (), *[np.zeros(0)] * 2, 5, {})
    (check,) = limits.quality(Budget(false_alarms_per_hour=1), detection.quality(replace(f, watched=found)))
    assert check.value == pytest.approx(found.false / found.hours)
    quiet = judged(stream([0] * 4, [Stretch(0, 4, "normal")]))
    assert [row[0] for row in guarding.rows(quiet)] == ["false alarms"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('[model]\nname = "kmeans"\n[decide]\nhold = 3\nsmoothing = 2\n', r"\[decide\] hold, smoothing: a detector of anomalies judges each"),
        ('[model]\nname = "mlp"\n[decide]\nminutes = 3\nhold = 2\n', r"\[decide\] minutes: only recordings of sound are put behind one"),
        ('[model]\nname = "mlp"\n[decide]\nfalse_alarms_per_hour = 3\n', r"\[decide\] false_alarms_per_hour: only recordings of sound"),
    ],
)  # fmt: skip
def test_a_key_of_decide_that_nothing_would_read_is_refused(lines: str, said: str, tmp_path: Path) -> None:
    loaded = load(waves(tmp_path / "waves"))
    text = '[data]\nkind = "motion"\npath = "."\n[[features]]\nblock = "raw"\n'
    project = parse(tomllib.loads(text + lines))
    with pytest.raises(UsageError, match=said + ".*; leave (it|them) out$"):
        task_of(project).check(replace(loaded, project=project))
    told = parse(tomllib.loads(text + '[model]\nname = "mlp"\n[decide]\nhold = 2\n'))
    task_of(told).check(replace(loaded, project=told))


def test_pictures_and_numbers_have_nothing_to_decide(tmp_path: Path) -> None:
    loaded = load(waves(tmp_path / "waves"))
    for data, said in (
        ('kind = "image"', "images come in no stream"),
        ('kind = "motion"\ntarget_column = "gas"', "decides for no label"),
    ):
        project = parse(tomllib.loads(f'[data]\npath = "."\n{data}\n[model]\nname = "mlp"\n[decide]\nhold = 1\n'))
        with pytest.raises(UsageError, match=rf"\[decide\] hold: .*{said}; leave it out"):
            task_of(project).check(replace(loaded, project=project))
