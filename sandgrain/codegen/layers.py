"""The body of model.c: a parameter table and a function a layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sandgrain.codegen import ctext
from sandgrain.codegen.tables import Tables
from sandgrain.ir import Graph, Node, Tensor
from sandgrain.ops import OPS, Kernel
from sandgrain.ops.base import Arg, Call, In, Out
from sandgrain.plan import Plan


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


def shape_text(tensor: Tensor) -> str:
    return "x".join(str(d) for d in tensor.shape) or "scalar"


def emit(plan: Plan, prefix: str, tables: Tables) -> list[Layer]:
    """Every layer of `plan`; their constant arrays go to `tables`."""
    layers = []
    for index, (node, kernel) in enumerate(zip(plan.graph.nodes, plan.kernels, strict=True)):
        if kernel is not None:
            layers.append(_layer(plan, prefix, tables, index, node, kernel))
    return layers


def _layer(plan: Plan, prefix: str, tables: Tables, index: int, node: Node, kernel: Kernel) -> Layer:
    view, before = plan.graph.view(node), tables.nbytes
    calls = kernel.lower(view)
    lines, structs = [], []
    for k, call in enumerate(calls):
        struct_name = f"{prefix}_p{index}" + (f"_{k}" if len(calls) > 1 else "")
        structs.append(_struct(call, struct_name, f"{index}" + (f"_{k}" if len(calls) > 1 else ""), tables))
        arguments = ", ".join([f"&{struct_name}", *(_argument(plan, node, index, a, tables) for a in call.args)])
        lines.append(f"    {call.function}({arguments});")
    macs = OPS[node.op].macs(view)
    ins = ", ".join(shape_text(plan.graph.tensors[i]) for i in node.inputs if i >= 0 and plan.graph.tensors[i].data is None)
    outs = ", ".join(shape_text(t) for t in view.outputs)
    work = f", {macs} MACs" if macs else ""
    head = f"/* Layer {index}: {node.op} {ctext.printable(node.name)}, {ins} -> {outs}{work} */"
    unused = "" if any("arena" in line for line in lines) else "    (void)arena;\n"
    body = f"static SG_NOINLINE void {prefix}_layer_{index}(uint8_t *arena)\n{{\n{unused}" + "\n".join(lines) + "\n}\n"
    reads = tuple((t, plan.offsets[t], plan.graph.tensors[t].nbytes) for t in node.outputs)
    text = "\n".join([head, *structs, body])
    sources = tuple(c.source for c in calls)
    return Layer(index, node.op, node.name, kernel.name, macs, tables.nbytes - before, sources, text, reads)


def _struct(call: Call, name: str, hint: str, tables: Tables) -> str:
    items = []
    for field, value in call.fields.items():
        if isinstance(value, np.ndarray):
            text = tables.name(value, f"{field}_{hint}")
        elif isinstance(value, tuple):
            text = "{" + ", ".join(ctext.number(v) for v in value) + "}"
        else:
            text = ctext.number(value)
        items.append(f".{field} = {text}")
    return f"static const struct {call.function} {name} = {{\n{ctext.wrap(items)}\n}};"


def _argument(plan: Plan, node: Node, index: int, arg: Arg, tables: Tables) -> str:
    if isinstance(arg, In):
        tensor = node.inputs[arg.index]
        data = plan.graph.tensors[tensor].data
        if data is not None:
            return tables.name(data, f"const_{index}_{arg.index}")
        return pointer(plan.graph, tensor, plan.offsets[tensor], const=True)
    if isinstance(arg, Out):
        return pointer(plan.graph, node.outputs[arg.index], plan.offsets[node.outputs[arg.index]], const=False)
    offset = plan.scratch[index]
    assert offset is not None, f"{node.name}: the kernel uses scratch and asked for none"
    return f"(int8_t *)(arena + {offset})"


def pointer(graph: Graph, tensor: int, offset: int, *, const: bool, base: str = "arena") -> str:
    """A typed pointer into the arena. Wider types go through void *: offsets are multiples of 4, as the plan makes them."""
    ctype = ctext.C_TYPE[graph.tensors[tensor].dtype]
    qualified = f"const {ctype}" if const else ctype
    through = "" if ctype == "int8_t" else "(void *)"
    return f"({qualified} *){through}({base} + {offset})"
