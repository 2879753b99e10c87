"""Names of a model's classes: one for each score of an output, each said once."""

from __future__ import annotations

from collections.abc import Sequence

from sandgrain.base.errors import UsageError
from sandgrain.base.text import printable
from sandgrain.graph.ir import Graph
from sandgrain.graph.ops import OPS

MAX_LABEL = 1000  # bytes of one label; C promises string literals of 4095 characters, and an escaped byte takes four


def check_words(labels: Sequence[str]) -> None:
    """Raises UsageError for labels that are empty, said twice, too long, or numbered."""
    seen: dict[str, int] = {}
    for number, word in enumerate(labels, 1):
        if len(word.encode("utf-8", "replace")) > MAX_LABEL:
            raise UsageError(f"--labels: a label is longer than {MAX_LABEL} bytes; shorten it")
        if not word.strip():
            raise UsageError(f"--labels: label {number} is empty; remove the line, or write its name")
        if word in seen:
            raise UsageError(
                f"--labels: labels {seen[word]} and {number} are both {printable(word)!r}; give each class a name of its own"
            )
        seen[word] = number
    for first in (0, 1):
        if len(labels) > 1 and all(
            word.split()[:1] == [str(k)] and len(word.split()) > 1 for k, word in enumerate(labels, first)
        ):
            raise UsageError("--labels: every label begins with its number; write the names alone, in the order of the outputs")


def check_labels(graph: Graph) -> None:
    """Raises UsageError unless an output of `graph` has as many scores as there are labels (or chooses among as many)."""
    counts = [_classes(graph, index) for index in graph.outputs]
    if graph.labels and len(graph.labels) not in counts:
        there = " and ".join(str(c) for c in dict.fromkeys(counts))
        raise UsageError(
            f"--labels: {len(graph.labels)} labels, and the model's output has {there} values; give one label for each"
        )


def _classes(graph: Graph, output: int) -> int:
    """The values along an output's last axis; of an index, what it chooses among."""
    for node in graph.nodes:
        if output in node.outputs and OPS[node.op].indices_out and "axis" in node.attrs:
            return graph.view(node).input(0).shape[node.attrs["axis"]]
    shape = graph.tensors[output].shape
    return shape[-1] if shape else 1
