"""Hostile .pt2 files, and what becomes of them: run in a process of its own, which may die, and whose memory is counted.

python -m tests.hostile_pt2 FOLDER FIRST COUNT mutates the files of a folder and prints a line of JSON for each mutant that breaks the promise, and at last the peak memory.
"""

from __future__ import annotations

import copy
import importlib
import io
import json
import pickle
import random
import resource
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sandgrain import interp, passes
from sandgrain.errors import SandgrainError
from sandgrain.frontends import sources
from sandgrain.ir import Graph
from sandgrain.quantize import post
from tests.mutate import INTERESTING, MUTATIONS

SECONDS = 10.0
SMALL = 20_000  # elements of a model that is also quantized and run


class Mixed(nn.Module):
    """Something of everything that the reader looks at: views, lists, constants, a recurrent layer, attention."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.pool = nn.AvgPool2d(2, 2, ceil_mode=True)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.rnn = nn.LSTM(4, 3, batch_first=True, bidirectional=True)
        self.head = nn.Linear(6, 2)
        self.register_buffer("mask", torch.arange(4.0))

    def forward(self, x: Any) -> Any:
        y = fn(self.norm(self.conv(x))) * torch.tensor(0.5)
        y = torch.cat(torch.split(self.pool(y), 2, 1)[::-1], 1).flatten(2).transpose(1, 2)
        y = self.attention(y, y, y, need_weights=False)[0] + self.mask * 2
        return self.head(self.rnn(y)[0][:, -1]).softmax(-1)


def fn(x: Any) -> Any:
    return nn.functional.hardtanh(x.relu_(), 0.0, 6.0)


class Quantized(nn.Module):
    """As PT2E leaves a module: integers, and operators that say what they mean."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randint(-127, 128, (4, 3, 3), dtype=torch.int8))
        self.register_buffer("scales", torch.rand(4) * 0.01 + 0.001)
        self.register_buffer("zeros", torch.zeros(4, dtype=torch.int64))

    def forward(self, x: Any) -> Any:
        ops = torch.ops.quantized_decomposed
        about = (0.02, -3, -128, 127, torch.int8)
        w = ops.dequantize_per_channel(self.weight, self.scales, self.zeros, 0, -127, 127, torch.int8)
        x = ops.dequantize_per_tensor(ops.quantize_per_tensor(x, *about), *about)
        x = nn.functional.conv1d(x, w, None, 2).relu()
        return ops.dequantize_per_tensor(ops.quantize_per_tensor(x, *about), *about)


@cache
def seeds() -> tuple[bytes, ...]:
    """Valid files: one with many operators, one as torch decomposes it, one quantized."""
    torch.manual_seed(0)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = torch.export.export(Mixed().eval(), (torch.randn(1, 3, 6, 6),))
        small = nn.Sequential(nn.Conv1d(2, 3, 3), nn.Hardswish(), nn.Flatten(), nn.Linear(18, 4), nn.GELU()).eval()
        plain = torch.export.export(small, (torch.randn(1, 2, 8),)).run_decompositions()
        importlib.import_module("torch.ao.quantization.fx._decomposed")  # which defines the operators

        quantized = torch.export.export(Quantized(), (torch.randn(1, 3, 12),))
        for exported in (whole, plain, quantized):
            buffer = io.BytesIO()
            torch.export.save(exported, buffer)
            found.append(buffer.getvalue())
    return tuple(found)


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {n: archive.read(n) for n in archive.namelist()}


def packed(parts: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def mutant(bases: Sequence[bytes], seed: int) -> bytes:
    """One mutant, the same for a seed on every machine: values of the JSON, whole members, or bytes of the file."""
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
        (_member if kind < 0.3 else _value)(parts, rng)
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


def _value(parts: dict[str, bytes], rng: random.Random) -> None:
    """One value of a JSON member becomes another."""
    name = rng.choice([n for n in sorted(parts) if n.endswith(".json")] + [n for n in parts if n.endswith("/model.json")] * 4)
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
    choices: list[Any] = [other[0][other[1]], None, [], {}, "x" * rng.choice((1, 1000)), rng.choice(OPERATORS), -1, 0, 1.5, True]
    if type(old) is int:
        choices += [old + 1, old - 1, -old, old * 2, rng.choice(INTERESTING), 2**63 - 1, -(2**63), 10**30, rng.randint(0, 14)] * 3
    if type(old) is float:
        choices += ["Infinity", "NaN", 0.0, -old, 1e300]
    if rng.random() < 0.1:
        del holder[key]
    else:
        holder[key] = copy.deepcopy(rng.choice(choices))
    parts[name] = json.dumps(tree).encode()


OPERATORS = tuple(
    f"torch.ops.{name}"
    for name in (
        "aten.from_file.default", "aten.zeros.default", "aten.split.Tensor", "aten.add_.Tensor", "aten.max.dim", "aten.gru.input",
        "aten.as_strided.default", "aten.repeat.default", "aten.pad.default", "aten.reshape.default", "aten.conv2d.default",
        "aten.set_.source_Tensor", "aten.embedding.default", "aten.cat.default", "aten.__class__.x", "aten.sum.dim_IntList",
        "higher_order.cond", "quantized_decomposed.quantize_per_tensor.default", "aten.unbind.int", "aten.pixel_shuffle.default",
    )
)  # fmt: skip


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


def consume(path: Path) -> str:
    """The message, or "" for a model that can be used."""
    try:
        graph = sources.load(path, "mutant")
        if sources.is_float(graph) and sum(t.size for t in graph.tensors) <= SMALL:
            _used(graph)
    except SandgrainError as error:
        return str(error)
    return ""


def _used(graph: Graph) -> None:
    rng = np.random.default_rng(0)
    samples = [rng.standard_normal((2, *graph.tensors[i].shape)).astype(np.float32) for i in graph.inputs]
    int8 = post.quantize(graph, samples).graph
    inputs = [np.full(int8.tensors[i].shape, 1, int8.tensors[i].dtype) for i in int8.inputs]
    small = passes.optimize(int8)
    for before, after in zip(interp.run(int8, inputs), interp.run(small, inputs), strict=True):
        assert np.array_equal(before, after), "a pass changed the meaning"


def complaint(path: Path) -> str:
    """What breaks the promise about hostile files, "" when it is kept."""
    begin = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            message = consume(path)
    except Exception as error:  # whatever it is, it is a finding
        return f"{type(error).__name__}: {error}"
    if time.process_time() - begin > SECONDS:
        return "took too long"
    if "please report" in message:
        return f"an operator slipped: {message}"
    if message and (len(message.splitlines()) != 1 or not message.isprintable() or len(message) > 4000):
        return f"not one line: {message!r}"
    return ""


def main(folder: str, first: str, count: str) -> None:
    bases = [p.read_bytes() for p in sorted(Path(folder).iterdir())]
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "mutant.pt2"
        for seed in range(int(first), int(first) + int(count)):
            path.write_bytes(mutant(bases, seed))
            print(json.dumps({"seed": seed, "complaint": complaint(path)}), flush=True)
    print(json.dumps({"mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))


if __name__ == "__main__":
    main(*sys.argv[1:])
