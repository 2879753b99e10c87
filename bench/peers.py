"""Other compilers of networks, from PyPI (`pip install sandgrain[bench]`): the same model in, the same compiler, the same
emulated core, one inference counted. None of them is needed for anything else, and what is not installed is left out.

BakeNN reads int8 .tflite files of a narrower form than the shared models, so each is rewritten first (`narrowed`), and
Sandgrain compiles the rewritten file too. emlearn has float32 dense nets only; it gets the real numbers that the model's
int8 weights stand for.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jobs import Compiler, model_path

import sandgrain
from sandgrain.base.errors import SandgrainError
from sandgrain.bundle import samples, tune
from sandgrain.bundle.measure import EMPTY, firmware
from sandgrain.bundle.store import load_bundle
from sandgrain.device import targets
from sandgrain.device.run import open_emulator
from sandgrain.device.run.elf import sections
from sandgrain.device.run.trace import Trace
from sandgrain.device.toolchain import Toolchain, available_compilers, build_firmware
from sandgrain.formats.tflite import read
from sandgrain.formats.tflite import write as exporter
from sandgrain.graph.ir import Array, Graph, Node, attrs, with_nodes

CORE = "cortex-m4"
PEERS = ("bakenn", "emlearn")
DIALECT = "-std=c11 -fhosted"  # BakeNN writes C11 and leaves its loads to the built-in memcpy
SPEED = tune.FLAGS["speed"]

HARNESS = """\
#include <stdint.h>
{head}
int sg_infer(void);
extern const uint32_t sg_input_count, sg_input_bytes[], sg_output_count, sg_output_bytes[];
extern void *const sg_inputs[], *const sg_outputs[];
static {type} in[{inputs}], out[{outputs}];
const uint32_t sg_input_count = 1, sg_input_bytes[] = {{sizeof in}}, sg_output_count = 1, sg_output_bytes[] = {{sizeof out}};
void *const sg_inputs[] = {{in}}, *const sg_outputs[] = {{out}};
int sg_infer(void) {{ {call} }}
"""

# What the peers include and a freestanding compiler does not have; only the names are needed.
HEADERS = {
    "stdlib.h": "#include <stddef.h>\n",
    "stdio.h": "#include <stddef.h>\n",
    "string.h": "#include <stddef.h>\nvoid *memcpy(void *, const void *, size_t);\nvoid *memset(void *, int, size_t);\n",
    "math.h": '#define INFINITY __builtin_inff()\n#define NAN __builtin_nanf("")\n'
    "float expf(float);\nfloat logf(float);\nfloat tanhf(float);\nfloat fabsf(float);\n",
}

FIGURES = ("instructions", "ram_bytes", "code_bytes", "weight_bytes", "stack_bytes")

Row = dict[str, Any]


@dataclass(frozen=True)
class Program:
    """A peer's C for one model: what is compiled, and the harness that calls it."""

    sources: tuple[Path, ...]
    includes: tuple[Path, ...]
    harness: str
    defines: tuple[str, ...] = ()


class RefusedError(Exception):
    """A peer that cannot take a model; the text says why."""


def measure(models: Sequence[str], compilers: Sequence[Compiler]) -> list[Row]:
    """A row for each model, installed peer and compiler; a refusal is a row without figures."""
    installed = [name for name in PEERS if importlib.util.find_spec(name)]
    usable = [c for c in compilers if c in available_compilers(targets.load(CORE))]
    return [row for model in models for peer in installed for row in _rows(model, peer, usable)]


def _rows(model: str, peer: str, compilers: Sequence[Compiler]) -> Iterator[Row]:
    label = f"{peer} {version(peer)}"
    try:
        graph = narrowed(read.read(model_path(model).read_bytes(), model))
        inputs = [np.ascontiguousarray(x[0]) for x in samples.random(graph, 1).inputs]
        variants = _bakenn(graph) if peer == "bakenn" else _emlearn(graph)
        for compiler in compilers:
            ours, answer = _ours(graph, inputs, compiler)
            found = [_run(name, make, graph, inputs, answer, compiler) for name, make in variants]
            counted = [row for row in found if row["instructions"] is not None]
            best = min(counted, key=lambda row: row["instructions"]) if counted else found[-1]
            yield {"model": model, "peer": label, "compiler": compiler, "sandgrain_instructions": ours, **best}
    except (RefusedError, SandgrainError) as error:
        yield {"model": model, "peer": label, "compiler": "-", "sandgrain_instructions": None, **_nothing(str(error))}


def _nothing(note: str) -> Row:
    return {**dict.fromkeys(FIGURES), "answers": "-", "note": note}


# --- building and running --------------------------------------------------------------------------------------------


def _run(variant: str, make: Any, graph: Graph, inputs: list[Array], answer: list[bytes], compiler: Compiler) -> Row:
    """Build one variant of a peer's C and count one inference of it."""
    with tempfile.TemporaryDirectory(prefix="sandgrain-peer-") as folder:
        work = Path(folder)
        try:
            elf = link(make(work), work, compiler, SPEED)
        except (RefusedError, SandgrainError) as error:
            return _nothing(f"{variant}: {error}")
        core = open_emulator(elf, targets.load(CORE))
        as_float = core.inputs[0].size == 4 * inputs[0].size
        sample = _real(inputs[0], graph, graph.inputs[0]) if as_float else inputs[0]
        trace = core.profile([sample.tobytes()])
        counted = figures(elf, trace, compiler, f"{SPEED} {DIALECT}")
    return {**counted, "answers": _compare(trace.outputs[0], answer[0], graph, as_float), "note": variant}


def link(program: Program, work: Path, compiler: str, flag: str) -> Path:
    """The firmware of a peer's C around its harness, in `work`. `flag`: how it is optimized. Raises ToolchainError."""
    (work / "harness.c").write_text(program.harness, "utf-8")
    sources = [*program.sources, work / "harness.c"]
    opt = " ".join([flag, DIALECT, *(f"-D{name}" for name in program.defines)])
    return build_firmware(sources, program.includes, targets.load(CORE), work / "firmware.elf", Toolchain(compiler, opt))


def figures(elf: Path, trace: Trace, compiler: str, opt: str) -> Row:
    """What a firmware and one inference of it need, bytes above an empty program's with the same options. Sandgrain's are counted with it too.

    In a peer's dialect the start-up code calls `memset` and `memcpy`, so its empty program holds them and they cost the peer nothing.
    """
    sizes, base = sections(elf), _empty(compiler, opt)
    above = {k: sizes[k] - base[k] for k in sizes}
    return {
        "instructions": trace.instructions,
        "ram_bytes": above["data"] + above["bss"],
        "code_bytes": above["text"],
        "weight_bytes": above["rodata"] + above["data"],
        "stack_bytes": trace.stack_bytes,
    }


def _ours(graph: Graph, inputs: list[Array], compiler: Compiler) -> tuple[int | None, list[bytes]]:
    """Sandgrain's instructions for the same file, and its answer."""
    with tempfile.TemporaryDirectory(prefix="sandgrain-peer-") as folder:
        path, out = Path(folder) / "model.tflite", Path(folder) / "out"
        path.write_bytes(exporter.write(graph))
        sandgrain.compile(path, target=CORE, out=out, compiler=compiler, optimize="speed")
        bundle = load_bundle(out)
        with firmware(bundle.build) as core:
            trace = core.profile([x.tobytes() for x in inputs])
    return trace.instructions, trace.outputs


@cache
def _empty(compiler: str, opt: str) -> dict[str, int]:
    """Section sizes of firmware without a model."""
    with tempfile.TemporaryDirectory(prefix="sandgrain-peer-") as folder:
        path = Path(folder) / "empty.c"
        path.write_text(EMPTY, "ascii")
        return sections(build_firmware([path], [], targets.load(CORE), Path(folder) / "e.elf", Toolchain(compiler, opt)))


def _real(values: Array, graph: Graph, tensor: int) -> Array:
    """int8 values of a tensor as the real numbers they stand for, float32."""
    t = graph.tensors[tensor]
    return ((values.astype(np.float32) - t.zero_point) * t.scale).astype(np.float32)


def _compare(got: bytes, want: bytes, graph: Graph, as_float: bool) -> str:
    """How a peer's answer differs from Sandgrain's, in int8 steps."""
    ours = np.frombuffer(want, np.int8).astype(np.float64)
    if as_float:
        out = graph.tensors[graph.outputs[0]]
        theirs = np.frombuffer(got, np.float32) / out.scale + out.zero_point
        return f"float, {np.abs(np.clip(theirs, -128, 127) - ours).max():.1f} steps off"
    off = int(np.abs(np.frombuffer(got, np.int8) - ours).max())
    return "equal" if off == 0 else f"up to {off} steps off"


# --- BakeNN ----------------------------------------------------------------------------------------------------------


def narrowed(graph: Graph) -> Graph:
    """`graph` in the form that BakeNN's importer takes: batch 1 written down, no softmax at the end, dense layers of rank 2.

    Arithmetic and weights stay. conv -> (1, 25, 20, 8) -> dense -> softmax becomes conv -> reshape (1, 4000) -> dense.
    """
    last = graph.nodes[-1]
    if last.op == "softmax":
        graph = with_nodes(graph, graph.nodes[:-1], outputs=(last.inputs[0],))
    tensors, nodes = list(graph.tensors), []
    for node in graph.nodes:
        x = graph.tensors[node.inputs[0]]
        if node.op == "fully_connected" and len(x.shape) != 2:
            shape = (1, x.size)
            tensors.append(replace(x, name=f"{x.name}_flat", shape=shape))
            flat = len(tensors) - 1
            nodes.append(Node("reshape", f"{node.name}_flat", (node.inputs[0],), (flat,), attrs(shape=shape)))
            node = replace(node, inputs=(flat, *node.inputs[1:]))
        nodes.append(node)
    return replace(graph, tensors=tuple(tensors), nodes=tuple(nodes))


def _bakenn(graph: Graph) -> list[tuple[str, Any]]:
    import bakenn

    def generate(work: Path, options: Any) -> None:
        (work / "model.tflite").write_bytes(exporter.write(graph))
        bakenn.compile_tflite(work / "model.tflite", work / "out", name="net", backend_options=options)

    return [(name, lambda work, o=options: bakenn_program(work, generate, o)) for name, options in bakenn_ways().items()]


def bakenn_ways() -> dict[str, Any]:
    """BakeNN's three ways: portable C, its own DSP kernels, and the CMSIS-NN it carries."""
    import bakenn

    own = {"kernel_policy": bakenn.KernelPolicy.STATIC_PRIORITY, "target": bakenn.CORTEX_M4}
    ways = {"portable C": {}, "its DSP kernels": own, "its CMSIS-NN": {**own, "enable_cmsis_nn": True}}
    return {name: bakenn.CBackendOptions(**way) for name, way in ways.items()}


ARENA = "BKNN_NET_ARENA_SIZE > 0 ? BKNN_NET_ARENA_SIZE : 1"


def bakenn_program(work: Path, generate: Callable[[Path, Any], Any], options: Any) -> Program:
    """What BakeNN writes to `work`/out when `generate(work, options)` calls it with the name "net". Raises RefusedError."""
    import bakenn

    try:
        generate(work, options)
    except bakenn.BakeNNError as error:
        raise RefusedError(str(error).splitlines()[0]) from None
    harness = HARNESS.format(
        head=f'#include "bknn_net.h"\nstatic _Alignas(16) uint8_t arena[{ARENA}];',
        type="_Alignas(16) int8_t",
        inputs="BKNN_NET_INPUT_BYTES",
        outputs="BKNN_NET_OUTPUT_BYTES",
        call="bknn_net_infer(arena, in, out); return 0;",
    )
    headers = _headers(work / "headers")
    includes = {path.parent for path in (work / "out").rglob("*.h")}
    named = (work / "out" / "bakenn_sources.cmake").read_text("utf-8").partition("COMPILE_DEFINITIONS")[2]
    defines = tuple(named.strip(" )\n").split())
    return Program(tuple(sorted((work / "out").rglob("*.c"))), (*sorted(includes), headers), harness, defines)


# --- emlearn ---------------------------------------------------------------------------------------------------------

# Linked for activations that these nets do not have.
NEVER_CALLED = "".join(f"float {name}(float);\nfloat {name}(float x) {{ return x; }}\n" for name in ("expf", "logf", "tanhf"))
ACTIVATIONS = {"none": "identity", "relu": "relu"}


def _emlearn(graph: Graph) -> list[tuple[str, Any]]:
    other = sorted({n.op for n in graph.nodes} - {"fully_connected", "reshape"})
    if other:
        raise RefusedError(f"it has dense nets only, not {other[0]}")
    return [("float32", lambda work: _emlearn_program(graph, work))]


def _emlearn_program(graph: Graph, work: Path) -> Program:
    """emlearn's C for a chain of dense layers: the int8 weights and int32 biases as the real numbers they stand for."""
    import emlearn
    from emlearn.net import c_generate_net_loadable

    activations, weights, biases = [], [], []
    for node in (n for n in graph.nodes if n.op == "fully_connected"):
        _, w, b = (graph.view(node).optional(k) for k in range(3))
        assert w is not None and w.data is not None and w.quant is not None
        scale = np.array(w.quant.scale, np.float32)
        weights.append((w.data.astype(np.float32) * scale.reshape(-1, 1)).T)
        bias = np.zeros(w.shape[0]) if b is None or b.data is None else b.data * scale * graph.view(node).input(0).scale
        biases.append(bias.astype(np.float32))
        activations.append(ACTIVATIONS[str(node.attrs["activation"])])
    (work / "net.c").write_text(c_generate_net_loadable(activations, weights, biases, "net"), "utf-8")
    n_in, n_out = weights[0].shape[0], weights[-1].shape[1]
    harness = HARNESS.format(
        head="int32_t net_regress(const float *, int32_t, float *, int32_t);\n" + NEVER_CALLED,
        type="float",
        inputs=n_in,
        outputs=n_out,
        call=f"return (int)net_regress(in, {n_in}, out, {n_out});",
    )
    return Program((work / "net.c",), (Path(emlearn.includedir), _headers(work / "headers")), harness)


def _headers(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in HEADERS.items():
        (folder / name).write_text(text, "ascii")
    return folder
