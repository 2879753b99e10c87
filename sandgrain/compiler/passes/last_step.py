"""keep_last_step: a recurrent layer of which only the last step is read gives that step alone, and keeps no others in memory."""

from __future__ import annotations

from dataclasses import replace

from sandgrain.graph.ir import Graph, Node, Tensor, attrs, with_nodes
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.base import same_quant


def keep_last_step(graph: Graph) -> Graph:
    """before: s = gru(x) [1, 9, 5]; y = strided_slice(s, step 8) [1, 1, 5]      after: s = gru(x, last) [1, 5]; y = reshape(s)"""
    consumers, producers = graph.consumers(), graph.producers()
    tensors, nodes = list(graph.tensors), list[Node]()
    places: dict[int, int] = {}  # id of a node of the graph -> where it, or what it became, stands in `nodes`
    for node in graph.nodes:
        maker = producers.get(node.inputs[0]) if node.op == "strided_slice" else None
        before = None if maker is None else graph.nodes[maker]
        alone = len(consumers[node.inputs[0]]) == 1 and node.inputs[0] not in graph.outputs
        if before is None or not alone or not _takes_last(graph, before, node):
            places[id(node)] = len(nodes)
            nodes.append(node)
            continue
        steps = tensors[before.outputs[0]]
        state = len(tensors)
        tensors.append(Tensor(steps.name, (steps.shape[0], steps.shape[2]), steps.dtype, steps.quant))
        at = places[id(before)]
        nodes[at] = replace(before, outputs=(state,), attrs=attrs(**{**before.attrs, "last": True}))
        shape = tensors[node.outputs[0]].shape
        nodes.append(Node("reshape", node.name, (state,), node.outputs, attrs(shape=shape)))
    return with_nodes(replace(graph, tensors=tuple(tensors)), nodes)


def _takes_last(graph: Graph, node: Node, cut: Node) -> bool:
    """Whether `cut` is the state after all steps of `node`, and nothing else."""
    if not OPS[node.op].recurrent or node.attrs["last"]:
        return False
    view, a = graph.view(node), cut.attrs
    n, steps, units = view.out.shape
    final = 0 if node.attrs["reverse"] else steps - 1
    whole = tuple(a["start"]) == (0, final, 0) and tuple(a["size"]) == (n, 1, units)
    return whole and a["stride"][0] == a["stride"][2] == 1 and same_quant(view.out, graph.view(cut).out)
