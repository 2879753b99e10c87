"""Hostile .pt2 files: each gives a model or exactly one line, in time and in little memory; nothing runs, nothing is left behind."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.draws import rare

pytest.importorskip("torch", reason="needs PyTorch: pip install 'sandgrain[train]'")

from sandgrain.base.errors import SandgrainError
from tests.support import campaign
from tests.support.command import sandgrain
from tests.support.hostile_archives import SECONDS, Trap, complaint
from tests.support.hostile_pt2 import mutant, seeds
from tests.support.models import graph_of
from tests.support.mutators import members, packed

USUAL = 100  # mutants in `make test`
Parts = dict[str, bytes]


@pytest.mark.parametrize("part", campaign.PARTS)
def test_a_mutant_gives_a_model_or_one_line(part: int, record_property: Callable[[str, object], None], tmp_path: Path) -> None:
    tally = campaign.run("pt2", campaign.spawned("tests.support.hostile_pt2", seeds(), tmp_path), USUAL, record_property, part)
    assert tally.accepted and tally.refused


def test_the_files_that_are_mutated_are_legal(tmp_path: Path) -> None:
    for data in seeds():
        (tmp_path / "m.pt2").write_bytes(data)
        assert graph_of(tmp_path / "m.pt2", "m").nodes


def test_mutants_are_the_same_on_every_run() -> None:
    assert [mutant(seeds(), s) for s in range(20)] == [mutant(seeds(), s) for s in range(20)]


# --- made to measure ---------------------------------------------------------------------------------------------------


def program(parts: Parts) -> tuple[str, Any]:
    name = next(n for n in parts if n.endswith("/model.json"))
    return name, json.loads(parts[name])


def edited(change: Callable[[Any], None]) -> bytes:
    """The first seed with its graph changed."""
    parts = members(seeds()[0])
    name, tree = program(parts)
    change(tree["graph_module"]["graph"])
    parts[name] = json.dumps(tree).encode()
    return packed(parts)


def call(target: str, name: str, sizes: list[int], **inputs: Any) -> Callable[[Any], None]:
    """Put an operator in front of all others; its result is called `name`."""

    def change(graph: Any) -> None:
        entry = {"target": f"torch.ops.{target}", "inputs": [{"name": k, "arg": v, "kind": 1} for k, v in inputs.items()]}
        graph["nodes"].insert(0, {**entry, "outputs": [{"as_tensor": {"name": name}}], "metadata": {}})
        graph["tensor_values"][name] = {
            **graph["tensor_values"]["x"],
            "sizes": [{"as_int": n} for n in sizes],
            "strides": [{"as_int": 1} for _ in sizes],
        }

    return change


def many(count: int, target: str, sizes: list[int], **inputs: Any) -> Callable[[Any], None]:
    def change(graph: Any) -> None:
        for k in range(count):
            call(target, f"made{k}", sizes, **inputs)(graph)

    return change


def member(suffix: str, data: bytes) -> bytes:
    parts = members(seeds()[0])
    name = next(n for n in parts if n.endswith(suffix))
    return packed({**parts, name: data})


def weights(**changes: Any) -> bytes:
    """The description of the convolution's weights changed."""
    parts = members(seeds()[0])
    name = next(n for n in parts if n.endswith("model_weights_config.json"))
    tree = json.loads(parts[name])
    about = tree["config"]["conv.weight"]
    for key, value in changes.items():
        (about if key in about else about["tensor_meta"])[key] = value
    return packed({**parts, name: json.dumps(tree).encode()})


def renamed(suffix: str, to: str) -> bytes:
    return packed({to if n.endswith(suffix) else n: data for n, data in members(seeds()[0]).items()})


def bomb() -> bytes:
    """32 MiB of zeros in a weight's place: 32 KiB of archive."""
    parts = members(seeds()[0])
    name = next(n for n in parts if n.endswith("weight_0"))
    return packed({**parts, name: bytes(1 << 25)}, zipfile.ZIP_DEFLATED)


def liar() -> bytes:
    """The same, called small."""
    data = bytearray(packed({"m/archive_format": b"pt2", "m/models/model.json": bytes(1 << 25)}, zipfile.ZIP_DEFLATED))
    for at in range(len(data) - 4):
        if data[at : at + 4] == (1 << 25).to_bytes(4, "little"):
            data[at : at + 4] = (100).to_bytes(4, "little")
    return bytes(data)


def worn_out() -> bytes:
    """A weight of a Mi numbers that a hundred layers read."""
    parts = members(seeds()[0])
    name = next(n for n in parts if n.endswith("model_weights_config.json"))
    tree = json.loads(parts[name])
    tree["config"]["conv.weight"]["tensor_meta"].update(
        sizes=[{"as_int": 1 << 10}] * 2, strides=[{"as_int": 1 << 10}, {"as_int": 1}]
    )
    parts[name] = json.dumps(tree).encode()
    parts[next(n for n in parts if n.endswith("weights/weight_0"))] = bytes(1 << 22)
    name, tree = program(parts)
    graph = tree["graph_module"]["graph"]
    graph["tensor_values"]["x"].update(sizes=[{"as_int": 1}, {"as_int": 1 << 10}])
    many(100, "aten.linear.default", [1, 1 << 10], input=NAME("x"), weight=NAME("p_conv_weight"))(graph)
    parts[name] = json.dumps(tree).encode()
    return packed(parts)


INT, INTS, NAME = (lambda v: {"as_int": v}), (lambda v: {"as_ints": v}), (lambda v: {"as_tensor": {"name": v}})
HUGE: list[tuple[str, Callable[[], bytes], str]] = [
    ("a zip bomb", bomb, "unpacks"),
    ("a zip bomb that lies", liar, "damaged archive"),
    ("a path out of the archive", lambda: renamed("weight_0", "../../weight_0"), "outside"),
    ("an absolute path", lambda: renamed("weight_0", "/tmp/weight_0"), "outside"),
    ("many members", lambda: packed({f"m/{k}": b"" for k in range(9000)}), "more than 8192 members"),
    ("a pickle among the weights", lambda: weights(use_pickle=True), "conv.weight: it is stored as a pickle"),
    ("a pickle in a weight's place", lambda: member("weight_0", pickle.dumps(Trap())), "needs 108 numbers"),
    ("weights beyond the member", lambda: weights(storage_offset={"as_int": 1 << 30}), "a member that holds 108"),
    (
        "weights of a huge shape",
        lambda: weights(sizes=[{"as_int": 1 << 20}] * 2, strides=[{"as_int": 0}] * 2),
        "over 16777216 numbers",
    ),
    ("nested lists", lambda: member("/model.json", b"[" * 1_000_000), "RecursionError"),
    ("long numbers", lambda: member("/model.json", b"[" + b"9" * 1_000_000 + b"]"), "ValueError"),
    ("a large description", lambda: member("/model.json", b" " * (5 << 20)), "more than 4194304"),
    ("an endless constant", lambda: edited(call("aten.zeros.default", "c", [1], size=INTS([1 << 40]))), "no microcontroller"),
    ("a long range", lambda: edited(call("aten.arange.default", "c", [1], end=INT(10**12))), "no microcontroller"),
    ("a weight for many", worn_out, "the layers read over 16777216 weights"),
    ("many constants", lambda: edited(many(50, "aten.ones.default", [1 << 20], size=INTS([1 << 20]))), "computed of constants"),
    (
        "an input of gigabytes",
        lambda: edited(lambda g: g["tensor_values"]["x"].update(sizes=[{"as_int": 1 << 16}] * 3)),
        "elements",
    ),
    ("millions of parts", lambda: edited(call("aten.split.Tensor", "c", [1], self=NAME("x"), split_size=INT(0))), "do not fit"),
    (
        "a file to read",
        lambda: edited(call("aten.from_file.default", "c", [1], filename={"as_string": "m.pt2"}, size=INT(9))),
        "constants alone",
    ),
    ("an operator of others", lambda: edited(call("mylib.run.default", "c", [1], self=NAME("x"))), "none of PyTorch"),
    ("a name of Python's", lambda: edited(call("aten.__class__.__init__", "c", [1], self=NAME("x"))), "none of PyTorch"),
    ("thousands of operators", lambda: edited(many(9000, "aten.relu.default", [1], self=NAME("x"))), "over 8192 operators"),
]


@rare
@pytest.mark.parametrize(("make", "fact"), [h[1:] for h in HUGE], ids=[h[0].replace(" ", "-") for h in HUGE])
def test_an_attack_gives_one_line(make: Callable[[], bytes], fact: str, tmp_path: Path) -> None:
    path = tmp_path / "m.pt2"
    path.write_bytes(make())
    assert complaint(path) == ""
    with pytest.raises(SandgrainError) as caught:
        graph_of(path, "m")
    assert fact in str(caught.value), str(caught.value)
    assert list(tmp_path.iterdir()) == [path] and not Path("unpickled").exists()


def test_the_command_line_says_it_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "m.pt2").write_bytes(weights(use_pickle=True))
    done = sandgrain("compile", tmp_path / "in" / "m.pt2", "-o", "out", cwd=tmp_path / "in", timeout=6 * SECONDS)
    assert done.code == 2 and "pickle" in done.line
    assert [p.name for p in (tmp_path / "in").iterdir()] == ["m.pt2"]


def test_what_other_pytorchs_saved_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "m.pt2"
    for parts, fact in (
        ({"serialized_exported_program.json": b"{}"}, "old PyTorch"),
        ({"archive/data.pkl": b""}, "no program of torch.export"),
        ({"m/archive_format": b"pt2", "m/data/aotinductor/model/x.so": b""}, "0 exported programs"),
    ):
        path.write_bytes(packed(parts))
        with pytest.raises(SandgrainError, match=fact):
            graph_of(path, "m")
