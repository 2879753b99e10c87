"""Models of numbers over whole recordings: errors of all windows and of each recording, beside a constant, and what is not counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.base.progress import silent
from sandgrain.cli import _terminal
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.frontend.pipeline import Normalization, Pipeline
from sandgrain.frontend.signal import MAX_MISSING, MAX_WORD, Signal, Target
from sandgrain.graph.ir import Tensor
from sandgrain.graph.numbers import Number
from sandgrain.graph.quantization import per_tensor
from sandgrain.project import gauging, recordings, score_page
from sandgrain.project.gauged import Gauged
from sandgrain.project.gauging import Scale
from sandgrain.project.streams import Stream

WINDOW, OUT = 4, Tensor("sum", (1, 1), "int32", per_tensor(0.01, 0))


class Mean:
    """A model that says the mean of its window of four samples, every two samples, in steps of a hundredth."""

    spacing = 2

    def hear(self, x: Array) -> dict[str, Array]:
        ends = np.arange(WINDOW, len(x) + 1, self.spacing)
        sums = np.array([[round(100 * x[e - WINDOW : e].mean())] for e in ends], np.int32).reshape(-1, 1)
        return {"scores": sums, "samples": ends, "decisions": np.full(len(ends), -1)}


def scale(of: str = "last", skip_s: float = 0.0) -> Scale:
    return Scale(WINDOW, OUT, Number(100, 0, "ppm"), Target("gas", of), skip_s)


def stream(x: Array, truth: Array, name: str = "a.csv", group: str = "") -> Stream:
    samples = x.astype(np.int16)[:, np.newaxis]
    return Stream(name, 1.0, len(x), lambda: samples, (), group, lambda: truth)


def gauged(*streams: Stream, how: Scale | None = None) -> Gauged:
    tally, used = gauging.Tally(), how or scale()
    tally.hear(streams, used, Mean())
    return gauging.summed(tally, ("air", "cortex-m4"), used)


@pytest.mark.parametrize("of", ["last", "mean", "max"])
def test_errors_are_those_of_the_windows_whose_number_is_known(of: str) -> None:
    """Counted again, window by window."""
    rng = np.random.default_rng(5)
    x, truth = rng.integers(-50, 50, 60), rng.normal(0, 20, 60)
    truth[rng.random(60) < 0.4] = np.nan
    said, true = [], []
    for end in range(WINDOW, 61, 2):
        rows = truth[end - WINDOW : end]
        known = ~np.isnan(rows)
        if known[-1] if of == "last" else 2 * known.sum() >= WINDOW:
            said.append(x[end - WINDOW : end].mean())
            true.append({"last": rows[-1], "mean": np.nanmean(rows), "max": np.nanmax(rows)}[of])
    off = np.array(said) - np.array(true)
    found = gauged(stream(x, truth), how=scale(of))
    assert found.errors is not None and found.results == 29 and 5 < len(true) < 29
    o = found.errors.overall
    assert o.windows == len(true) and o.mae == pytest.approx(np.abs(off).mean(), abs=0.006)
    assert o.rmse == pytest.approx(np.sqrt((off**2).mean()), abs=0.006) and o.bias == pytest.approx(off.mean(), abs=0.006)
    assert o.r2 == pytest.approx(1 - (off**2).sum() / ((true - np.mean(true)) ** 2).sum(), abs=0.01)
    assert o.baseline == pytest.approx(np.abs(true - np.median(true)).mean())
    assert found.recordings[0].mae == pytest.approx(o.mae) and found.recordings[0].r2 == pytest.approx(o.r2)


def constant(level: int, off: float, name: str, rows: int = 12) -> Stream:
    return stream(np.full(rows, level), np.full(rows, level - off), name)


def test_the_worst_recording_is_named_and_one_without_a_number_is_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    quiet = stream(np.zeros(12), np.full(12, np.nan), "quiet.csv")
    found = gauged(constant(5, 0.5, "good.csv"), constant(40, 7.0, "far.csv"), constant(20, -1.0, "low.csv"), quiet)
    assert found.worst is not None and (found.worst.name, found.worst.mae, found.worst.bias) == ("far.csv", 7.0, 7.0)
    assert found.recordings[1].r2 is None, "all its numbers are the same"
    assert found.recordings[3].windows == 0 and any("nothing is counted of quiet.csv" in note for note in found.notes)
    _terminal.lines(found.lines())
    printed = capsys.readouterr().out
    assert "recording far.csv" in printed and max(map(len, printed.splitlines())) <= 80
    assert printed.index("far.csv") < printed.index("low.csv") < printed.index("good.csv")
    plain = found.to_json()
    assert plain["worst"] == "far.csv" and plain["unit"] == "ppm" and plain["target_column"] == "gas" and plain["windows"] == 15
    assert (
        [r["name"] for r in plain["recordings"]]
        == ["good.csv", "far.csv", "low.csv", "quiet.csv"]
        == [r["name"] for r in found.rows()]
    )


def test_a_model_no_better_than_a_constant_gets_no_praise() -> None:
    rng = np.random.default_rng(2)
    found = gauged(stream(rng.integers(-50, 50, 400), rng.normal(0, 1, 400)))
    assert found.errors is not None and found.errors.overall.mae > found.errors.overall.baseline
    assert any("no smaller than that of a constant" in note for note in found.notes)


def test_the_start_is_heard_and_not_counted() -> None:
    x = np.r_[np.full(20, 90), np.full(20, 10)]
    found = gauged(stream(x, np.full(40, 10.0)), how=scale(skip_s=23))
    assert found.errors is not None and found.errors.overall.mae == 0.0 and found.seconds == 17.0


def test_where_nothing_is_known_it_says_so() -> None:
    found = gauged(stream(np.zeros(12), np.full(12, np.nan)))
    assert found.errors is None and found.to_json()["mae"] is None
    assert "no window has a number that is known (column gas)" in found.lines()


def test_the_page_draws_truth_and_answer_the_worst_recording_first() -> None:
    page = score_page.render(gauged(constant(5, 0.5, "good.csv"), constant(40, 7.0, "far.csv", rows=5000)))
    drawn = page[page.index("Over time") :]
    assert drawn.count("<svg") == 2 and drawn.index("far.csv") < drawn.index("good.csv")
    assert "black is true, blue is what the C says" in page and "<script" not in page


def test_pieces_of_one_file_stay_apart_and_tables_and_arrays_lie_in_one_folder(tmp_path: Path) -> None:
    """No window runs from one piece into the next."""
    x = np.arange(40, dtype=np.int16).reshape(5, 8, 1)
    np.savez(tmp_path / "p.npz", x=x, gas=np.array([1.5, 2.5, np.nan, 4.5, 5.5]))
    (tmp_path / "t.csv").write_text("x,gas\n" + "".join(f"{k},{k / 2}\n" for k in range(9)))
    signal = Signal("motion", (4, 1), 1.0, (), Target("gas"))
    found, _ = recordings.streams(
        [tmp_path], signal, labels=None, label_column="", rest="", resample=False, target=signal.target, progress=silent
    )
    assert [(s.name, s.length) for s in found] == [("t.csv", 9), *((f"p.npz#{k}", 8) for k in range(1, 6))]
    numbers = [s.numbers() for s in found if s.numbers is not None]
    assert numbers[0][-1] == 4.0 and numbers[1].tolist() == [1.5] * 8 and np.isnan(numbers[3]).all()
    assert np.array_equal(found[2].open(), x[1])


# --- what a bundle remembers -----------------------------------------------------------------------------------------------


def front(target: Target | None) -> FrontEnd:
    return FrontEnd(Pipeline(Signal("motion", (4, 2), 1.0, (), target), ()), Normalization((0.0,), (1.0,)), 1)


def test_a_bundle_keeps_the_column_the_rule_and_what_is_missing() -> None:
    one = front(Target("gas", "max", (-200.0,)))
    assert FrontEnd.from_json(one.to_json()) == one and FrontEnd.from_json(front(None).to_json()) == front(None)
    assert "target" not in front(None).to_json()["signal"]
    signal = one.pipeline.signal
    assert gauging.target_of(signal, "") == Target("gas", "max", (-200.0,))
    assert gauging.target_of(signal, "reference") == Target("reference", "max", (-200.0,)), "the rule is that of training"
    with pytest.raises(UsageError, match="--target-column"):
        gauging.target_of(replace(signal, target=None), "")
    with pytest.raises(UsageError, match="build it again"):
        gauging.target_of(replace(signal, target=Target("gas", "first")), "")


@pytest.mark.parametrize(
    "target",
    [
        {"name": 7, "of": "last"},
        {"name": "x" * (MAX_WORD + 1), "of": "last"},
        {"name": "gas"},
        {"name": "gas", "of": "last", "missing": [True]},
        {"name": "gas", "of": "last", "missing": [1e300]},
        {"name": "gas", "of": "last", "missing": [float("nan")]},
        {"name": "gas", "of": "last", "missing": [0] * (MAX_MISSING + 1)},
        [],
    ],
)
def test_a_target_that_is_none_is_refused(target: object) -> None:
    facts = front(None).to_json()
    facts["signal"]["target"] = target
    with pytest.raises((ValueError, TypeError, KeyError)):
        FrontEnd.from_json(facts)
