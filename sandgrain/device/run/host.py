"""The generated C on this machine: compiled to a shared library, called through ctypes, fast enough for data sets."""

from __future__ import annotations

import ctypes
import shutil
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sandgrain.base.errors import RunError, UsageError
from sandgrain.base.scratch import folder as temporary_folder
from sandgrain.device.toolchain import build_shared
from sandgrain.graph.ir import Array, Graph, Tensor

# Loops and tracing around `sg_infer`; `samples` inferences, each port's samples one after another.
DRIVER = """\
#include <stdint.h>
#include <string.h>
extern int sg_infer(void);
extern const uint32_t sg_input_count, sg_input_bytes[], sg_output_count, sg_output_bytes[];
extern void *const sg_inputs[];
extern void *const sg_outputs[];
void (*sg_trace_hook)(int layer);
int sg_batch(const uint8_t *const *in, uint8_t *const *out, int64_t samples);
int sg_batch(const uint8_t *const *in, uint8_t *const *out, int64_t samples)
{
    for (int64_t s = 0; s < samples; s++) {
        for (uint32_t k = 0; k < sg_input_count; k++) {
            memcpy(sg_inputs[k], in[k] + s * sg_input_bytes[k], sg_input_bytes[k]);
        }
        const int status = sg_infer();
        if (status != 0) {
            return status;
        }
        for (uint32_t k = 0; k < sg_output_count; k++) {
            memcpy(out[k] + s * sg_output_bytes[k], sg_outputs[k], sg_output_bytes[k]);
        }
    }
    return 0;
}
"""

# Put before NAME.c when tracing: each layer is followed by a call to the hook.
TRACE = """\
extern void (*sg_trace_hook)(int layer);
#define SG_TRACE(layer) sg_trace_hook(layer)
"""


Reads = Sequence[tuple[int, int, int]]  # (tensor, arena offset, bytes)


class HostModel:
    """A compiled bundle loaded into this process.

    `code`: NAME.c, with NAME.h and kernels/ beside it. `graph` gives the shapes and dtypes of inputs and outputs.
    """

    def __init__(self, code: Path, graph: Graph, harness_text: str, *, trace: bool = False) -> None:
        self.graph = graph
        work = temporary_folder()
        weakref.finalize(self, shutil.rmtree, work, ignore_errors=True)
        (work / "harness.c").write_text(harness_text, "ascii")
        (work / "driver.c").write_text(DRIVER, "ascii")
        (work / "trace.h").write_text(TRACE, "ascii")
        library = work / "model.so"
        flags = ["-include", str(work / "trace.h")] if trace else []
        build_shared([code, work / "harness.c", work / "driver.c"], library, flags, include_dirs=[code.parent])
        self._library = ctypes.CDLL(str(library))

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Every sample: inputs [n, *shape] in the graph's dtypes, outputs [n, *shape]."""
        graph, samples = self.graph, len(inputs[0])
        ins = [_batch(x, graph.tensors[i], samples) for x, i in zip(inputs, graph.inputs, strict=True)]
        outs = [np.zeros((samples, graph.tensors[i].nbytes), np.uint8) for i in graph.outputs]
        pointers = ctypes.c_void_p * len(ins)
        out_pointers = ctypes.c_void_p * len(outs)
        status = self._library.sg_batch(
            pointers(*(x.ctypes.data for x in ins)), out_pointers(*(y.ctypes.data for y in outs)), ctypes.c_int64(samples)
        )
        if status:
            raise RunError(f"the model returned status {status} on the host")
        return [_values(y, graph.tensors[i]) for y, i in zip(outs, graph.outputs, strict=True)]

    def trace(self, inputs: Sequence[Array], reads: Sequence[Reads], output_offset: int) -> list[list[bytes]]:
        """One sample, and after each layer the bytes it wrote: `reads` a layer, in execution order.

        `output_offset`: arena offset of output 0, from which the arena's address follows. Needs `trace=True`.
        """
        base = ctypes.c_size_t.in_dll(self._library, "sg_outputs").value - output_offset
        seen: list[list[bytes]] = []

        def after(layer: int) -> None:
            seen.append([ctypes.string_at(base + offset, size) for _, offset, size in reads[len(seen)]])

        callback = ctypes.CFUNCTYPE(None, ctypes.c_int)(after)
        ctypes.c_void_p.in_dll(self._library, "sg_trace_hook").value = ctypes.cast(callback, ctypes.c_void_p).value
        self.run([x[np.newaxis] for x in inputs])
        return seen


def _batch(x: Array, tensor: Tensor, samples: int) -> Array:
    """Samples [n, ...] of an input as they lie in memory, one after another."""
    dtype, shape = tensor.dtype, tensor.shape
    if x.dtype != dtype.numpy or x[0].size != tensor.size or len(x) != samples:
        raise UsageError(f"input {shape} {dtype} was given samples of {x.shape[1:]} {x.dtype}")
    if dtype.packing is None:
        return np.ascontiguousarray(x)
    return np.frombuffer(b"".join(dtype.pack(row) for row in x), np.uint8)


def _values(raw: Array, tensor: Tensor) -> Array:
    """Bytes [n, tensor.nbytes] as values [n, *tensor.shape]."""
    if tensor.dtype.packing is None:
        return raw.view(tensor.dtype.numpy).reshape(len(raw), *tensor.shape)
    return np.stack([tensor.dtype.unpack(row.tobytes(), tensor.shape) for row in raw])
