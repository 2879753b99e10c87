"""Hostile archives (.pt2, .keras): mutants of valid ones, and what becomes of them, in a process of their own (tests/support/campaign.py)."""

from __future__ import annotations

import copy
import json
import pickle
import random
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.compiler import passes
from sandgrain.formats import sources
from sandgrain.graph import interpret
from sandgrain.graph.ir import Graph
from sandgrain.quantization import post
from tests.support import campaign
from tests.support.models import graph_of
from tests.support.mutators import members, packed
from tests.support.tflite_mutants import INTERESTING, MUTATIONS

SECONDS = campaign.SECONDS
SMALL = 20_000  # elements of a model that is also quantized and run


def mutant(bases: Sequence[bytes], seed: int, program: str, words: Sequence[str]) -> bytes:
    """One mutant, the same for a seed on every machine: values of the JSON, whole members, or bytes of the file.

    `program`: how the name of the member ends that describes the model. `words`: what a value may become.
    """
    rng = random.Random(seed)
    base = bases[seed % len(bases)]
    kind = rng.random()
    if kind < 0.2:
        data = bytearray(base)
        for _ in range(rng.choice((1, 1, 2, 4))):
            rng.choice(MUTATIONS)(data, rng, bases)
        return bytes(data)
    parts = members(base)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if kind < 0.3:
            _member(parts, rng)
        else:
            _value(parts, rng, program, words)
    return packed(parts, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


def _member(parts: dict[str, bytes], rng: random.Random) -> None:
    """A member disappears, shrinks, becomes another, or a pickle."""
    name, other = rng.choice(sorted(parts)), rng.choice(sorted(parts))
    change = rng.randrange(4)
    if change == 0:
        del parts[name]
    else:
        parts[name] = (parts[name][: rng.randrange(len(parts[name]) + 1)], parts[other], pickle.dumps(Trap()))[change - 1]


class Trap:
    """Unpickled, it leaves a file."""

    def __reduce__(self) -> Any:
        return open, ("unpickled", "w")


def _value(parts: dict[str, bytes], rng: random.Random, program: str, words: Sequence[str]) -> None:
    """One value of a JSON member becomes another."""
    if not any(n.endswith(".json") for n in parts):
        return
    name = rng.choice([n for n in sorted(parts) if n.endswith(".json")] + [n for n in parts if n.endswith(program)] * 4)
    try:
        tree = json.loads(parts[name])
    except ValueError:  # damaged before
        return
    leaves = list(_leaves(tree)) if isinstance(tree, dict | list) else []
    if not leaves:
        return
    holder, key = rng.choice(leaves)
    old = holder[key]
    other = rng.choice(leaves)
    choices: list[Any] = [other[0][other[1]], None, [], {}, "x" * rng.choice((1, 1000)), rng.choice(words), -1, 0, 1.5, True]
    if type(old) is int:
        choices += [old + 1, old - 1, -old, old * 2, rng.choice(INTERESTING), 2**63 - 1, -(2**63), 10**30, rng.randint(0, 14)] * 3
    if type(old) is float:
        choices += ["Infinity", "NaN", 0.0, -old, 1e300]
    if rng.random() < 0.1:
        del holder[key]
    else:
        holder[key] = copy.deepcopy(rng.choice(choices))
    parts[name] = json.dumps(tree).encode()


def _leaves(tree: Any) -> Iterator[tuple[Any, Any]]:
    """(holder, key) of every value that holds no other, and now and then of one that does."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        if key in ("stack_trace", "nn_module_stack", "torch_fn", "module_call_graph", "from_node", "verifiers", "device"):
            continue
        if isinstance(value, dict | list) and value:
            yield from _leaves(value)
            if isinstance(value, list):
                yield tree, key
        else:
            yield tree, key


# --- what becomes of them ------------------------------------------------------------------------------------------------


def consume(path: Path) -> None:
    """Read a model as a command does; a small one is also quantized and run. Raises SandgrainError where it is refused."""
    graph = graph_of(path, "mutant")
    if sum(t.size for t in graph.tensors) <= SMALL:
        _used(graph)


def _used(graph: Graph) -> None:
    rng = np.random.default_rng(0)
    samples = [rng.standard_normal((2, *graph.tensors[i].shape)).astype(np.float32) for i in graph.inputs]
    int8 = post.quantize(graph, samples).graph if sources.is_float(graph) else graph
    inputs = [np.full(int8.tensors[i].shape, 1, int8.tensors[i].dtype) for i in int8.inputs]
    small = passes.optimize(int8)
    for before, after in zip(interpret.run(int8, inputs), interpret.run(small, inputs), strict=True):
        assert np.array_equal(before, after), "a pass changed the meaning"


def form(suffix: str) -> campaign.Format:
    """Of a model's file; mutants are made elsewhere."""
    known = {".pt2": "as torch.export writes it"}  # the reader believes no part of the program's JSON, and says what stopped it
    return campaign.Format(f"mutant{suffix}", lambda: (), lambda data, *_: data, consume, known.get(suffix, "\0"))


def complaint(path: Path) -> str:
    """What breaks the promise about hostile files, "" when it is kept."""
    begin = time.process_time()  # wall time would blame the file for a busy machine
    said = campaign.complaint(form(path.suffix), path)
    return said or ("took too long" if time.process_time() - begin > SECONDS else "")


def serve(suffix: str, mutant: Callable[[Sequence[bytes], int], bytes]) -> None:
    """Try mutants of the files in a folder, as the command line says."""
    campaign.serve_spawned(form(suffix), mutant)
