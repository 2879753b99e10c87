"""Values that travel together have names: no long trains of parameters, and one documented field per option of `compile`."""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields
from pathlib import Path

import pytest

from sandgrain.api import compile
from sandgrain.base.errors import UsageError
from tests.conftest import ROOT

OPTIONS = {f.name: f for f in fields(compile.CompileRequest)}
MODULES = ["api", "budget", "fit", "measure", "proof", "report", "tune", "verify", "passes/into_strips", "targets/__init__"]
PATHS = [ROOT / "sandgrain" / f"{name}.py" for name in MODULES]
PATHS += sorted(p for folder in ("cost", "toolchain") for p in (ROOT / "sandgrain" / folder).glob("*.py"))


def test_every_option_of_compile_is_a_field_with_the_same_default() -> None:
    parameters = inspect.signature(compile.compile).parameters
    assert list(parameters) == list(OPTIONS)
    for name, parameter in parameters.items():
        if name not in ("model", "progress"):
            assert parameter.default == OPTIONS[name].default, name


def test_every_option_has_a_line_that_says_what_it_is() -> None:
    lines = inspect.getsource(compile.CompileRequest).splitlines()
    for name in OPTIONS:
        [line] = [line for line in lines if line.startswith(f"    {name}: ")]
        assert "  # " in line, name


def test_options_that_do_not_go_together_are_refused_before_anything_is_read() -> None:
    with pytest.raises(UsageError, match="--arena-section goes with --arena static"):
        compile.CompileRequest(model="no-such-file", arena="caller", section=".bss")
    with pytest.raises(UsageError, match="neither static nor caller"):
        compile.CompileRequest(model="no-such-file", arena="heap")


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.name)
def test_no_function_has_more_than_six_parameters(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef) and not (path.name == "api.py" and node.name == "compile"):
            names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs) if a.arg != "self"]
            assert len(names) <= 6, f"{node.name}({', '.join(names)})"
