"""Many one-op graphs in one shared library: a compiler run for a batch, not for a case."""

from __future__ import annotations

import ctypes
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sandgrain.compiler.emit import bundle
from sandgrain.compiler.emit.model import Options, Source, generate
from sandgrain.compiler.plan import plan
from sandgrain.device.toolchain import build_shared
from sandgrain.graph.ir import Array, Graph

SANITIZE = ("-fsanitize=undefined", "-fno-sanitize-recover=all")


class Batch:
    """The C of every graph, compiled together; `run(k, inputs)` calls graph k on one sample."""

    def __init__(self, graphs: Sequence[Graph], features: Sequence[str] = (), flags: Sequence[str] = ("-O1",)) -> None:
        self.sources = [generate(plan(g, features), Options(f"case_{k}")) for k, g in enumerate(graphs)]
        work = Path(tempfile.mkdtemp(prefix="sandgrain-batch-"))
        weakref.finalize(self, shutil.rmtree, work, ignore_errors=True)
        parts = []
        for source in self.sources:
            bundle.write(source, work)
            parts.append(f'#include "{source.options.c_file}"')
        (work / "all.c").write_text("\n".join(parts), "ascii")
        build_shared([work / "all.c"], work / "all.so", include_dirs=[work], flags=list(flags))
        self._library = ctypes.CDLL(str(work / "all.so"))

    def run(self, k: int, inputs: Sequence[Array]) -> list[Array]:
        """Outputs of graph `k` for one sample."""
        source: Source = self.sources[k]
        graph = source.plan.graph
        outputs = [np.zeros(graph.tensors[i].shape, graph.tensors[i].dtype) for i in graph.outputs]
        arrays = [np.ascontiguousarray(x) for x in inputs] + outputs
        status = getattr(self._library, f"case_{k}_run")(*(ctypes.c_void_p(a.ctypes.data) for a in arrays))
        assert status == 0
        return outputs
