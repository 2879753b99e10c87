"""The public API is a sorted list of names, each with a docstring."""

from __future__ import annotations

import inspect
import tomllib
from pathlib import Path

import sandgrain

ROOT = Path(__file__).resolve().parents[2]


def test_public_names_are_sorted_and_unique() -> None:
    assert list(sandgrain.__all__) == sorted(set(sandgrain.__all__))


def test_public_names_exist() -> None:
    assert [name for name in sandgrain.__all__ if not hasattr(sandgrain, name)] == []


def test_public_functions_and_classes_are_documented() -> None:
    things = {name: getattr(sandgrain, name) for name in sandgrain.__all__}
    code = {name: thing for name, thing in things.items() if inspect.isfunction(thing) or inspect.isclass(thing)}
    assert [name for name, thing in code.items() if not inspect.getdoc(thing)] == []


def test_every_error_class_is_public() -> None:
    from sandgrain.base import errors

    classes = {name for name, thing in vars(errors).items() if inspect.isclass(thing) and thing.__module__ == errors.__name__}
    assert classes <= set(sandgrain.__all__)


def test_changelog_knows_the_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["version"]["path"] == "sandgrain/base/version.py"
    assert sandgrain.__version__ in (ROOT / "CHANGELOG.md").read_text()
