"""16x8 models: which layers they may have, what TensorFlow Lite Micro makes of them, and how much nearer to floats they are."""

from __future__ import annotations

import numpy as np
import pytest

from sandgrain.api.export import int16_snr
from sandgrain.base.errors import UnsupportedError, UsageError
from sandgrain.formats.tflite import read
from sandgrain.graph import reals
from sandgrain.graph.ir import Array, Graph
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import dequantize, per_tensor
from sandgrain.quantization import quantize
from sandgrain.quantization.int16 import has_kernel, quantize_int16
from sandgrain.quantization.report import snr_db
from tests.support.draws import SeededDraw, rare
from tests.support.float_graphs import Net, floated, small
from tests.support.models import int8_outputs
from tests.support.shared_files import shared_data, shared_model
from tests.support.tflm_oracle import OracleError, needs_tflm, tflm_run

FOREIGN = [name for name, op in OPS.items() if op.foreign and name not in ("quantize", "dequantize", "gather")]
WEIGHTED = 35.0  # dB that int8 weights leave of random layers; without weights, 16 bits leave 70 and more
PLAIN = 70.0
SQUASHED = ("softmax", "lstm")  # of inputs whose steps are coarse: tables of exp, a state that is read again


def cases(name: str, count: int) -> list[tuple[Graph, list[Array]]]:
    """Float graphs of one op, with 8 samples for each."""
    found = []
    for seed in range(count):
        graph = floated(OPS[name].sample(SeededDraw(seed)))
        if all(graph.tensors[i].dtype == "float32" for i in (*graph.inputs, *graph.outputs)) or name == "arg_max":
            rng = np.random.default_rng(seed)
            found.append((graph, [rng.standard_normal((8, *graph.tensors[i].shape)).astype(np.float32) for i in graph.inputs]))
    return found


@needs_tflm
@pytest.mark.parametrize("name", [name for name in FOREIGN if has_kernel(OPS[name])])
def test_tflm_computes_each_op_in_int16(name: str) -> None:
    least = 20.0 if name in SQUASHED else WEIGHTED if "conv" in name or "fully" in name else PLAIN
    for graph, x in cases(name, 4):
        for snr in int16_snr(graph, quantize_int16(graph, x), x, tflm_run):
            assert snr >= least


@needs_tflm
@pytest.mark.parametrize("name", ["arg_max", "elu", "hard_swish", "resize_bilinear"])
def test_ops_that_are_refused_have_no_int16_kernel(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, x = cases(name, 3)[0]
    with pytest.raises(UnsupportedError, match=f"{name}.*no int16 kernel for it; export the model as int8 or float"):
        quantize_int16(graph, x)
    monkeypatch.setattr("sandgrain.quantization.int16.has_kernel", lambda op: True)
    with pytest.raises(OracleError):
        int16_snr(graph, quantize_int16(graph, x), x, tflm_run)


def test_every_layer_without_an_int16_kernel_is_named_at_once() -> None:
    net = Net((1, 4, 8))
    x = net.node("elu", (0,), (1, 4, 8))
    x = net.node("relu", (x,), (1, 4, 8))
    x = net.node("hard_swish", (x,), (1, 4, 8))
    with pytest.raises(UnsupportedError, match=r"elu_0 \(elu\): .*hard_swish_2 \(hard_swish\): ") as caught:
        quantize_int16(net.graph(x), [net.samples(4)])
    assert "relu_1" not in str(caught.value)


def test_types_and_scales_are_those_of_16x8() -> None:
    net, graph = small()
    made = quantize_int16(graph, [net.samples(20)])
    for node in made.nodes:
        view = made.view(node)
        activations = [view.inputs[0], *view.outputs]
        assert all(
            t is not None and t.dtype == "int16" and t.quant is not None and t.quant.zero_point == (0,) for t in activations
        )
        if len(view.inputs) == 3:
            weights, bias = view.input(1), view.input(2)
            assert (weights.dtype, bias.dtype) == ("int8", "int64")
            assert weights.quant is not None and bias.quant is not None
            wanted = view.input(0).scale * np.asarray(weights.quant.scale)
            np.testing.assert_allclose(bias.quant.scale, wanted, rtol=1e-6)
    assert made.tensors[made.outputs[0]].quant == per_tensor(2.0**-15, 0)  # softmax


@needs_tflm
def test_an_output_that_is_always_zero_does_not_end_tflm() -> None:
    """x - x: a scale made from its range would be too small for the kernel's multiplier."""
    net = Net((1, 3))
    x = net.node("add", (net.node("sub", (0, 0), (1, 3), activation="none"), 0), (1, 3), activation="none")
    graph, samples = net.graph(x), net.samples(4)
    assert int16_snr(graph, quantize_int16(graph, [samples]), [samples], tflm_run)[0] > PLAIN


def test_without_a_sample_nothing_is_quantized() -> None:
    net, graph = small()
    with pytest.raises(UsageError, match="no calibration sample"):
        quantize_int16(graph, [net.samples(0)])


@rare
@needs_tflm
def test_keyword_spotting_is_far_nearer_to_floats_than_in_int8() -> None:
    """Over windows that calibration did not see."""
    graph = read.read_float(shared_model("kws_ref_model_float32"), "kws")
    with np.load(shared_data("kws01.npz")) as data:
        x = dequantize(data["x"][:140], per_tensor(0.5847029, 83)).reshape(140, 1, 49, 10, 1)
    seen, rest = [x[:100]], [x[100:]]
    (int16,) = int16_snr(graph, quantize_int16(graph, seen), rest, tflm_run)
    int8 = snr_db(reals.outputs(graph, rest)[0], int8_outputs(quantize(graph, seen).graph, rest)[0])
    assert int16 > 40 and int16 > int8 + 12
