"""Run with the copy of the package that docs/guide/adding.md was applied to: what each addition gives, as one JSON object."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from typer.testing import CliRunner

import sandgrain
from sandgrain.base.errors import ModelError
from sandgrain.cli import app
from sandgrain.formats import sources, text
from sandgrain.graph import rules
from sandgrain.graph.dtypes import dtype_of
from sandgrain.graph.interpret import run
from sandgrain.graph.ir import Graph
from sandgrain.graph.ops import OPS
from sandgrain.kernels import kernels_of
from sandgrain.project import tasks
from sandgrain.project.file.schema import Data, Model, Project
from tests.support.draws import SeededDraw
from tests.support.host_batch import Batch

CASES = 12


def equal_on_host(graphs: Sequence[Graph], features: Sequence[str]) -> bool:
    """Whether the C of each graph, compiled here for a core with `features`, gives the bytes of the reference."""
    batch = Batch(graphs, features)
    for k, graph in enumerate(graphs):
        inputs = [SeededDraw(k).array(graph.tensors[i].shape, -128, 127) for i in graph.inputs]
        if not all(np.array_equal(a, b) for a, b in zip(batch.run(k, inputs), run(graph, inputs), strict=True)):
            return False
    return True


def printed(*arguments: str) -> str:
    return str(CliRunner().invoke(app, list(arguments), prog_name="sandgrain", catch_exceptions=False).output)


def kernel_of(graph: Graph, core: set[str]) -> str:
    """The kernel of a graph's only node on a core with these features."""
    view = graph.view(graph.nodes[0])
    return next(k.name for k in kernels_of(view.node.op) if not hasattr(k.fit(view, core), "reason"))


def op(folder: Path) -> dict[str, Any]:
    graphs = [OPS["atan"].sample(SeededDraw(k)) for k in range(CASES)]
    view = graphs[0].view(graphs[0].nodes[0])
    x = np.linspace(-3, 3, 7, dtype=np.float32)[np.newaxis]
    return {
        "listed": "atan" in printed("ops"),
        "c is the reference": equal_on_host(graphs, ()),
        "real": np.allclose(OPS["atan"].real(view, [x])[0], np.arctan(x)),
    }


def kernel(folder: Path) -> dict[str, Any]:
    graphs = [OPS["maximum"].sample(SeededDraw(k)) for k in range(8 * CASES)]
    names = [kernel_of(g, {"dsp"}) for g in graphs]
    own = [g for g, name in zip(graphs, names, strict=True) if name == "maximum_dsp_s8"][:CASES]
    return {
        "layers that fit": len(own),
        "takes only equal shapes": len(set(names)) == 2,
        "asks for dsp": {kernel_of(g, set()) for g in own} == {"extreme_s8"},
        "c is the reference": equal_on_host(own, ("dsp",)),
        "explained": "maximum_dsp_s8" in printed("ops", "maximum", "--core", "cortex-m4"),
    }


def target(name: str) -> Callable[[Path], dict[str, Any]]:
    """A one-layer model, compiled for `name`, measured and verified on its emulated core."""

    def check(folder: Path) -> dict[str, Any]:
        model = folder / f"{name}.txt"
        model.write_bytes(text.write(OPS["softmax"].sample(SeededDraw(1))))
        done = sandgrain.compile(model, target=name, out=folder / name, name="one")
        verdict = sandgrain.verify(folder / name)
        return {"listed": name in printed("targets"), "instructions": done.report.instructions, "identical": verdict.identical}

    return check


def form(folder: Path) -> dict[str, Any]:
    good, bad = folder / "good.linear", folder / "bad.linear"
    good.write_text(json.dumps({"weights": [[1, 2, 3], [4, 5, 6]], "bias": [0, 1]}), "utf-8")
    bad.write_text("{", "utf-8")
    graph = sources.load(good, "good")
    rules.check(graph, "float")
    view = graph.view(graph.nodes[0])
    [y] = OPS["fully_connected"].real(view, [np.ones((1, 1, 3), np.float32)])
    try:
        sources.load(bad, "bad")
        refusal = ""
    except ModelError as error:
        refusal = str(error)
    return {"listed": ".linear" in printed("inspect", "--help"), "output": y.reshape(-1).tolist(), "refusal": refusal}


def command(folder: Path) -> dict[str, Any]:
    model = Path(sandgrain.__file__).parent / "demo" / "digits.tflite"
    called: dict[str, int] = sandgrain.weights(model)  # type: ignore[attr-defined]
    return {
        "listed": "weights  " in printed("--help"),
        "same": json.loads(printed("weights", str(model), "--json")) == called,
        "bytes": sum(called.values()),
        "public": "weights" in sandgrain.__all__,
    }


def task(folder: Path) -> dict[str, Any]:
    chosen = tasks.task_of(Project(data=Data(kind="motion"), model=Model(name="least_squares")))
    return {
        "listed": [t.name for t in tasks.tasks()],
        "chosen": chosen.name,
        "templates": sorted(p.name for p in chosen.folder.glob("line.*")),
    }


def dtype(folder: Path) -> dict[str, Any]:
    kind, values = dtype_of("int4"), np.array([-8, 7, 3], np.int8)
    data = kind.pack(values)
    return {"bytes": len(data), "back": kind.unpack(data, (3,)).tolist(), "range": [kind.low, kind.high]}


CHECKS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "an op": op,
    "a kernel": kernel,
    "a board": target("nrf52833-dk"),
    "a core": target("cortex-m0plus-slow-multiplier"),
    "a format": form,
    "a command": command,
    "a task": task,
    "a data type": dtype,
}

if __name__ == "__main__":
    print(json.dumps({"package": sandgrain.__file__, **{name: check(Path(sys.argv[1])) for name, check in CHECKS.items()}}))
