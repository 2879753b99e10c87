"""NAME_push: samples come in any chunks, and nothing that is known is computed again.

    signal --> filters --> ring of one frame --> frame op --> ring of rows --> the model's layers
                           (or of a window)      (a row)      (a window)

The state is one struct that the caller owns. Frame ops run with the same compiled function as in a whole window, there for all its
frames and here for one, so both give the same bytes. The bookkeeping of the rings is kernels/runtime/sg_stream.h; what stands here is
the order of the calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sandgrain.compiler.emit import ctext, long_stream
from sandgrain.compiler.emit.part import Check, Part, put_all
from sandgrain.compiler.emit.unit import Unit
from sandgrain.compiler.plan.program import Entry
from sandgrain.compiler.plan.stream import StreamPlan
from sandgrain.compiler.plan.streaming import samples_per_result
from sandgrain.graph.dtypes import SCRATCH
from sandgrain.graph.ir import State, Tensor
from sandgrain.graph.ops import OPS
from sandgrain.kernels.base import In, Scratch

CHUNK = 64  # samples that pass the filters at a time, in a buffer on the stack


def _member(state: State) -> str:
    """C: a member of the struct. Bytes that a filter reads as words lie in a union with one."""
    ctype, comment = state.dtype.c_type, f" /* {state.says} */"
    if not state.shape:
        return f"    {ctype} {state.name};{comment}"
    if state.dtype == "uint8":
        return f"    union {{\n        int32_t alignment;\n        uint8_t bytes[{state.size}];\n    }} {state.name};{comment}"
    return f"    {ctype} {state.name}[{state.padded_bytes // state.dtype.unit_bytes}];{comment}"


class Stream(Part):
    name = "stream"
    place = 30
    runtime = ("runtime/sg_stream.h",)

    def __init__(self, unit: Unit) -> None:
        super().__init__(unit)
        entry, plan = unit.entry("push"), unit.plan.stream
        assert entry is not None and plan is not None
        self.entry: Entry = entry
        self.stream: StreamPlan = plan

    @classmethod
    def applies(cls, unit: Unit) -> bool:
        return unit.entry("push") is not None

    @property
    def _rows(self) -> Tensor:
        """What the rings stand for: the window of rows, or of samples."""
        return self.unit.graph.tensors[self.stream.held]

    @property
    def _output(self) -> str:
        out = self.unit.graph.tensors[self.unit.graph.outputs[0]]
        return f"{out.dtype.c_type} output[{out.units}]"

    @property
    def _push(self) -> str:
        name = self.unit.name
        return f"int32_t {name}_push({self.unit.memory}struct {name}_stream *s, const int16_t *samples, int32_t count, {self._output})"

    @property
    def _classify(self) -> str:
        name, first = self.unit.name, self.unit.graph.tensors[self.unit.graph.inputs[0]]
        return (
            f"int {name}_classify({self.unit.memory}struct {name}_stream *s, const int16_t window[{first.size}], {self._output})"
        )

    @property
    def _start(self) -> str:
        return f"void {self.unit.name}_start(struct {self.unit.name}_stream *s)"

    # --- NAME.h --------------------------------------------------------------------------------------------------------------

    def declaration(self) -> str:
        unit, upper = self.unit, self.unit.upper
        samples = unit.graph.tensors[unit.graph.inputs[0]].shape[1]
        every = samples_per_result(unit.graph, self.stream)
        step = f"{every // self.stream.stride} samples" if self.stream.frame is None else "rows of features"
        return "\n".join(
            [
                f"/* A stream: the caller owns it. {self.entry.state_bytes} bytes. A result comes after the first",
                f" * {samples} samples of every channel, and then after every {every}. */",
                f"#define {upper}_STREAM_STRIDE {self.stream.stride} /* {'times ' if self.stream.frame is None else ''}{step} */",
                f"struct {unit.name}_stream {{\n" + "\n".join(map(_member, self.entry.state)) + "\n};\n",
                "/* Take `count` samples of every channel, in any chunks. `output` receives the newest result. Returns how many results",
                f" * there were, or a negative status code. Push at most {every} samples at a time to see each. */",
                f"{self._push};\n",
                "/* Forget what came before. A stream must be started before its first push. */",
                f"{self._start};\n",
                f"/* One whole window of {samples} samples: starts the stream, takes the window, leaves the result in `output`. Returns a",
                " * status code. A stream that goes on has one of its own: this one forgets what came before. */",
                f"{self._classify};\n",
            ]
        )

    def facts(self) -> Mapping[str, Any]:
        return {"state_bytes": self.entry.state_bytes, "stride": self.stream.stride}

    # --- NAME.c --------------------------------------------------------------------------------------------------------------

    def definition(self) -> str:
        plan, graph = self.unit.plan, self.unit.graph
        out = graph.tensors[graph.outputs[0]]
        lines = [
            *([self._table()] if self.stream.frame is not None else []),
            self._push,
            "{",
            self.unit.arena_pointer,
            "    int32_t results = 0;",
            self.unit.check_pointers(["s", "samples", "output"], "-"),
            "    while (count > 0) {",
            *self._take(),
            f"        if (s->held < {self.stream.window}) {{\n            continue;\n        }}",
            *(self._window() if self.stream.frame is None else self._row()),
            f"        sg_copy(output, {ctext.plus('arena', plan.offsets[graph.outputs[0]])}, {out.nbytes});",
            "        results++;",
            "    }",
            "    return results;",
            "}\n",
            self._beginning(),
        ]
        return "\n".join(lines)

    def _table(self) -> str:
        """What the ring of rows is made of, as C."""
        name, stream = self.unit.name, self.stream
        row = self._rows.nbytes // stream.count
        return f"static const struct sg_stream_rows {name}_rows = {{\n    .window = {stream.count}, .row_bytes = {row}u,\n}};\n"

    def _take(self) -> list[str]:
        """As many samples as the ring has room for go through the filters and into it."""
        unit, stream, c = self.unit, self.stream, self.stream.channels
        given = unit.graph.tensors[unit.graph.inputs[0]].shape[2]
        place = f"s->samples + {ctext.times('s->held', c)}"
        if not stream.filters:
            return [
                f"        const int32_t n = sg_stream_take(count, {stream.window} - s->held, INT32_MAX);",
                f"        sg_copy({place}, samples, (uint32_t)n * {2 * c}u);",
                f"        samples = &samples[{ctext.times('n', c)}];\n        count -= n;\n        s->held += n;",
            ]
        factor, lines, source = 1, list[str](), "samples"
        for k, node in enumerate(stream.filters):
            step = OPS[unit.graph.nodes[node].op].step(unit.graph.view(unit.graph.nodes[node]))
            assert step is not None
            factor *= step.factor
            target = place if k == len(stream.filters) - 1 else f"chunk_{k % 2}"
            state = f"s->state_{k}.bytes" if step.state else "NULL"
            call = f"{unit.name}_layer_{node}({state}, {source}, {target}, {'n' if k == 0 else 'm'})"
            lines.append(f"        m = {call};" if not step.even else f"        {call};")
            source = target
        widest = max((unit.graph.tensors[unit.graph.nodes[node].outputs[0]].shape[2] for node in stream.filters[:-1]), default=c)
        return [
            *(f"        int16_t chunk_{k}[{CHUNK * widest}];" for k in range(min(len(stream.filters) - 1, 2))),
            f"        const int32_t n = sg_stream_take(count, ({stream.window} - s->held) * {factor}, {CHUNK});",
            "        int32_t m = n;",
            *lines,
            f"        samples = &samples[{ctext.times('n', given)}];\n        count -= n;\n        s->held += m;",
        ]

    def _slide(self) -> list[str]:
        stream, c = self.stream, self.stream.channels
        kept = stream.window - stream.hop
        move = f"        sg_stream_slide(s->samples, {kept * c}, {stream.hop * c});"
        return [*([move] if kept else []), f"        s->held = {kept};"]

    def _row(self) -> list[str]:
        """The frame in the ring becomes a row; the window of rows, where a result is due, goes through the layers behind."""
        unit, stream = self.unit, self.stream
        assert stream.frame is not None
        target = f"s->features + {ctext.times('s->next', self._rows.units // stream.count)}"
        offset = unit.plan.offsets[stream.held]
        return [
            f"        {unit.name}_layer_{stream.frame}({', '.join(self._arguments(stream.frame, 's->samples', target))});",
            *self._slide(),
            f"        sg_stream_row(&{unit.name}_rows, &s->rows, &s->next, &s->wait);",
            f"        if (s->rows < {stream.count} || s->wait > 0) {{\n            continue;\n        }}",
            f"        s->wait = {unit.upper}_STREAM_STRIDE;",
            f"        sg_stream_unroll(&{unit.name}_rows, {ctext.plus('arena', offset)}, s->features, s->next);",
            *self._rest(stream.frame),
        ]

    def _arguments(self, node: int, source: str, target: str) -> list[str]:
        """The arguments of a node's kernel for one row, in the kernel's order."""
        chosen, scratch = self.unit.plan.selected[node], self.unit.plan.scratch[node]
        assert chosen is not None
        (call,) = chosen.lowered.calls
        found = []
        for arg in call.args:
            if isinstance(arg, Scratch):
                assert scratch is not None
                found.append(f"({SCRATCH.c_type} *){ctext.operand('arena', scratch + arg.offset)}")
            else:
                found.append(source if isinstance(arg, In) else target)
        return found

    def _window(self) -> list[str]:
        """The window in the ring goes through the layers."""
        place = self.unit.plan.offsets.get(self.stream.held)
        copy = [] if place is None else [f"        sg_copy({ctext.plus('arena', place)}, s->samples, {self._rows.nbytes});"]
        return [*copy, *self._rest(max(self.stream.filters, default=-1)), *self._slide()]

    def _rest(self, last: int) -> list[str]:
        """The layers behind node `last`."""
        name = self.unit.name
        return [
            f"        {name}_layer_{layer.index}({', '.join(['arena', *('s->samples' for _ in layer.callers)])});\n        SG_TRACE({layer.index});"
            for layer in self.unit.layers
            if layer.index > last
        ]

    def _beginning(self) -> str:
        """The functions that begin anew."""
        name, upper = self.unit.name, self.unit.upper
        passed, samples = (
            "arena_memory, " if self.unit.caller else "",
            self.unit.graph.tensors[self.unit.graph.inputs[0]].shape[1],
        )
        lines = [f"{self._start}\n{{"]
        lines += [f"    s->{state.name} = 0;" for state in self.entry.state if not state.shape]
        for state in self.entry.state:
            if state.dtype == "uint8":
                lines.append(f"    for (int32_t i = 0; i < {state.size}; i++) {{\n        s->{state.name}.bytes[i] = 0;\n    }}")
        lines += [
            "}\n",
            self._classify,
            "{",
            "    int32_t results;",
            f"    if (s == NULL) {{\n        return {upper}_ERROR_NULL;\n    }}",
            f"    {name}_start(s);",
            f"    results = {name}_push({passed}s, window, {samples}, output);",
            f"    return results < 0 ? (int)-results : {upper}_OK;",
            "}\n",
        ]
        return "\n".join(lines)

    def harness(self, memory: str, slots: Mapping[str, str], *, pieces: bool, enters: str = "sg_infer") -> str:
        """One window, whole or in pieces of 1, 2, 3 ... samples, from the stream's start."""
        name, source, target = self.unit.name, slots["input_0"], slots["output_0"]
        head = f"\nstatic struct {name}_stream stream;\nint {enters}(void)\n{{\n"
        if not pieces:
            return head + f"    return {name}_classify({memory}&stream, {source}, {target});\n}}\n"
        samples, channels = self.unit.graph.tensors[self.unit.graph.inputs[0]].shape[1:]
        return head + (
            f"    const int16_t *samples = {source};\n"
            f"    int32_t left = {samples}, results = 0;\n"
            f"    {name}_start(&stream);\n"
            "    for (int32_t piece = 1; left > 0; piece = piece < 97 ? piece + 1 : 1) {\n"
            "        const int32_t n = piece < left ? piece : left;\n"
            f"        results += {name}_push({memory}&stream, samples, n, {target});\n"
            f"        samples += n * {channels};\n"
            "        left -= n;\n"
            "    }\n"
            "    return results == 1 ? 0 : 100 + results;\n}\n"
        )

    def checks(self, memory: str, rng: np.random.Generator) -> Iterator[Check]:
        """The stride, the size of the state, the status codes of null pointers, and a stream that goes on."""
        unit, name, upper = self.unit, self.unit.name, self.unit.upper
        samples, out = (f"({port.ctype} *)(void *)apart_{port.name}.bytes" for port in unit.ports)
        facts = [f"{upper}_STREAM_STRIDE", f"sizeof(struct {name}_stream)"]
        yield Check(", ".join(facts), put_all("int32_t", facts), np.array([self.stream.stride, self.entry.state_bytes], np.int32))
        pushes = [
            f"0, {samples}, 1, {out}",
            f"&stream, 0, 1, {out}",
            f"&stream, {samples}, 1, 0",
            f"&stream, {samples}, 0, {out}",
        ]
        code = put_all("int32_t", [f"{name}_push({memory}{push})" for push in pushes])
        yield Check(f"the status of {name}_push", code, np.array([-1, -1, -1, 0], np.int32))
        calls = [f"0, {samples}, {out}", f"&stream, 0, {out}", f"&stream, {samples}, 0"]
        code = put_all("int32_t", [f"{name}_classify({memory}{call})" for call in calls])
        yield Check(f"the status of {name}_classify", code, np.array([1, 1, 1], np.int32))
        yield long_stream.check(unit, self.stream, memory, rng)
