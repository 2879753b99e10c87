"""How many bits a value has is said by its data type: nothing else takes eight for granted.

Limits (127, 128, 255), the name of the type and its C type are asked of `DType` (graph/dtypes.py). What speaks of int8 by nature is
left out: kernels and their C, the words of file formats, recordings as they lie in files, pages and the command line.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.draws import rare

ROOT = Path(__file__).resolve().parents[2] / "sandgrain"
ROOMS = ("graph", "frontend", "quantization", "compiler", "bundle", "api", "train", "project")
BY_NATURE = {
    "graph/dtypes.py",  # where it is said
    "api/export.py",  # the kinds of numbers that files have
}
LIMITS = (127, 255)  # as numbers they are nothing else
HALF = 128  # a limit where it is added, taken away, compared or negative; else a size
SUSPECT = re.compile(r"127|128|255|int8")  # no other file needs to be parsed
C_TYPE = re.compile(r"(?<!u)int8_t")

FILES = [p.relative_to(ROOT).as_posix() for room in ROOMS for p in sorted((ROOT / room).rglob("*.py"))]


def assumptions(source: str) -> list[str]:
    """Every place in `source` that takes eight bits for granted, as "line: what"."""
    if not SUSPECT.search(source):
        return []
    tree = ast.parse(source)
    docs = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}
    return sorted({f"{line}: {what}" for node in ast.walk(tree) if id(node) not in docs for line, what in _seen(node)})


def _seen(node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Constant):
        if type(node.value) in (int, float) and node.value in LIMITS:
            yield node.lineno, f"{node.value:g} is a limit of a type"
        if isinstance(node.value, str) and C_TYPE.search(node.value):
            yield node.lineno, "a C type by name"
    if isinstance(node, ast.Attribute) and node.attr == "int8" and ast.unparse(node.value) in ("np", "numpy"):
        yield node.lineno, "numpy's int8 by name"
    for part in _operands(node):
        if isinstance(part, ast.Constant) and type(part.value) is int and part.value == HALF:
            yield part.lineno, "128 is a limit of a type"
    for part in _places_of_types(node):
        if isinstance(part, ast.Constant) and part.value == "int8":
            yield part.lineno, "int8 by name"


def _operands(node: ast.AST) -> list[ast.expr]:
    """What is added, compared or negated in `node`, and multiplied."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return [node.operand]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub | ast.Mult):
        return [node.left, node.right]
    return [node.left, *node.comparators] if isinstance(node, ast.Compare) else []


def _places_of_types(node: ast.AST) -> list[ast.expr]:
    """Where a string is the name of a type: an argument, a default, one side of a comparison, a table."""
    if isinstance(node, ast.Call):
        parts = [*node.args, *(k.value for k in node.keywords)]
    elif isinstance(node, ast.Compare):
        parts = [node.left, *node.comparators]
    elif isinstance(node, ast.Assign):
        parts = [node.value]
    elif isinstance(node, ast.arguments):
        parts = [d for d in (*node.defaults, *node.kw_defaults) if d is not None]
    else:
        return []
    return [e for p in parts for e in ([p, *p.elts] if isinstance(p, ast.Tuple | ast.Set) else [p])]


@rare
def test_nothing_but_the_data_type_assumes_eight_bits() -> None:
    broken = {f: assumptions((ROOT / f).read_text("utf-8")) for f in FILES if f not in BY_NATURE}
    assert {f: what for f, what in broken.items() if what} == {}


def test_what_is_left_out_is_there_and_is_seen() -> None:
    for name in BY_NATURE - {"graph/dtypes.py"}:
        assert assumptions((ROOT / name).read_text("utf-8")), name
    assert set(BY_NATURE) <= set(FILES)


@pytest.mark.parametrize(
    "source",
    [
        "WEIGHT_MAX = 127",
        "scale = (high - low) / 255.0",
        "zero = -128",
        "y = np.clip(x, -128, 100)",
        "ok = x.dtype == 'int8'",
        "need_dtype(view.out, 'int8', 'float32')",
        "DTYPES = ('int8', 'int32')",
        "def f(dtype='int8'): pass",
        "def f(x):\n    return x.dtype in ('int8',)",
        "h = np.zeros((n, units), np.int8)",
        "Tensor(name, shape, dtype='int8')",
        "line = f'static inline int8_t {name}(float value)'",
        "shifted = x + 128",
    ],
)
def test_a_planted_assumption_is_seen(source: str) -> None:
    assert assumptions(source), source


@pytest.mark.parametrize(
    "source",
    ['"""int8_t, 127"""', "BATCH = 128", "fft = draw.choice((64, 128))", "x = view.out.dtype.low", "t = 'uint8_t *arena'"],
)
def test_what_assumes_nothing_passes(source: str) -> None:
    assert assumptions(source) == []
