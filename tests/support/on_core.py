"""Up to 64 one-op graphs in one firmware, on an emulated core: a build for a batch, and every case in one inference."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sandgrain.compiler.emit import bundle
from sandgrain.compiler.emit.model import Options, generate
from sandgrain.compiler.plan import plan
from sandgrain.device import targets
from sandgrain.device.run import open_emulator
from sandgrain.device.toolchain import Toolchain, build_firmware
from sandgrain.graph.ir import Array, Graph


def run_on_core(
    graphs: Sequence[Graph], inputs: Sequence[Sequence[Array]], core: str, compiler: str = "zig", opt: str = "-O2"
) -> tuple[list[list[Array]], list[str]]:
    """The outputs of each graph for its inputs, and the kernel that each was given."""
    board = targets.load(core)
    sources = [generate(plan(g, board.core.features), Options(f"case_{k}")) for k, g in enumerate(graphs)]
    work = Path(tempfile.mkdtemp(prefix="sandgrain-core-"))
    try:
        parts, calls = [], []
        slots: dict[str, list[tuple[str, int]]] = {"input": [], "output": []}
        for k, (graph, source) in enumerate(zip(graphs, sources, strict=True)):
            bundle.write(source, work)
            parts.append(f'#include "{source.options.c_file}"')
            names = []
            for kind, indices in (("input", graph.inputs), ("output", graph.outputs)):
                for j, index in enumerate(indices):
                    names.append(f"CASE_{k}_{kind.upper()}_{j}_SLOT")
                    slots[kind].append((names[-1], graph.tensors[index].nbytes))
            calls.append(f"    if (case_{k}_run({', '.join(names)})) {{\n        return {k + 1};\n    }}")
        for kind, found in slots.items():
            parts.append(f"extern const uint32_t sg_{kind}_count, sg_{kind}_bytes[];\nextern void *const sg_{kind}s[];")
            parts.append(f"const uint32_t sg_{kind}_count = {len(found)};")
            parts.append(f"const uint32_t sg_{kind}_bytes[] = {{{', '.join(str(size) for _, size in found)}}};")
            parts.append(f"void *const sg_{kind}s[] = {{{', '.join(name for name, _ in found)}}};")
        parts.append("int sg_infer(void);\nint sg_infer(void)\n{\n" + "\n".join(calls) + "\n    return 0;\n}\n")
        (work / "all.c").write_text("\n".join(parts), "ascii")
        elf = build_firmware([work / "all.c"], [work], board, work / "all.elf", Toolchain(compiler, opt))
        results = iter(open_emulator(elf, board).infer([np.ascontiguousarray(x).tobytes() for sample in inputs for x in sample]))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    outputs = [
        [np.frombuffer(next(results), graph.tensors[i].dtype).reshape(graph.tensors[i].shape) for i in graph.outputs]
        for graph in graphs
    ]
    return outputs, [source.layers[0].kernel for source in sources]
