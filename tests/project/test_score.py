"""Whole recordings against the truth: windows over a change, events, delays, false alarms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sandgrain.base.errors import UsageError
from sandgrain.base.progress import silent
from sandgrain.dataset.readers import make_layout
from sandgrain.dataset.records import Record
from sandgrain.dataset.tracks import Stretch
from sandgrain.frontend.signal import Channel, Signal
from sandgrain.graph.decisions import Event, Rule, matched
from sandgrain.graph.quantization import per_tensor
from sandgrain.project import judging, recordings, score
from sandgrain.project.score import Ears
from sandgrain.project.streams import Stream, behind_the_first, joined, merged, shares, with_changes

RATE = 10.0
QUANT = per_tensor(1 / 256, -128)
BUNDLE: Any = SimpleNamespace(
    compiled=SimpleNamespace(source=SimpleNamespace(options=SimpleNamespace(name="walk"))),
    board=SimpleNamespace(name="cortex-m4"),
)


class Told:
    """A listener that says, every half a second, what the samples hold at the end of its window of one second."""

    spacing = 5

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    def hear(self, x: np.ndarray) -> dict[str, np.ndarray]:
        from sandgrain.graph.decisions import decide

        ends = np.arange(10, len(x) + 1, self.spacing)
        scores = np.full((len(ends), 3), -128, np.int8)
        scores[np.arange(len(ends)), x[ends - 1, 0]] = 127
        return {"scores": scores, "samples": ends, "decisions": decide(scores, self.rule)}


def stream(said: list[int], truth: list[Stretch], name: str = "a.wav", group: str = "") -> Stream:
    x = np.repeat(np.array(said, np.int16), 10)[:, np.newaxis]  # a second each
    return Stream(name, RATE, len(x), lambda: x, tuple(truth), group)


def scored(streams: list[Stream], background: tuple[int, ...] = (0,)) -> score.Scored:
    rule = Rule(1, 16, 1, background)
    ears = Ears(("rest", "walk", "fall"), 10, rule, QUANT, True)
    return score.scored(BUNDLE, streams, ears, Told(rule))  # type: ignore[arg-type]


def test_windows_that_span_a_change_count_and_are_told_apart() -> None:
    found = scored([stream([0, 0, 1, 1], [Stretch(0, 2, "rest"), Stretch(2, 4, "walk")])])
    assert found.windows is not None and found.results == 7
    assert found.pure == (6, 1.0) and found.mixed == (1, 0.0)  # half rest, half walk: the first of equals, and walk is said
    assert found.windows.overall.accuracy == 6 / 7


def test_time_without_a_label_is_no_window_and_a_decision_there_is_false() -> None:
    found = scored([stream([0, 2, 0, 0, 1, 1], [Stretch(4, 6, "walk")])])
    fall, walk = found.events[1], found.events[0]
    assert (walk.label, walk.events, walk.hits, walk.missed, walk.false) == ("walk", 1, 1, 0, 0)
    assert (fall.label, fall.events, fall.false) == ("fall", 0, 1) and found.false == 1
    assert walk.delay_s == pytest.approx(0.5) and found.at_most(1) == pytest.approx(4.744 / (6 / 3600), rel=1e-3)


def test_missed_and_repeated_events() -> None:
    truth = [Stretch(1, 3, "fall"), Stretch(5, 9, "walk")]
    found = scored([stream([0, 0, 0, 0, 0, 1, 0, 1, 0, 0], truth)])
    walk, fall = found.events
    assert (walk.hits, walk.repeats, walk.false) == (1, 1, 0) and (fall.events, fall.hits, fall.missed) == (1, 0, 1)


def test_labels_that_the_model_does_not_have_are_named_and_not_counted() -> None:
    found = scored([stream([0, 0, 0, 0], [Stretch(0, 1.8, "rest"), Stretch(1.8, 4, "jump")])])
    assert found.unknown == ("jump",) and found.windows is not None and found.windows.overall.windows == 3  # not of 1.5 to 2.5 s
    assert any("no label jump" in str(line) for line in found.lines())


def test_groups_and_the_worst_recordings_are_shown() -> None:
    right = [stream([1, 1], [Stretch(0, 2, "walk")], f"{k}.wav", f"p{k}") for k in range(5)]
    found = scored([*right, stream([0, 0], [Stretch(0, 2, "walk")], "bad.wav", "p9")])
    assert found.windows is not None and found.windows.groups[0].name == "p9" and not found.windows.of_files
    assert [r.accuracy for r in found.recordings] == [1.0] * 5 + [0.0]
    assert found.to_json()["windows"]["count"] == 18


# --- the truth ---------------------------------------------------------------------------------------------------------------


def test_shares_are_what_counting_samples_gives() -> None:
    rng = np.random.default_rng(0)
    truth = [Stretch(a, a + d, label) for a, d, label in zip(rng.uniform(0, 9, 12), rng.uniform(0, 2, 12), "ab" * 6, strict=True)]
    starts = rng.uniform(0, 9, 50)
    found = shares(truth, "ab", starts, starts + 1)
    for row, start in zip(found, starts, strict=True):
        grid = start + (np.arange(20_000) + 0.5) / 20_000
        for share, label in zip(row, "ab", strict=True):
            inside = np.zeros(len(grid), bool)
            for s in truth:
                inside |= (s.label == label) & (grid >= s.start) & (grid < s.end)
            assert share == pytest.approx(inside.mean(), abs=1e-3)


def test_stretches_that_touch_are_one() -> None:
    assert merged([Stretch(2, 3, "a"), Stretch(0, 2, "a"), Stretch(2.5, 4, "b"), Stretch(5, 6, "a")]) == (
        Stretch(0, 3, "a"),
        Stretch(2.5, 4, "b"),
        Stretch(5, 6, "a"),
    )


def test_pieces_of_a_file_become_the_recording_that_they_were() -> None:
    def piece(key: str, label: str, n: int, group: str = "") -> Record:
        return Record(key, label, group, "motion", (n, 1), RATE, key)

    records = [piece("x.csv#1", "sit", 20), piece("x.csv#2", "walk", 10), piece("x.csv#10", "sit", 5), piece("y.csv", "sit", 7)]
    opened = {r.key: np.full(r.shape, k, np.int16) for k, r in enumerate(records)}
    whole, lone = joined(records, lambda r: opened[r.key])
    assert whole.truth == (Stretch(0, 2, "sit"), Stretch(2, 3, "walk"), Stretch(3, 3.5, "sit")) and whole.length == 35
    assert whole.open()[:, 0].tolist() == [0] * 20 + [1] * 10 + [2] * 5 and lone.name == "y.csv"


@pytest.mark.parametrize(
    ("name", "keys", "whole"),
    [
        ("x.csv", {"label_column": "state"}, True),
        ("x.csv", {"label_column": "state", "segment": 10}, False),  # rows of one label, from anywhere
        ("x.npz", {}, False),  # each row of x is a recording of its own
        ("x.npz", {"stream": True}, True),
    ],
)
def test_only_files_that_were_cut_at_changes_are_put_together(name: str, keys: dict[str, Any], whole: bool) -> None:
    records = [Record(f"{name}#{k}", label, "", "motion", (20, 1), RATE, "") for k, label in enumerate(("sit", "walk"), 1)]
    found = with_changes(records, make_layout("motion", **keys), lambda r: np.zeros(r.shape, np.int16))
    assert [s.name for s in found] == ([name] if whole else [])
    third = replace(records[0], key=f"{name}#4")  # what lies behind a gap, or a piece of a label that nobody asked for
    assert [s.length for s in with_changes([*records, third], make_layout("motion", **keys), lambda r: r.shape)] == [40] * whole
    pictures = [replace(r, rate=0.0, kind="image") for r in records]
    assert with_changes(pictures, make_layout("image"), lambda r: np.zeros(r.shape)) == []


def test_each_event_is_found_once_and_a_late_decision_still_counts() -> None:
    decisions, times = np.array([-1, 1, 1, -1, 2, 1]), np.array([0.0, 1.0, 2.5, 3.0, 4.0, 5.0])
    found = matched(decisions, times, [Event(1, 0.5, 1.5), Event(1, 4.8, 5.0), Event(2, 9, 10)], slack=0.5)
    assert found.hits == {0: 1.0, 1: 5.0} and found.repeats == () and found.false == ((1, 2.5), (2, 4.0))


def test_recordings_that_several_networks_heard_are_counted_as_one_test() -> None:
    rule = Rule(1, 16, 1, (0,))
    ears, both = Ears(("rest", "walk", "fall"), 10, rule, QUANT, True), score.Tally()
    one = stream([0, 0, 1, 1], [Stretch(0, 2, "rest"), Stretch(2, 4, "walk")])
    other = stream([0, 1, 1, 0], [Stretch(0, 4, "rest")], name="b.wav", group="p2")
    for part in (one, other):
        of_fold = score.Tally()
        of_fold.hear([part], ears, Told(rule))
        both.add(of_fold)
    assert score.summed(both, BUNDLE, ears).to_json() == scored([one, other]).to_json()


def test_recordings_of_a_person_are_heard_behind_the_start_of_the_first() -> None:
    """As training measures them; results count from the start of the recording itself."""
    heard: list[list[int]] = []

    class Lead(Told):
        def hear(self, x: np.ndarray) -> dict[str, np.ndarray]:
            heard.append(x[:, 0].tolist())
            ends = np.arange(15, len(x) + 1, self.spacing)  # a lead of 5 samples, a window of 10
            return {"scores": np.zeros((len(ends), 3), np.int8), "samples": ends, "decisions": np.full(len(ends), -1)}

    streams = [
        stream([k + 1, k + 1], [], name) for k, name in enumerate(("s2/b.csv", "s1/b.csv", "s1/a.csv", "c.csv", "s2/a.csv"))
    ]
    found = behind_the_first(streams, ["s2", "s1", "s1", "", "s2"], 5)
    results = [score.heard(s, Lead(Rule(1, 16, 1, (0,)))) for s in found]
    assert [x[:6] for x in heard] == [[5] * 5 + [1], [3] * 5 + [2], [3] * 6, [4] * 6, [5] * 6]
    assert [r["samples"].tolist() for r in results] == [[10, 15, 20], [10, 15, 20], [15, 20], [15, 20], [15, 20]]
    short = [stream([1], [], "s1/a.csv"), stream([2], [], "s1/b.csv"), stream([3], [], "s1/c.csv")]
    assert [s.ahead is None for s in behind_the_first(short, ["s1"] * 3, 15)] == [True, True, False]


def test_persons_are_known_by_their_folders_and_others_are_told(tmp_path: Path) -> None:
    for name in ("subject1/walk/a.csv", "subject1/walk/b.csv", "walk/c.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x,y\n" + "1,2\n" * 40)
    signal = Signal("motion", (10, 2), RATE, (Channel("x", "", 4.0), Channel("y", "", 4.0)))

    def read(of: str) -> tuple[list[bool], tuple[str, ...]]:
        found, notes = recordings.streams(
            [tmp_path], signal, lead=5, of=of, labels=None, label_column="", rest="", resample=False, progress=silent
        )
        return [s.ahead is not None for s in sorted(found, key=lambda s: s.name)], notes

    assert read("start") == ([False] * 3, ())
    behind, (note,) = read("group")
    assert behind == [False, True, False] and note.startswith("nobody says whose 1 of the recordings are")


def test_a_recording_of_which_nothing_is_said_is_named() -> None:
    told = stream([0, 0, 1, 1], [Stretch(0, 2, "rest"), Stretch(2, 4, "walk")])
    assert not scored([told]).notes
    (note,) = scored([told, stream([1, 1, 1, 1], [], "b.csv")]).notes
    assert note.startswith("nobody says what is true of b.csv, so that each decision there counts as a false alarm")


@pytest.mark.parametrize(("skip", "refused"), [(3.9, False), (4.0, True), (1e9, True)])
def test_a_start_that_is_longer_than_every_recording_is_refused(
    skip: float, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging.watching, "is_detector", lambda bundle: False)
    monkeypatch.setattr(judging.gauging, "gives_numbers", lambda bundle: False)
    monkeypatch.setattr(judging, "Listener", lambda bundle: Told(Rule(1, 16, 1, (0,))))
    ears = Ears(("rest", "walk", "fall"), 10, Rule(1, 16, 1, (0,)), QUANT, True)
    monkeypatch.setattr(judging.score, "ears_of", lambda bundle: ears)
    streams = [stream([0, 0], [Stretch(0, 2, "rest")]), stream([0, 0, 1, 1], [Stretch(0, 4, "walk")])]
    if not refused:
        assert judging.judged(BUNDLE, streams, judging.How(skip_s=skip), (), silent).seconds == pytest.approx(4 - skip)
        return
    with pytest.raises(UsageError, match="no recording is that long, the longest has 4 s; choose less"):
        judging.judged(BUNDLE, streams, judging.How(skip_s=skip), (), silent)


@pytest.mark.parametrize(
    ("names", "joined_once"),
    [(("acc.x", "gyro.x"), True), (("acc.x", "acc.y"), False), (("x", "y"), False), (("acc.x", "y"), False)],
)
def test_files_of_single_sensors_are_told_how_score_reads_them(names: tuple[str, ...], joined_once: bool, tmp_path: Path) -> None:
    (tmp_path / "acc.csv").write_text("x,z\n" + "1,2\n" * 40)
    signal = Signal("motion", (10, 2), RATE, tuple(Channel(name, "", 10.0) for name in names))
    with pytest.raises(UsageError, match="has no column") as error:
        recordings.streams([tmp_path], signal, labels=None, label_column="", rest="", resample=False, progress=silent)
    assert ("name the project's folder, and not its bundle" in str(error.value)) == joined_once
    (tmp_path / "acc.csv").write_text(",".join(names) + "\n" + "1,2\n" * 40)  # the way out
    (found,), _ = recordings.streams([tmp_path], signal, labels=None, label_column="", rest="", resample=False, progress=silent)
    assert found.open().shape == (40, 2)
