"""The streaming half of a bundle: samples come in any chunks, and nothing that is known is computed again.

    signal ──► filters ──► ring of one frame ──► frame op ──► ring of rows ──► the model's layers
                           (or of a window)      (a row)      (a window)

The state is one struct that the caller owns. Frame ops run with the same compiled function as in a whole window, there
for all its frames and here for one, so both give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from sandgrain.compiler.emit.layers import Layer
from sandgrain.compiler.plan import Plan
from sandgrain.compiler.plan.stream import Shape
from sandgrain.graph.ir import Graph, Tensor
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.signal.base import SignalOp
from sandgrain.kernels.base import In, Scratch

CHUNK = 64  # samples that pass the filters at a time, in a buffer on the stack


def row_tensor(graph: Graph, shape: Shape) -> Tensor:
    return graph.tensors[shape.held]


def state_bytes(graph: Graph, shape: Shape) -> int:
    """sizeof(struct NAME_stream): the counters, the filters' states, the ring of samples, the rows."""
    total = (
        4 * (1 if shape.frame is None else 4)
        + sum(_state(graph, node) for node in shape.filters)
        + _align(2 * shape.window * shape.channels)
    )
    return total + (_align(row_tensor(graph, shape).nbytes) if shape.frame is not None else 0)


def _align(size: int) -> int:
    return -(-size // 4) * 4


def _state(graph: Graph, node: int) -> int:
    op = OPS[graph.nodes[node].op]
    assert isinstance(op, SignalOp)
    made = op.stream(graph.view(graph.nodes[node]))
    assert made is not None
    return _align(made)


def declaration(graph: Graph, shape: Shape, name: str, caller: bool) -> str:
    """The struct and the functions, for NAME.h."""
    upper = name.upper()
    held = row_tensor(graph, shape)
    members = ["    int32_t held; /* samples in the ring */"]
    if shape.frame is not None:
        members.append("    int32_t rows; /* rows made so far, at most a window of them */")
        members.append("    int32_t next; /* where the next row goes: the oldest one's place */")
        members.append("    int32_t wait; /* rows until the next result */")
    members += [
        f"    union {{\n        int32_t alignment;\n        uint8_t bytes[{_state(graph, node)}];\n    }} state_{k}; /* of filter {k} */"
        for k, node in enumerate(shape.filters)
    ]
    members.append(f"    int16_t samples[{_align(2 * shape.window * shape.channels) // 2}];")
    if shape.frame is not None:
        members.append(f"    {held.dtype.c_type} features[{_align(held.nbytes) // held.dtype.unit_bytes}]; /* a ring of rows */")
    first = graph.tensors[graph.inputs[0]]
    window = f"const int16_t window[{first.size}]"
    memory = "void *arena_memory, " if caller else ""
    return "\n".join([
        f"/* A stream: the caller owns it. {state_bytes(graph, shape)} bytes. A result comes after the first",
        f" * window and then every {upper}_STREAM_STRIDE {'rows' if shape.frame is not None else 'windows'}. */",
        f"#define {upper}_STREAM_STRIDE {shape.stride}",
        f"struct {name}_stream {{\n" + "\n".join(members) + "\n};\n",
        "/* Take `count` samples of every channel, in any chunks. `output` receives the newest result. Returns how many results",
        " * there were, or a negative status code. */",
        declaration_of_push(graph, name, caller) + ";\n",
        f"/* Forget what came before. A stream must be started before its first push. */\nvoid {name}_start(struct {name}_stream *s);\n",
        f"/* One whole window of {first.shape[1]} samples: starts the stream, takes the window, leaves the result in `output`. Returns a",
        " * status code. */",
        f"int {name}_classify({memory}struct {name}_stream *s, {window}, {_output(graph)});\n",
    ])  # fmt: skip


def definition(plan: Plan, shape: Shape, layers: Sequence[Layer], name: str, caller: bool) -> str:
    """The function, for NAME.c. `layers`: all of the plan's, of which those behind the front are called."""
    graph, upper = plan.graph, name.upper()
    out = graph.tensors[graph.outputs[0]]
    arena = "(uint8_t *)arena_memory" if caller else f"{name}_arena.bytes"
    pointers = [*(["arena_memory"] if caller else []), "s", "samples", "output"]
    lines = [
        declaration_of_push(graph, name, caller),
        "{",
        f"    uint8_t *const arena = {arena};",
        "    int32_t results = 0;",
        f"    if ({' || '.join(f'{p} == 0' for p in pointers)}) {{\n        return -{upper}_ERROR_NULL;\n    }}",
        *(
            [f"    if (((uintptr_t)arena_memory & 7u) != 0u) {{\n        return -{upper}_ERROR_ALIGNMENT;\n    }}"]
            if caller
            else []
        ),
        "    while (count > 0) {",
        *_take(graph, shape, name),
        f"        if (s->held < {shape.window}) {{\n            continue;\n        }}",
        *(_window(plan, shape, layers, name) if shape.frame is None else _row(plan, shape, layers, name)),
        f"        sg_copy(output, arena + {plan.offsets[graph.outputs[0]]}, {out.nbytes});",
        "        results++;",
        "    }",
        "    return results;",
        "}\n",
        _start(graph, shape, name, caller),
    ]
    return "\n".join(lines)


def _output(graph: Graph) -> str:
    out = graph.tensors[graph.outputs[0]]
    return f"{out.dtype.c_type} output[{out.units}]"


def _start(graph: Graph, shape: Shape, name: str, caller: bool) -> str:
    """The functions that begin anew, for NAME.c."""
    upper, first = name.upper(), graph.tensors[graph.inputs[0]]
    members = ["held"] if shape.frame is None else ["held", "rows", "next", "wait"]
    lines = [f"void {name}_start(struct {name}_stream *s)\n{{", *(f"    s->{m} = 0;" for m in members)]
    for k, node in enumerate(shape.filters):
        lines.append(f"    for (int32_t i = 0; i < {_state(graph, node)}; i++) {{\n        s->state_{k}.bytes[i] = 0;\n    }}")
    memory, passed = ("void *arena_memory, ", "arena_memory, ") if caller else ("", "")
    lines += [
        "}\n",
        f"int {name}_classify({memory}struct {name}_stream *s, const int16_t window[{first.size}], {_output(graph)})",
        "{",
        "    int32_t results;",
        f"    if (s == 0) {{\n        return {upper}_ERROR_NULL;\n    }}",
        f"    {name}_start(s);",
        f"    results = {name}_push({passed}s, window, {first.shape[1]}, output);",
        f"    return results < 0 ? (int)-results : {upper}_OK;",
        "}\n",
    ]
    return "\n".join(lines)


def declaration_of_push(graph: Graph, name: str, caller: bool) -> str:
    arena = "void *arena_memory, " if caller else ""
    return f"int32_t {name}_push({arena}struct {name}_stream *s, const int16_t *samples, int32_t count, {_output(graph)})"


def _take(graph: Graph, shape: Shape, name: str) -> list[str]:
    """As many samples as the ring has room for go through the filters and into it."""
    c, place = shape.channels, f"s->samples + s->held * {shape.channels}"
    if not shape.filters:
        return [
            f"        const int32_t room = {shape.window} - s->held;",
            "        const int32_t n = count < room ? count : room;",
            f"        sg_copy({place}, samples, (uint32_t)n * {2 * c}u);",
            f"        samples += n * {c};\n        count -= n;\n        s->held += n;",
        ]
    factor = 1
    lines, source = [], "samples"
    for k, node in enumerate(shape.filters):
        view = graph.view(graph.nodes[node])
        step = max(view.input(0).shape[1] // max(view.out.shape[1], 1), 1)
        factor *= step
        target = place if k == len(shape.filters) - 1 else f"chunk_{k % 2}"
        given = "n" if k == 0 else "m"
        call = f"{name}_layer_{node}(s->state_{k}.bytes, {source}, {target}, {given})"
        lines.append(f"        m = {call};" if step > 1 else f"        {call};")
        source = target
    chunks = [f"        int16_t chunk_{k}[{CHUNK * c}];" for k in range(min(len(shape.filters) - 1, 2))]
    return [
        *chunks,
        f"        int32_t n = ({shape.window} - s->held) * {factor}, m;",
        f"        n = n < {CHUNK} ? n : {CHUNK};\n        n = n < count ? n : count;\n        m = n;",
        *lines,
        f"        samples += n * {c};\n        count -= n;\n        s->held += m;",
    ]


def _slide(shape: Shape) -> list[str]:
    kept, c = shape.window - shape.hop, shape.channels
    move = f"        for (int32_t i = 0; i < {kept * c}; i++) {{\n            s->samples[i] = s->samples[i + {shape.hop * c}];\n        }}"
    return [*([move] if kept else []), f"        s->held = {kept};"]


def _row(plan: Plan, shape: Shape, layers: Sequence[Layer], name: str) -> list[str]:
    graph, held = plan.graph, plan.graph.tensors[shape.held]
    assert shape.frame is not None
    width = held.units // shape.count
    parts = [shape.frame, *shape.rows]
    lines, source = [], "s->samples"
    for k, node in enumerate(parts):
        tensor = graph.tensors[graph.nodes[node].outputs[0]]
        last = k == len(parts) - 1
        if not last:
            lines.append(f"        {tensor.dtype.c_type} row_{k}[{tensor.units // tensor.shape[1]}];")
        target = f"s->features + s->next * {width}" if last else f"row_{k}"
        lines.append(f"        {name}_layer_{node}({', '.join(_arguments(plan, node, source, target))});")
        source = target
    offset, total, row = plan.offsets[shape.held], held.nbytes, held.nbytes // shape.count
    return [
        *lines,
        *_slide(shape),
        f"        s->next = s->next + 1 < {shape.count} ? s->next + 1 : 0;",
        f"        s->rows += s->rows < {shape.count} ? 1 : 0;\n        s->wait -= s->wait > 0 ? 1 : 0;",
        f"        if (s->rows < {shape.count} || s->wait > 0) {{\n            continue;\n        }}",
        f"        s->wait = {name.upper()}_STREAM_STRIDE;",
        f"        sg_copy(arena + {offset}, s->features + s->next * {width}, {total}u - (uint32_t)s->next * {row}u);",
        f"        sg_copy(arena + {offset + total} - s->next * {row}, s->features, (uint32_t)s->next * {row}u);",
        *_rest(layers, max(parts), name),
    ]


def _arguments(plan: Plan, node: int, source: str, target: str) -> list[str]:
    """The arguments of a node's kernel for one row, in the kernel's order."""
    chosen, scratch = plan.selected[node], plan.scratch[node]
    assert chosen is not None
    (call,) = chosen.lowered.calls
    found = []
    for arg in call.args:
        if isinstance(arg, Scratch):
            assert scratch is not None
            found.append(f"(int8_t *)(arena + {scratch + arg.offset})")
        else:
            found.append(source if isinstance(arg, In) else target)
    return found


def _window(plan: Plan, shape: Shape, layers: Sequence[Layer], name: str) -> list[str]:
    place = plan.offsets.get(shape.held)
    copy = [] if place is None else [f"        sg_copy(arena + {place}, s->samples, {plan.graph.tensors[shape.held].nbytes});"]
    return [*copy, *_rest(layers, max(shape.filters, default=-1), name), *_slide(shape)]


def _rest(layers: Sequence[Layer], last: int, name: str) -> list[str]:
    """The layers behind node `last`."""
    return [
        f"        {name}_layer_{layer.index}({', '.join(['arena', *('s->samples' for _ in layer.callers)])});\n        SG_TRACE({layer.index});"
        for layer in layers
        if layer.index > last
    ]


def harness(graph: Graph, name: str, source: str, target: str, *, caller: bool, pieces: bool) -> str:
    """sg_infer for a stream: one window, whole or in pieces of 1, 2, 3 ... samples, from the stream's start."""
    memory = "memory.bytes, " if caller else ""
    head = f"\nstatic struct {name}_stream stream;\nint sg_infer(void)\n{{\n"
    if not pieces:
        return head + f"    return {name}_classify({memory}&stream, {source}, {target});\n}}\n"
    samples, channels = graph.tensors[graph.inputs[0]].shape[1:]
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
