"""Recordings with nothing in them: no samples, and each decision in them is a false alarm, counted with its bound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sandgrain.base.errors import UsageError
from sandgrain.graph.decisions import Rule, decide
from sandgrain.graph.quantization import per_tensor
from sandgrain.project import inspection, negatives
from sandgrain.project.build import false_alarms
from sandgrain.project.features import signal_of
from sandgrain.project.file.load import Loaded, load
from sandgrain.project.score import Ears
from sandgrain.project.streams import Stream
from sandgrain.project.watching import Guard

PROJECT = """\
[data]
path = "."
kind = "motion"
name = "{{label}}_{{index}}"
rate = 10
window_s = 1
columns = ["x"]
full_scale = 4
negatives = [{patterns}]

[[features]]
block = "raw"

[model]
name = "mlp"
"""


def project(folder: Path, patterns: str = '"evening*.csv", "../aside/*.csv"') -> Loaded:
    data = folder / "data"
    data.mkdir()
    rng = np.random.default_rng(0)

    def write(path: Path, rows: int) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_text("t,x\n" + "".join(f"{k / 10},{v:.3f}\n" for k, v in enumerate(rng.uniform(-1, 1, rows))))

    for k in range(12):
        write(data / f"{'sit' if k % 2 else 'walk'}_{k}.csv", 20)
    write(data / "evening_1.csv", 600)
    write(folder / "aside" / "night.csv", 1200)
    (data / "sandgrain.toml").write_text(PROJECT.format(patterns=patterns))
    return load(data)


def test_negatives_are_no_samples_and_data_says_how_much_there_is(tmp_path: Path) -> None:
    loaded = project(tmp_path)
    found = inspection.inspect(loaded, workers=1)
    assert {r.label for r in found.all_records} == {"sit", "walk"} and len(found.all_records) == 12
    assert "2 recordings with nothing in them (3.0 min), for false alarms alone (negatives)" in found.remarks
    read = negatives.streams(negatives.manifests(loaded, signal_of(found.records, loaded.project.data)))
    assert sorted((s.name, s.seconds, s.truth) for s in read) == [("evening_1.csv", 60.0, ()), ("night.csv", 120.0, ())]
    assert np.abs(read[0].open()).max() <= 8192  # 1 of a full scale of 4, read as the samples are


@pytest.mark.parametrize(
    ("patterns", "said"),
    [('"evenings/*.csv"', "."), ('"*/../x.csv"', r": \*/\.\./x\.csv has \.\. behind a wildcard")],
)
def test_negatives_that_are_not_there_are_told_before_anything_is_trained(patterns: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\[data\] negatives" + said):
        inspection.inspect(project(tmp_path, patterns), workers=1)


def test_each_decision_in_them_is_a_false_alarm_with_a_bound() -> None:
    rule = Rule(1, 16, 1, (0,))

    class Told:
        spacing = 5

        def hear(self, x: np.ndarray) -> dict[str, np.ndarray]:
            ends = np.arange(10, len(x) + 1, 5)
            scores = np.full((len(ends), 3), -128, np.int8)
            scores[np.arange(len(ends)), x[ends - 1, 0]] = 127
            return {"scores": scores, "samples": ends, "decisions": decide(scores, rule)}

    def stream(said: list[int], name: str) -> Stream:
        x = np.repeat(np.array(said, np.int16), 10)[:, np.newaxis]
        return Stream(name, 10.0, len(x), lambda: x, ())

    ears = Ears(("rest", "yes", "no"), 10, rule, per_tensor(1 / 256, -128), True)
    found = false_alarms.of_classes([stream([0, 1, 0, 1, 0, 2] * 10, "a.wav"), stream([0] * 60, "b.wav")], ears, Told())
    assert found.false == 30 and found.by_label == {"yes": 20, "no": 10} and (found.worst, found.worst_false) == ("a.wav", 30)
    assert found.hourly.per_hour == pytest.approx(30 / (120 / 3600)) and found.hourly.at_most == pytest.approx(
        40.7 * 30, rel=0.01
    )
    assert "30 in 2.0 min with nothing in it, below 1,220 with 95 % confidence; yes 20, no 10; most in a.wav (30)" in found.told
    none = false_alarms.of_classes([stream([0] * 60, "b.wav")], ears, Told())
    assert none.false == 0 and none.hourly.at_most == pytest.approx(3.0 * 60, rel=0.01)  # nothing was counted, and it is no 0


def test_an_alarm_that_lasts_is_one_false_alarm() -> None:
    class Level:
        spacing = 5

        def hear(self, x: np.ndarray) -> dict[str, np.ndarray]:
            ends = np.arange(10, len(x) + 1, 5)
            return {"scores": x[ends - 1].astype(np.int32), "samples": ends, "decisions": np.full(len(ends), -1)}

    x = np.repeat(np.array([0, 9, 9, 9, 0, 0, 9, 0], np.int16), 10)[:, np.newaxis]
    quiet = Stream("night.csv", 10.0, len(x), lambda: x, ())
    found = false_alarms.of_detector([quiet], Guard(10, 5, ("normal",)), Level())
    assert (found.recordings, found.seconds, found.false) == (1, 8.0, 2)
