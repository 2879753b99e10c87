"""What the test windows say of a classifier, beyond one accuracy; the cases are those that misled on real data."""

from __future__ import annotations

import numpy as np
import pytest

from sandgrain.base.errors import UsageError
from sandgrain.project.build import curves, detection, figures, limits, metrics
from sandgrain.project.build.hourly import Hourly
from sandgrain.project.build.rates import rates
from sandgrain.project.file.schema import Budget
from tests.support.draws import rare


def answers(counts: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """(chances, truth) of windows with this confusion matrix, each answer quite sure."""
    truth = [k for k, row in enumerate(counts) for n in row for _ in range(n)]
    said = [j for row in counts for j, n in enumerate(row) for _ in range(n)]
    chances = np.full((len(said), len(counts)), 0.1 / max(len(counts) - 1, 1))
    chances[np.arange(len(said)), said] = 0.9
    return chances, np.array(truth)


def found(counts: list[list[int]], names: list[str], groups: list[str] | None = None) -> figures.Figures:
    chances, truth = answers(counts)
    return figures.of_answers(chances, truth, names, groups or [""] * len(truth), of_files=False, seed=0)


def test_heartbeats_where_always_saying_normal_is_better_are_noted() -> None:
    """95.2 % accuracy of which nothing was said: the majority has 98.7 %, and of 53 alarms 11 are right."""
    beats = found([[3903, 42], [1, 11]], ["normal", "PVC"])
    o, pvc = beats.overall, beats.labels[1]
    assert (o.accuracy, o.majority) == (3914 / 3957, 3945 / 3957) and o.majority_label == "normal"
    assert pvc.precision == 11 / 53 and pvc.recall == 11 / 12 and pvc.specificity == 3903 / 3945
    assert pvc.f1 == pytest.approx(2 * 11 / (12 + 53)) and o.balanced == pytest.approx((3903 / 3945 + 11 / 12) / 2)
    (note,) = figures.notes(beats, o.accuracy)
    assert note.startswith("accuracy 98.9 % is not above 99.7 %, which always saying normal would give")


def test_a_label_under_chance_a_label_without_windows_and_another_classifier_in_int8_are_noted() -> None:
    three = found([[50, 0, 0], [19, 1, 0], [0, 0, 0]], ["still", "fall", "jump"])
    notes = figures.notes(three, accuracy_float=0.9)
    assert notes[0] == "below chance (33.3 %): fall is found in 5.0 % of 20"
    assert notes[1] == "no test window of jump: nothing is known of it"
    assert notes[2].startswith("int8 is right in 72.9 % and float in 90.0 %: they are not the same classifier")
    assert figures.notes(found([[50, 1], [2, 48]], ["a", "b"]), 0.98) == ()


def test_few_windows_of_a_label_and_one_label_alone_are_no_reason_for_a_note() -> None:
    assert figures.notes(found([[50, 0], [2, 1]], ["a", "b"]), 0.96) == ()
    assert figures.notes(found([[5]], ["a"]), 1.0) == ()


def test_groups_give_the_interval_and_the_worst_of_them() -> None:
    """Nine people are answered well and one badly: over windows the interval is a third of what it is over people."""
    rows = [(f"p{k}", 100, 98) for k in range(9)] + [("p9", 100, 40)]
    truth = np.zeros(1000, int)
    chances = np.concatenate([np.repeat([[0.9, 0.1], [0.1, 0.9]], [right, n - right], axis=0) for _, n, right in rows])
    groups = [name for name, n, _ in rows for _ in range(n)]
    of_people = figures.of_answers(chances, truth, ["a", "b"], groups, of_files=False, seed=0)
    assert of_people.worst_group == figures.OfGroup("p9", 100, 0.4) and of_people.overall.drawn_over == 10
    low, high = of_people.overall.interval
    of_windows = figures.of_answers(chances, truth, ["a", "b"], [""] * 1000, of_files=False, seed=0)
    assert of_windows.overall.drawn_over == 0 and of_windows.worst_group is None
    narrow = of_windows.overall.interval[1] - of_windows.overall.interval[0]
    assert low < 0.86 < 0.97 < high and high - low > 3 * narrow


@rare
def test_the_interval_over_groups_holds_the_truth_as_often_as_it_says() -> None:
    """200 studies of 20 people whose accuracies vary: of the intervals, some 95 % hold the mean of all people."""
    rng, inside = np.random.default_rng(0), 0
    for study in range(200):
        shares = np.clip(rng.normal(0.8, 0.1, 20), 0, 1)
        right = rng.random((20, 50)) < shares[:, None]
        chances = np.where(right.reshape(-1, 1), [[0.9, 0.1]], [[0.1, 0.9]])
        names = np.repeat([f"p{k}" for k in range(20)], 50).tolist()
        low, high = figures.of_answers(
            chances, np.zeros(1000, int), ["a", "b"], names, of_files=False, seed=study
        ).overall.interval
        inside += low <= 0.8 <= high
    assert 175 <= inside <= 199


def test_whose_windows_they_are() -> None:
    assert figures.owners({"a": "ann", "b": ""}, ["a", "a", "b"]) == (["ann", "ann", ""], False)
    assert figures.owners({"x.csv#0": "", "x.csv#1": "", "y.wav": ""}, ["x.csv#0", "x.csv#1", "y.wav"]) == (
        ["x.csv", "x.csv", "y.wav"],
        True,
    )


def test_calibration_is_the_gap_between_sure_and_right() -> None:
    chances = np.array([[0.8, 0.2]] * 10)
    assert metrics.calibration(chances, np.array([0] * 8 + [1] * 2)) == pytest.approx(0.0)
    assert metrics.calibration(chances, np.zeros(10, int)) == pytest.approx(0.2)
    assert metrics.calibration(np.array([[1.0, 0.0]] * 4), np.array([0, 0, 1, 1])) == pytest.approx(0.5)


# --- limits in the user's terms ----------------------------------------------------------------------------------------------


def test_every_limit_of_quality_is_checked_and_said() -> None:
    budget = Budget(accuracy=0.9, balanced_accuracy=0.8, f1=0.7, auc=0.9, recall={"fall": 0.95}, false_alarms_per_hour=10)
    quality = limits.Quality(0.95, 0.75, 0.6, 0.95, {"fall": 0.67}, Hourly(6, 1 / 60))
    checks = limits.quality(budget, quality)
    assert [(c.name, c.kept) for c in checks] == [
        ("accuracy", True),
        ("balanced accuracy", False),
        ("macro F1", False),
        ("AUC", True),
        ("recall of fall", False),
        ("false alarms", False),
    ]
    assert [c.sentence() for c in checks if not c.kept] == [
        "balanced accuracy 75.0 % misses 80.0 % ([budget] balanced_accuracy) by 5.0 points",
        "macro F1 0.600 misses 0.700 ([budget] f1) by 0.100",
        "recall of fall 67.0 % misses 95.0 % ([budget] recall) by 28.0 points",
        "false alarms 360 per hour exceeds 10 per hour ([budget] false_alarms_per_hour) by 350 per hour",
    ]
    assert limits.quality(Budget(), quality) == ()


def test_a_figure_that_the_test_cannot_give_is_a_missed_limit_and_not_a_kept_one() -> None:
    (check,) = limits.quality(Budget(recall={"fall": 0.9}), limits.Quality(recall={"fall": None}))
    assert not check.kept
    assert check.sentence() == (
        "recall of fall is not known, for this task has no such figure, or its test no window that tells; its limit is 90.0 %"
    )


def test_a_recall_of_a_label_that_there_is_not_is_told_at_once() -> None:
    limits.asked(Budget(recall={"fall": 0.9}), ["fall", "still"])
    with pytest.raises(UsageError, match=r"\[budget\] recall: fal is no label .* there are fall, still"):
        limits.asked(Budget(recall={"fal": 0.9}), ["fall", "still"])


# --- detectors ---------------------------------------------------------------------------------------------------------------


def detector(scores: list[int], faulty: list[bool], floats: list[float], asked: float = 0.01) -> detection.Anomalies:
    s, mark = np.array(scores), np.array(faulty)
    labels = (detection.ByLabel("ok", 1, 0.0, None), detection.ByLabel("worn", 1, float((s[mark] > 10).mean()), 0.5))
    host, real = rates(s, mark, 10), rates(np.array(floats), mark, 10)
    return detection.Anomalies(
        "ok", real, host, host, host, real, labels, (), s, mark, 10, {"false_alarms_asked": asked, "held_out": 50}
    )


def test_a_detector_whose_false_alarms_are_not_those_of_its_threshold_says_so() -> None:
    scores = [20] * 46 + [1] * 54 + [20] * 40 + [1] * 60
    note, blind = detection.notes(detector(scores, [False] * 100 + [True] * 100, [float(s) for s in scores]))[::2]
    assert note.startswith("the threshold was set for 1 % false alarms, and 46.0 % of the normal test windows give one")
    assert blind == "no more alarms than for ok: worn"


def test_a_detector_that_is_another_one_in_int8_says_so() -> None:
    scores, floats = [1, 2, 3, 4, 21, 22, 23, 24], [3.0, 1.0, 4.0, 2.0, 1.5, 3.5, 2.5, 30.0]
    (note,) = detection.notes(detector(scores, [False] * 4 + [True] * 4, floats))
    assert note.startswith("AUC 0.6") and "in float and 1.0000 in int8: they are not the same detector" in note
    assert detection.notes(detector(scores, [False] * 4 + [True] * 4, [float(s) for s in scores])) == ()


def test_a_rate_has_its_bound_and_its_length() -> None:
    none = Hourly(0, 0.5)
    assert none.per_hour == 0 and none.at_most == pytest.approx(2.996 / 0.5, abs=0.01)
    assert none.shown == "0 per hour (0 in 30.0 min; below 5.99 with 95 % confidence)"
    assert Hourly(9, 3.0).shown.startswith("3 per hour (9 in 3.0 h; below 5.2")


def test_a_rate_that_is_kept_and_not_shown_says_so() -> None:
    """Half a minute without an alarm is no proof of one a hour."""
    budget = Budget(false_alarms_per_hour=1)
    (check,) = limits.quality(budget, limits.Quality(false_alarms=Hourly(0, 30 / 3600)))
    assert check.kept and check.outcome == "kept, not shown" and check.to_json()["shown"] is False
    assert check.doubt == (
        "not shown to be at most 1 per hour: 30.0 s without one only bound them to 359 per hour; 3.0 h with no more would show it"
    )
    (shown,) = limits.quality(budget, limits.Quality(false_alarms=Hourly(0, 3.0)))
    assert shown.kept and (shown.doubt, shown.outcome) == ("", "kept") and shown.to_json()["shown"] is True
    (missed,) = limits.quality(budget, limits.Quality(false_alarms=Hourly(2, 1.0)))
    assert not missed.kept and missed.outcome == "missed by 1 per hour" and missed.to_json()["shown"] is False
    assert Hourly(1, 2.0).doubt(1).startswith("not shown to be at most 1 per hour: 1 in 2.0 h only bound them to 2.37")
    assert Hourly(0, 1.0).doubt(0).endswith("1.0 h without one only bound them to 3 per hour")  # no test can show that


def test_the_curves_of_a_label_pass_through_the_point_where_it_works() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 400)
    logits = rng.normal(0, 1, (400, 3)) + 1.5 * np.eye(3)[truth]
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = curves.of_labels(chances, truth, ["a", "b", "c"])
    assert [c.label for c in found] == ["a", "b", "c"]
    labels = figures.of_counts(metrics.confusion(chances, truth), ["a", "b", "c"])
    for c, row in zip(found, labels, strict=True):
        assert row.specificity is not None
        assert c.at == pytest.approx((1 - row.specificity, row.recall, row.precision))
        assert c.roc[0] == (0.0, 0.0) and c.roc[-1] == (1.0, 1.0) and len(c.roc) <= curves.POINTS + 2
        assert c.precision_recall[-1][1] == pytest.approx(row.windows / 400)  # everything is called so
        x, y = np.array(c.roc).T
        assert (np.diff(x) >= 0).all() and (np.diff(y) >= 0).all()
        assert float(np.trapezoid(y, x)) == pytest.approx(c.auc, abs=0.02)
    assert metrics.roc_auc(chances, truth) == pytest.approx(np.mean([c.auc for c in found]))


def test_average_precision_is_the_share_of_right_ones_at_each_hit() -> None:
    chance = np.array([0.9, 0.8, 0.7, 0.6])
    (first, other) = curves.of_labels(np.stack([chance, 1 - chance], 1), np.array([0, 1, 0, 1]), ["a", "b"])
    assert first.average_precision == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert first.at == (1.0, 1.0, 0.5) and other.at == (0.0, 0.0, None)  # it never says b
    assert curves.of_labels(np.ones((3, 2)), np.zeros(3, int), ["a", "b"]) == ()  # nothing to tell apart
