"""Imports point one way: each room of the package uses only the rooms below it, and no circle comes about inside a room."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "sandgrain"

# Lowest first: a room imports from those before it. docs/explanation/design.md says what each is for.
ROOMS = (
    "base",
    "graph",
    "device",
    "kernels",
    "quantization",
    "frontend",
    "formats",
    "compiler",
    "bundle",
    "dataset",
    "train",
    "project",
    "api",
    "cli",
)
RANK = {room: rank for rank, room in enumerate(ROOMS)}
# Rooms that could import more by their rank and must not: what they may use instead.
ONLY = {
    "dataset": {"base"},  # recordings are read without a compiler; its workers start in milliseconds
    "cli": {"api", "base"},  # the command line has nothing that Python has not
    "device": {"base", "graph"},  # a board does not know how C is made
    "formats": {"base", "graph"},  # a reader says what a file holds; quantizing it is somebody else's work
}
NO_IMPORT = {"train": {"compiler"}}  # training asks a bundle for outputs
TORCH_PLACES = ("sandgrain/train/", "sandgrain/formats/torch/", "sandgrain/formats/sources/torch.py")
DATA = {"demo"}  # folders without code

FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: str) -> str:
    """sandgrain.graph.ops.conv -> graph; the package itself -> ""."""
    pieces = module.split(".")
    return pieces[1] if len(pieces) > 1 else ""


def module_of(path: str) -> str:
    """sandgrain/graph/__init__.py -> sandgrain.graph."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports(path: str, source: str) -> Iterator[str]:
    """Every module that the file imports, wherever in the file the import stands. `sandgrain` alone: the public API."""
    package = module_of(path) if path.endswith("__init__.py") else module_of(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            if base == "sandgrain":
                yield from (f"sandgrain.{a.name}" if a.name in RANK else "sandgrain" for a in node.names)
            else:
                yield base


def violations(path: str, source: str) -> list[str]:
    """What `path` (relative to the project) imports and must not."""
    room = room_of(module_of(path))
    if not room or room == "__main__":
        return []
    if room not in RANK:
        return [f"`{room}` is no room; put the file into one, or give the room a rank in ROOMS"]
    wrong = []
    for name in imports(path, source):
        top, other = name.split(".")[0], room_of(name)
        if top == "torch" and not path.startswith(TORCH_PLACES):
            wrong.append("torch belongs in train and formats/torch")
        elif path.startswith("sandgrain/graph/") and top not in {"sandgrain", "numpy", *sys.stdlib_module_names}:
            wrong.append(f"the graph needs no {top}")
        if top != "sandgrain" or other == room:
            continue
        if not other:
            if room != "cli":
                wrong.append("only the command line uses the public API; import from the room that has it")
        elif other not in RANK:
            wrong.append(f"`{other}` is no room")
        elif RANK[other] > RANK[room]:
            wrong.append(f"{name} is above {room}")
        elif room in ONLY and other not in ONLY[room]:
            wrong.append(f"{room} uses only {', '.join(sorted(ONLY[room]))}, not {other}")
        elif other in NO_IMPORT.get(room, ()):
            wrong.append(f"{room} never imports {other}")
    return wrong


@pytest.mark.parametrize("room", ["", "__main__", *ROOMS])
def test_imports_point_down(room: str) -> None:
    files = [f for f in FILES if room_of(module_of(f.relative_to(ROOT).as_posix())) == room]
    assert files
    wrong = {}
    for file in files:
        path = file.relative_to(ROOT).as_posix()
        if found := violations(path, file.read_text("utf-8")):
            wrong[path] = found
    assert wrong == {}


def test_the_package_holds_rooms_and_nothing_beside_them() -> None:
    files = (p.relative_to(PACKAGE) for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    beside = {p.parts[0] for p in files}
    assert beside == {"__init__.py", "__main__.py", "py.typed", *ROOMS, *DATA}


def test_every_file_is_in_a_room_that_is_ranked() -> None:
    strangers = [f for f in FILES if room_of(module_of(f.relative_to(ROOT).as_posix())) not in {"", "__main__", *ROOMS}]
    assert strangers == []


def test_modules_form_no_circle() -> None:
    """Of modules, not of rooms alone; imports inside functions are left out, since they run later."""
    names = {module_of(f.relative_to(ROOT).as_posix()): f for f in FILES}
    uses: dict[str, set[str]] = {}
    for name, file in names.items():
        uses[name] = {m for m in _at_start(file, names) if m != name and not name.startswith(f"{m}.")}
    while free := [name for name in uses if not uses[name] & uses.keys()]:
        for name in free:
            del uses[name]
    assert sorted(uses) == []


def _at_start(file: Path, names: dict[str, Path]) -> Iterator[str]:
    """The package's modules that importing `file` imports."""
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sandgrain"):
            base = node.module or ""
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield full if full in names else base


NEVERS = (
    ("sandgrain/formats/aten/builder.py", "from sandgrain.quantization import weights"),
    ("sandgrain/cli/compile.py", "from sandgrain.formats import sources"),
    ("sandgrain/cli/ops.py", "from sandgrain.graph.ops import OPS"),
    ("sandgrain/cli/quantize.py", "from sandgrain.quantization import METHODS"),
    ("sandgrain/device/run/host.py", "from sandgrain.compiler.emit import bundle"),
    ("sandgrain/train/anomaly.py", "from sandgrain.compiler.passes import optimize"),
    ("sandgrain/dataset/readers/npz.py", "from sandgrain.formats import archive"),
)


@pytest.mark.parametrize(("path", "line"), NEVERS)
@pytest.mark.parametrize("place", ["{}", "def f():\n    {}", "if TYPE_CHECKING:\n    {}"], ids=["top", "function", "types"])
def test_the_seven_nevers_are_seen_wherever_they_stand(path: str, line: str, place: str) -> None:
    """Each was broken once. The line is planted into the file as it is today."""
    file = ROOT / path
    source = file.read_text("utf-8")
    assert len(violations(path, f"{source}\n{place.format(line)}\n")) == len(violations(path, source)) + 1


@pytest.mark.parametrize(
    ("path", "source", "count"),
    [
        ("sandgrain/graph/ir.py", "from sandgrain.base.errors import ModelError", 0),
        ("sandgrain/graph/quantization.py", "def f():\n    from sandgrain.compiler import passes", 1),
        ("sandgrain/compiler/passes/fold.py", "from sandgrain.bundle import tune", 1),
        ("sandgrain/compiler/passes/fold.py", "from ...bundle import tune", 1),
        ("sandgrain/compiler/emit/model.py", "from sandgrain import compile", 1),
        ("sandgrain/compiler/emit/model.py", "import sandgrain\nsandgrain.verify()", 1),
        ("sandgrain/graph/ops/table/relu.py", "import flatbuffers", 1),
        ("sandgrain/graph/ops/table/relu.py", "import numpy as np\nimport math\nfrom ..base import Op", 0),
        ("sandgrain/device/cost/cycles.py", "from sandgrain.graph.quantization import per_tensor", 0),
        ("sandgrain/device/cost/cycles.py", "from sandgrain.kernels import KERNELS", 1),
        ("sandgrain/cli/compile.py", "import sandgrain", 0),
        ("sandgrain/cli/compile.py", "from sandgrain.base.text import size", 0),
        ("sandgrain/cli/init.py", "from sandgrain.project.file import look", 1),
        ("sandgrain/cli/compile.py", "from sandgrain.formats import sources", 1),
        ("sandgrain/cli/ops.py", "from sandgrain.graph.ops import OPS", 1),
        ("sandgrain/cli/quantize.py", "from sandgrain.quantization import METHODS", 1),
        ("sandgrain/device/run/host.py", "import torch", 1),
        ("sandgrain/train/loop.py", "import torch", 0),
        ("sandgrain/gadget.py", "", 1),
    ],
)
def test_a_wrong_import_is_seen(path: str, source: str, count: int) -> None:
    assert len(violations(path, source)) == count
