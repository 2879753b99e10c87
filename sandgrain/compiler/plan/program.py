"""What a model's C can be asked to do, and what it remembers from one call to the next.

A `Program` is a planned graph with its entry points. Each entry is a C function, NAME_<entry>; what lives between its calls are the
entry's state tensors, in one struct of the caller's, which is all zero at its start. A graph's own inputs, outputs and tensors mean
nothing between calls. Ops say what state they need (`Op.step`); the rings and counters of a stream, and a decision's, are added here.
"""

from __future__ import annotations

from dataclasses import dataclass

from sandgrain.compiler.plan.stream import StreamPlan, stream_state
from sandgrain.graph.decisions import Rule
from sandgrain.graph.dtypes import ACTIVATION, ACTIVATIONS, INT32
from sandgrain.graph.ir import Graph, State


@dataclass(frozen=True, slots=True)
class Entry:
    """One function of the generated C.

    `name`: run (a whole window in, its outputs out), push (samples in, results whenever they are due) or decide (a result in, a
    decision out). `keeps`: the struct NAME_<keeps> holds `state`, "" where nothing is kept.
    """

    name: str
    keeps: str = ""
    state: tuple[State, ...] = ()

    @property
    def state_bytes(self) -> int:
        """sizeof of the struct: every member starts at a multiple of 4."""
        return sum(state.padded_bytes for state in self.state)


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A graph with its entry points, the one that computes it first."""

    graph: Graph
    entries: tuple[Entry, ...]


def decides(graph: Graph) -> bool:
    """Whether the output is one integer score per label."""
    out = graph.tensors[graph.outputs[0]]
    return len(graph.labels) > 1 and len(graph.outputs) == 1 and out.dtype in ACTIVATIONS and out.size == len(graph.labels)


def program(graph: Graph, stream: StreamPlan | None, rule: Rule) -> Program:
    """The entry points of a planned graph: run, or push for a stream, whose scores may be decided on."""
    if stream is None:
        return Program(graph, (Entry("run"),))
    push = Entry("push", "stream", stream_state(graph, stream))
    return Program(graph, (push, _decide(graph, rule)) if decides(graph) else (push,))


def _decide(graph: Graph, rule: Rule) -> Entry:
    labels = len(graph.labels)
    return Entry(
        "decide",
        "decider",
        (
            State("scores", ACTIVATION, (rule.smoothing, labels), "a ring of results"),
            State("next", INT32, (), "where the next result goes"),
            State("count", INT32, (), "results in the ring"),
            State("hold", INT32, (), "results until the next decision may come"),
            State("held", INT32, (), "1 + the label of the last decision while it leads all along, or 0"),
        ),
    )
