"""Hostile .onnx files: each gives a model or exactly one line, in time and in little memory; nothing runs, nothing is left behind.

SANDGRAIN_MUTANTS sets how many mutants are tried (100 by default).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.draws import rare

onnx = pytest.importorskip("onnx", reason="needs ONNX: pip install 'sandgrain[onnx]'")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime, which makes the models that are mutated")
from onnx import helper  # noqa: E402

from sandgrain.base.errors import ModelError, SandgrainError  # noqa: E402
from sandgrain.formats.onnx import child  # noqa: E402
from sandgrain.formats.onnx.checked import Checker  # noqa: E402
from tests.support import campaign  # noqa: E402
from tests.support.command import sandgrain  # noqa: E402
from tests.support.hostile_archives import SECONDS, complaint  # noqa: E402
from tests.support.hostile_onnx import mutant, seeds  # noqa: E402
from tests.support.models import graph_of  # noqa: E402
from tests.support.onnx_builder import Net  # noqa: E402

USUAL = 100  # mutants in `make test`


@pytest.mark.parametrize("part", campaign.PARTS)
def test_a_mutant_gives_a_model_or_one_line(part: int, record_property: Callable[[str, object], None], tmp_path: Path) -> None:
    tally = campaign.run("onnx", campaign.spawned("tests.support.hostile_onnx", seeds(), tmp_path), USUAL, record_property, part)
    assert tally.accepted and tally.refused


def test_the_files_that_are_mutated_are_legal(tmp_path: Path) -> None:
    for data in seeds():
        (tmp_path / "m.onnx").write_bytes(data)
        assert graph_of(tmp_path / "m.onnx", "m").nodes


def test_mutants_are_the_same_on_every_run() -> None:
    assert [mutant(seeds(), s) for s in range(20)] == [mutant(seeds(), s) for s in range(20)]


# --- made to measure ---------------------------------------------------------------------------------------------------


def nested(depth: int) -> bytes:
    """Branches in branches."""
    value = helper.make_tensor_value_info("b", 1, [1, 3])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["b"])], "g", [], [value])
    for _ in range(depth):
        graph = helper.make_graph([helper.make_node("If", ["c"], ["b"], then_branch=graph, else_branch=graph)], "g", [], [value])
    ends = [helper.make_tensor_value_info("x", 1, [1, 3]), helper.make_tensor_value_info("c", 9, [1])]
    whole = helper.make_graph(graph.node, "g", ends, [value])
    data: bytes = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()
    return data


def doubling(levels: int) -> bytes:
    """Functions that call the next one twice: 2^levels nodes once they are inlined."""
    net = Net(1, 3)
    model = net.model(net.op("F0", "x", domain="own"))
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    for k in range(levels):
        kind, domain = (f"F{k + 1}", "own") if k + 1 < levels else ("Relu", "")
        nodes = [helper.make_node(kind, [a], [b], domain=domain) for a, b in (("a", "b"), ("b", "c"))]
        model.functions.append(helper.make_function("own", f"F{k}", ["a"], ["c"], nodes, imports))
    data: bytes = model.SerializeToString()
    return data


def circle() -> bytes:
    """A function that calls itself."""
    model = onnx.ModelProto.FromString(doubling(1))
    for node in model.functions[0].node:
        node.op_type, node.domain = "F0", "own"
    data: bytes = model.SerializeToString()
    return data


def many_nodes(count: int) -> bytes:
    net = Net(1, 3)
    y = "x"
    for _ in range(count):
        y = net.op("Relu", y)
    data: bytes = net.model(y).SerializeToString()
    return data


def swollen() -> bytes:
    """A constant that doubles forty times."""
    net = Net(1, 3)
    y = net.constant(np.ones(3))
    for _ in range(40):
        y = net.op("Concat", y, y, axis=0)
    data: bytes = net.model(net.op("Add", "x", y)).SerializeToString()
    return data


def outer() -> bytes:
    """A product of a column and a row of constants."""
    net = Net(1, 3)
    column, row = net.op("ConstantOfShape", net.ints(1 << 20, 1)), net.op("ConstantOfShape", net.ints(1, 1 << 20))
    data: bytes = net.model(net.op("Add", "x", net.op("Mul", column, row))).SerializeToString()
    return data


def wide() -> bytes:
    """A layer whose output is large: its input is padded to gigabytes."""
    net = Net(1, 1, 4, 4)
    y = net.op("Relu", net.op("Pad", "x", net.ints(0, 0, 0, 0, 0, 0, 1 << 30, 1 << 30)))
    data: bytes = net.model(y).SerializeToString()
    return data


def groups() -> bytes:
    """A convolution in thousands of groups, each a layer of its own."""
    net = Net(1, 8192, 1, 1)
    data: bytes = net.model(net.op("Conv", "x", net.constant(np.ones((4096, 2, 1, 1))), group=4096)).SerializeToString()
    return data


# A node is "\x0a" and its length in the field of nodes of a graph: two bytes each.
HUGE: list[tuple[str, Callable[[], bytes], str]] = [
    ("deep branches", lambda: nested(9), "graphs within graphs"),
    ("functions that double", lambda: doubling(30), "its functions make more than"),
    ("functions that call themselves", circle, "export the model again"),
    ("millions of empty nodes", lambda: b"\x08\x08\x3a" + varint(16 << 20) + b"\x0a\x00" * (8 << 20), "export the model again"),
    ("thousands of nodes", lambda: many_nodes(6000), "at most 5000 are read"),
    ("a file of many megabytes", lambda: bytes(child.MAX_MODEL + 1), "more than"),
    ("a constant that doubles", swollen, "use at most"),
    ("an outer product", outer, "use at most"),
    ("an endless padding", wide, "use at most"),
    ("deep messages", lambda: b"\x0a" * 100_000, "no ONNX model, or damaged"),
]


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


@rare
@pytest.mark.parametrize(("make", "fact"), [h[1:] for h in HUGE], ids=[h[0].replace(" ", "-") for h in HUGE])
def test_an_attack_gives_one_line(make: Callable[[], bytes], fact: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(make())
    assert complaint(path) == ""
    with pytest.raises(SandgrainError) as caught:
        graph_of(path, "m")
    assert fact in str(caught.value), str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


def test_a_layer_of_many_groups_takes_no_more_than_its_time(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(groups())
    assert complaint(path) == ""


def test_a_child_that_dies_is_one_line_and_the_next_model_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checker, data = Checker(), seeds()[0]
    (tmp_path / "dies.py").write_text("")
    monkeypatch.setattr(child, "__file__", str(tmp_path / "dies.py"))
    with pytest.raises(ModelError, match="crashed on it or took too much time or memory"):
        checker.check(data, None, None)
    monkeypatch.undo()
    assert checker.check(data, None, None)
    assert checker._child is not None
    checker._child.kill()
    checker._child.wait()
    assert checker.check(data, None, None)
    checker.close()


def test_the_command_line_says_it_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "m.onnx").write_bytes(swollen())
    done = sandgrain("compile", tmp_path / "in" / "m.onnx", "-o", "out", cwd=tmp_path / "in", timeout=6 * SECONDS)
    assert done.code == 2 and "use at most" in done.line
    assert [p.name for p in (tmp_path / "in").iterdir()] == ["m.onnx"]
