"""Imports point one way: each part of Sandgrain uses only what is below it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "sandgrain"

# Lowest first. Parts on one line may use each other, as long as no circle comes about.
LAYERS = (
    {"errors", "npy", "scratch"},
    {"base"},
    {"dtypes", "targets", "cost"},
    {"quant"},
    {"fixedpoint"},
    {"ir"},
    {"spec", "ops", "printer"},
    {"kernels"},
    {"interp", "frontends", "exporters", "passes", "plan", "features", "quantize", "decide"},
    {"codegen"},
    {"pipeline"},
    {"toolchain"},
    {"run"},
    {
        "on_host",
        "datafile",
        "evaluate",
        "importing",
        "quantize_file",
        "export_file",
        "extract",
        "budget",
        "fit",
        "tune",
        "measure",
        "costs",
        "proof",
        "verify",
        "report",
        "survey",
        "data",
        "project",
        "train",
        "compress",
        "search",
        "deploy",
    },
    {"api"},
    {"build"},
    {"sandgrain"},  # the package's __init__: the public API
    {"cli", "studio", "__main__"},
)
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}
ONLY_ERRORS = {"targets", "cost"}
NEVER = {  # though the order of LAYERS would let them
    ("cli", "studio"): "commands and the studio call the API",
    ("studio", "cli"): "commands and the studio call the API",
    ("data", "frontends"): "data sets are read without knowing models",
    ("data", "datafile"): "data sets are read without knowing models",
    ("train", "codegen"): "training takes outputs from on_host",
    ("run", "codegen"): "a runner is given text and folders",
}
TORCH_PLACES = ("sandgrain/train/", "sandgrain/frontends/torch")

FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(module: str) -> str:
    """sandgrain.ops.conv_2d -> ops; the package itself -> sandgrain."""
    pieces = module.split(".")
    return pieces[1] if len(pieces) > 1 else "sandgrain"


def module_of(path: str) -> str:
    """sandgrain/ops/__init__.py -> sandgrain.ops."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports(path: str, source: str) -> Iterator[str]:
    """Every module that the file imports, wherever in the file the import stands."""
    package = module_of(path) if path.endswith("__init__.py") else module_of(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name != "sandgrain")
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "sandgrain":
            # After `import sandgrain`: everybody may ask for the version, which is there before all else.
            if node.attr != "__version__":
                yield f"sandgrain.{node.attr}" if node.attr in RANK else "sandgrain"
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            if base == "sandgrain":
                # `from sandgrain import x`: a part when there is one, otherwise a name of the public API.
                yield from (
                    f"sandgrain.{a.name}" if a.name in RANK else "sandgrain" for a in node.names if a.name != "__version__"
                )
            else:
                yield base


def violations(path: str, source: str) -> list[str]:
    """What `path` (relative to the project) imports and must not."""
    part, found = part_of(module_of(path)), []
    if part not in RANK:
        return [f"`{part}` has no layer; give it one in LAYERS"]
    for name in imports(path, source):
        top, other = name.split(".")[0], part_of(name)
        if top == "torch" and not path.startswith(TORCH_PLACES):
            found.append("torch belongs in train and frontends/torch")
        elif part == "ops" and top not in {"sandgrain", "numpy", *sys.stdlib_module_names}:
            found.append(f"an op gets decoded nodes; it needs no {top}")
        if top != "sandgrain" or other == part:
            continue
        if other not in RANK:
            found.append(f"`{other}` has no layer; give it one in LAYERS")
        elif RANK[other] > RANK[part]:
            found.append(f"{name} is above {part}")
        elif part in ONLY_ERRORS and other not in ("errors", "base"):
            found.append(f"{part} may use only errors and base, not {name}")
        elif (part, other) in NEVER:
            found.append(f"{part} never imports {other}: {NEVER[part, other]}")
    return found


@pytest.mark.parametrize("path", [f.relative_to(ROOT).as_posix() for f in FILES])
def test_imports_point_down(path: str) -> None:
    assert violations(path, (ROOT / path).read_text()) == []


def test_parts_form_no_circle() -> None:
    uses: dict[str, set[str]] = {}
    for file in FILES:
        path = file.relative_to(ROOT).as_posix()
        part = part_of(module_of(path))
        others = {part_of(name) for name in imports(path, file.read_text()) if name.split(".")[0] == "sandgrain"}
        uses.setdefault(part, set()).update(others - {part})
    while free := [part for part in uses if not uses[part] & uses.keys()]:
        for part in free:
            del uses[part]
    assert not uses


@pytest.mark.parametrize(
    ("path", "source", "count"),
    [
        ("sandgrain/ir.py", "from sandgrain.quant import per_tensor", 0),
        ("sandgrain/quant.py", "def f():\n    from sandgrain.ir import Graph", 1),
        ("sandgrain/passes/fold.py", "from sandgrain import codegen", 1),
        ("sandgrain/passes/fold.py", "from ..codegen import writer", 1),
        ("sandgrain/codegen/model.py", "from sandgrain import __version__", 0),
        ("sandgrain/codegen/model.py", "import sandgrain\nprint(sandgrain.__version__)", 0),
        ("sandgrain/codegen/model.py", "import sandgrain\nsandgrain.verify()", 1),
        ("sandgrain/codegen/model.py", "from sandgrain import compile", 1),
        ("sandgrain/ops/relu.py", "import flatbuffers", 1),
        ("sandgrain/ops/relu.py", "import numpy as np\nimport math\nfrom .base import Op", 0),
        ("sandgrain/cost/model.py", "from sandgrain.quant import per_tensor", 1),
        ("sandgrain/cli/demo.py", "import sandgrain.studio", 1),
        ("sandgrain/run/host.py", "import torch", 1),
        ("sandgrain/run/host.py", "from sandgrain.codegen.model import harness", 1),
        ("sandgrain/train/anomaly.py", "from sandgrain.codegen import model", 1),
        ("sandgrain/data/readers/npz.py", "from sandgrain import datafile", 1),
        ("sandgrain/train/loop.py", "import torch", 0),
        ("sandgrain/gadget.py", "", 1),
    ],
)
def test_a_wrong_import_is_seen(path: str, source: str, count: int) -> None:
    assert len(violations(path, source)) == count
