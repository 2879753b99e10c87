"""The models of MLPerf Tiny and of TensorFlow Lite Micro's examples: what others wrote, compiled and compared byte for byte."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import sandgrain
from sandgrain.base.arrays import Array
from sandgrain.base.errors import UnsupportedError
from sandgrain.bundle import on_host, store
from sandgrain.bundle import samples as datafile
from sandgrain.bundle.measure import Build, firmware, measure
from sandgrain.bundle.report import Report
from sandgrain.compiler import pipeline
from sandgrain.compiler.emit.model import Options
from sandgrain.compiler.pipeline import Compiled
from sandgrain.device import targets
from sandgrain.graph import interpret
from tests.support.draws import rare, turns
from tests.support.shared_files import MODELS, shared_data, shared_model
from tests.support.tflm_oracle import needs_tflm, tflm_run
from tests.support.toy_firmware import EMULATED


class Tflm(NamedTuple):
    """TensorFlow Lite Micro with CMSIS-NN (summer 2026, GNU Arm GCC 12.2, -O3): arena bytes, instructions on Cortex-M4."""

    arena: int
    instructions: int


FIGURES = {
    "kws_ref_model": Tflm(22_820, 7_697_255),
    "ad01_int8": Tflm(2_580, 582_265),
    "pretrainedResnet_quant": Tflm(54_996, 29_863_497),
    "vww_96_int8": Tflm(100_708, 24_101_517),
    "micro_speech_quantized": Tflm(6_836, 1_494_950),
    "hello_world_int8": Tflm(772, 3_499),
}
MAX_CODE = 16 * 1024  # bytes
NAMES = tuple(FIGURES)
MEASURED = turns(NAMES, 2)  # tuned for the M4, which takes a while
FLOAT = ("kws_ref_model_float32", "ad01_fp32", "pretrainedResnet", "vww_96_float", "hello_world_float")


@cache
def compiled(name: str, target: str = "cortex-m4") -> Compiled:
    return pipeline.compile_bytes(shared_model(name), targets.load(target), Options("model"))


@cache
def measured(name: str) -> Report:
    shared_model(name)
    with tempfile.TemporaryDirectory() as folder:
        return sandgrain.compile(MODELS / f"{name}.tflite", target="nucleo-l4r5zi", out=Path(folder) / "out").report


@cache
def measured_portable(name: str) -> Report:
    """As `measured`, with the kernels that every core can run."""
    board = targets.load("nucleo-l4r5zi")
    plain = replace(board, core=replace(board.core, features=frozenset()))
    made = pipeline.compile_bytes(shared_model(name), plain, Options("model"))
    return measure(Build(made, board, title=name), run=True)


def tflm(name: str, samples: list[list[Array]]) -> list[list[Array]]:
    return tflm_run(shared_model(name), samples)


def random_samples(name: str, count: int, seed: int) -> list[list[Array]]:
    data = datafile.random(compiled(name).graph, count, seed)
    return [[x[s] for x in data.inputs] for s in range(count)]


def emulated(name: str, target: str, samples: list[list[Array]]) -> list[list[bytes]]:
    """Each sample's outputs from the firmware on its core."""
    made = compiled(name, target)
    with firmware(Build(made, targets.load(target))) as core:
        return [core.infer([np.ascontiguousarray(x).tobytes() for x in sample]) for sample in samples]


def flat(outputs: list[list[Array]]) -> list[list[bytes]]:
    return [[y.tobytes() for y in sample] for sample in outputs]


@needs_tflm
@pytest.mark.parametrize(("name", "target"), turns([(n, t) for n in NAMES for t in EMULATED], 1, same=lambda pair: pair[0]))
def test_the_firmware_equals_tflm_on_every_emulated_core(name: str, target: str) -> None:
    samples = random_samples(name, 2, seed=sum(map(ord, target)))
    assert emulated(name, target, samples) == flat(tflm(name, samples))


@rare
@needs_tflm
@pytest.mark.parametrize("name", NAMES)
def test_the_host_build_equals_tflm_on_a_hundred_random_inputs(name: str) -> None:
    samples = random_samples(name, 100, seed=1)
    ours = on_host.loaded(compiled(name).source).run([np.stack(x) for x in zip(*samples, strict=True)])
    for k, theirs in enumerate(zip(*tflm(name, samples), strict=True)):
        assert np.array_equal(ours[k].reshape(100, -1), np.stack(theirs).reshape(100, -1))


@rare
@pytest.mark.parametrize("name", NAMES)
def test_the_passes_keep_every_output_byte(name: str) -> None:
    for target in ("cortex-m0plus", "cortex-m4"):
        made = compiled(name, target)
        for sample in random_samples(name, 2, seed=2):
            assert flat([interpret.run(made.imported, sample)]) == flat([interpret.run(made.graph, sample)])


@rare
@needs_tflm
def test_all_thousand_real_keyword_inputs_equal_tflm_on_the_host_at_90_percent_accuracy() -> None:
    stored = np.load(shared_data("kws01.npz"))
    x, y = stored["x"], stored["y"]
    assert x.shape == (1000, 49, 10, 1)
    ours = on_host.loaded(compiled("kws_ref_model").source).run([x[:, None]])[0].reshape(1000, -1)
    theirs = np.stack([sample[0].reshape(-1) for sample in tflm("kws_ref_model", [[image[None]] for image in x])])
    assert np.array_equal(ours, theirs)
    assert np.mean(ours.argmax(axis=1) == y) == pytest.approx(0.901)


@rare
def test_real_keyword_inputs_equal_everywhere_on_the_emulated_m4(tmp_path: Path) -> None:
    """32 inputs: reference, host build, emulated firmware and, where its wheel is installed, TFLM."""
    data = shared_data("kws01.npz")
    shared_model("kws_ref_model")
    sandgrain.compile(MODELS / "kws_ref_model.tflite", target="nucleo-l4r5zi", out=tmp_path / "kws", measure=False)
    verdict = sandgrain.verify(tmp_path / "kws", data, limit=32)
    assert verdict.identical and verdict.samples == 32
    assert verdict.compared["emulator"] == verdict.compared["host"] == 32
    assert verdict.accuracy is not None and verdict.accuracy >= 0.85  # 32 inputs: each is 3 %


@rare
@pytest.mark.parametrize("name", NAMES)
def test_the_arena_is_no_larger_than_tflms(name: str) -> None:
    for target in EMULATED:
        assert compiled(name, target).source.plan.arena_bytes <= FIGURES[name].arena, target


@rare
@pytest.mark.parametrize("name", MEASURED)
def test_m4_code_stays_under_16_kib(name: str) -> None:
    code = measured(name).code_bytes
    assert code is not None and 0 < code < MAX_CODE


@rare
@pytest.mark.parametrize("name", MEASURED)
def test_m4_instructions_are_no_more_than_twice_those_of_tflm_with_cmsis_nn(name: str) -> None:
    """With portable kernels alone; those made for the core need no more."""
    portable, chosen = measured_portable(name).instructions, measured(name).instructions
    assert portable is not None and portable <= 2 * FIGURES[name].instructions
    assert chosen is not None and chosen <= portable


@pytest.mark.parametrize("name", MEASURED)
def test_the_stack_bound_is_never_below_the_measured_stack(name: str) -> None:
    report = measured(name)
    assert report.stack_bytes is not None and report.stack_bound_bytes is not None
    assert 0 < report.stack_bytes <= report.stack_bound_bytes


@pytest.mark.parametrize("name", MEASURED)
def test_layers_add_up_to_the_total(name: str) -> None:
    report = measured(name)
    assert sum(layer.macs for layer in report.layers) == report.macs
    assert sum(layer.weight_bytes for layer in report.layers) == report.weight_bytes
    between = report.instructions - sum(layer.instructions for layer in report.layers)  # type: ignore[operator, misc]
    assert 0 <= between < 1000 + 8 * report.arena_bytes  # the calls, and the harness
    assert report.flash_bytes == report.code_bytes + report.weight_bytes  # type: ignore[operator]


@rare
@pytest.mark.parametrize("name", NAMES)
def test_a_bundle_of_a_shared_model_reads_back_unedited(name: str, tmp_path: Path) -> None:
    shared_model(name)
    sandgrain.compile(MODELS / f"{name}.tflite", target="cortex-m7", out=tmp_path / "out", measure=False)
    again = store.load_bundle(tmp_path / "out")
    assert not again.edited
    assert again.compiled.source.build_id in (again.folder / again.compiled.source.options.h_file).read_text()


@pytest.mark.parametrize("name", FLOAT)
def test_a_float_model_is_refused_by_naming_a_layer_and_the_way_out(name: str) -> None:
    with pytest.raises(UnsupportedError, match=r"quantize"):
        pipeline.compile_bytes(shared_model(name), targets.load("cortex-m4"), Options("model"))
