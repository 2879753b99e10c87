"""A fact about an op stands in the op's file: no table and no chain of comparisons outside is keyed by the names of ops.

Formats have words of their own for ops (front ends, exporters), and training has their gradients: those may go by name. A kernel's
descriptor names the ops that it computes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TypeGuard

import pytest

from sandgrain.graph.ops import OPS

ROOT = Path(__file__).resolve().parents[2]
FORMATS = {"frontends", "exporters", "formats"}
GRADIENTS = "train/qat.py"
REGISTRY = "OPS"
# Names of ops that are words of other things too: instructions, options of projects, statistics. A table of these alone is none of ops.
WORDS = {"abs", "add", "exp", "gelu", "mean", "mul", "relu", "split", "statistics", "sub", "sum", "tanh"}

FILES = sorted((ROOT / "sandgrain").rglob("*.py"))


def may_go_by_name(path: str) -> bool:
    return bool(FORMATS & set(PurePosixPath(path).parts)) or path.endswith(GRADIENTS)


def tables(source: str) -> list[str]:
    """Every table or chain in `source` that is keyed by names of ops, as "line: what"."""
    tree = ast.parse(source)
    found = [*_literals(tree), *_lookups(tree)]
    for scope in ast.walk(tree):
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            found += _chains(scope)
    return [f"line {line}: {what}" for line, what in sorted(set(found))]


def _literals(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Dicts, sets, tuples and lists of op names: two at least, and nothing else."""
    computed = {id(call.args[1]) for call in ast.walk(tree) if _is_descriptor(call)}
    for node in ast.walk(tree):
        if id(node) in computed:
            continue
        keys = node.keys if isinstance(node, ast.Dict) else node.elts if isinstance(node, ast.Set | ast.Tuple | ast.List) else []
        names = [k.value for k in keys if isinstance(k, ast.Constant) and isinstance(k.value, str)]
        strange = [k for k in keys if k is not None and not isinstance(k, ast.Constant)]
        if len(set(names)) > 1 and not strange and set(names) <= OPS.keys() and not set(names) <= WORDS:
            yield node.lineno, f"a table of {', '.join(names[:3])}"


def _is_descriptor(node: ast.AST) -> TypeGuard[ast.Call]:
    """`Kernel(name, ops, ...)`."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Kernel" and len(node.args) > 1


def _is_op(node: ast.AST) -> bool:
    """`node.op`, `view.node.op`: where a name of an op comes from."""
    return isinstance(node, ast.Attribute) and node.attr == "op"


def _lookups(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """TABLE[node.op], TABLE.get(node.op), node.op in TABLE: whatever TABLE is made of, unless it is the registry."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and _is_op(node.slice):
            table = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args and _is_op(node.args[0]):
            table = node.func.value
            if node.func.attr not in ("get", "pop", "setdefault"):
                continue
        elif isinstance(node, ast.Compare) and _is_op(node.left) and isinstance(node.ops[0], ast.In | ast.NotIn):
            table = node.comparators[0]
        else:
            continue
        if not (isinstance(table, ast.Name) and table.id == REGISTRY):
            yield node.lineno, f"{ast.unparse(table)[:40]} is asked for the name of an op"


def _chains(scope: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Iterator[tuple[int, str]]:
    """Comparisons with several names of ops in one function."""
    names: set[str] = set()
    for node in ast.walk(scope):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            said = {s.value for s in sides if isinstance(s, ast.Constant) and isinstance(s.value, str)}
            names |= said if any(_is_op(side) for side in sides) else said - WORDS
        elif isinstance(node, ast.Match):
            said = {c.value for c in ast.walk(node) if isinstance(c, ast.Constant) and isinstance(c.value, str)}
            names |= said if _is_op(node.subject) else said - WORDS
    if len(names & OPS.keys()) > 1:
        yield scope.lineno, f"a chain of comparisons with {', '.join(sorted(names & OPS.keys()))}"


def test_no_table_is_keyed_by_the_names_of_ops() -> None:
    paths = [f.relative_to(ROOT).as_posix() for f in FILES]
    broken = {p: tables((ROOT / p).read_text("utf-8")) for p in paths if not may_go_by_name(p)}
    assert {p: what for p, what in broken.items() if what} == {}


def test_formats_and_gradients_alone_may_go_by_name() -> None:
    assert may_go_by_name("sandgrain/formats/onnx/write/weighted.py") and may_go_by_name("sandgrain/train/qat.py")
    assert not may_go_by_name("sandgrain/quantization/scales.py") and not may_go_by_name("sandgrain/train/loop.py")
    gradients = next(f for f in FILES if f.as_posix().endswith(GRADIENTS))
    assert tables(gradients.read_text("utf-8"))  # the rule sees a real table


@pytest.mark.parametrize(
    "source",
    [
        'SAME = frozenset(("reshape", "concatenation", "pad"))',
        'AXIS = {"conv_2d": 0, "depthwise_conv_2d": 3}',
        'FUSED = ("relu", "relu6")',
        'RECURRENT = ["gru", "lstm"]',
        'DENSE = {"conv_2d", "fully_connected"}',
        'KERNEL = Kernel("gather", OPS_OF_IT, _lower, ("gru", "lstm"))',
        "def f(node, view):\n    return RULES[node.op](view)",
        "def f(node):\n    return RULES.get(node.op)",
        "def f(view):\n    return view.node.op in COLUMNS",
        "def f(node):\n    return node.op not in 'add sub'.split()",
        'def f(node):\n    if node.op == "pad":\n        return 1\n    elif node.op == "mean":\n        return 2',
        'def f(node):\n    return node.op == "gru" or node.op == "lstm"',
        'def f(node):\n    match node.op:\n        case "gru" | "lstm":\n            return 1',
        'def f(nodes):\n    return [n for n in nodes if n.op in ("add", "sub")]',
        'def f(reader):\n    return 1 if reader == "max_pool_2d" else 2 if reader == "pad" else 3',
    ],
)
def test_a_table_outside_the_ops_is_seen(source: str) -> None:
    assert tables(source), source


@pytest.mark.parametrize(
    "source",
    [
        "def f(node):\n    return OPS[node.op].weights",
        "def f(node):\n    return node.op in OPS",
        'def f(node):\n    return node.op == "pad"',
        'NODE = Node("reshape", "x", (0,), (1,))',
        'INSTRUCTIONS = ("add", "sub")',
        'KERNEL = Kernel("gather", ("depth_to_space", "space_to_depth"), _lower)',
        'BOUNDS = {"none": None, "relu": 0.0, "relu6": 6.0}',
        'COLUMNS = ("file", "label", "split")',
    ],
)
def test_what_is_no_table_of_ops_passes(source: str) -> None:
    assert tables(source) == []
