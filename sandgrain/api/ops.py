"""`sandgrain.ops`: which operators there are, and which kernels run one of them on a core: when, or why not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sandgrain.api import inspect
from sandgrain.api._verb import verb
from sandgrain.base.errors import UsageError
from sandgrain.base.tables import Line, Row, Shown, Table
from sandgrain.compiler.emit.layers import shape_text
from sandgrain.compiler.select import fit, needs_no_kernel
from sandgrain.device import targets
from sandgrain.graph.ir import Graph, Node
from sandgrain.graph.ops import OPS
from sandgrain.kernels import Kernel, Lowered, kernels_of

SIZE = "only --optimize size takes it"


@dataclass(frozen=True, slots=True, repr=False)
class Operator(Shown):
    """An operator of the graph: its names in .tflite files (none where the format has no such operator) and its kernels, the
    most specific first.
    """

    op: str
    tflite: tuple[str, ...]
    kernels: tuple[str, ...]
    summary: str

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        return asdict(self)

    def rows(self) -> list[Row]:
        return [{"op": self.op, "tflite": " ".join(self.tflite), "kernels": " ".join(self.kernels), "summary": self.summary}]

    def lines(self) -> list[Line]:
        return [f"{self.op}: {self.summary}; kernels {', '.join(self.kernels) or 'none'}"]


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a kernel can run an operator, or a layer. `why`: the layers that it takes, or why it is not for this one."""

    kernel: str
    fits: bool
    why: str


@dataclass(frozen=True, slots=True)
class LayerAnswers:
    """Every kernel's answer for one layer of a model. `chosen`: the kernel that runs it unless measuring finds a better one."""

    layer: str
    shape: str
    chosen: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Explanation(Shown):
    """Which kernels can run `op` on `core`. `layers`: with a model, each of its layers of that operator, after the passes."""

    op: str
    core: str
    kernels: tuple[Answer, ...]
    layers: tuple[LayerAnswers, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        return asdict(self)

    def rows(self) -> list[Row]:
        """The kernels' answers: in general, and for each layer."""
        parts = [("", "", self.kernels), *((x.layer, x.shape, x.answers) for x in self.layers)]
        return [{"layer": layer, "shape": shape, **asdict(answer)} for layer, shape, answers in parts for answer in answers]

    def lines(self) -> list[Line]:
        found: list[Line] = [f"{self.op} on {self.core}, the most specific kernel first", _answers(self.kernels)]
        for layer in self.layers:
            found += ["", f"{layer.layer}, {layer.shape}: " + (layer.chosen or "no code, the output is the input's bytes")]
            found.append(_answers(layer.answers))
        return found


def _answers(answers: tuple[Answer, ...]) -> Table:
    rows = [[a.kernel, "yes" if a.fits else "no", a.why] for a in answers]
    return Table(["kernel", "runs", "for which layers, or why not"], rows, fixed=(0, 1))


@verb
def ops() -> tuple[Operator, ...]:
    """Every operator that Sandgrain compiles, by name."""
    return tuple(
        Operator(op.name, tuple(f.name for f in op.foreign), tuple(k.name for k in kernels_of(op.name)), op.summary)
        for op in OPS.values()
    )


@verb
def explain_kernels(op: str, core: str, model: Any = None, *, example_input: Any = None) -> Explanation:
    """Which kernels can run the operator `op` on a core or board, the most specific first, and under what conditions.

    `op`: a name that `ops` lists, or a .tflite name of one. `model`: as for `inspect`; each of its layers of that operator
    is then put to every kernel. Raises UsageError for an unknown operator, core or board, and what `inspect` raises.
    """
    name = _known(op)
    board = targets.load(core)
    features = board.core.features
    layers: list[LayerAnswers] = []
    if model is not None:
        graph = inspect.graphs_of(model, example_input).optimized
        layers = [_layer(graph, node, features) for node in graph.nodes if node.op == name]
    general = tuple(_condition(kernel, features) for kernel in kernels_of(name))
    return Explanation(name, board.core.name, general, tuple(layers))


def _known(op: str) -> str:
    for name, known in OPS.items():
        if op == name or op in {foreign.name for foreign in known.foreign}:
            return name
    raise UsageError(f"no operator is called {op[:40]!r}; `sandgrain ops` lists them")


def _condition(kernel: Kernel, features: frozenset[str]) -> Answer:
    if refused := kernel.missing(features):
        return Answer(kernel.name, False, refused.reason)
    return Answer(kernel.name, True, kernel.when + (f"; {SIZE}" if kernel.compact else ""))


def _layer(graph: Graph, node: Node, features: frozenset[str]) -> LayerAnswers:
    tensors = graph.tensors
    ins = ", ".join(shape_text(tensors[i]) for i in node.inputs if i >= 0 and tensors[i].data is None)
    shape = f"{ins} -> {shape_text(tensors[node.outputs[0]])}"
    if needs_no_kernel(graph, node):
        return LayerAnswers(node.name, shape, "", ())
    answers: list[Answer] = []
    chosen = ""
    for kernel in kernels_of(node.op):
        fitted = fit(graph, node, kernel, features)
        if not isinstance(fitted, Lowered):
            answers.append(Answer(kernel.name, False, fitted.reason))
        elif not chosen:
            chosen = kernel.name
            answers.append(Answer(kernel.name, True, "runs this layer"))
        else:
            answers.append(Answer(kernel.name, True, f"fits too; {SIZE if kernel.compact else f'{chosen} comes before it'}"))
    return LayerAnswers(node.name, shape, chosen, tuple(answers))
