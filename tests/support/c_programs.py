"""C programs for the tests: models written to one folder, all of them in one program, and drivers that feed it bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Collection, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from sandgrain.compiler import pipeline
from sandgrain.compiler.emit import bundle
from sandgrain.compiler.emit.model import Options, Source, generate
from sandgrain.compiler.plan import Choice, plan
from sandgrain.device import targets
from sandgrain.device.toolchain import zig
from sandgrain.device.toolchain.process import environment
from sandgrain.formats.tflite import write as tflite
from sandgrain.graph.ir import Array, Graph, Node, Tensor, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import per_tensor
from sandgrain.kernels import Lowered, kernels_of
from tests.conftest import ROOT
from tests.support.draws import CASES, SeededDraw, new_seed
from tests.support.shared_files import MODELS

STRICT = (
    "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Wdouble-promotion", "-Wvla",
    "-Werror",
)  # fmt: skip
ANY_CORE = "-DSG_ANY_CORE"
SAMPLES_OF_AN_OP = 1 if CASES <= 100 else 3  # new ones in every run
SHARED = ("kws_ref_model", "ad01_int8", "pretrainedResnet_quant", "vww_96_int8", "micro_speech_quantized", "hello_world_int8")


def op_graphs(count: int = SAMPLES_OF_AN_OP) -> list[Graph]:
    """A few random graphs of every op."""
    return [op.sample(SeededDraw(new_seed(1000 + k))) for op in OPS.values() for k in range(count)]


def compact_graphs(count: int = SAMPLES_OF_AN_OP) -> list[tuple[Graph, str]]:
    """A few random graphs for every kernel of least code, which nothing but `--optimize size` takes."""
    found = []
    for op in OPS.values():
        for kernel in (k for k in kernels_of(op.name) if k.compact):
            drawn = (op.sample(SeededDraw(case)) for case in range(1000, 1500))
            found += [
                (g, kernel.name)
                for g in islice((g for g in drawn if isinstance(kernel.fit(g.view(g.nodes[0]), ()), Lowered)), count)
            ]
    return found


def mixed_graph() -> Graph:
    """Float and int8 inputs; float, int8 and twice-read outputs; every output by another way."""
    a, b = per_tensor(0.05, 3), per_tensor(0.02, -7)
    tensors = (
        Tensor("real", (1, 2, 5, 3), "float32"),
        Tensor("whole", (1, 2, 5, 3), "int8", b),
        Tensor("cut", (1, 2, 5, 3), "int8", a),
        Tensor("sum", (1, 2, 5, 3), "int8", a),
        Tensor("back", (1, 2, 5, 3), "float32"),
        Tensor("flat", (1, 30), "int8", a),
    )
    nodes = (
        Node("quantize", "q", (0,), (2,)),
        Node("add", "s", (2, 1), (3,), attrs(activation="none")),
        Node("dequantize", "d", (3,), (4,)),
        Node("reshape", "f", (3,), (5,), attrs(shape=(1, 30))),
    )
    return Graph("mixed", tensors, nodes, (0, 1), (4, 3, 5))


def unary(scale: float, zero_point: int, size: int = 4) -> Graph:
    """A model that does little, with an int8 input and output of this quantization."""
    q = per_tensor(scale, zero_point)
    tensors = (Tensor("x", (1, size), "int8", q), Tensor("y", (1, size), "int8", q))
    return Graph("unary", tensors, (Node("relu", "r", (0,), (1,)),), (0,), (1,))


def models() -> list[bytes]:
    """Whole models: the demo's, and those that others made where they are present."""
    paths = [ROOT / "sandgrain" / "demo" / "digits.tflite", *(MODELS / f"{name}.tflite" for name in SHARED)]
    return [path.read_bytes() for path in paths if path.is_file()]


def sources(features: Collection[str], whole: bool = True, arena: str = "static") -> list[Source]:
    """The C of every graph above for a core with `features`, each under its own prefix."""
    graphs = [*op_graphs(), mixed_graph()]
    made = [generate(plan(g, features), Options(f"case_{k}", arena)) for k, g in enumerate(graphs)]
    for k, (graph, kernel) in enumerate(compact_graphs()):
        tensor = graph.nodes[0].outputs[0]
        choice = Choice({tensor: kernel}, frozenset({tensor}) if k % 2 else frozenset())
        made.append(generate(plan(graph, features, choice), Options(f"compact_{k}", arena)))
    host = targets.load("host")
    for k, data in enumerate(models() if whole else []):
        compiled = pipeline.compile_bytes(data, host, Options(f"whole_{k}", arena), labels=("one", "two"))
        made.append(generate(plan(compiled.graph, features), Options(f"whole_{k}", arena)))
    return made


def write(made: Sequence[Source], folder: Path) -> Path:
    """Every bundle in its own folder, and all.c, which is all of them in one file. Returns all.c."""
    for source in made:
        bundle.write(source, folder / source.options.name)
    both = folder / "all.c"
    both.write_text("".join(f'#include "{s.options.name}/{s.options.c_file}"\n' for s in made), "ascii")
    return both


def host_compilers() -> dict[str, list[str]]:
    """The C compilers of this computer, by name, told that C made for other cores is meant to run here."""
    found = {name: [name, ANY_CORE] for name in ("gcc", "clang") if shutil.which(name)}
    return found | ({"zig": [*zig.host_command(), "-fno-sanitize=all", ANY_CORE]} if zig.host_command() else {})


def run_compiler(command: Sequence[str], folder: Path) -> str:
    """What the compiler has to say; "" when it is content."""
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, errors="replace", check=False, timeout=300
    )
    said = done.stdout + done.stderr
    return said or ("" if done.returncode == 0 else f"exit status {done.returncode}")


DRIVER = """\
#include <stdio.h>
#include <stdlib.h>
static void *take(size_t bytes)
{
    void *memory = malloc(bytes); /* of exactly this size, so that the sanitizer sees one byte too far */
    if (memory == 0 || fread(memory, 1, bytes, stdin) != bytes) {
        exit(9);
    }
    return memory;
}
static void give(void *memory, size_t bytes)
{
    if (fwrite(memory, 1, bytes, stdout) != bytes) {
        exit(9);
    }
    free(memory);
}
static void *room(size_t bytes)
{
    void *memory = malloc(bytes);
    if (memory == 0) {
        exit(9);
    }
    return memory;
}
"""


def driver(made: Sequence[Source], includes: str = '#include "all.c"\n') -> str:
    """main.c: reads every model's inputs from stdin, runs it on buffers of its own, writes its outputs to stdout."""
    parts = [includes, DRIVER, "int main(void)\n{\n"]
    for source in made:
        graph, name = source.plan.graph, source.options.name
        ports = [("take", i) for i in graph.inputs] + [("room", i) for i in graph.outputs]
        lines = [f"void *p{k} = {how}({graph.tensors[i].nbytes});" for k, (how, i) in enumerate(ports)]
        names = [f"p{k}" for k in range(len(ports))]
        caller = source.options.arena == "caller"
        if caller:
            lines.append(f"void *arena = room({max(source.plan.arena_bytes, 1)});")
        lines.append(f"if ({name}_run({', '.join((['arena'] if caller else []) + names)}) != 0) {{\nreturn 7;\n}}")
        lines += [
            f"{'free(' if how == 'take' else 'give('}p{k}{');' if how == 'take' else f', {graph.tensors[i].nbytes});'}"
            for k, (how, i) in enumerate(ports)
        ]
        lines += ["free(arena);"] if caller else []
        parts.append("{\n" + "\n".join(lines) + "\n}\n")
    return "".join([*parts, "return 0;\n}\n"])


def run_program(program: Path, data: bytes) -> bytes:
    """What the program answers; what it says on stderr (a sanitizer's finding) fails the test."""
    env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=1", "UBSAN_OPTIONS": "print_stacktrace=1"}
    done = subprocess.run([program], input=data, env=env, capture_output=True, check=False, timeout=300)
    assert done.returncode == 0 and not done.stderr, (done.returncode, done.stderr[:3000].decode(errors="replace"))
    return done.stdout


def flat(arrays: Sequence[Array]) -> bytes:
    return b"".join(np.ascontiguousarray(x).tobytes() for x in arrays)


def as_file(graph: Graph) -> bytes:
    return tflite.write(graph)
