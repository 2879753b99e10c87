"""Float graphs to int8: calibration, shared scales, equalization, bias correction, and the report on what was lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sandgrain.base.errors import UnsupportedError, UsageError
from sandgrain.compiler import passes
from sandgrain.formats.tflite import read
from sandgrain.formats.tflite import write as writer
from sandgrain.graph import interpret, reals, rules
from sandgrain.graph.dtypes import INT32
from sandgrain.graph.ir import Graph
from sandgrain.graph.quantization import dequantize, per_tensor
from sandgrain.quantization import METHODS, Calibration, Options, Quantized, Range, convert_with_ranges, prepare, quantize
from sandgrain.quantization.calibrate import BINS, calibrate, kl_range, mse_range, percentile_range, span
from sandgrain.quantization.equalize import CRITERIA, channel_peaks, equalize, pairs
from sandgrain.quantization.keep import keep
from sandgrain.quantization.report import layer_errors, snr_db
from sandgrain.quantization.scales import affine, limits
from sandgrain.quantization.weights import BIAS_MAX
from tests.support.float_graphs import Net, small
from tests.support.integers import to_int8
from tests.support.tflm_oracle import needs_tflm, tflm_run

SAMPLES = 24


def int8_run(made: Quantized, x: np.ndarray) -> np.ndarray:
    """The first output of the int8 graph as reals [n, *shape]."""
    source, out = made.graph.inputs[0], made.graph.outputs[0]
    scales = made.graph.tensors[source].quant, made.graph.tensors[out].quant
    assert scales[0] is not None and scales[1] is not None
    return np.stack([dequantize(interpret.run(made.graph, [to_int8(row, scales[0])])[0], scales[1]) for row in x])


def snr(graph: Graph, made: Quantized, x: np.ndarray) -> float:
    return snr_db(reals.outputs(graph, x)[0], int8_run(made, x))


# --- calibration -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_every_range_holds_zero_and_lies_within_what_was_seen(method: str) -> None:
    net, graph = small()
    x = net.samples(SAMPLES)
    seen = calibrate(graph, [x])
    for index, r in calibrate(graph, [x], Calibration(method)).items():
        assert seen[index].low <= r.low <= 0 <= r.high <= seen[index].high


def test_ranges_do_not_depend_on_the_batches_but_for_the_average() -> None:
    net, graph = small()
    x = net.samples(SAMPLES)
    values = reals.run(graph, x)
    for index, r in calibrate(graph, [x]).items():
        assert r == span(values[index].min(), values[index].max())


def histogram(values: np.ndarray) -> tuple[np.ndarray, Range]:
    r = span(values.min(), values.max())
    return np.histogram(values, BINS, (r.low, r.high))[0].astype(np.float64), r


def test_outliers_are_left_out_by_all_but_the_extremes() -> None:
    values = np.random.default_rng(0).laplace(size=200000)
    counts, seen = histogram(values)
    for found in (percentile_range(counts, seen, 99.9), mse_range(counts, seen), kl_range(counts, seen)):
        assert 10 < found.high - found.low < 0.95 * (seen.high - seen.low)


def test_a_flat_distribution_is_kept_whole_by_mse() -> None:
    counts, seen = histogram(np.random.default_rng(0).uniform(-3, 5, 50000))
    found = mse_range(counts, seen)
    assert found.low < -2.9 and found.high > 4.9


def test_a_tensor_that_is_always_zero_has_a_scale() -> None:
    assert affine(Range(0.0, 0.0)).scale[0] > 0


@pytest.mark.parametrize("r", [Range(-1, 1), Range(0, 6), Range(-0.3, 9), Range(-5, 0), Range(-1e-30, 0), Range(-1e30, 2e30)])
def test_zero_is_exact_at_every_scale(r: Range) -> None:
    q = affine(r)
    assert dequantize(to_int8(np.zeros(1, np.float32), q), q)[0] == 0
    low, high = limits(q)
    step = q.scale[0]
    assert low <= r.low + step and high >= r.high - step


@pytest.mark.parametrize(
    ("make", "fact"),
    [
        (lambda: Calibration("best"), "'best' is not a way to calibrate; choose minmax"),
        (lambda: Calibration("percentile", percent=3), "a percentile of 3"),
        (lambda: Calibration("average", momentum=1), "a momentum of 1"),
        (lambda: Options(equalize="all"), "equalization by all; choose none"),
    ],
)
def test_options_that_make_no_sense_are_refused(make: object, fact: str) -> None:
    with pytest.raises(UsageError, match=fact):
        make()  # type: ignore[operator]


def test_samples_that_make_no_sense_are_refused() -> None:
    net, graph = small()
    with pytest.raises(UsageError, match="no calibration sample"):
        quantize(graph, [net.samples(0)])
    with pytest.raises(UsageError, match="is not finite on the calibration samples"):
        quantize(graph, [np.full((2, 1, 6, 6, 3), np.inf, np.float32)])


# --- scales ----------------------------------------------------------------------------------------------------------


def branches(first: str) -> tuple[Net, Graph]:
    """y = reshape(concatenation(first(x), relu(x), x))."""
    net = Net((1, 4))
    a, b = net.node(first, (0,), (1, 4)), net.node("relu", (0,), (1, 4))
    c = net.node("concatenation", (a, b, 0), (1, 12), axis=1)
    return net, net.graph(net.node("reshape", (c,), (1, 3, 4), shape=(1, 3, 4)))


def test_tensors_that_only_move_share_one_scale() -> None:
    net, graph = branches("hard_swish")
    made = quantize(graph, [net.samples(SAMPLES, 3.0)])
    assert [n.op for n in made.graph.nodes] == ["hard_swish", "relu", "concatenation", "reshape"]
    assert len({t.quant for t in made.graph.tensors}) == 1


@pytest.mark.parametrize("first", ["logistic", "tanh"])
def test_a_fixed_scale_is_rescaled_before_it_meets_another(first: str) -> None:
    net, graph = branches(first)
    x = net.samples(SAMPLES, 3.0)
    made = quantize(graph, [x])
    assert [n.op for n in made.graph.nodes] == [first, "relu", "quantize", "concatenation", "reshape"]
    assert snr(graph, made, x) > 35


def test_fixed_scales_that_agree_are_joined_as_they_are() -> None:
    net = Net((1, 4))
    a, b = net.node("logistic", (0,), (1, 4)), net.node("logistic", (0,), (1, 4))
    graph = net.graph(net.node("concatenation", (a, b), (1, 8), axis=1))
    made = quantize(graph, [net.samples(SAMPLES)])
    assert [n.op for n in made.graph.nodes] == ["logistic", "logistic", "concatenation"]
    assert made.graph.tensors[made.graph.outputs[0]].quant == per_tensor(1 / 256, -128)


def test_a_given_input_scale_is_kept() -> None:
    net, graph = branches("relu6")
    given = per_tensor(0.05, 3)
    made = quantize(graph, [net.samples(SAMPLES)], given={0: given})
    assert made.graph.tensors[made.graph.inputs[0]].quant == given


def test_rows_are_flattened_for_a_scale_a_unit() -> None:
    net = Net((1, 3, 8))
    graph = net.graph(net.dense(0, 4))
    x = net.samples(SAMPLES)
    made = quantize(graph, [x])
    assert [n.op for n in made.graph.nodes] == ["reshape", "fully_connected", "reshape"]
    weights = made.graph.tensors[made.graph.nodes[1].inputs[1]]
    assert weights.quant is not None and len(weights.quant.scale) == 4
    assert snr(graph, made, x) > 35


def test_an_activation_goes_into_its_producer_and_constants_fold() -> None:
    net = Net((1, 4))
    two = net.node("mul", (net.constant(np.ones(4)), net.constant(np.full(4, 2.0))), (4,), activation="none")
    y = net.node("relu6", (net.node("add", (0, two), (1, 4), activation="none"),), (1, 4))
    found = prepare(net.graph(y)).graph
    assert [(n.op, n.attrs["activation"]) for n in found.nodes] == [("add", "relu6")]
    np.testing.assert_array_equal(found.view(found.nodes[0]).const(1), np.full(4, 2.0))


def test_preparing_twice_changes_nothing_and_indices_stay() -> None:
    for graph in (small()[1], branches("tanh")[1], rank_three()):
        once = prepare(graph)
        twice = prepare(once.graph)
        assert [n.op for n in once.graph.nodes] == [n.op for n in twice.graph.nodes]
        assert (once.leader, once.fixed) == (twice.leader, twice.fixed)
        assert all(a.name == b.name for a, b in zip(graph.tensors, once.graph.tensors, strict=False))


def rank_three() -> Graph:
    net = Net((1, 3, 8))
    return net.graph(net.dense(net.dense(0, 8, "relu"), 4))


# --- the int8 graph --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("how", ["none", *CRITERIA])
def test_int8_follows_the_floats(method: str, how: str) -> None:
    net, graph = small()
    x = net.samples(SAMPLES)
    made = quantize(graph, [x], Options(Calibration(method), how, bias_correction=True))
    assert snr(graph, made, x) > 25


@needs_tflm
def test_the_int8_file_runs_in_tensorflow_lite_micro() -> None:
    net, graph = small()
    x = net.samples(SAMPLES)
    made = quantize(graph, [x], Options(equalize="activations", bias_correction=True))
    data = writer.write(made.graph)
    again = read.read(data, "net")
    source = again.tensors[again.inputs[0]].quant
    assert source is not None
    rows = [[to_int8(row, source)] for row in x]
    theirs = [row[0] for row in tflm_run(data, rows)]
    passed = passes.optimize(again)
    for row, y in zip(rows, theirs, strict=True):
        np.testing.assert_array_equal(interpret.run(passed, row)[0].reshape(-1), y.reshape(-1))


def test_weights_are_symmetric_with_a_scale_a_channel() -> None:
    net = Net((1, 4, 4, 3))
    graph = net.graph(net.conv(0, 6, scale=np.array([1, 1, 50, 1, 0, 0.01])))
    x = [net.samples(SAMPLES)]
    made = quantize(graph, x)
    weights = made.graph.tensors[made.graph.nodes[0].inputs[1]]
    assert weights.quant is not None and weights.data is not None and set(weights.quant.zero_point) == {0}
    peaks = np.abs(weights.data.astype(int)).reshape(6, -1).max(axis=1)
    assert peaks.tolist() == [127, 127, 127, 127, 0, 127]
    whole = quantize(graph, x, Options(per_channel=False))
    assert whole.graph.tensors[whole.graph.nodes[0].inputs[1]].quant.per_tensor  # type: ignore[union-attr]
    assert snr(graph, made, x[0]) >= snr(graph, whole, x[0])


def test_a_bias_without_weights_still_fits() -> None:
    net = Net((1, 2, 2, 2))
    y = net.conv(0, 3, scale=np.array([0.0, 1e-12, 1.0]))
    net.tensors[2] = replace(net.tensors[2], data=np.array([5.0, 4.0, -3.0], np.float32))
    graph, x = net.graph(y), net.samples(SAMPLES)
    made = quantize(graph, [x])
    bias = made.graph.view(made.graph.nodes[0]).const(2)
    assert np.abs(bias).max() <= BIAS_MAX
    assert snr(graph, made, x) > 40


def test_shared_weights_stay_one_tensor() -> None:
    net = Net((1, 4))
    first = net.dense(0, 4)
    node = net.nodes[-1]
    second = net.node("fully_connected", (0, *node.inputs[1:]), (1, 4), activation="none", keep_num_dims=True)
    made = quantize(net.graph(first, second), [net.samples(SAMPLES)])
    assert made.graph.nodes[0].inputs[1] == made.graph.nodes[1].inputs[1]


def test_learned_ranges_and_scales_are_taken_as_they_are() -> None:
    net = Net((1, 4))
    graph = net.graph(net.dense(0, 3))
    scales = np.array([0.01, 0.02, 0.03], np.float32)
    made = convert_with_ranges(graph, {0: Range(-2, 2), 3: Range(0, 1)}, weight_scales={1: scales})
    quants = [made.graph.tensors[i].quant for i in (made.graph.inputs[0], made.graph.nodes[0].inputs[1], made.graph.outputs[0])]
    assert quants == [affine(Range(-2, 2)), replace(quants[1], scale=tuple(map(float, scales))), affine(Range(0, 1))]  # type: ignore[type-var]


def test_a_missing_range_is_named() -> None:
    net = Net((1, 4))
    with pytest.raises(UsageError, match="no range for fully_connected_0"):
        convert_with_ranges(net.graph(net.dense(0, 3)), {0: Range(-1, 1)})


def test_the_same_samples_give_the_same_bytes() -> None:
    net, graph = small()
    x = net.samples(SAMPLES)
    how = Options(Calibration("mse"), "activations", True)
    assert writer.write(quantize(graph, [x], how).graph) == writer.write(quantize(graph, [x], how).graph)


def test_an_int8_graph_is_not_quantized_again() -> None:
    net, graph = small()
    made = quantize(graph, [net.samples(2)])
    with pytest.raises(UnsupportedError, match="int8 tensor where a float model has float32"):
        quantize(made.graph, [net.samples(2)])


# --- equalization and bias correction --------------------------------------------------------------------------------


def uneven() -> tuple[Net, Graph]:
    """Channels of very different size between a convolution, a depthwise one and a dense one."""
    net = Net((1, 5, 5, 3))
    sizes = np.geomspace(0.05, 5, 8)
    x = net.depthwise(net.conv(0, 8, scale=sizes), scale=np.geomspace(4, 0.2, 8))
    x = net.node("max_pool_2d", (x,), (1, 5, 5, 8), kernel=(1, 1), stride=(1, 1), padding=(0, 0, 0, 0), activation="none")
    x = net.conv(x, 8)
    x = net.node("reshape", (net.node("mean", (x,), (1, 1, 1, 8), axes=(1, 2), keep_dims=True),), (1, 8), shape=(1, 8))
    return net, net.graph(net.dense(x, 4))


@pytest.mark.parametrize("criterion", CRITERIA)
def test_equalization_keeps_the_outputs(criterion: str) -> None:
    net, graph = uneven()
    x = net.samples(SAMPLES)
    assert [(p.first, p.second) for p in pairs(graph)] == [(0, 1), (1, 3), (3, 6)]
    even = equalize(graph, [x], criterion)
    np.testing.assert_allclose(reals.outputs(even, x)[0], reals.outputs(graph, x)[0], rtol=1e-3, atol=1e-4)


def test_equalization_brings_channels_together() -> None:
    net, graph = uneven()
    x = [net.samples(SAMPLES)]
    tensors = [p.tensor for p in pairs(graph)][:2]
    before, after = (channel_peaks(g, x, tensors) for g in (graph, equalize(graph, x)))
    for t in tensors:
        assert after[t].max() / np.median(after[t]) < before[t].max() / np.median(before[t])
    plain, even = quantize(graph, x), quantize(graph, x, Options(equalize="activations"))
    assert snr(graph, even, x[0]) > snr(graph, plain, x[0])


@pytest.mark.parametrize("why", ["relu6", "second reader", "model output", "shared weights"])
def test_factors_move_only_where_nothing_else_sees_them(why: str) -> None:
    net = Net((1, 4, 4, 4))
    x = net.conv(0, 4, "relu6" if why == "relu6" else "relu")
    y = net.conv(x, 4)
    if why == "shared weights":
        net.nodes[1] = replace(net.nodes[1], inputs=(x, *net.nodes[0].inputs[1:]))
    ends = [y]
    if why == "second reader":
        ends = [net.node("add", (x, y), (1, 4, 4, 4), activation="none")]
    if why == "model output":
        ends.append(x)
    assert list(pairs(net.graph(*ends))) == []


def test_bias_correction_takes_the_mean_error_back() -> None:
    net, graph = uneven()
    x = net.samples(64)
    how = Options(per_channel=False)
    plain = quantize(graph, [x], how)
    better = quantize(graph, [x], replace(how, bias_correction=True))
    exact = reals.outputs(graph, x)[0]
    shifts = [np.abs((int8_run(made, x) - exact).mean(axis=0)).max() for made in (plain, better)]
    assert shifts[1] < shifts[0] / 2
    assert snr(graph, better, x) > snr(graph, plain, x)


# --- the report ------------------------------------------------------------------------------------------------------


def cause(made: Quantized, x: np.ndarray, op: str) -> str:
    return next(e.cause for e in layer_errors(made, [x]) if e.op == op)


def test_the_report_lists_every_layer_worst_first() -> None:
    net, graph = small()
    x = net.samples(SAMPLES)
    found = layer_errors(quantize(graph, [x]), [x], samples=4)
    assert sorted(e.index for e in found) == list(range(6))
    assert [e.snr_db for e in found] == sorted(e.snr_db for e in found)
    assert all(e.advice.endswith(".") and e.alone_db > 20 for e in found)
    assert {"index", "op", "name", "snr_db", "alone_db", "cause", "advice"} == set(found[0].to_json())


def test_an_outlier_is_seen() -> None:
    net = Net((1, 64))
    graph = net.graph(net.node("mul", (0, net.constant(np.ones(64))), (1, 64), activation="none"))
    x = net.samples(SAMPLES)
    ranges = calibrate(graph, [x]) | {2: Range(-300, 300)}
    assert cause(convert_with_ranges(graph, ranges), x, "mul") == "outliers"
    assert cause(convert_with_ranges(graph, ranges | {2: Range(-0.5, 0.5)}), x, "mul") == "clipping"


def test_a_dominating_channel_is_seen() -> None:
    net = Net((1, 6, 6, 4))
    scale = np.full(16, 0.05)
    scale[3] = 5
    graph = net.graph(net.conv(0, 16, scale=scale))
    x = net.samples(SAMPLES)
    assert cause(quantize(graph, [x]), x, "conv_2d") == "channels"


def test_a_shift_is_seen() -> None:
    net = Net((1, 64))
    graph = net.graph(net.dense(0, 16))
    x = net.samples(SAMPLES)
    made = quantize(graph, [x])
    tensors = list(made.floats.tensors)
    tensors[2] = replace(tensors[2], data=np.full(16, 0.5, np.float32))
    moved = replace(made, floats=replace(made.floats, tensors=tuple(tensors)))
    assert cause(moved, x, "fully_connected") == "shift"


def test_an_inherited_error_names_the_layer_where_it_began() -> None:
    net = Net((1, 64))
    first = net.dense(0, 32)
    graph = net.graph(net.dense(net.dense(first, 16), 8))
    x = net.samples(SAMPLES)
    made = convert_with_ranges(graph, calibrate(graph, [x]) | {first: Range(-100, 100)})
    found = {e.index: e for e in layer_errors(made, [x])}
    assert found[0].cause == "outliers"
    assert found[1].cause == "input" and "layer 0" in found[1].advice
    assert found[2].cause == "inherited" and "begin with layer 0" in found[2].advice


def test_a_legal_graph_comes_out_for_every_branchy_net() -> None:
    """split, slices, pads and products between weighted layers."""
    net = Net((1, 4, 4, 8))
    x = net.conv(0, 8)
    net.tensors += [replace(net.tensors[x], name=f"part{k}", shape=(1, 4, 4, 4)) for k in range(2)]
    a, b = len(net.tensors) - 2, len(net.tensors) - 1
    net.nodes.append(replace(net.nodes[-1], op="split", name="split", inputs=(x,), outputs=(a, b), attrs={"axis": 3, "parts": 2}))
    gate = net.node("logistic", (a,), (1, 4, 4, 4))
    y = net.node("mul", (gate, b), (1, 4, 4, 4), activation="none")
    y = net.node("pad", (y,), (1, 6, 6, 4), paddings=((0, 0), (1, 1), (1, 1), (0, 0)), value=0)
    y = net.conv(y, 4, kernel=3)
    graph = net.graph(net.node("leaky_relu", (y,), (1, 6, 6, 4), alpha=0.1))
    rules.check(graph, "float")
    x8 = net.samples(SAMPLES)
    made = quantize(graph, [x8], Options(Calibration("mse"), "activations", True))
    assert snr(graph, made, x8) > 25


@pytest.mark.parametrize("op", ["maximum", "minimum"])
def test_kept_scales_of_inputs_that_are_compared_are_brought_to_the_outputs(op: str) -> None:
    net = Net((1, 8))
    left = net.node("relu", (0,), (1, 8))
    graph = net.graph(net.node(op, (left, 0), (1, 8)))
    scales = {0: per_tensor(0.03, 5), left: per_tensor(0.015, -128), graph.outputs[0]: per_tensor(0.02, -3)}
    made = keep(graph, scales)
    assert [n.op for n in made.graph.nodes] == ["relu", "quantize", "quantize", op]
    x = net.samples(1)
    exact, whole = reals.outputs(graph, x)[0][0], interpret.run(made.graph, [to_int8(x[0], scales[0])])[0]
    assert np.abs(dequantize(whole, scales[graph.outputs[0]]) - np.clip(exact, -2.5, 2.6)).max() < 0.04


def test_an_embedding_has_an_error_too() -> None:
    """Its index has no scale; before, the report of errors ended in a KeyError."""
    net = Net((1, 3))
    net.tensors[0] = replace(net.tensors[0], dtype=INT32)
    table = net.constant(net.rng.standard_normal((10, 4)))
    graph = net.graph(net.node("gather", (table, 0), (1, 3, 4), axis=0))
    x = net.rng.integers(0, 10, (SAMPLES, 1, 3)).astype(np.int32)
    (error,) = layer_errors(quantize(graph, [x]), [x])
    assert error.op == "gather" and 30 < error.snr_db < 70
