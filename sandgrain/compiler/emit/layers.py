"""The body of NAME.c: a parameter table and a function a layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from sandgrain.compiler.emit import ctext
from sandgrain.compiler.emit.copies import Parameters, SharedCopies
from sandgrain.compiler.emit.structs import members as struct_members
from sandgrain.compiler.emit.tables import Tables
from sandgrain.compiler.plan import Plan, Selected
from sandgrain.graph.dtypes import SCRATCH
from sandgrain.graph.ir import Graph, Node, Tensor
from sandgrain.graph.ops import OPS
from sandgrain.kernels.base import Arg, Call, Fields, In, Out, Scratch


@dataclass(frozen=True, slots=True)
class Layer:
    """One step of the plan that has code. `index` counts nodes in execution order, views included.

    `weight_bytes`: constant tables that this layer was the first to ask for.
    """

    index: int
    op: str
    name: str
    kernel: str
    macs: int
    weight_bytes: int
    sources: tuple[str, ...]
    text: str
    reads: tuple[tuple[int, int, int], ...]  # (tensor, arena offset, bytes) of each output
    callers: tuple[int, ...] = ()  # graph inputs that it reads where the caller keeps them
    shared: bool = False  # calls a copy of a kernel that other calls go to as well


def shape_text(tensor: Tensor) -> str:
    return "x".join(str(d) for d in tensor.shape) or "scalar"


class Emitter:
    """Writes the layers of one plan. Equal constants, parameter structs and shared kernels are written once."""

    def __init__(self, plan: Plan, prefix: str, copies: SharedCopies | None = None, place: str = "") -> None:
        self.plan = plan
        stream = plan.stream
        self._streamed = frozenset(() if stream is None else stream.front)  # nodes that run in the stream's memory
        self.prefix = prefix
        self.tables = Tables(prefix, place)
        self._structs: dict[tuple[str, str], str] = {}  # (function, members) -> name
        self._copies = copies or SharedCopies(prefix)
        self._callers = Counter(self._copy_key(call, node) for node, call in self._sharing())
        self._outside = {i: port for k, i in enumerate(plan.graph.inputs) if i not in plan.offsets for port in [f"input_{k}"]}

    def layers(self) -> list[Layer]:
        """Every node that has code, in execution order."""
        steps = zip(self.plan.graph.nodes, self.plan.selected, strict=True)
        made: list[Layer] = []
        views = ""  # those since the last layer; their numbers would be missing without a word
        for k, (node, chosen) in enumerate(steps):
            if chosen is None:
                views += f"/* Number {k} is {node.op} {ctext.printable(node.name)}: a view, its output is its input's bytes. */\n"
                continue
            layer = self._layer(k, node, chosen)
            made.append(replace(layer, text=views + layer.text))
            views = ""
        return made

    def _layer(self, index: int, node: Node, chosen: Selected) -> Layer:
        plan, before, calls = self.plan, self.tables.nbytes, chosen.lowered.calls
        head: list[str] = [self._title(index, node)]
        if index in self._streamed:
            return self._made(index, node, chosen, before, self._streamable(calls[0], index, node, head), (), ())
        lines = []
        for k, call in enumerate(calls):
            hint = f"{index}" + (f"_{k}" if len(calls) > 1 else "")
            struct = self._struct(call, hint, head)
            arguments = [self._argument(node, index, a) for a in call.args]
            function = self._shared_copy(call, node, head) if self._is_shared(call, node) else call.function
            lines.append(f"    {function}({', '.join([f'&{struct}', *arguments])});")
        unused = "" if any("arena" in line for line in lines) else "    (void)arena;\n"
        outside = tuple(dict.fromkeys(i for i in node.inputs if i in self._outside))
        parameters = ", ".join(["uint8_t *arena", *(f"const {self._ctype(i)} *{self._outside[i]}" for i in outside)])
        body = f"static SG_NOINLINE void {self.prefix}_layer_{index}({parameters})\n{{\n{unused}" + "\n".join(lines) + "\n}\n"
        reads = tuple((t, plan.offsets[t], plan.graph.tensors[t].nbytes) for t in node.outputs)
        made = self._made(index, node, chosen, before, "\n".join([*head, body]), reads, outside)
        return replace(made, shared=any(self._is_shared(call, node) for call in calls))

    def _made(self, index: int, node: Node, chosen: Selected, before: int, text: str,
              reads: tuple[tuple[int, int, int], ...], outside: tuple[int, ...]) -> Layer:  # fmt: skip
        """The layer; constants beyond `before` bytes are its own."""
        macs, sources = (
            OPS[node.op].macs(self.plan.graph.view(node)),
            tuple(dict.fromkeys(c.source for c in chosen.lowered.calls)),
        )
        return Layer(
            index, node.op, node.name, chosen.kernel.name, macs, self.tables.nbytes - before, sources, text, reads, outside
        )

    def _title(self, index: int, node: Node) -> str:
        tensors = self.plan.graph.tensors
        ins = ", ".join(shape_text(tensors[i]) for i in node.inputs if i >= 0 and tensors[i].data is None)
        outs = ", ".join(shape_text(tensors[i]) for i in node.outputs)
        macs = OPS[node.op].macs(self.plan.graph.view(node))
        work = f", {macs} MACs" if macs else ""
        return f"/* Layer {index}: {node.op} {ctext.printable(node.name)}, {ins} -> {outs}{work} */"

    def _struct(self, call: Call, hint: str, head: list[str]) -> str:
        """The name of the call's parameter struct; a new one is written to `head`."""
        members = self._members(call.function, call.fields, hint)
        name = self._structs.setdefault((call.function, members), f"{self.prefix}_p{hint}")
        if name == f"{self.prefix}_p{hint}":
            head.append(f"static const struct {call.function} {name} = {{\n{members}\n}};")
        return name

    def _members(self, struct: str, fields: Fields, hint: str, indent: str = "    ") -> str:
        """`.field = value,` of each, in lines, in the order of the C struct; a struct in a block of its own."""
        lines: list[str] = []
        items: list[str] = []
        inner, known = struct_members(struct), list(struct_members(struct))
        for field, value in sorted(fields.items(), key=lambda item: known.index(item[0])):
            if isinstance(value, dict):
                lines += [ctext.wrap(items, indent)] if items else []
                items = []
                lines.append(f"{indent}.{field} = {{\n{self._members(inner[field], value, hint, indent + '    ')}\n{indent}}},")
                continue
            if isinstance(value, np.ndarray):
                text = self.tables.name(value, f"{field}_{hint}")
            elif isinstance(value, tuple):
                text = "{" + ", ".join(ctext.number(v) for v in value) + "}"
            else:
                text = ctext.number(value)
            items.append(f".{field} = {text}")
        return "\n".join([*lines, *([ctext.wrap(items, indent)] if items else [])])

    def _streamable(self, call: Call, index: int, node: Node, head: list[str]) -> str:
        """A layer in front of a stream's rows: a function of samples or of one frame, in the stream's memory."""
        step = OPS[node.op].step(self.plan.graph.view(node))
        assert step is not None
        call = replace(call, fields={**call.fields, **dict(step.fields)})
        struct, name = self._struct(call, f"{index}", head), f"static SG_NOINLINE {{}} {self.prefix}_layer_{index}"
        if step.takes == "samples":
            kind, back = ("void", "") if step.even else ("int32_t", "return ")
            head.append(
                f"{name.format(kind)}(void *state, const int16_t *in, int16_t *out, int32_t count)\n{{\n"
                f"    {back}{call.function}_step(&{struct}, state, in, out, count);\n}}\n"
            )
        else:
            parameters = self._parameters(node, call)
            declared = ", ".join(f"{ctype} *{word}" for ctype, word in parameters)
            passed = ", ".join(["&p", *(word for _, word in parameters)])
            # A copy of the table: compilers then keep its members in registers (1 to 2.5 % fewer instructions on a Cortex-M4).
            head.append(
                f"{name.format('void')}({declared})\n{{\n    const struct {call.function} p = {struct};\n    {call.function}({passed});\n}}\n"
            )
        return "\n".join(head)

    def _sharing(self) -> Iterator[tuple[Node, Call]]:
        """The calls of the layers that are to share code."""
        for index, (node, chosen) in enumerate(zip(self.plan.graph.nodes, self.plan.selected, strict=True)):
            if chosen is not None and node.outputs[0] in self.plan.shared and index not in self._streamed:
                yield from ((node, call) for call in chosen.lowered.calls)

    def _copy_key(self, call: Call, node: Node) -> tuple[str, ...]:
        return (call.function, *(self._type(node, a) for a in call.args))

    def _is_shared(self, call: Call, node: Node) -> bool:
        """Whether a call goes to a copy of the kernel that others call too. One of a kind needs no function around it."""
        return node.outputs[0] in self.plan.shared and (self._copies.always or self._callers[self._copy_key(call, node)] > 1)

    def _shared_copy(self, call: Call, node: Node, head: list[str]) -> str:
        """The name of the one copy of a kernel that layers share; written to `head` when it is new."""
        name, text = self._copies.take(call, self._parameters(node, call))
        head += [text] if text else []
        return name

    def _parameters(self, node: Node, call: Call) -> Parameters:
        """(type, name) of what a kernel's pointers point to: input, output and scratch, numbered where there are several."""
        words = ["input" if isinstance(a, In) else "output" if isinstance(a, Out) else "scratch" for a in call.args]
        several = {word for word, count in Counter(words).items() if count > 1}
        names = [f"{word}_{words[:k].count(word)}" if word in several else word for k, word in enumerate(words)]
        return [(self._type(node, a), name) for a, name in zip(call.args, names, strict=True)]

    def _type(self, node: Node, arg: Arg) -> str:
        if isinstance(arg, Scratch):
            return f"const {SCRATCH.c_type}" if arg.const else SCRATCH.c_type
        tensor = node.inputs[arg.index] if isinstance(arg, In) else node.outputs[arg.index]
        return f"const {self._ctype(tensor)}" if isinstance(arg, In) else self._ctype(tensor)

    def _ctype(self, tensor: int) -> str:
        return self.plan.graph.tensors[tensor].dtype.c_type

    def _argument(self, node: Node, index: int, arg: Arg) -> str:
        graph, offsets = self.plan.graph, self.plan.offsets
        if isinstance(arg, In):
            tensor = node.inputs[arg.index]
            data = graph.tensors[tensor].data
            if data is not None:
                return self.tables.name(graph.tensors[tensor].dtype.stored(data), f"const_{index}_{arg.index}")
            if tensor in self._outside:
                assert arg.offset == 0, f"{node.name}: an offset into what the caller keeps"
                return self._outside[tensor]
            return pointer(graph, tensor, offsets[tensor] + arg.offset, const=True)
        if isinstance(arg, Out):
            tensor = node.outputs[arg.index]
            return pointer(graph, tensor, offsets[tensor] + arg.offset, const=False)
        scratch = self.plan.scratch[index]
        assert scratch is not None, f"{node.name}: the kernel uses scratch and asked for none"
        return f"({self._type(node, arg)} *){ctext.operand('arena', scratch + arg.offset)}"


def pointer(graph: Graph, tensor: int, offset: int, *, const: bool, base: str = "arena") -> str:
    """A typed pointer into the arena. Wider types go through void *: offsets are multiples of 4, as the plan makes them."""
    ctype = graph.tensors[tensor].dtype.c_type
    qualified = f"const {ctype}" if const else ctype
    through = "" if graph.tensors[tensor].dtype == SCRATCH else "(void *)"
    return f"({qualified} *){through}{ctext.operand(base, offset)}"
