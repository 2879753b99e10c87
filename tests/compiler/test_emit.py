"""C text: literals that mean exactly their value, tables once, and code that reads as if typed by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandgrain.base.errors import UnsupportedError, UsageError
from sandgrain.compiler import pipeline
from sandgrain.compiler.emit import bundle, ctext
from sandgrain.compiler.emit.figures import Figures, figures_of
from sandgrain.compiler.emit.model import Options, generate, harness
from sandgrain.compiler.emit.structs import members
from sandgrain.compiler.emit.tables import Tables
from sandgrain.compiler.plan import Choice, plan
from sandgrain.device import targets
from sandgrain.graph.ir import Graph, Node, Tensor
from sandgrain.graph.quantization import per_tensor
from tests.conftest import ROOT

DIGITS = (ROOT / "sandgrain" / "demo" / "digits.tflite").read_bytes()


def digits(**options: str) -> dict[str, str]:
    return bundle.files(
        pipeline.compile_bytes(DIGITS, targets.load("cortex-m0plus"), Options(**{"name": "digits", **options})).source
    )


@given(value=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_literal_reads_back_as_the_same_float(value: float) -> None:
    text = ctext.real(value)
    assert re.fullmatch(r"-?\d+\.\d+e[+-]\d+f", text)
    assert np.float32(text[:-1]) == np.float32(value)


@given(value=st.integers(-(2**31), 2**31 - 1))
def test_an_int_literal_is_an_int32(value: int) -> None:
    assert ctext.number(value) == ("INT32_MIN" if value == -(2**31) else str(value))


def test_tables_wrap_and_hold_every_value() -> None:
    data = np.arange(-100, 100, dtype=np.int16)
    text = ctext.table("t", data)
    assert text.startswith("static const int16_t t[200] = {\n") and text.endswith("\n};\n")
    assert max(map(len, text.splitlines())) <= ctext.WIDTH + 2
    assert [int(v) for v in re.findall(r"-?\d+", text.split("{")[1])] == data.tolist()


def test_equal_arrays_are_one_table() -> None:
    tables = Tables("m")
    first = tables.name(np.arange(4, dtype=np.int8), "weights_0")
    assert tables.name(np.arange(4, dtype=np.int8).reshape(2, 2), "weights_1") == first == "m_weights_0"
    assert tables.name(np.arange(4, dtype=np.int32), "bias_1") == "m_bias_1"  # other bytes
    assert tables.nbytes == 4 + 16 and tables.text().count("static const") == 2


def test_the_code_states_its_cost_at_the_top() -> None:
    head = digits()["digits.h"].split("*/")[0]
    assert "147072 MACs" in head and "Arena" in head and "no heap" in head and "Kernels: " in head
    assert " * Not reentrant: " in head and " * Reentrant: " in digits(arena="caller")["digits.h"].split("*/")[0]


def test_figures_stand_in_the_header_and_change_neither_code_nor_build_id() -> None:
    source = pipeline.compile_bytes(DIGITS, targets.load("cortex-m4"), Options("digits")).source
    linked = Figures("d*/.tflite", "nucleo", "cortex-m4", "zig -O2", 100, 2000, 64, 12345, "sandgrain compile x -o again")
    planned = replace(linked, stack_bytes=None, instructions=None)
    measured, other = (bundle.files(source, figures) for figures in (linked, planned))
    head = measured["digits.h"].split("*/")[0]
    assert "RAM 100 bytes with a stack of at most 64, flash 2000 bytes: linked." in head and "12345 instructions" in head
    assert "RAM 100 and flash 2000 bytes: planned" in other["digits.h"] and "emulated" not in other["digits.h"]
    assert " * Made again, from this folder, by: sandgrain compile x -o again\n" in head and "d*/" not in head
    strip, plain = ({**made, "digits.h": made["digits.h"].split("#ifndef", 1)[1]} for made in (measured, bundle.files(source)))
    assert strip == plain and source.build_id in strip["digits.h"]
    assert figures_of(linked.to_json()) == linked and figures_of(planned.to_json()) == planned
    with pytest.raises(TypeError):
        figures_of({**linked.to_json(), "ram_bytes": "3"})


def test_a_view_says_why_its_number_is_missing() -> None:
    text = digits()["digits.c"]
    numbers = [int(k) for k in re.findall(r"^/\* (?:Layer|Number) (\d+)", text, re.MULTILINE)]
    assert numbers == list(range(len(numbers))) and "/* Number 7 is reshape" in text


def test_designators_stand_in_the_order_of_their_struct() -> None:
    for struct, body in re.findall(
        r"^static const struct (\w+) \w+ = \{\n(.*?)^\};", digits()["digits.c"], re.MULTILINE | re.DOTALL
    ):
        written = re.findall(r"^    \.(\w+)|(?<=, )\.(\w+)", body, re.MULTILINE)
        names = [a or b for a, b in written]
        assert names == [name for name in members(struct) if name in names], struct


def test_wrappers_name_what_they_are_given() -> None:
    graph = pipeline.compile_bytes(DIGITS, targets.load("host"), Options("x")).graph
    shared = frozenset(node.outputs[0] for node in graph.nodes)
    body = generate(plan(graph, (), Choice(shared=shared)), Options("x")).body
    wrappers = re.findall(r"^static SG_NOINLINE void x_\w+\(const struct \w+ \*p, ([^)]*)\)", body, re.MULTILINE)
    assert wrappers and all(re.fullmatch(r"(?:(?:const )?\w+ \*(?:input|output|scratch)(?:_\d)?(?:, )?)+", w) for w in wrappers)


def test_generated_lines_stay_short_and_carry_no_date_or_path() -> None:
    for path, text in digits().items():
        assert max(map(len, text.splitlines())) <= 160, path
        assert not re.search(r"20\d\d-\d\d|/home|/tmp|/work", text), path
        assert text.endswith("\n") and "\t" not in text and "\r" not in text


def test_layers_are_called_in_order_and_named_in_a_comment() -> None:
    text = digits()["digits.c"]
    defined = [int(k) for k in re.findall(r"^static SG_NOINLINE void digits_layer_(\d+)\(", text, re.MULTILINE)]
    called = [int(k) for k in re.findall(r"^    digits_layer_(\d+)\(arena\);", text, re.MULTILINE)]
    assert defined == called == sorted(called)
    assert [int(k) for k in re.findall(r"^/\* Layer (\d+): ", text, re.MULTILINE)] == called


def test_the_prefix_is_on_every_symbol() -> None:
    text = digits(name="Face_2")["Face_2.c"]
    names = re.findall(
        r"^(?:static |extern )?(?:const |SG_NOINLINE )*(?:struct \w+|union \w+|\w+)\s+(\w+)(?:\[\d+\])?(?: = |\(|;)",
        text,
        re.MULTILINE,
    )
    assert names and all(n.startswith(("Face_2_", "sg_copy")) for n in names), names


def test_an_output_that_no_input_reaches_is_refused() -> None:
    q = per_tensor(0.1, 0)
    constant = Tensor("k", (1, 4), "int8", q, np.zeros((1, 4), np.int8))
    tensors = (Tensor("x", (1, 4), "int8", q), Tensor("y", (1, 4), "int8", q), constant)
    graph = Graph("g", tensors, (Node("relu", "r", (0,), (1,)),), (0,), (1, 2))
    with pytest.raises(UnsupportedError, match="depends on no input"):
        generate(plan(graph, ()), Options("m"))


def test_options_are_checked_before_any_text_is_made() -> None:
    graph = pipeline.compile_bytes(DIGITS, targets.load("host"), Options("x")).graph
    with pytest.raises(UsageError, match="--name"):
        generate(plan(graph, ()), Options("a b"))
    with pytest.raises(UsageError, match="--arena-section"):
        generate(plan(graph, ()), Options("a", "static", 'x"'))


def test_the_harness_has_the_symbols_that_the_runners_look_for() -> None:
    source = pipeline.compile_bytes(DIGITS, targets.load("host"), Options("x", "caller")).source
    for symbol in (
        "sg_infer",
        "sg_input_count",
        "sg_input_bytes",
        "sg_inputs",
        "sg_output_count",
        "sg_output_bytes",
        "sg_outputs",
    ):
        assert symbol in harness(source)


def test_a_bundle_is_written_below_its_folder_alone(tmp_path: Path) -> None:
    source = pipeline.compile_bytes(DIGITS, targets.load("host"), Options("x")).source
    written = bundle.write(source, tmp_path / "deep" / "out")
    assert {p.relative_to(tmp_path / "deep" / "out").as_posix() for p in written} == set(bundle.files(source))
    assert all(p.read_text("ascii") for p in written)
