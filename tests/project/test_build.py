"""What `sandgrain build` is made of: the store, the limits and what would keep them, the figures, the folder, the example."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sandgrain.base.errors import UsageError
from sandgrain.base.text import plain
from sandgrain.bundle.report import Report
from sandgrain.device import targets
from sandgrain.device.toolchain import gcc, zig
from sandgrain.frontend.blocks import parse
from sandgrain.project.build import advice, example, firmware, limits, metrics, page, place, run
from sandgrain.project.build.battery import battery_of
from sandgrain.project.build.limits import Check
from sandgrain.project.build.result import Built
from sandgrain.project.build.stages import Run
from sandgrain.project.build.store import KEPT, Store, digest
from sandgrain.project.file.load import load
from sandgrain.project.file.schema import Budget
from sandgrain.project.tasks.classes import TASK, Classes
from sandgrain.train import loop
from tests.support.command import tree
from tests.support.draws import rare
from tests.support.sensor_project import project


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Built[Classes]:
    """A small project, built."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "THREADS", 1)
        folder = project(tmp_path_factory.mktemp("build") / "waves")
        return run.build(load(folder), folder / "out")


def again(built: Built[Classes], out: Path | None = None, **how: Any) -> Built[Classes]:
    return run.build(built.samples.found.loaded, out or built.folder, **how)


# --- a build -------------------------------------------------------------------------------------------------------------


def test_the_firmware_is_the_reference_on_every_test_window(waves: Built[Classes]) -> None:
    assert waves.verdict.identical and waves.verdict.compared["emulator"] == waves.verdict.samples == 24
    assert waves.verdict.compared["stream"] == 24 and waves.figures.accuracy > 0.8
    assert int(np.trace(waves.figures.confusion)) == round(24 * waves.figures.accuracy) and waves.figures.confusion.sum() == 24


def test_all_limits_are_kept_and_named(waves: Built[Classes]) -> None:
    assert [c.name for c in waves.checks] == ["RAM", "flash", "latency"] and not waves.missed and waves.sentence == ""


def test_a_second_build_makes_nothing_and_gives_the_same_files(waves: Built[Classes]) -> None:
    before = tree(waves.folder)
    second = again(waves)
    assert all(s.kept for s in second.stages if s.name != "data") and tree(waves.folder) == before
    assert second.to_json() == waves.to_json()


@rare
def test_another_folder_gets_the_same_bytes_without_training(waves: Built[Classes], tmp_path: Path) -> None:
    other = again(waves, tmp_path / "out")
    assert {s.name for s in other.stages if not s.kept} == {"data", "compile and measure"}
    assert tree(tmp_path / "out") == tree(waves.folder)


@rare
def test_c_that_was_edited_is_made_again(waves: Built[Classes], tmp_path: Path) -> None:
    again(waves, tmp_path / "out")
    path = tmp_path / "out" / "waves.c"
    text = path.read_text()
    path.write_text(text + "/* mine */\n")
    again(waves, tmp_path / "out")
    assert path.read_text() == text


@pytest.mark.slow  # measures the kernels of another network
def test_another_seed_is_another_network(waves: Built[Classes], tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "THREADS", 1)
        other = again(waves, tmp_path / "out", seed=1, verified=3)
    assert other.seed == 1 and other.report.build_id != waves.report.build_id and other.verdict.samples == 3


@rare
def test_a_build_that_is_stopped_goes_on_and_ends_the_same(waves: Built[Classes], tmp_path: Path) -> None:
    """At three moments: in the first training, in the int8 one, when the kernels are measured."""

    class Killed(BaseException):
        pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "THREADS", 1)
        folder = project(tmp_path / "waves")
        for moment in ("training (", "training in int8 (", "measuring kernels"):

            def progress(what: str, done: int, total: int, moment: str = moment) -> None:
                if what.startswith(moment) and done >= min(2, total):
                    raise Killed

            with pytest.raises(Killed):
                run.build(load(folder), folder / "out", progress=progress)
        ended = run.build(load(folder), folder / "out")
    assert tree(folder / "out") == tree(waves.folder) and ended.to_json() == waves.to_json()


def test_the_report_beside_the_c_is_what_json_prints(waves: Built[Classes]) -> None:
    assert json.loads((waves.folder / "report.json").read_text()) == json.loads(json.dumps(waves.to_json()))


def test_nothing_in_the_figures_names_this_machine(waves: Built[Classes]) -> None:
    assert str(waves.folder.parent) not in json.dumps(waves.to_json())


def test_the_battery_lasts_as_long_as_its_charge(waves: Built[Classes]) -> None:
    board, battery = targets.load(waves.report.target), waves.battery
    assert battery is not None and waves.report.latency_ms is not None
    duty = waves.report.latency_ms / 1e3 / 0.25
    assert board.sleep_ma is not None and battery.sleep_ma == board.sleep_ma and "3.16 uA asleep" in battery.counts
    current = board.active_ma * duty + board.sleep_ma * (1 - duty)
    assert battery.days == pytest.approx(220 / current / 24) and battery.duty == pytest.approx(duty)


def test_what_is_not_known_of_a_board_asleep_is_said(waves: Built[Classes]) -> None:
    report, target = waves.report, waves.samples.found.loaded.project.target
    unknown = replace(targets.load(report.target), sleep_ma=None, sleep_source="")
    least = battery_of(report, target, unknown)
    given = battery_of(report, target.model_copy(update={"sleep_ma": 1.0}), unknown)
    assert least is not None and given is not None and least.duty == given.duty
    assert least.counts.startswith("active energy alone, an upper bound") and "1 mA asleep (as given)" in given.counts
    assert 220 / given.days / 24 == pytest.approx(220 / least.days / 24 + 1.0 * (1 - given.duty))


def test_another_clock_changes_the_time_and_not_the_energy(waves: Built[Classes]) -> None:
    board = targets.load(waves.report.target)
    slow = firmware.at_clock(waves.report, board, 16)
    assert slow.latency_ms == pytest.approx(4 * (waves.report.latency_ms or 0)) and slow.energy_uj == waves.report.energy_uj
    assert firmware.at_clock(waves.report, board, 0) is waves.report


def test_a_report_survives_the_store(waves: Built[Classes]) -> None:
    assert Report.from_json(json.loads(json.dumps(waves.report.to_json()))) == waves.report


# --- the example ---------------------------------------------------------------------------------------------------------


def test_the_example_prints_on_the_board_what_it_prints_here(waves: Built[Classes], tmp_path: Path) -> None:
    """And both print what the reference gives: the window is the test window of least loss."""
    binary = tmp_path / "example"
    command = [
        *(gcc.host_command() or zig.host_command()),
        "-std=c99",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-pedantic",
        "-DSG_ANY_CORE",
        "-I..",
    ]
    subprocess.run([*command, "main.c", "../waves.c", "-o", str(binary)], cwd=waves.folder / "example", check=True, timeout=300)
    printed = subprocess.run([str(binary)], capture_output=True, text=True, check=True, timeout=60).stdout
    assert printed == waves.example
    label, value = printed.strip().split(", output ")
    assert f'Here a recorded window of "{label}"' in (waves.folder / "example" / "main.c").read_text()
    assert -128 <= int(value) <= 127


@pytest.mark.parametrize(
    ("shape", "stream", "caller"), [((1, 8, 8, 3), False, False), ((1, 8, 8, 3), False, True), ((1, 40, 2), True, True)]
)
def test_examples_of_every_kind_call_what_the_header_has(shape: tuple[int, ...], stream: bool, caller: bool) -> None:
    text = example.text(TASK, example.Interface("net", stream, caller), np.zeros(shape, np.int16), 'a"*/b')
    assert '"*/' not in text.replace('of "', "", 1).split("\n")[0]
    assert ("net_push(" in text) == stream and ("net_run(" in text) == (not stream) and ("memory.bytes, " in text) == caller


# --- limits --------------------------------------------------------------------------------------------------------------


def check(name: str = "RAM", limit: float = 16384, value: float | None = 22000) -> Check:
    unit = {"RAM": "bytes", "flash": "bytes", "latency": "ms", "energy": "uJ", "accuracy": "1"}[name]
    quality = name == "accuracy"
    return Check(name, unit, limit, value, f"[budget] {name.lower()}", least=quality, percent=quality, quality=quality)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (check(), "RAM 21.5 KiB exceeds 16 KiB ([budget] ram) by 5616 B"),
        (check("latency", 20, 31.5), "latency 31.5 ms exceeds 20 ms ([budget] latency) by 11.5 ms"),
        (check("energy", 150, 151), "energy 151 uJ exceeds 150 uJ ([budget] energy) by 1 uJ"),
        (check("accuracy", 0.95, 0.912), "accuracy 91.2 % misses 95.0 % ([budget] accuracy) by 3.8 points"),
        (check("latency", 20, None), "latency is not known, for the core cannot be emulated here; its limit is 20 ms"),
    ],
)
def test_a_missed_limit_says_which_and_by_how_much(given: Check, sentence: str) -> None:
    assert not given.kept and given.sentence() == sentence


def test_limits_on_the_edge_are_kept() -> None:
    assert check(value=16384).kept and check("accuracy", 0.95, 0.95).kept and check(value=16384).excess == 0


def test_every_limit_of_the_budget_is_checked(waves: Built[Classes]) -> None:
    budget = Budget(ram="100", flash="1K", latency="1us", energy="1nJ", accuracy=1.0)
    board = targets.load("arduino-nano-33-ble-sense")
    found = (*limits.costs(budget, board, waves.report), *limits.quality(budget, limits.Quality(accuracy=0.5)))
    assert [c.name for c in found] == ["RAM", "flash", "latency", "energy", "accuracy"] and not any(c.kept for c in found)
    own = (*limits.costs(Budget(), board, waves.report), *limits.quality(Budget(), limits.Quality(accuracy=0.5)))
    assert [(c.name, c.limit, c.whose) for c in own] == [
        ("RAM", board.usable_ram, board.name),
        ("flash", board.usable_flash, board.name),
    ]


def advise(
    built: Built[Classes], monkeypatch: pytest.MonkeyPatch, missed: Check, cost: Callable[[int | None], int | None]
) -> str:
    """The advice where a variant of so many channels would have so many bytes of flash."""

    def measure(run: Any, task: Any, request: Any, variant: limits.Variant) -> Report | None:
        flash = cost(variant.width)
        return None if flash is None else replace(built.report, flash_bytes=flash)

    monkeypatch.setattr(advice, "_measure", measure)
    monkeypatch.setattr(advice, "_measure_quickly", measure)
    budget = Budget(flash="8000", accuracy=0.99)
    loaded = built.samples.found.loaded
    loaded = replace(loaded, project=loaded.project.model_copy(update={"budget": budget}))
    samples = replace(built.samples, found=replace(built.samples.found, loaded=loaded))
    request = firmware.Request(b"", samples.front, "waves", built.labels, loaded.project.target, loaded.board, None)
    return advice._advice(Run(samples, built.folder), TASK, request, [missed])


def test_the_widest_model_that_fits_is_advised(waves: Built[Classes], monkeypatch: pytest.MonkeyPatch) -> None:
    found = advise(waves, monkeypatch, check("flash", 8000, 9000), lambda width: 2500 * (width or 4))
    assert found == "[model] width = 3 gives flash 7500 B: within all limits of cost (measured, untrained)"


def test_features_are_made_cheaper_where_no_width_helps(waves: Built[Classes], monkeypatch: pytest.MonkeyPatch) -> None:
    found = advise(waves, monkeypatch, check("flash", 8000, 9000), lambda width: 7000 if width is None else 8500)
    assert found.startswith('a first [[features]] block = "decimate", factor = 2 gives flash 7000 B: within')


def test_where_nothing_fits_the_nearest_is_named(waves: Built[Classes], monkeypatch: pytest.MonkeyPatch) -> None:
    found = advise(waves, monkeypatch, check("flash", 8000, 9000), lambda width: 8000 + 100 * (width or 9))
    told = "[model] width = 1 gives flash 8100 B: still over, and the nearest of 5 changes (measured, untrained); raise the limit"
    assert found.startswith(told)
    assert advise(waves, monkeypatch, check("flash", 8000, 9000), lambda width: None) == "no smaller one can be built"


def test_accuracy_that_is_missed_asks_for_a_width_that_still_fits(waves: Built[Classes], monkeypatch: pytest.MonkeyPatch) -> None:
    found = advise(waves, monkeypatch, check("accuracy", 0.99, 0.9), lambda width: 1200 * (width or 4))
    assert found.startswith("[model] width = 6 gives RAM ") and "train it, or longer" in found
    found = advise(waves, monkeypatch, check("accuracy", 0.99, 0.9), lambda width: 9000)
    assert found == "give it more epochs, more data or other features"


def test_cheaper_settings_of_a_spectrum() -> None:
    blocks = parse([{"block": "mfcc", "window_ms": 40, "hop_ms": 20, "bands": 40, "coefficients": 30}])
    found = list(limits.settings(blocks, "audio"))
    assert [how for how, _ in found] == [
        "[[features]] 1 hop_ms = 40",
        "[[features]] 1 bands = 20",
        'a first [[features]] block = "decimate", factor = 2',
    ]
    assert found[1][1][0].coefficients == 20  # type: ignore[attr-defined]
    assert list(limits.settings(parse([{"block": "raw"}]), "image")) == []


# --- the store and the folder --------------------------------------------------------------------------------------------


def test_a_result_is_made_once_and_again_when_it_is_damaged(tmp_path: Path) -> None:
    store, calls = Store(tmp_path / "deep" / "store"), []

    def make() -> dict[str, np.ndarray]:
        calls.append(1)
        return {"x": np.arange(3)}

    for _ in range(2):
        assert store.arrays("stage", "key", make)["x"].tolist() == [0, 1, 2]
    assert len(calls) == 1 and store.made == ["stage"]
    store.path("stage", "key", ".npz").write_bytes(b"PK")
    store.arrays("stage", "key", make)
    assert len(calls) == 2 and store.json("other", "key", lambda: [1]) == store.json("other", "key", lambda: [2]) == [1]


def test_old_results_are_removed_and_other_stages_left(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.json("other", "a", lambda: 1)
    for k in range(KEPT + 5):
        store.json("stage", f"{k:03}", lambda: 1)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert len(names) <= KEPT + 2 and f"stage-{KEPT + 4:03}.json" in names and "other-a.json" in names


def test_a_digest_is_of_what_values_say() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": np.int64(2), "a": 1}) != digest({"a": 1, "b": 3})
    assert digest(Budget(ram="1K")) != digest(Budget(ram="2K"))


def test_half_a_bundle_is_removed_and_foreign_files_are_not(tmp_path: Path) -> None:
    half = tmp_path / "half"
    (half / "example").mkdir(parents=True)
    (half / "waves.c").write_text("/* waves: generated by Sandgrain; see waves.h. */\n")
    place.ready(half)
    assert list(half.iterdir()) == []
    for name, text in (("waves.c", "/* mine */"), ("other.txt", "/* waves: generated by Sandgrain; */")):
        (half / name).write_text(text)
        with pytest.raises(UsageError, match="holds other files"):
            place.ready(half)
        assert (half / name).read_text() == text
        (half / name).unlink()
    (half / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        place.ready(half / "file")


def test_folders_of_killed_builds_are_removed(tmp_path: Path) -> None:
    gone = ".out.999999999-0123456789ab"  # no process has this number
    for name in (gone, ".out.mine", ".out.01234567", ".outer.999999999-0123456789ab"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "waves.c").touch()
    place.leftovers(tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".out.01234567", ".out.mine", ".outer.999999999-0123456789ab"]


# --- figures and the page ------------------------------------------------------------------------------------------------


def test_macro_f1_is_the_mean_over_classes() -> None:
    counts = np.array([[8, 2, 0], [0, 10, 0], [0, 0, 0]])
    assert metrics.macro_f1(counts) == pytest.approx((16 / 18 + 20 / 22 + 0) / 3)


def test_roc_auc_and_losses_come_from_probabilities() -> None:
    logits = np.array([[4.0, 0.0], [3.0, 0.0], [0.0, 1.0], [2.0, 0.0]])
    y = np.array([0, 0, 1, 1])
    chances = metrics.probabilities(logits, already=False)
    assert chances.sum(1) == pytest.approx(np.ones(4)) and metrics.roc_auc(chances, y) == 1.0
    assert metrics.losses(chances, y)[3] == pytest.approx(np.log(1 + np.exp(2)))
    assert metrics.roc_auc(chances, np.zeros(4, int)) is None
    assert metrics.probabilities(np.array([[1.0, 0.0]]), already=True)[0, 0] == pytest.approx(1, abs=1e-5)


def test_the_page_escapes_what_comes_from_outside(waves: Built[Classes]) -> None:
    evil = '<img src=x onerror="alert(1)">'
    worst = tuple(replace(w, key=evil, label=evil, said=evil) for w in waves.figures.worst)
    figures = replace(waves.figures, worst=worst)
    text = page.render(replace(waves, name=evil, labels=(evil, "b"), figures=figures, notes=(evil,), example=evil))
    assert "<img src=x" not in text and plain(evil, 16)[:4] not in text
    assert "<script" not in text and text.count("<svg") >= 3


@rare
def test_the_page_of_one_build_is_the_same_twice(waves: Built[Classes]) -> None:
    assert page.render(waves) == page.render(waves)
