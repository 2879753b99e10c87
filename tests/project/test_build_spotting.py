"""Keywords in a long recording: the same events from numpy, from the C here and from the emulated board, and their rates."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sandgrain
from tests.support.command import sandgrain as command
from tests.support.draws import rare

pytest.importorskip("torch", reason="needs PyTorch: pip install 'sandgrain[train]'")
from sandgrain.base import files, sealed
from sandgrain.base.errors import UsageError
from sandgrain.bundle import store
from sandgrain.bundle.listening import Listener
from sandgrain.graph.decisions import Rule
from sandgrain.project.build import deciding, example, firmware, page, recording, run, spotting
from sandgrain.project.build.result import Built
from sandgrain.project.build.samples import Samples
from sandgrain.project.build.stages import Run
from sandgrain.project.build.store import Store
from sandgrain.project.file.load import load
from sandgrain.project.file.schema import Data, Decide, Project
from sandgrain.project.score import Scored
from sandgrain.project.tasks.classes import TASK, Classes
from sandgrain.train import loop
from tests.support.keyword_project import RATE, project, save, sound

DECIDE = "smoothing = 2\nmargin = 24\nhold = 5\nminutes = 0.5"


def build(folder: Path) -> Built[Classes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "THREADS", 1)
        return run.build(load(folder), folder / "out")


@pytest.fixture(scope="module")
def chirps(tmp_path_factory: pytest.TempPathFactory) -> Built[Classes]:
    return build(project(tmp_path_factory.mktemp("spot") / "chirps", DECIDE))


@rare
def test_the_project_decides_what_the_macros_say(chirps: Built[Classes]) -> None:
    header = (chirps.folder / "chirps.h").read_text()
    for line in ("SMOOTHING 2 ", "MARGIN 24", "HOLD 5 ", "IS_BACKGROUND(label) ((label) == 2)"):
        assert f"#ifndef CHIRPS_{line.split('(')[0].split()[0]}\n#define CHIRPS_{line}" in header, line
    bundle = store.load_bundle(chirps.folder)
    assert bundle.compiled.source.options.rule == Rule(2, 24, 5, (2,)) and not bundle.edited


def test_board_and_numpy_hear_the_same_events(chirps: Built[Classes]) -> None:
    s = chirps.figures.spotted
    assert s is not None and s.identical and s.board == spotting.EMULATED < s.results
    assert s.decisions > 5 and s.rates.events == 20 and s.rates.false_rejects < 0.5
    assert s.seconds <= 30 and s.rates.hours == pytest.approx(s.seconds / 3600)
    (now,) = [row for row in s.margins if row[0] == 24]
    assert now[1:] == (s.rates.false_accepts_per_hour, s.rates.false_rejects)
    assert s.margins[-1][1:] == (0.0, 1.0)  # nothing leads by all steps there are


def test_a_stream_that_differs_is_noticed(chirps: Built[Classes]) -> None:
    made = next(chirps.samples.store.folder.glob("spotted-*.npz"))
    whole = made.read_bytes()
    arrays = sealed.read_arrays(made)
    assert arrays is not None

    bundle = firmware.Firmware(chirps.folder, store.load_bundle(chirps.folder), chirps.report)
    for name in ("board_scores", "board_decisions", "decisions"):
        changed = {**arrays, name: arrays[name].copy()}
        changed[name].reshape(-1)[3] += 1
        with files.atomic(made) as file:
            sealed.write_arrays(file, changed)
        again = spotting.spotted(Run(chirps.samples, chirps.folder), bundle)
        assert again is not None and not again.identical and "NOT the same" in again.compared, name
    made.write_bytes(whole)


def test_whether_a_bundle_decides_is_asked_of_its_parts(chirps: Built[Classes], tmp_path: Path) -> None:
    """A search in the header was misled by a comment, and by a header of another name."""
    bundle = store.load_bundle(chirps.folder)
    listening = firmware.Firmware(chirps.folder, bundle, chirps.report)
    run_ = Run(chirps.samples, tmp_path)
    assert listening.decides and spotting.applies(run_, listening)
    source = bundle.compiled.source
    alone = replace(source, parts=tuple(part for part in source.parts if part.name != "decide"))
    build = replace(bundle.build, folder=tmp_path, compiled=replace(bundle.compiled, source=alone))
    silent = replace(bundle, build=build)
    for name in ("chirps.h", "model.h"):
        (tmp_path / name).write_text("/* chirps_decide( is not here */\n")
    mute = firmware.Firmware(tmp_path, silent, chirps.report)
    assert not mute.decides and not spotting.applies(run_, mute)
    example.made(run_, TASK, mute, 0)
    assert "decider" not in (tmp_path / "example" / "main.c").read_text()
    assert "decider" in (chirps.folder / "example" / "main.c").read_text()


def test_the_figures_are_in_the_json_and_on_the_page(chirps: Built[Classes]) -> None:
    found = json.loads((chirps.folder / "report.json").read_text())
    s = chirps.figures.spotted
    assert s is not None
    assert (found["false_accepts_per_hour"], found["false_rejects"]) == (s.rates.false_accepts_per_hour, s.rates.false_rejects)
    assert found["long_recording"]["seconds"] == s.seconds and found["long_recording"]["identical"]
    text = page.render(chirps)
    assert ">Decisions</h2>" in text and f"{s.seconds:.1f} s (" in text and "false accepts" in text


def _by_hand(bundle: store.Bundle, x: np.ndarray, words: list[tuple[float, float, str]]) -> tuple[int, int, int]:
    """(found, repeated, false) of a stream, int16 [n, 1], without the tool's counting: a decision belongs to a word that what the C
    had heard for it, a window and the results before it that are added up, overlaps; each word has one."""
    listener, rule = Listener(bundle), bundle.compiled.source.options.rule
    heard = listener.hear(x)
    reach = 0.5 + (rule.smoothing - 1) * listener.spacing / RATE
    taken, found, repeated, false = set(), 0, 0, 0
    for end, label in zip(heard["samples"] / RATE, heard["decisions"], strict=True):
        if label < 0:
            continue
        name = bundle.compiled.graph.labels[label]
        near = [k for k, (start, stop, word) in enumerate(words) if word == name and stop >= end - reach and start <= end]
        free = [k for k in near if k not in taken]
        taken |= set(free[:1])
        found, repeated, false = found + bool(free), repeated + (bool(near) and not free), false + (not near)
    return found, repeated, false


def test_words_in_a_stream_are_counted_as_by_hand(chirps: Built[Classes], tmp_path: Path) -> None:
    """Chirps and noise with gaps between, the words in a table beside the sound, other sounds among them; and a stream without a word."""
    rng = np.random.default_rng(11)
    at, words, parts = 0.0, [], []
    for k in range(24):
        gap = np.asarray(rng.normal(0, 150, round(rng.uniform(0.4, 1.2) * RATE)), np.int16)
        label = ("rise", "other", "fall")[k % 3]
        x = sound(label, rng)
        parts += [gap, x]
        words.append((at + len(gap) / RATE, at + (len(gap) + len(x)) / RATE, label))
        at += (len(gap) + len(x)) / RATE
    stream = np.concatenate(parts)
    save(tmp_path / "a.wav", stream)
    (tmp_path / "a.csv").write_text("start_s,end_s,label\n" + "".join(f"{a},{b},{w}\n" for a, b, w in words))
    hum = np.asarray(3000 * np.sin(np.arange(20 * RATE) / 9) + rng.normal(0, 2000, 20 * RATE), np.int16)
    save(tmp_path / "b.wav", hum)
    (tmp_path / "b.csv").write_text("start_s,end_s,label\n0,20,other\n")
    found = sandgrain.score(chirps.folder, [tmp_path / "a.wav", tmp_path / "b.wav"])
    bundle = store.load_bundle(chirps.folder)
    keywords = [w for w in words if w[2] != "other"]
    hands = [_by_hand(bundle, stream[:, np.newaxis], keywords), _by_hand(bundle, hum[:, np.newaxis], [])]
    hits, repeats, false = (sum(h[k] for h in hands) for k in range(3))
    events = found.to_json()["events"]
    assert [sum(e[key] for e in events) for key in ("events", "hits", "repeats", "false")] == [16, hits, repeats, false]
    assert hits >= 8 and found.to_json()["false_alarms"] == false
    assert false / found.hours <= found.to_json()["false_alarms_per_hour_at_most"]
    assert false / found.hours == pytest.approx(found.to_json()["false_alarms_per_hour"])


def test_the_recording_is_what_the_plan_says(chirps: Built[Classes]) -> None:
    plan = recording.planned(chirps.samples, (2,), 0.5)
    parts = list(recording.pieces(plan, chirps.samples))
    x = np.concatenate(parts)
    assert len(x) == plan.samples and x.dtype == np.int16 and plan.between == "silence"
    names = {label: k for k, label in enumerate(chirps.labels)}
    spoken = [record for _, record, _ in plan.parts if record.label != "other"]
    assert [e.label for e in plan.events] == [names[r.label] for r in spoken] and {e.label for e in plan.events} == {0, 1}
    for event, record in zip(plan.events, spoken, strict=True):
        start = round(event.start * RATE)
        assert np.array_equal(x[start : start + record.shape[0]], chirps.samples.opened(record))
        assert not x[start - 1].any()
    shorter = recording.planned(chirps.samples, (2,), 0.2)
    assert shorter.seconds <= 12 and shorter.parts == plan.parts[: len(shorter.parts)]
    assert not recording.planned(chirps.samples, (2,), 0.01).events


def test_background_recordings_fill_the_gaps(tmp_path: Path) -> None:
    folder = project(tmp_path / "chirps", data='files = ["[a-z]*/*.wav"]\nbackground = ["_hum_/*.wav"]', count=6)
    save(folder / "sounds" / "_hum_" / "hum.wav", np.full(300, 77, np.int16))
    from sandgrain.project import inspection
    from sandgrain.project.build.samples import Samples
    from sandgrain.project.build.store import Store

    samples = Samples(inspection.inspect(load(folder)), Store(tmp_path / "store"))
    plan = recording.planned(samples, (), 1.0)
    gaps = list(recording.pieces(plan, samples))[::2]
    assert "background" in plan.between and len(plan.parts) > 2 and all((gap == 77).all() for gap in gaps)


@pytest.mark.parametrize("of", ["start", "group", "before"])
def test_behind_a_lead_the_long_recording_begins_as_a_recording_does(
    of: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence in front would be the measure of all that follows, and results would be held against words that came a lead before."""
    from sandgrain.project import inspection

    folder = project(tmp_path / "chirps", "minutes = 1", count=6)
    file = folder / "sandgrain.toml"
    settle = f'[[features]]\nblock = "settle"\nseconds = 0.1\nof = "{of}"\n\n[[features]]'
    file.write_text(file.read_text().replace("[[features]]", settle, 1))
    samples = Samples(inspection.inspect(load(folder)), Store(tmp_path / "store"))
    lead, window = round(0.1 * RATE), RATE // 2
    plan = recording.planned(samples, (), 1.0)
    x = np.concatenate(list(recording.pieces(plan, samples)))
    first = samples.opened(plan.parts[0][1])
    assert plan.lead == lead and len(x) == plan.samples and np.array_equal(x[:lead], first[:lead])
    for event, (_, record, taken) in zip(plan.events, plan.parts, strict=True):
        at = round(event.start * RATE)
        assert np.array_equal(x[at : at + taken], samples.opened(record)[:taken])
    scores = np.zeros((7, 3), np.int8)
    monkeypatch.setattr(deciding, "heard", lambda *given: scores)
    part = spotting.in_fold(Run(samples, tmp_path), b"", Rule())
    assert part is not None and part.times.tolist() == pytest.approx([(lead + window) / RATE + 0.1 * k for k in range(7)])
    told = spotting.notes(spotting.Spotted(Rule(), part.judged(0.5), 1.0, 1, plan.between, 7, 0, 0, True, 0, None, ()), samples)
    assert [note.endswith("[data] background") for note in told] == [True] * (of == "before")


def test_a_rule_names_labels_of_the_data() -> None:
    def rule(background: tuple[str, ...], rest: str = "") -> Rule:
        given = Project(data=Data(kind="audio", rest=rest), decide=Decide(background=background))
        return deciding.rule_of(given, ("yes", "no", "noise"))

    assert rule(("noise",)).background == (2,) and rule(()).background == () and rule(("no",), "noise").background == (1, 2)
    with pytest.raises(UsageError, match=r"\[decide\] background: quiet is no label of the data; it has yes, no, noise"):
        rule(("quiet",))
    with pytest.raises(UsageError, match="no label is left"):
        rule(("yes", "no"), "noise")


@pytest.mark.parametrize("rule", [None, 3, [1, 2, 3], {}, {"smoothing": 0}, {"margin": True}, {"hold": 1.5}, {"more": 1},
                                  {"background": "ab"}, {"background": [-1]}, {"background": 7}], ids=str)  # fmt: skip
def test_a_damaged_rule_in_a_proof_is_one_line(chirps: Built[Classes], rule: object) -> None:
    path = chirps.folder / "proof" / "build.json"
    whole = path.read_text()
    facts = json.loads(whole)
    try:
        path.write_text(json.dumps({**facts, "rule": {**facts["rule"], **rule} if isinstance(rule, dict) and rule else rule}))
        with pytest.raises(UsageError):
            store.load_bundle(chirps.folder)
    finally:
        path.write_text(whole)


def test_score_hears_a_recording_as_the_build_did(chirps: Built[Classes], tmp_path: Path) -> None:
    """The long recording of the build as a file with its truth beside it: the same decisions, the same finds."""
    s = chirps.figures.spotted
    plan = recording.planned(chirps.samples, (2,), 0.5)
    x = np.concatenate(list(recording.pieces(plan, chirps.samples)))
    save(tmp_path / "evening.wav", x[:, 0])
    labels = chirps.samples.found.labels
    rows = [{"start": e.start, "end": e.end, "label": labels[e.label]} for e in plan.events]
    (tmp_path / "evening.json").write_text(json.dumps(rows))
    found = sandgrain.score(chirps.folder.parent, tmp_path / "evening.wav")
    assert s is not None and isinstance(found, Scored) and found.results == s.results
    assert sum(e.events for e in found.events) == s.rates.events and sum(e.missed for e in found.events) == round(
        s.rates.false_rejects * s.rates.events
    )
    assert found.false + sum(e.repeats for e in found.events) == s.false_accepts
    assert all(len(line) <= 80 for line in str(found).splitlines())
    done = command("score", str(chirps.folder), str(tmp_path), "--rest", "other", "--json", cwd=tmp_path)
    assert done.json["windows"]["count"] == found.results and done.json["false_alarms"] == found.false
    bad = command("score", str(chirps.folder), str(tmp_path / "none.wav"), cwd=tmp_path)
    assert bad.code == 2 and "is not there" in bad.line
    save(tmp_path / "other" / "fast.wav", x[:RATE, 0], rate=2 * RATE)
    refused = command("score", str(chirps.folder), str(tmp_path / "other"), cwd=tmp_path)
    assert refused.code == 2 and "fast.wav: is sampled at 4000 Hz" in refused.line and "--resample" in refused.line
    taken = sandgrain.score(chirps.folder, tmp_path / "other", rest="other", resample=True)
    assert taken.seconds == pytest.approx(0.5) and not taken.notes
    save(tmp_path / "other" / "fast.wav", x[:100, 0])
    short = sandgrain.score(chirps.folder, tmp_path / "other", rest="other")
    assert short.results == 0 and short.notes == ("fast.wav is shorter than a window (0.5 s): no result",)


def test_hold_and_smoothing_may_be_seconds() -> None:
    data = Data.model_validate({"kind": "audio", "classes": ["yes", "no"], "rest": "noise"})
    given = Project(data=data, decide=Decide(smoothing_s=0.5, hold_s=1.0))
    labels = ("yes", "no", "noise")
    assert deciding.rule_of(given, labels, 0.1) == Rule(5, 16, 10, (2,)) and deciding.rule_of(given, labels, 2.0).smoothing == 1
    assert deciding.rule_of(given, labels).hold == Rule().hold  # before the stream is known
    with pytest.raises(UsageError, match=r"smoothing_s = 60: 600 results, one each 0.1 s; at most 6.4 s"):
        deciding.rule_of(Project(data=data, decide=Decide(smoothing_s=60.0)), labels, 0.1)


def test_the_margin_is_chosen_on_validation_for_a_wanted_rate(chirps: Built[Classes], tmp_path: Path) -> None:
    """By the int8 network window by window, as the stream of its C: the scores are those of the stream."""
    model = (chirps.folder / "proof" / "model.tflite").read_bytes()
    plan = recording.planned(chirps.samples, (2,), 0.5)
    stream = Listener(store.load_bundle(chirps.folder)).hear(np.concatenate(list(recording.pieces(plan, chirps.samples))))
    assert np.array_equal(deciding.heard(chirps.samples, plan, model), stream["scores"])
    project = chirps.samples.found.loaded.project
    decide = project.decide.model_copy(update={"false_alarms_per_hour": 0.0})
    loaded = replace(chirps.samples.found.loaded, project=project.model_copy(update={"decide": decide}))
    samples = Samples(replace(chirps.samples.found, loaded=loaded), Store(tmp_path / "work"))
    rule, (note,) = deciding.chosen(Run(samples, tmp_path), model)
    assert f"margin {rule.margin} was chosen on" in note and " 0 false accepts per hour there (wanted: 0)" in note
    plan = recording.planned(samples, (2,), project.decide.minutes, side="validation")
    scores = deciding.heard(samples, plan, model)
    found = {m: deciding._judged(scores, replace(rule, margin=m), samples, plan) for m in range(0, 256, deciding.STEP)}
    assert any(r.false_accepts_per_hour > 0 for r in found.values())  # the choice matters
    kept = {m: r for m, r in found.items() if not r.false_accepts_per_hour}
    assert kept[rule.margin].false_rejects == min(r.false_rejects for r in kept.values())
