"""What the kernels' room promises: every C file has a descriptor beside it, and an op's kernels come in one fixed order."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter, OrderedDict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sandgrain import kernels
from sandgrain.compiler import select
from sandgrain.compiler.plan import plan
from sandgrain.graph.ir import Graph, View
from sandgrain.graph.ops import OPS
from sandgrain.kernels import Kernel, Lowered, Refused, descriptors, headers, kernels_of
from tests.support.draws import SeededDraw
from tests.support.emulated_graphs import samplers

HELPER = "sg_"  # headers that kernels include begin with it
CORE = frozenset({"dsp", "mve", "fpu"})
DRAWS = 12

# Per op the names of its kernels, the most specific first: the order in which the planner asks them.
ORDER = {
    "add": ("add_mve_s8", "add_dsp_s8", "add_s8", "sum_compact_s8"),
    "average_pool_2d": ("average_pool_2d_dsp_s8", "average_pool_2d_s8", "average_pool_2d_compact_s8"),
    "batch_matmul": ("batch_matmul_dsp_s8", "batch_matmul_s8"),
    "channel_order": ("reorder_u8", "rgb565_u8"),
    "conv_2d": (
        "conv_pointwise_mve_s8",
        "conv_window_mve_s8",
        "conv_pointwise_dsp_s8",
        "conv_window_dsp_s8",
        "conv_2d_pair_s8",
        "conv_2d_s8",
        "conv_compact_s8",
        "dense_compact_s8",
    ),
    "depthwise_conv_2d": (
        "depthwise_mve_s8",
        "conv_pointwise_mve_s8",
        "conv_window_mve_s8",
        "depthwise_3x3_dsp_s8",
        "conv_pointwise_dsp_s8",
        "conv_window_dsp_s8",
        "depthwise_conv_2d_inplace_s8",
        "conv_2d_pair_s8",
        "conv_2d_s8",
        "depthwise_conv_2d_s8",
        "conv_compact_s8",
    ),
    "fully_connected": (
        "fully_connected_mve_s8",
        "fully_connected_copy_mve_s8",
        "fully_connected_dsp_s8",
        "fully_connected_block_s8",
        "fully_connected_s8",
        "dense_compact_s8",
    ),
    "gru": ("gru_dsp_s8", "gru_reset_first_dsp_s8", "gru_s8", "gru_reset_first_s8"),
    "image_normalize": ("centre_u8", "normalize_u8"),
    "layer_norm": ("layer_norm_dsp_s8", "layer_norm_s8"),
    "least": ("least_s32", "soft_least_s32"),
    "lstm": ("lstm_dsp_s8", "lstm_s8"),
    "max_pool_2d": ("max_pool_2d_dsp_s8", "max_pool_2d_s8", "max_pool_2d_compact_s8"),
    "mean": ("mean_dsp_s8", "mean_s8"),
    "mul": ("mul_dsp_s8", "mul_s8"),
    "quantize": ("lut_s8", "quantize_f32_s8"),
    "relu": ("clamp_s8", "lut_s8"),
    "resize_image": ("resize_box_u8", "resize_bilinear_u8", "resize_area_u8"),
    "settle": ("settle_s16", "follow_s16"),
    "softmax": ("softmax_table_s8", "softmax_s8"),
    "spectrogram": ("spectrogram_s16", "spectrogram_s32", "spectrogram_f32"),
    "statistics": ("statistics_s16", "statistics_pairs_s16"),
    "sub": ("add_mve_s8", "add_dsp_s8", "add_s8", "sum_compact_s8"),
    "sum": ("mean_dsp_s8", "mean_s8"),
    "transpose_conv": ("transpose_conv_dsp_s8", "transpose_conv_pair_s8", "transpose_conv_s8"),
    "vibration": ("vibration_s16", "vibration_pairs_s16"),
    "weighted_distance": (
        "plain_distance_dsp_s8",
        "weighted_distance_dsp_s8",
        "plain_distance_s8",
        "weighted_distance_s8",
    ),
    "whitened_distance": ("whitened_distance_dsp_s8", "whitened_distance_s8"),
}
SINGLE = {
    "abs": "lut_s8", "arg_max": "arg_max_s8", "beats": "beats_s16", "biquad": "biquad_s16", "concatenation": "copy_rows", "crop_image": "copy_rows",
    "decimate": "decimate_s16", "dense_sum": "dense_sum_s8", "depth_to_space": "gather", "difference": "difference_s16", "dequantize": "dequantize_s8_f32", "elu": "lut_s8", "exp": "lut_s8",
    "gather": "gather_at", "gelu": "lut_s8", "grey": "grey_u8", "hard_swish": "lut_s8", "leaky_relu": "lut_s8", "log_mel": "mel",
    "logistic": "lut_s8", "maximum": "extreme_s8", "mfcc": "mel", "minimum": "extreme_s8", "mish": "lut_s8", "pad": "pad",
    "prelu": "prelu_s8", "reduce_max": "reduce_max_s8", "relu6": "clamp_s8", "resize_bilinear": "resize_bilinear_s8",
    "resize_nearest_neighbor": "resize_nearest", "scaled_elu": "lut_s8", "silu": "lut_s8", "softplus": "lut_s8",
    "space_to_depth": "gather", "split": "copy_rows", "squared_error": "squared_error_s8", "standardize": "standardize_s16",
"strided_slice": "gather", "strips": "strips", "tanh": "lut_s8", "transpose": "gather",
    "vector_length": "vector_length_s16",
}  # fmt: skip


def names_of(op: str) -> tuple[str, ...]:
    return tuple(kernel.name for kernel in kernels_of(op))


@pytest.mark.parametrize("op", OPS)
def test_an_ops_kernels_come_in_their_order(op: str) -> None:
    expected = ORDER.get(op) or ((SINGLE[op],) if op in SINGLE else ())
    assert names_of(op) == expected
    assert expected or OPS[op].is_view


@pytest.mark.parametrize("op", OPS)
def test_no_two_kernels_of_an_op_have_one_rank_or_one_name(op: str) -> None:
    ranks = [kernel.rank for kernel in kernels_of(op)]
    assert all(a < b for a, b in pairwise(ranks)), dict(zip(names_of(op), ranks, strict=True))
    assert len(set(names_of(op))) == len(ranks)


def test_the_order_does_not_depend_on_how_folders_are_read() -> None:
    """Another process finds the same modules in the same order."""
    script = "from sandgrain.kernels import descriptors; print([(m, [k.name for k in v]) for m, v in descriptors().items()])"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    assert said == str([(module, [k.name for k in several]) for module, several in descriptors().items()])
    assert list(descriptors()) == sorted(descriptors())


def place_of(module: str) -> Path:
    return kernels.FOLDER.joinpath(*module.split(".")[2:]).with_suffix(".py")


def file_of(module: str) -> Path:
    return place_of(module).with_suffix(".h")


@pytest.mark.parametrize("module", descriptors())
def test_a_descriptor_lies_beside_its_c_and_has_its_name(module: str) -> None:
    path, file = place_of(module), file_of(module)
    assert file.is_file()
    assert re.search(
        rf"^[A-Z_a-z ]+ void sg_{file.stem}\(|^SG_[A-Z_]+ void sg_{file.stem}\(", file.read_text("ascii"), re.MULTILINE
    )
    for kernel in descriptors()[module]:
        assert kernel.name == path.stem or kernel.name == "strips"
        assert set(kernel.ops) <= OPS.keys()
        assert kernel.when and not kernel.when.endswith(".")


def runtime_files() -> set[str]:
    """What parts of the emitted C include beside the kernels; each is named by one of them."""
    names = {path.name for path in (kernels.FOLDER / "runtime").glob("*.h")}
    parts = "".join(path.read_text("utf-8") for path in kernels.FOLDER.parent.joinpath("compiler", "emit").rglob("*.py"))
    assert {name for name in names if f'"runtime/{name}"' in parts} == names
    return names


def test_every_c_file_belongs_to_a_descriptor_or_is_included_by_one() -> None:
    owned = {file_of(module).name for module in descriptors()}
    reached, waiting = set(owned), list(owned)
    while waiting:
        for name in re.findall(r'^#include "([a-z0-9_]+\.h)"', headers()[waiting.pop()].read_text("ascii"), re.MULTILINE):
            if name not in reached:
                reached.add(name)
                waiting.append(name)
    assert reached | runtime_files() == headers().keys()
    assert {name for name in headers() if not name.startswith(HELPER)} == owned


def drawn(op: str) -> list[Graph]:
    return [make(SeededDraw(seed)) for make in samplers(op) for seed in range(DRAWS)]


def calls_of(kernel: Kernel, view: View) -> set[str]:
    fitted = kernel.fit(view, CORE)
    return {call.stem for call in fitted.calls} if isinstance(fitted, Lowered) else set()


@pytest.mark.parametrize("op", [op for op in OPS if op != "strips"])  # which calls the kernels of its layers
def test_a_kernel_calls_its_own_c(op: str) -> None:
    for graph in drawn(op):
        for kernel in kernels_of(op):
            assert calls_of(kernel, graph.view(graph.nodes[0])) <= {kernel.name}


@pytest.mark.parametrize("op", OPS)
def test_a_refusal_is_one_plain_sentence(op: str) -> None:
    for graph in drawn(op):
        for kernel in kernels_of(op):
            fitted = kernel.fit(graph.view(graph.nodes[0]), CORE)
            if isinstance(fitted, Refused):
                assert fitted.reason.strip() == fitted.reason and len(fitted.reason) > 10
                assert not fitted.reason.endswith(".") and "\n" not in fitted.reason


def test_a_core_without_a_feature_is_the_reason() -> None:
    graph = OPS["add"].sample(SeededDraw(1))
    [vectors] = [kernel for kernel in kernels_of("add") if kernel.name == "add_mve_s8"]
    assert vectors.fit(graph.view(graph.nodes[0]), {"dsp"}) == Refused("the core has no mve")


def test_planning_proves_a_layer_once_per_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: Counter[tuple[str, str]] = Counter()
    whole = Kernel.fit

    def counted(self: Kernel, view: View, core: frozenset[str]) -> Lowered | Refused:
        asked[view.node.name, self.name] += 1
        return whole(self, view, core)

    graph = OPS["depthwise_conv_2d"].sample(SeededDraw(5))
    monkeypatch.setattr(Kernel, "fit", counted)
    for _ in range(2):
        plan(graph, {"dsp"})
    assert asked and set(asked.values()) == {1}


def test_the_proof_of_a_sum_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference of all 65,536 pairs is computed once for a layer on a core with DSP."""
    seen: list[tuple[int, ...]] = []
    whole = type(OPS["add"]).reference

    def counted(self: object, view: View, inputs: list[np.ndarray]) -> tuple[np.ndarray, ...]:
        seen.append(np.broadcast_shapes(*(x.shape for x in inputs)))
        return whole(self, view, inputs)  # type: ignore[arg-type]

    graphs = [g for seed in range(60) for g in [OPS["add"].sample(SeededDraw(seed))]]
    same = [g for g in graphs if g.tensors[0].size == g.tensors[1].size]
    monkeypatch.setattr(type(OPS["add"]), "reference", counted)
    monkeypatch.setattr(select, "_FITS", OrderedDict())  # nothing is known from other tests
    for graph in same[:5]:
        seen.clear()
        plan(graph, {"dsp"})
        assert seen == [(256, 256)]
