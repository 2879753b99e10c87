"""Detectors over whole recordings: time in and out of anomalies, events, delays, false alarms and their bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sandgrain.base.errors import UsageError
from sandgrain.dataset.tracks import Stretch
from sandgrain.project import score_page, watching
from sandgrain.project.streams import Stream
from sandgrain.project.watched import Moments, Watched
from sandgrain.project.watching import Guard, normal_labels
from sandgrain.train import scores as measures

RATE = 10.0
LIMIT = 50


class Level:
    """A detector whose score is the largest sample of its window of one second, every half a second."""

    spacing = 5

    def hear(self, x: np.ndarray) -> dict[str, np.ndarray]:
        ends = np.arange(10, len(x) + 1, self.spacing)
        scores = np.array([[x[e - 10 : e].max()] for e in ends], np.int32).reshape(-1, 1)
        return {"scores": scores, "samples": ends, "decisions": np.full(len(ends), -1)}


def stream(levels: list[int], truth: list[Stretch], name: str = "a.csv", group: str = "") -> Stream:
    x = np.repeat(np.array(levels, np.int16), 10)[:, np.newaxis]  # a second each
    return Stream(name, RATE, len(x), lambda: x, tuple(truth), group)


def judged(*streams: Stream, skip_s: float = 0.0) -> Watched:
    guard = Guard(10, LIMIT, normal_labels(streams, ()), skip_s)
    tally = watching.Tally()
    tally.hear(streams, guard, Level())
    return watching.summed(tally, ("pump", "cortex-m4"), guard)


FAULT = Stretch(4, 6, "leak")


def test_time_is_counted_by_what_the_device_says_when_it_has_heard_it() -> None:
    """By hand: results at 1.0, 1.5 ... 8.0; the level is high from 4 to 6, so results at 4.5 to 6.5 are alarms, as their windows hold it."""
    found = judged(stream([0, 0, 0, 0, 90, 90, 0, 0], [FAULT])).moments
    assert found == Moments(hit=2.0, missed=0.0, false=0.5, quiet=5.0)  # the first half second belongs to no result's own time
    assert found.precision == pytest.approx(0.8) and found.recall == 1.0 and found.f1 == pytest.approx(8 / 9)
    assert found.false_share == pytest.approx(0.5 / 5.5) and found.missed_share == 0.0
    assert found.always == pytest.approx(4 / 9.5)


def test_each_row_counts_once_where_a_result_comes_with_each_row() -> None:
    """Rows as a benchmark counts them, in ten lines of their own."""
    rng = np.random.default_rng(3)
    levels, faulty = rng.integers(0, 100, 200), np.repeat(rng.random(20) < 0.4, 10)
    x = levels.astype(np.int16)[:, np.newaxis]

    class Rows:
        spacing = 1

        def hear(self, x: np.ndarray) -> dict[str, np.ndarray]:
            return {"scores": x.astype(np.int32), "samples": np.arange(1, len(x) + 1), "decisions": np.full(len(x), -1)}

    truth = tuple(Stretch(k, k + 1, "1" if f else "0") for k, f in enumerate(faulty))
    guard = Guard(1, LIMIT, ("0",), skip_s=50)
    tally = watching.Tally()
    tally.hear([Stream("a.csv", 1.0, 200, lambda: x, truth)], guard, Rows())
    found = watching.summed(tally, ("pump", "m4"), guard)
    said, true = levels[50:] > LIMIT, faulty[50:]
    tp, fp, fn = (said & true).sum(), (said & ~true).sum(), (~said & true).sum()
    assert found.moments.f1 == pytest.approx(2 * tp / (2 * tp + fp + fn))
    assert found.moments.seconds == pytest.approx(150) and found.moments.false == pytest.approx(fp)
    assert found.auc == pytest.approx(measures.auc(levels[50:][~true], levels[50:][true]))


def test_events_are_found_late_or_missed_and_an_alarm_in_quiet_time_is_false() -> None:
    truth = [Stretch(2, 3, "leak"), Stretch(6, 7, "leak"), Stretch(10, 12, "jam")]
    found = judged(stream([0, 0, 90, 0, 0, 0, 0, 0, 0, 0, 0, 90, 0, 0, 90, 0], truth))
    jam, leak = found.events
    assert (leak.events, leak.hits, leak.missed, leak.delay_s) == (2, 1, 1, 0.5)
    assert (jam.events, jam.hits, jam.delay_s) == (1, 1, 1.5)
    assert found.false == 1  # at 14.5; the tails of the others begin in their events
    assert found.at_most == pytest.approx(4.744 / (found.moments.normal / 3600), rel=1e-3)
    told = "\n".join(map(str, found.lines()))
    assert "false alarms: 1 in 11.5 s of normal time" in told and "with 95 % confidence" in told


def test_an_alarm_that_never_ends_gets_no_praise() -> None:
    found = judged(stream([90] * 8, [FAULT]))
    assert found.moments.recall == 1.0 and found.moments.f1 == found.moments.always
    assert any("an alarm that never ends" in note for note in found.notes) and found.false == 1
    assert any("as frequent where all is normal" in note for note in found.notes)


def test_a_start_that_is_not_judged_is_heard_and_not_counted() -> None:
    levels = [90, 0, 0, 0, 90, 90, 0, 0]
    assert judged(stream(levels, [FAULT])).false == 1
    later = judged(stream(levels, [FAULT]), skip_s=3)
    assert later.false == 0 and later.moments.seconds == 5.0 and later.events[0].hits == 1


@pytest.mark.parametrize("labels", [("normal", "leak"), ("0", "1"), ("0.0", "1.0"), ("False", "True"), ("OK", "leak")])
def test_labels_that_say_so_are_normal(labels: tuple[str, str]) -> None:
    quiet, loud = labels
    truth = [Stretch(0, 4, quiet), Stretch(4, 6, loud), Stretch(6, 8, quiet)]
    found = judged(stream([0, 0, 0, 0, 90, 90, 0, 0], truth))
    assert f"; normal: {quiet} (" in str(found)
    assert found.normal == (quiet,) and found.moments == judged(stream([0, 0, 0, 0, 90, 90, 0, 0], [FAULT])).moments


def test_what_neither_is_said_of_is_not_counted() -> None:
    found = judged(stream([0] * 8, [Stretch(0, 2, "normal"), Stretch(6, 8, "leak")]))
    assert found.moments.seconds == pytest.approx(1.5 + 2.0)  # 2 to 6 s: nobody knows


def test_labels_of_which_none_says_so_need_a_name() -> None:
    whole = stream([0] * 4, [Stretch(0, 2, "A"), Stretch(2, 4, "B")])
    with pytest.raises(UsageError, match=r"nothing says which of the labels is normal \(A, B\); name it with --normal"):
        normal_labels([whole], ())
    assert normal_labels([whole], ("A",)) == ("A",)
    with pytest.raises(UsageError, match="--normal: no recording has the label C; they have A, B"):
        normal_labels([whole], ("C",))
    with pytest.raises(UsageError, match="no recording says what an anomaly is"):
        normal_labels([stream([0], [])], ())


def test_a_recording_of_which_nothing_is_known_is_named_and_not_counted() -> None:
    one = stream([0, 0, 0, 0, 90, 90, 0, 0], [FAULT])
    found = judged(one, stream([90] * 8, [], "b.csv"))
    assert found.moments == judged(one).moments and any("nothing is known of b.csv" in note for note in found.notes)


def test_groups_and_the_worst_recordings_come_first_and_an_interval_is_drawn_over_recordings() -> None:
    good = [stream([0, 0, 0, 0, 90, 90, 0, 0], [FAULT], f"valve1/{k}.csv") for k in range(4)]
    found = judged(*good, stream([90, 0, 90, 0, 0, 0, 0, 0], [FAULT], "other/1.csv"))
    assert [g.name for g in found.groups] == ["other", "valve1"] and found.groups[0].moments.f1 == 0.0
    assert found.interval is not None and found.interval[0] < (found.moments.f1 or 0) <= found.interval[1]
    table = next(line for line in found.lines() if not isinstance(line, str) and line.columns[0] == "recording")
    assert table.rows[0][0] == "other/1.csv"
    assert found.to_json()["groups"][1]["f1"] == pytest.approx(8 / 9)
    assert [row["name"] for row in found.rows()] == [s.name for s in (*good,)] + ["other/1.csv"]


def test_the_text_keeps_to_80_columns_and_the_page_loads_nothing() -> None:
    pytest.importorskip("matplotlib")
    found = judged(*(stream([0, 0, 90, 0, 90, 90, 0, 0], [FAULT], f"valve1/{k}.csv", f"pump {k % 2}") for k in range(6)))
    assert max(map(len, str(found).splitlines())) <= 80
    text = score_page.render(replace(found, notes=("a <b>note</b>",)))
    assert "<script" not in text and "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert text.count("<svg") == 6 and "&lt;b&gt;note" in text and "pump 1" in text
