"""Options: one documented line each, the same on the command line and in Python, and values that travel together have names."""

from __future__ import annotations

import ast
import inspect
from dataclasses import replace
from pathlib import Path

import pytest

import sandgrain
from sandgrain.base.errors import UsageError
from sandgrain.bundle.make import CompileRequest
from sandgrain.compiler.emit.model import Options
from sandgrain.device import targets
from tests.conftest import ROOT
from tests.support.draws import rare

VERBS = sandgrain._VERBS
ROOMS = ("api", "bundle", "cli", "device/cost", "device/toolchain", "device/targets")
PATHS = sorted(p for room in ROOMS for p in (ROOT / "sandgrain" / room).glob("*.py"))
PATHS.append(ROOT / "sandgrain/compiler/passes/into_strips.py")


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_a_verb_has_a_line_that_says_what_it_is(verb: str) -> None:
    function = getattr(sandgrain, verb)
    lines = (inspect.getdoc(function) or "").splitlines()
    named = [line.partition(":")[0].strip("`") for line in lines if line.startswith("`")]
    assert named == list(inspect.signature(function).parameters)


@pytest.mark.parametrize("verb", VERBS)
def test_the_options_of_a_verb_are_given_by_name(verb: str) -> None:
    parameters = inspect.signature(getattr(sandgrain, verb)).parameters.values()
    given_by_place = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert len(given_by_place) <= 3
    assert all(p.default is not p.empty for p in parameters if p.kind is p.KEYWORD_ONLY)


def request(arena: str, section: str | None = None) -> CompileRequest:
    return CompileRequest(title="m", out=Path("m"), board=targets.load("host"), options=Options("m", arena, section))


def test_options_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(UsageError, match="--arena-section goes with --arena static"):
        request("caller", ".bss")
    with pytest.raises(UsageError, match="neither static nor caller"):
        request("heap")
    with pytest.raises(UsageError, match="a label is longer"):
        replace(request("static"), labels=("x" * 1001,))


def test_options_are_refused_before_the_model_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither static nor caller"):
        sandgrain.compile(tmp_path / "no-such-file.tflite", arena="heap")
    with pytest.raises(UsageError, match="max_ram="):
        sandgrain.compile(tmp_path / "no-such-file.tflite", max_ram="much")


@rare
@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.relative_to(ROOT / "sandgrain").as_posix())
def test_no_function_has_more_than_six_parameters(path: Path) -> None:
    """A verb's options and a command's are the exception: people give them one by one."""
    verb = path.parent.name in ("api", "cli") and not path.name.startswith("_")
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef) and not (verb and node.name in (path.stem, "command")):
            names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs) if a.arg != "self"]
            assert len(names) <= 6, f"{node.name}({', '.join(names)})"
