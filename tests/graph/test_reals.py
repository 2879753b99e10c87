"""The float executor: every op against TensorFlow Lite Micro's float kernels, and against its own int8 meaning."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import pytest

from sandgrain.base.errors import ModelError, UnsupportedError, UsageError
from sandgrain.formats.tflite import read
from sandgrain.formats.tflite import write as writer
from sandgrain.graph import interpret, reals, rules
from sandgrain.graph.ir import Graph
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import dequantize
from sandgrain.quantization import Range, convert_with_ranges
from sandgrain.quantization.scales import limits
from sandgrain.quantization.twins import fake, rounded_weights, with_data
from tests.support.draws import SeededDraw, rare
from tests.support.float_graphs import Net, floated, small
from tests.support.integers import to_int8
from tests.support.shared_files import shared_model
from tests.support.tflm_oracle import OracleError, needs_tflm, tflm_run

CASES = 12
FLOAT_OPS = [name for name, op in OPS.items() if op.foreign and name not in ("quantize", "dequantize")]
STEPS = {"resize_bilinear": 5.0}  # its positions lie up to 30 * 0.5 / 1024 of a pixel aside, and pixels differ by up to 255
FLOAT_MODELS = ["kws_ref_model_float32", "vww_96_float", "pretrainedResnet", "ad01_fp32", "hello_world_float"]


def int8_case(name: str, case: int) -> Graph:
    """A random one-op int8 graph."""
    for attempt in range(100):
        graph = OPS[name].sample(SeededDraw(zlib.crc32(f"{name} {case} {attempt}".encode())))
        if all(t.dtype == "int8" or t.data is not None for t in graph.tensors) or name == "arg_max":
            return graph
    raise AssertionError(f"{name} draws no int8 graph")


def real_inputs(graph: Graph, samples: int, seed: int) -> list[np.ndarray]:
    """Reals that the int8 inputs can hold exactly."""
    rng = np.random.default_rng(seed)
    found = []
    for index in graph.inputs:
        tensor = graph.tensors[index]
        assert tensor.quant is not None
        found.append(dequantize(rng.integers(-128, 128, (samples, *tensor.shape)), tensor.quant))
    return found


def test_every_op_of_a_model_file_has_a_float_meaning() -> None:
    assert all(OPS[name].has_real for name in FLOAT_OPS)


@rare
@needs_tflm
@pytest.mark.parametrize("name", FLOAT_OPS)
def test_floats_equal_tensorflow_lite_micro(name: str) -> None:
    compared = 0
    for case in range(CASES):
        int8 = int8_case(name, case)
        graph = floated(int8)
        rules.check(graph, "float")
        inputs = real_inputs(int8, 2, case)
        values = reals.run(graph, inputs)
        try:
            # A sample a run: there, an LSTM remembers the one before.
            rows = [tflm_run(writer.write(graph), [[x[s] for x in inputs]])[0] for s in range(2)]
        except (OracleError, UnsupportedError):
            continue  # a form that the kernel refuses, or that the file format cannot express
        compared += 1
        for k, index in enumerate(graph.outputs):
            theirs = np.stack([row[k] for row in rows]).reshape(values[index].shape)
            np.testing.assert_allclose(values[index], theirs, rtol=2e-4, atol=2e-5 * max(1.0, float(np.abs(theirs).max())))
    if not compared:
        pytest.skip(f"TensorFlow Lite Micro has no float {name}")


@rare
@pytest.mark.parametrize("name", [n for n, op in OPS.items() if op.has_real and n not in ("arg_max", "quantize")])
def test_int8_means_what_the_floats_mean(name: str) -> None:
    """With inputs and weights rounded once, the int8 output is within two steps (or STEPS) of the float one, clipped to its
    range.

    A recurrent layer reads its own rounded output again: its random weights are made small, or it would be chaotic.
    """
    for case in range(CASES):
        int8 = int8_case(name, case)
        graph = floated(int8)
        if OPS[name].recurrent:
            graph = with_data(graph, {i: t.data * np.float32(0.2) for i, t in enumerate(graph.tensors) if t.data is not None})
        inputs = real_inputs(int8, 2, case)
        seen = reals.run(graph, inputs)
        moved = {i: seen[i] for i in (*graph.inputs, *graph.outputs)}
        made = convert_with_ranges(graph, {i: Range(float(v.min()), float(v.max())) for i, v in moved.items()})
        assert all(n.op == name or n.op == "reshape" for n in made.graph.nodes)
        given = [fake(x, made.scales[i]) for x, i in zip(inputs, made.floats.inputs, strict=True)]
        # The constants of an element-wise op are rounded like activations, those of a weighted layer by their channels.
        data = rounded_weights(made)
        data |= {i: fake(t.data, made.scales[i]) for i, t in enumerate(graph.tensors) if t.data is not None and i in made.scales}
        exact = reals.run(with_data(made.floats, data), given)
        for s in range(2):
            whole = [to_int8(x[s], made.scales[i]) for x, i in zip(inputs, made.floats.inputs, strict=True)]
            for y, index in zip(interpret.run(made.graph, whole), made.floats.outputs, strict=True):
                scale = made.scales[index]
                wanted = np.clip(exact[index][s], *limits(scale))
                assert np.abs(dequantize(y, scale) - wanted).max() <= STEPS.get(name, 2.01) * scale.scale[0], (name, case)


@needs_tflm
@pytest.mark.parametrize("name", FLOAT_MODELS)
def test_models_of_others_equal_tensorflow_lite_micro(name: str) -> None:
    graph = read.read_float(shared_model(name), name)
    x = np.random.default_rng(1).standard_normal((3, *graph.tensors[graph.inputs[0]].shape)).astype(np.float32)
    theirs = np.stack([row[0] for row in tflm_run(writer.write(graph), [[s] for s in x])])
    ours = reals.outputs(graph, x, batch=2)[0]
    np.testing.assert_allclose(ours.reshape(theirs.shape), theirs, rtol=1e-3, atol=2e-5 * max(1.0, float(np.abs(theirs).max())))


def test_batches_do_not_change_the_values() -> None:
    net, graph = small()
    x = net.samples(7)
    whole = reals.outputs(graph, x, batch=7)[0]
    np.testing.assert_allclose(reals.outputs(graph, x, batch=2)[0], whole, rtol=1e-5)
    np.testing.assert_allclose(reals.run(graph, x[3:4])[graph.outputs[0]][0], whole[3], rtol=1e-5)


def test_wrong_samples_are_refused_in_a_line() -> None:
    _, graph = small()
    with pytest.raises(UsageError, match=r"samples of \(2, 2\); the model takes"):
        reals.run(graph, np.zeros((4, 2, 2), np.float32))
    with pytest.raises(UsageError, match="the model has 1 inputs"):
        reals.run(graph, [np.zeros((1, 1, 6, 6, 3), np.float32)] * 2)


# --- reading float files ---------------------------------------------------------------------------------------------


def test_a_float_file_reads_back_as_it_was_written() -> None:
    net, graph = small()
    again = read.read_float(writer.write(graph), "net")
    x = net.samples(2)
    np.testing.assert_array_equal(reals.outputs(again, x)[0], reals.outputs(graph, x)[0])


def test_weights_held_in_int8_become_the_floats_they_stand_for() -> None:
    net, graph = small()
    made = convert_with_ranges(graph, {i: Range(-4, 4) for i in range(len(graph.tensors))})
    held = made.graph.tensors[made.graph.nodes[0].inputs[1]]
    tensors = list(graph.tensors)
    tensors[graph.nodes[0].inputs[1]] = held
    again = read.read_float(writer.write(replace(graph, tensors=tuple(tensors))), "net")
    weights = again.view(again.nodes[0]).const(1)
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(weights, rounded_weights(made)[graph.nodes[0].inputs[1]])
    reals.outputs(again, net.samples(1))


def test_an_int8_model_is_not_a_float_model() -> None:
    _, graph = small()
    made = convert_with_ranges(graph, {i: Range(-4, 4) for i in range(len(graph.tensors))})
    with pytest.raises(UnsupportedError, match="is not a float model; it is quantized already"):
        read.read_float(writer.write(made.graph), "net")
    with pytest.raises(UnsupportedError, match="this is a float model; quantize it"):
        read.read(writer.write(graph), "net")


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (lambda net: net.constant(np.full((5,), np.nan)), "a constant that is not a finite number"),
        (lambda net: net.constant(np.zeros((4,))), "do not broadcast"),
    ],
)
def test_a_broken_float_graph_is_named(change: object, fact: str) -> None:
    net = Net((1, 5))
    y = net.node("add", (0, change(net)), (1, 5), activation="none")  # type: ignore[operator]
    with pytest.raises(ModelError, match=fact):
        rules.check(net.graph(y), "float")


def test_int8_tensors_have_no_place_in_a_float_graph() -> None:
    graph = OPS["add"].sample(SeededDraw(3))
    with pytest.raises(UnsupportedError, match="int8 tensor where a float model has float32"):
        rules.check(graph, "float")
