"""Many one-op graphs in one firmware on an emulated core, each with the kernel that is asked for, or that the plan chooses.

A compiler run for a batch, and one copy of a kernel for all the cases that call it, so that thousands of cases are cheap.
All cases run in one inference, one after another in one arena, and each finds there what the case before it left. The
bytes behind a case's arena are checked: a kernel that writes past its arena fails by the number of its case.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sandgrain.base.errors import RunError, ToolchainError
from sandgrain.compiler.emit import bundle
from sandgrain.compiler.emit.copies import SharedCopies
from sandgrain.compiler.emit.model import Options, Source, generate
from sandgrain.compiler.plan import Choice, plan
from sandgrain.device import targets
from sandgrain.device.run import open_emulator
from sandgrain.device.toolchain import Toolchain, build_firmware
from sandgrain.graph import interpret
from sandgrain.graph.ir import Array, Graph
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.base import Draw
from sandgrain.kernels import Lowered, kernels_of
from tests.support import network_shapes
from tests.support.draws import SeededDraw, random_inputs

GUARD = 32  # bytes behind an arena that must keep their paint
DRY = 40  # graphs in a row that a kernel does not accept, before their sampler is given up
OWN = 25  # one case in so many is compiled by itself, constants and all; the others share a copy of the kernel

# One copy of the generated code's copying loop: the compiler would spend its time on inlining it into every case.
HEAD = """\
#include <stdint.h>
#define SG_COPY
static __attribute__((noinline)) void sg_copy(void *to, const void *from, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) {
        ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    }
}
"""

RUNNER = """\
struct sg_case {
    int (*run)(void *arena, const uint8_t *in, uint8_t *out);
    uint32_t in, out, arena; /* where inputs and outputs begin in their blocks; bytes of the arena */
};
static union { int64_t alignment; uint8_t bytes[ARENA_BYTES]; } arena;
static union { int64_t alignment; uint8_t bytes[INPUT_BYTES]; } inputs;
static union { int64_t alignment; uint8_t bytes[OUTPUT_BYTES]; } outputs;
extern const uint32_t sg_input_count, sg_input_bytes[], sg_output_count, sg_output_bytes[];
extern void *const sg_inputs[], *const sg_outputs[];
const uint32_t sg_input_count = 1, sg_input_bytes[] = {INPUT_BYTES};
const uint32_t sg_output_count = 1, sg_output_bytes[] = {OUTPUT_BYTES};
void *const sg_inputs[] = {inputs.bytes};
void *const sg_outputs[] = {outputs.bytes};
int sg_infer(void);
int sg_infer(void)
{
    for (int k = 0; k < CASES; k++) {
        const struct sg_case *c = &cases[k];
        for (uint32_t i = 0; i < GUARD; i++) {
            arena.bytes[c->arena + i] = (uint8_t)(0xA5u ^ i);
        }
        if (c->run(arena.bytes, inputs.bytes + c->in, outputs.bytes + c->out) != 0) {
            return k + 1;
        }
        for (uint32_t i = 0; i < GUARD; i++) {
            if (arena.bytes[c->arena + i] != (uint8_t)(0xA5u ^ i)) {
                return -(k + 1);
            }
        }
    }
    return 0;
}
"""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A graph with the kernel for its node (None: the plan's choice), whether it calls the shared copy, one sample, and what must
    come out.
    """

    seed: int
    graph: Graph
    kernel: str | None
    shared: bool
    inputs: Sequence[Array]
    expected: Sequence[Array]

    def describe(self) -> str:
        node = self.graph.nodes[0]
        tensors = " ".join(f"{t.name}{t.shape}{t.quant}" for t in self.graph.tensors)
        return f"{node.op} by {self.kernel or 'the chosen kernel'}, seed {self.seed}: {dict(node.attrs)} {tensors}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a batch gave: a line for each case that failed, how many cases wrote their output over an input, and each one's kernel."""

    failures: list[str]
    in_place: int
    kernels: list[str]


def samplers(op: str) -> list[Callable[[Draw], Graph]]:
    """The op's own sample, and the shapes that networks are made of."""
    return [OPS[op].sample, *(make for name, make in vars(network_shapes).items() if name.startswith(f"{op}__"))]


def cases(op: str, kernel: str, features: frozenset[str], start: int, count: int) -> Iterator[Case]:
    """Up to `count` random cases of `op` that `kernel` accepts, from seed `start` on, from its samplers in turn.

    Most call one shared copy of the kernel; one in OWN gets code of its own, as the compiler specializes it. A sampler
    that has given DRY graphs in a row that the kernel does not accept is asked no more.
    """
    [chosen] = [k for k in kernels_of(op) if k.name == kernel]
    found, seed = 0, start
    fruitless = dict.fromkeys(samplers(op), 0)
    while found < count and (asked := [make for make, dry in fruitless.items() if dry < DRY]):
        make = asked[seed % len(asked)]
        graph = make(SeededDraw(seed))
        fits = isinstance(chosen.fit(graph.view(graph.nodes[0]), features), Lowered)
        fruitless[make] = 0 if fits else fruitless[make] + 1
        if fits:
            sample = [x[0] for x in random_inputs(graph, seed, 1)]
            yield Case(seed, graph, kernel, found % OWN != OWN - 1, sample, interpret.run(graph, sample))
            found += 1
        seed += 1


def run(batch: Sequence[Case], core: str, compiler: str, opt: str = "-O1") -> Outcome:
    """Every case of `batch` on `core`, compared with the reference byte for byte; in halves where the core's memory does not hold all."""
    try:
        return _run(batch, core, compiler, opt)
    except ToolchainError as error:
        if len(batch) == 1 or "does not fit" not in str(error):
            raise
    half = len(batch) // 2
    first, second = (run(part, core, compiler, opt) for part in (batch[:half], batch[half:]))
    failures, kernels = [*first.failures, *second.failures], [*first.kernels, *second.kernels]
    return Outcome(failures, first.in_place + second.in_place, kernels)


def run_chosen(
    graphs: Sequence[Graph],
    inputs: Sequence[Sequence[Array]],
    expected: Sequence[Sequence[Array]],
    core: str,
    compiler: str,
    opt: str,
) -> Outcome:
    """Every graph with the kernel that the plan chooses for it, one sample each, compared as in `run`."""
    triples = enumerate(zip(graphs, inputs, expected, strict=True))
    return run([Case(k, graph, None, False, x, y) for k, (graph, x, y) in triples], core, compiler, opt)


def _run(batch: Sequence[Case], core: str, compiler: str, opt: str) -> Outcome:
    board = targets.load(core)
    copies = SharedCopies("copy", always=True)
    sources = [_source(case, k, board.core.features, copies) for k, case in enumerate(batch)]
    kernels = [source.layers[0].kernel for source in sources]
    ins, in_bytes = _places([[x.nbytes for x in case.inputs] for case in batch])
    outs, out_bytes = _places([[x.nbytes for x in case.expected] for case in batch])
    block = bytearray(in_bytes)
    for case, places in zip(batch, ins, strict=True):
        for x, at in zip(case.inputs, places, strict=True):
            block[at : at + x.nbytes] = np.ascontiguousarray(x).tobytes()
    with tempfile.TemporaryDirectory(prefix="sandgrain-emulated-") as folder:
        work = Path(folder)
        (work / "all.c").write_text(_text(batch, sources, ins, outs, in_bytes, out_bytes, work), "ascii")
        elf = build_firmware([work / "all.c"], [work], board, work / "all.elf", Toolchain(compiler, opt))
        try:
            answer = open_emulator(elf, board).infer([bytes(block)])[0]
        except RunError as error:
            return Outcome([_explain(error, batch)], 0, kernels)
    failures = [
        f"output {j} of {case.describe()}"
        for case, places in zip(batch, outs, strict=True)
        for j, (want, at) in enumerate(zip(case.expected, places, strict=True))
        if not _same(np.frombuffer(answer, want.dtype, want.size, at), want.reshape(-1))
    ]
    return Outcome(failures, sum(writes_over_an_input(source) for source in sources), kernels)


def writes_over_an_input(source: Source) -> bool:
    """Whether the plan put output 0 over bytes of an input."""
    graph, offsets = source.plan.graph, source.plan.offsets
    out = graph.outputs[0]
    return any(
        offsets[i] < offsets[out] + graph.tensors[out].nbytes and offsets[out] < offsets[i] + graph.tensors[i].nbytes
        for i in graph.inputs
        if i != out and i in offsets
    )


def _same(a: Array, b: Array) -> bool:
    return bool(np.array_equal(a, b, equal_nan=b.dtype.kind == "f"))


def _source(case: Case, number: int, features: frozenset[str], copies: SharedCopies) -> Source:
    node = case.graph.nodes[0]
    shared = frozenset(node.outputs[:1]) if case.shared else frozenset[int]()
    choice = Choice() if case.kernel is None else Choice({node.outputs[0]: case.kernel}, shared)
    chosen = plan(case.graph, features, choice)
    return generate(chosen, Options(f"case_{number}", arena="caller"), copies)


def _places(sizes: Sequence[Sequence[int]]) -> tuple[list[list[int]], int]:
    """Offsets of the arrays in one block, each aligned to 8, and the bytes of the block."""
    at = 0
    places: list[list[int]] = []
    for case in sizes:
        places.append([])
        for size in case:
            places[-1].append(at)
            at += -(-size // 8) * 8
    return places, max(at, 8)


def _text(
    batch: Sequence[Case],
    sources: Sequence[Source],
    ins: list[list[int]],
    outs: list[list[int]],
    in_bytes: int,
    out_bytes: int,
    work: Path,
) -> str:
    """One C file: the cases' models, a copy of each shared kernel, the table of cases and what runs them."""
    parts = [HEAD]
    kernels: dict[tuple[str, ...], dict[str, str]] = {}  # of the cases that call the same files
    for k, source in enumerate(sources):
        called = source.files
        if called not in kernels:
            kernels[called] = bundle.kernel_files(source)
        for name, text in ((source.options.c_file, source.body), (source.options.h_file, source.header)):
            (work / name).write_text(text, "ascii")
        parts.append(f'#include "{source.options.c_file}"')
        parts.append(_call(k, batch[k], source, ins[k], outs[k]))
    (work / "kernels").mkdir()
    for name, text in {name: text for files in kernels.values() for name, text in files.items()}.items():
        (work / "kernels" / name).write_text(text, "ascii")
    rows = [f"    {{call_{k}, {(ins[k] or [0])[0]}, {outs[k][0]}, CASE_{k}_ARENA_BYTES}}," for k in range(len(batch))]
    arena = max(source.plan.arena_bytes for source in sources) + GUARD
    sizes = {"GUARD": GUARD, "CASES": len(batch), "INPUT_BYTES": in_bytes, "OUTPUT_BYTES": out_bytes, "ARENA_BYTES": arena}
    head, tail = RUNNER.split("};\n", 1)
    parts += [f"#define {name} {value}" for name, value in sizes.items()]
    return "\n".join([*parts, head + "};", "static const struct sg_case cases[] = {", *rows, "};", tail])


def _call(k: int, case: Case, source: Source, ins: list[int], outs: list[int]) -> str:
    """`call_k`: the case's run function on blocks of bytes."""
    arguments = ["arena"]
    for kind, places, arrays in (("in", ins, case.inputs), ("out", outs, case.expected)):
        const = "const " if kind == "in" else ""
        arguments += [f"({const}void *)({kind} + {at - places[0]})" for at, _ in zip(places, arrays, strict=True)]
    unused = "" if ins else "    (void)in;\n"
    return (
        f"static int call_{k}(void *arena, const uint8_t *in, uint8_t *out)\n{{\n{unused}"
        f"    return {source.options.name}_run({', '.join(arguments)});\n}}\n"
    )


def _explain(error: RunError, batch: Sequence[Case]) -> str:
    """A fault names `case_K_layer_0`, a bad status is K + 1, or -(K + 1) for bytes behind the arena."""
    text = str(error)
    if status := re.search(r"sg_infer returned (-?\d+)", text):
        number = int(status[1])
        what = "wrote behind its arena" if number < 0 else "refused its input"
        return f"{what}: {batch[abs(number) - 1].describe()}"
    named = re.search(r"case_(\d+)", text)
    return f"{text}: {batch[int(named[1])].describe()}" if named else text
