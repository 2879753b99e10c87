"""How much `verify` finds of what can be wrong: single bits of tables, bugs in kernels. Figures with `pytest -s`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sandgrain as api
from sandgrain.bundle import store
from sandgrain.bundle.alone import drawn
from sandgrain.compiler.pipeline import compile_bytes
from tests.conftest import ROOT
from tests.support.bug_hunt import DeviceHunt, Hunt, compiler, hunt
from tests.support.draws import new_seed
from tests.support.shared_files import MODELS, shared_model
from tests.support.spoiled import Spoil, bugs, device_bugs, flips

DIGITS = ROOT / "sandgrain" / "demo" / "digits.tflite"
FLIPPED = ("hello_world_int8", "kws_ref_model", "micro_speech_quantized", "ad01_int8")
ARRHYTHMIA = "wild/ambiq__mples_tflm_profiling_src_arrhythmia_model_power_model_data"
LSTM = "wild/tflm__trained_lstm_int8"
# (model, target, bugs): 200 in convolutions, dense layers, pools, means, sums, products, softmax, logistic and LSTM.
HUNTS = (
    ("hello_world_int8", "host", 20),
    ("micro_speech_quantized", "host", 25),
    ("ad01_int8", "cortex-m4", 15),
    (LSTM, "cortex-m4", 25),
    (LSTM, "host", 20),
    ("wild/atomic14__marvin", "host", 25),
    ("kws_ref_model", "cortex-m4", 25),
    ("kws_ref_model", "host", 20),
    (ARRHYTHMIA, "cortex-m4", 25),
)
# The same in assembly and in what else is compiled for a core alone: DSP instructions, Thumb, Helium.
DEVICE_HUNTS = (
    ("hello_world_int8", "cortex-m4", 12),
    ("hello_world_int8", "cortex-m3", 8),
    ("micro_speech_quantized", "cortex-m4", 12),
    ("kws_ref_model", "cortex-m4", 10),
    ("kws_ref_model", "cortex-m55", 8),
)
needs_cc = pytest.mark.skipif(not compiler(), reason="needs a C compiler called cc")


def opened(model: Path, target: str, place: Path, seed: int) -> Hunt:
    """A bundle of the model, made and compiled once, of which `verify` finds nothing wrong."""
    labels = tuple(f"class {k}" for k in range(4)) if model.name.startswith("micro") else ()
    api.compile(model, target=target, out=place / "made", name="model", labels=labels, measure=False)
    found = Hunt(place / "made", place, seed)
    assert not found.noticed(found.clean) and not found.changes(found.clean)
    return found


def once(compiles: Callable[..., Any]) -> Callable[..., Any]:
    """The same without compiling the same model again."""
    kept: dict[bytes, Any] = {}

    def compiled(data: bytes, *how: Any) -> Any:
        if data not in kept:
            kept[data] = compiles(data, *how)
        return kept[data]

    return compiled


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Hunt:
    return opened(DIGITS, "host", tmp_path_factory.mktemp("spoiled"), new_seed(0))


@needs_cc
def test_bugs_in_kernels_are_found_where_they_change_an_answer(digits: Hunt) -> None:
    tally = hunt(digits, bugs(digits.made, digits.seed, digits.reached()), 2)
    assert tally.tried == 2 and not tally.missed, tally


@needs_cc
def test_a_bug_in_the_rounding_of_sums_is_found(digits: Hunt) -> None:
    """A half unit that is left out, above or below 0: one sum in hundreds gives another answer."""
    spoils = [s for s in bugs(digits.made, 0, {"sg_scale.h": set(range(1000))}) if s.says.endswith("<< is >>")]
    tally = hunt(digits, spoils, 2)  # below 0, most layers here have a RELU
    assert tally.tried == 2 and tally.noticed and not tally.missed, tally


@needs_cc
def test_a_bug_for_values_that_the_model_does_not_give_its_layers_is_found(digits: Hunt) -> None:
    """A layer goes wrong where an element of its input is smaller than in any sample."""
    after, tensor, offset, _ = next(astuple(fed) for fed in digits.comparison.job.feeds if fed.after >= 0)
    least = np.min([np.asarray(values[tensor]).reshape(-1) for values in digits.samples.values], axis=0)
    k = int(np.argmax(least))
    assert least[k] > -128
    text, mark = (digits.made / digits.file).read_text(), f"    SG_TRACE({after});\n"
    at = text.index(mark) + len(mark)
    wrong = f"    if ((int8_t)arena[{offset + k}] < {least[k]}) {{\n        arena[{offset + k}] ^= 64u;\n    }}\n"
    built = digits.compiled(Spoil(digits.file, at, at, wrong, "a value that does not come up"))
    assert not isinstance(built, str) and "given inputs of its own" in digits.noticed(built)


def test_the_layers_that_can_be_given_inputs_of_their_own(digits: Hunt) -> None:
    alone = digits.comparison.alone
    assert [one.layer.index for one in alone] == [layer.index for layer in digits.comparison.job.layers]
    again, other = (drawn(digits.comparison.job, alone, seed) for seed in (digits.seed, digits.seed + 1))
    assert again.feeds == digits.comparison._drawn.feeds != other.feeds
    assert {len(feeds) for feeds in again.feeds} == {sum(fed.nbytes for fed in digits.comparison.job.feeds)}


def test_flipped_bits_are_found_by_making_the_c_again(digits: Hunt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "compile_bytes", once(compile_bytes))
    for spoil in flips(digits.made, 5, digits.seed):
        spoil.put(digits.made, tmp_path / "flipped")
        verdict = api.verify(tmp_path / "flipped")
        assert not verdict.identical and verdict.edited and not verdict.compared, spoil.says


@pytest.mark.slow
@needs_cc
@pytest.mark.parametrize("name", FLIPPED)
def test_25_flipped_bits_of_a_model_are_all_found(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the defaults of `verify`, all of them. By the samples alone, all but one of those that change an answer: the lowest bit of a
    large bias moves a sum that hardly ever lies so close to where the rounding turns."""
    shared_model(name)
    made = opened(MODELS / f"{name}.tflite", "cortex-m4", tmp_path, FLIPPED.index(name))
    spoils = flips(made.made, 25, FLIPPED.index(name))
    monkeypatch.setattr(store, "compile_bytes", once(compile_bytes))  # the proof is the same each time
    found = 0
    for spoil in spoils:
        spoil.put(made.made, tmp_path / "flipped")
        verdict = api.verify(tmp_path / "flipped")
        found += not verdict.identical and bool(verdict.edited)
    tally = hunt(made, spoils, 25, same=True)
    print(f"{name}: {found} of 25 found by making the C again; by the samples alone {tally}")
    assert found == 25 and tally.tried == 25 and len(tally.missed) <= 1, tally


@pytest.mark.slow
@needs_cc
@pytest.mark.parametrize(("name", "target", "count"), HUNTS)
def test_200_bugs_in_kernels_are_found_where_they_change_an_answer(name: str, target: str, count: int, tmp_path: Path) -> None:
    shared_model(name)
    seed = HUNTS.index((name, target, count))
    made = opened(MODELS / f"{name}.tflite", target, tmp_path, new_seed(seed))
    tally = hunt(made, bugs(made.made, seed, made.reached()), count)
    print(f"{name} on {target}: {tally}")
    assert tally.tried == count and not tally.missed


@pytest.mark.slow
@pytest.mark.parametrize(("name", "target", "count"), DEVICE_HUNTS)
def test_50_bugs_of_the_device_alone_are_found_where_they_change_an_answer(
    name: str, target: str, count: int, tmp_path: Path
) -> None:
    shared_model(name)
    seed = DEVICE_HUNTS.index((name, target, count))
    api.compile(MODELS / f"{name}.tflite", target=target, out=tmp_path / "made", name="model", measure=False)
    made = DeviceHunt(tmp_path / "made", tmp_path, new_seed(seed))
    assert not made.noticed(made.clean) and not made.changes(made.clean)
    tally = hunt(made, device_bugs(made.made, seed), count)
    print(f"{name} on {target}: {tally}")
    assert tally.tried == count and not tally.missed
