"""No name of a model reaches the C as anything but a comment or an escaped string: the code is the same whatever it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandgrain.base.errors import UsageError
from sandgrain.compiler import pipeline
from sandgrain.compiler.emit import bundle, ctext
from sandgrain.compiler.emit.model import Options
from sandgrain.device import targets
from sandgrain.formats.tflite import read as reader
from sandgrain.graph.ir import Graph
from tests.conftest import ROOT
from tests.support.c_programs import STRICT, as_file, host_compilers, mixed_graph, run_compiler, run_program
from tests.support.draws import rare

DIGITS = (ROOT / "sandgrain" / "demo" / "digits.tflite").read_bytes()
HOSTILE = (
    "*/ int evil(void) { return 1; } /*",
    "??/\nint evil; ??)",
    "a\nb\r\nc\tint evil;\x0b\x0c",
    '"; int evil = 1; char *q = "',
    "back\\",
    "\\\n#include <stdlib.h>",
    '#include "/etc/passwd"',
    "// */ //",
    "/* nested",
    "%s%n%d",
    "日本語 \u202e\u2028 ünï",
    "\x00\x01\x7f",
    "x" * 5000,
    "",
    "$(rm -rf .) `id` @SG_NOINLINE",
)


def renamed(graph: Graph, name: str) -> Graph:
    """Every tensor and the graph itself called `name`."""
    return replace(
        graph,
        name=name,
        tensors=tuple(replace(t, name=name) for t in graph.tensors),
        nodes=tuple(replace(n, name=name) for n in graph.nodes),
    )


def files(model: bytes, labels: tuple[str, ...] = (), target: str = "cortex-m4") -> dict[str, str]:
    return bundle.files(pipeline.compile_bytes(model, targets.load(target), Options("model"), labels).source)


def code(text: str) -> str:
    """Without comments and build id, which name what the model names."""
    return re.sub(r'BUILD_ID "[0-9a-f]{16}"', "BUILD_ID", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))


PLAIN = files(as_file(renamed(mixed_graph(), "plain")))


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_changes_nothing_but_comments(name: str) -> None:
    made = files(as_file(renamed(mixed_graph(), name)))
    assert {path: code(text) for path, text in made.items()} == {path: code(text) for path, text in PLAIN.items()}
    comments = re.findall(r"/\*.*?\*/", made["model.c"], re.DOTALL)
    assert all("??" not in c and "\\" not in c and c.isascii() for c in comments)
    assert max(map(len, made["model.c"].splitlines())) < 400


@rare
@given(name=st.text(max_size=80))
def test_no_text_changes_the_code(name: str) -> None:
    made = files(as_file(renamed(mixed_graph(), name.encode("utf-8", "replace").decode())))
    assert code(made["model.c"]) == code(PLAIN["model.c"]) and code(made["model.h"]) == code(PLAIN["model.h"])


@given(text=st.text(max_size=60))
def test_printable_text_is_one_plain_line(text: str) -> None:
    shown = ctext.printable(text)
    assert shown.isascii() and len(shown) <= 60 and not re.search(r"\*/|/\*|//|\?\?|\\|\n|\"|'", shown)
    assert all(ch.isprintable() for ch in shown)


@given(text=st.text(max_size=60))
def test_any_text_gives_an_identifier_that_the_check_accepts(text: str) -> None:
    assert ctext.check_identifier(ctext.identifier(text)) == ctext.identifier(text)


@pytest.mark.parametrize("name", ["", "1a", "a-b", "int", "sg_x", "a b", "é", "a" * 41, "x;y", "main", "_a", "a\n"])
def test_a_name_that_is_no_prefix_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        ctext.check_identifier(name)


@pytest.mark.parametrize("section", ["", '.a"', ".a)", ".a b", "a\n", "a" * 65, ".é", ".a\\"])
def test_a_section_that_could_end_its_string_is_refused(section: str) -> None:
    with pytest.raises(UsageError):
        ctext.check_section(section)


def test_labels_arrive_in_c_as_they_were(tmp_path: Path) -> None:
    labels = tuple(name for name in HOSTILE if "\x00" not in name and len(name) < 1000)
    compiler = next(iter(host_compilers().values()), None)
    if compiler is None:
        pytest.skip("no C compiler for this computer is installed")
    graph = reader.read(DIGITS, "model")
    assert len(graph.labels) == 0
    for path, text in files(DIGITS, labels, "host").items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text, "ascii")
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "model.c"\nint main(void)\n{\n    for (int k = 0; k < MODEL_LABEL_COUNT; k++) {\n'
        "        fputs(model_labels[k], stdout);\n        putchar(0);\n    }\n    return 0;\n}\n"
    )
    assert run_compiler([*compiler, *STRICT, "main.c", "-o", "program"], tmp_path) == ""
    assert run_program(tmp_path / "program", b"") == b"".join(label.encode() + b"\0" for label in labels)


def test_two_runs_give_the_same_bytes() -> None:
    assert files(DIGITS, HOSTILE) == files(DIGITS, HOSTILE)


@rare
def test_another_process_with_another_hash_seed_gives_the_same_bytes() -> None:
    script = (
        "import hashlib, sys; from sandgrain.compiler import pipeline; from sandgrain.device import targets; from sandgrain.compiler.emit import bundle; "
        "from sandgrain.compiler.emit.model import Options; "
        "c = pipeline.compile_bytes(sys.stdin.buffer.read(), targets.load('cortex-m4'), Options('model')); "
        "print(hashlib.sha256(repr(sorted(bundle.files(c.source).items())).encode()).hexdigest())"
    )
    digests = set()
    for seed in ("0", "1", "4242"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "TZ": f"UTC+{int(seed) % 12}", "LC_ALL": "C"}
        done = subprocess.run([sys.executable, "-c", script], input=DIGITS, env=env, capture_output=True, check=True, timeout=60)
        digests.add(done.stdout)
    assert len(digests) == 1


def test_the_build_id_changes_with_the_code_alone() -> None:
    def build_id(made: dict[str, str]) -> str:
        found = re.search(r'BUILD_ID "([0-9a-f]{16})"', made["model.h"])
        assert found is not None
        return found[1]

    changed = replace(mixed_graph(), outputs=mixed_graph().outputs[::-1])
    assert build_id(files(as_file(changed))) != build_id(PLAIN)
    assert build_id(files(as_file(renamed(mixed_graph(), "plain")))) == build_id(PLAIN)
