"""The parts of the generated interface: found in their folder, and reading state and entry points from the program."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sandgrain
from sandgrain import kernels
from sandgrain.compiler.emit import bundle, parts
from sandgrain.compiler.emit.model import Options, generate
from sandgrain.compiler.emit.part import part_types
from sandgrain.compiler.plan import plan
from sandgrain.compiler.plan.stream import stream_plan
from sandgrain.frontend.blocks import parse
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.frontend.pipeline import Normalization, Pipeline
from sandgrain.frontend.signal import Channel, Signal
from sandgrain.graph.ir import Graph, Node, Tensor
from sandgrain.graph.ops.signal import decimate
from sandgrain.graph.quantization import per_tensor
from tests.c.test_linking import CPP, c_compiler, cpp_compiler
from tests.conftest import ROOT
from tests.support.c_bundles import digits, kinds, streaming
from tests.support.c_programs import STRICT, run_compiler, run_program

GREETING = """
from sandgrain.compiler.emit.part import Part


class Greeting(Part):
    name = "greeting"
    place = 70

    @classmethod
    def applies(cls, unit):
        return bool(unit.graph.labels)

    def declaration(self):
        return f"int {self.unit.name}_greet(void);\\n"

    def definition(self):
        return f"int {self.unit.name}_greet(void)\\n{{\\n    return 7;\\n}}\\n"

    def facts(self):
        return {"polite": True}
"""


@pytest.fixture
def another_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file more in the folder of parts."""
    (tmp_path / "greeting.py").write_text(GREETING)
    monkeypatch.setattr(parts, "__path__", [*parts.__path__, str(tmp_path)])
    part_types.cache_clear()
    yield
    part_types.cache_clear()
    sys.modules.pop(f"{parts.__name__}.greeting", None)


def test_a_file_in_the_folder_is_a_part(another_part: None) -> None:
    source = digits(Options("digits"), ("a", "b"))
    assert "int digits_greet(void);" in source.header and "return 7;" in source.body
    assert source.facts["greeting"] == {"polite": True} and source.has("greeting")
    assert not digits(Options("digits")).has("greeting")  # which has no labels


def test_a_bundle_says_which_parts_it_has() -> None:
    made = {kind: set(bundle.source.facts) for kind, bundle in kinds().items()}
    assert made["plain"] == {"ports", "arena", "run"}
    assert made["labels"] == {"ports", "arena", "run", "labels"}
    assert made["alarm"] == {"ports", "arena", "run", "alarm"}
    assert made["stream and decide"] == {"ports", "signal", "arena", "stream", "labels", "decide"}


def test_parts_stand_in_an_order_in_which_each_uses_those_before_it() -> None:
    assert [kind.name for kind in part_types()] == [
        "ports",
        "signal",
        "centre",
        "arena",
        "run",
        "stream",
        "labels",
        "decide",
        "alarm",
        "number",
    ]


def test_the_program_knows_the_size_of_every_struct(tmp_path: Path) -> None:
    """`state_bytes`, which reports and headers give, is what the compiler says."""
    source = streaming(Options("heard"))
    lines = [f'    printf("%d ", (int)sizeof(struct heard_{e.keeps}));\n' for e in source.program.entries if e.keeps]
    bundle.write(source, tmp_path)
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "heard.h"\nint main(void)\n{\n' + "".join(lines) + "    return 0;\n}\n"
    )
    assert run_compiler([*c_compiler(), "main.c", "-o", "program"], tmp_path) == ""
    sizes = [int(word) for word in run_program(tmp_path / "program", b"").split()]
    assert sizes == [e.state_bytes for e in source.program.entries if e.keeps] and len(sizes) == 2


@pytest.mark.parametrize("room", ["compiler/plan", "compiler/emit"])
def test_the_core_knows_no_family_of_ops(room: str) -> None:
    for path in (ROOT / "sandgrain" / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith("sandgrain.graph.ops.signal"), path.name


def test_generated_code_writes_no_member_of_a_parameter_struct() -> None:
    for made in kinds().values():
        assert not re.search(r"\bp\.\w+ = ", made.source.body)


def test_a_stream_takes_as_many_samples_as_its_filters_need() -> None:
    """11 samples by 4 are 2, as 11 by 5 are: the factor is the op's, not the quotient of the lengths."""
    q = per_tensor(2.0**-15, 0)
    tensors = (Tensor("x", (1, 11, 1), "int16", q), Tensor("y", (1, 2, 1), "int16", q))
    node = Node("decimate", "d", (0,), (1,), decimate.attributes(4, 8, 40.0))
    graph = Graph("g", tensors, (node,), (0,), (1,))
    assert stream_plan(graph, 4).window == 2
    assert "sg_stream_take(count, (2 - s->held) * 4, 64)" in generate(plan(graph, (), stride=4), Options("m")).body


RUNTIME = sorted(path.name for path in (kernels.FOLDER / "runtime").glob("*.h"))


@pytest.mark.parametrize("name", RUNTIME)
def test_the_runtime_is_clean_c_and_cpp(name: str, tmp_path: Path) -> None:
    include = f"-I{kernels.FOLDER / 'runtime'}"
    copies = name in ("sg_run.h", "sg_stream.h")  # a static function must have a user
    use = "void use(void *a, void *b);\nvoid use(void *a, void *b)\n{\n    sg_copy(a, b, 8);\n}\n" if copies else ""
    for suffix in ("c", "cpp"):
        (tmp_path / f"t.{suffix}").write_text(f'#include "{name}"\n{use}')
    assert run_compiler([*c_compiler(), *STRICT, "-Wcast-align", include, "-c", "t.c"], tmp_path) == ""
    assert run_compiler([*cpp_compiler(), *CPP, "-Wcast-align", include, "-c", "t.cpp"], tmp_path) == ""


@pytest.mark.parametrize(
    ("blocks", "stride", "said"),
    [
        ([{"block": "statistics"}], 5, "40 samples of every channel, and then after every 5. */"),
        (
            [{"block": "decimate", "factor": 2}, {"block": "statistics"}],
            6,
            "40 samples of every channel, and then after every 6. */",
        ),
        (
            [{"block": "spectrogram", "window_ms": 80, "hop_ms": 40}],
            8,
            "and then after every 8. */\n#define HEARD_STREAM_STRIDE 2 /* rows of features */",
        ),
    ],
)
def test_the_header_says_after_how_many_samples_a_result_comes(
    blocks: list[dict[str, Any]], stride: int, said: str, tmp_path: Path
) -> None:
    assert said in header(tmp_path, blocks, stride, (Channel("x", "g", 4.0),))


def header(folder: Path, blocks: list[dict[str, Any]], stride: int, channels: tuple[Channel, ...]) -> str:
    """NAME.h of features called `heard`, of windows of 40 samples at 100 Hz."""
    signal = Signal("motion", (40, len(channels)), 100.0, channels)
    front = FrontEnd(Pipeline(signal, parse(blocks)), Normalization((0.0,), (1.0,)), stride)
    sandgrain.compile(None, features=front, target="cortex-m4", out=folder / "heard", name="heard", measure=False)
    return (folder / "heard" / "heard.h").read_text()


@pytest.mark.parametrize(
    ("of", "stride", "centres", "said"),
    [
        ("start", 5, False, "A stream takes it once, behind\n * heard_start, for all of its windows. It gives no result before 0.5 s. */"),
        ("start", 0, False, "They are measured against the lead: the start of the recording. */"),
        ("before", 5, False, "the HEARD_LEAD_SAMPLES just before it, which a stream keeps.\n * It gives no result before 0.5 s. */"),
        ("before", 0, False, "the HEARD_LEAD_SAMPLES just before it. */"),
        ("before", 5, True, "HEARD_WINDOW_SAMPLES samples of the signal, the lead among them; ask at each new one, and call heard_classify\n"),
        ("start", 0, True, "the lead among them; ask at each new one, and call heard_run\n * with them where this says 1, which is 24 "),
    ],
)  # fmt: skip
def test_the_header_says_what_stands_in_front_of_a_window(of: str, stride: int, centres: bool, said: str, tmp_path: Path) -> None:
    blocks = [{"block": "settle", "seconds": 0.1, "of": of}, {"block": "statistics"}]
    text = header(tmp_path, blocks, stride, (Channel("x", "g", 4.0, centres), Channel("y", "g", 4.0)))
    assert said in text and "A window is HEARD_LEAD_SAMPLES, the lead, and behind them the 40 that" in text
    assert "and the values of\n * its channels together" in text
    assert ("heard_push does not ask" in text) == (centres and stride > 0)
    assert not re.search(r"(?<!HEARD_)(LEAD|WINDOW)_SAMPLES", text), "every name has the prefix"
    assert max(len(line) for line in text.splitlines() if "Made again" not in line) <= 128
