"""fuse_pads: no pad that a convolution or a max pool can do itself."""

from __future__ import annotations

from dataclasses import replace

from sandgrain.graph.ir import Graph, Node, attrs, with_nodes
from sandgrain.graph.ops import OPS, Op
from sandgrain.graph.ops.base import same_quant
from sandgrain.graph.ops.traits import PadValue


def fuse_pads(graph: Graph) -> Graph:
    """before: p = pad(x, zero point); y = conv_2d(p)      after: y = conv_2d(x, more padding)

    Exact: a padded element equals the zero point and contributes nothing, inside the convolution or before it. Nor does the least
    value to a maximum.
    """
    consumers, producers = graph.consumers(), graph.producers()
    nodes: list[Node] = []
    for node in graph.nodes:
        maker = producers.get(node.inputs[0]) if OPS[node.op].pad_value else None
        pad = None if maker is None else graph.nodes[maker]
        only = len(consumers.get(node.inputs[0], ())) == 1 and node.inputs[0] not in graph.outputs
        if pad is not None and only and _only_space(graph, pad, OPS[node.op]) and _inside(node, pad):
            (_, _), (top, bottom), (left, right), (_, _) = pad.attrs["paddings"]
            t, b, le, r = node.attrs["padding"]
            padding = (t + top, b + bottom, le + left, r + right)
            node = replace(node, inputs=(pad.inputs[0], *node.inputs[1:]), attrs=attrs(**{**node.attrs, "padding": padding}))
        nodes.append(node)
    return with_nodes(graph, nodes)


def _inside(node: Node, pad: Node) -> bool:
    """Whether each window of a max pool keeps an element of the image."""
    if OPS[node.op].pad_value is not PadValue.LEAST:
        return True
    sides = zip(node.attrs["padding"], (*pad.attrs["paddings"][1], *pad.attrs["paddings"][2]), strict=True)
    kernel = node.attrs["kernel"]
    return all(a + b < k for (a, b), k in zip(sides, (kernel[0], kernel[0], kernel[1], kernel[1]), strict=True))


def _only_space(graph: Graph, pad: Node, reader: Op) -> bool:
    """Pads height and width of an NHWC tensor with what counts as nothing to its reader: its own zero point, or the least value."""
    if pad.op != "pad" or len(pad.attrs["paddings"]) != 4:
        return False
    view = graph.view(pad)
    x = view.input(0)
    batch, _, _, channels = pad.attrs["paddings"]
    whole = x.quant is not None and x.data is None
    return (
        whole
        and not any((*batch, *channels))
        and same_quant(x, view.out)
        and pad.attrs["value"] == (x.dtype.low if reader.pad_value is PadValue.LEAST else x.zero_point)
    )
