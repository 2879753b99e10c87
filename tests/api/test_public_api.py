"""The public API: sorted names, each with a docstring; a function for every command; light to import."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

import sandgrain
from sandgrain import cli
from tests.support.draws import rare

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


def test_the_verbs_of_python_are_the_commands() -> None:
    assert sorted(sandgrain._VERBS) == sorted(cli.NAMES)
    assert all(inspect.isfunction(getattr(sandgrain, verb)) for verb in sandgrain._VERBS)
    assert set(sandgrain._VERBS) <= set(sandgrain.__all__) <= set(dir(sandgrain))


def test_a_name_that_is_none_of_ours_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'compyle'"):
        sandgrain.compyle  # type: ignore[attr-defined]  # noqa: B018


def test_editors_and_type_checkers_see_every_name() -> None:
    spec = importlib.util.spec_from_file_location("public_names", ROOT / "tools" / "public_names.py")
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    text = (ROOT / "sandgrain" / "__init__.py").read_text("utf-8")
    assert text == tool.render(text), "run `make docs`"
    forgotten = text.replace("    from sandgrain.api.verify import verify as verify\n", "")
    assert forgotten != text == tool.render(forgotten)
    seen = {a.asname for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom) for a in node.names if a.asname}
    assert set(sandgrain.__all__) <= seen


def used_names(source: str) -> set[str]:
    """What follows `sandgrain.` in code that has `import sandgrain`."""
    tree = ast.parse(source)
    if not any(
        isinstance(n, ast.Import) and any((a.name, a.asname) == ("sandgrain", None) for a in n.names) for n in ast.walk(tree)
    ):
        return set()
    attributes = (n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name))
    return {n.attr for n in attributes if isinstance(n.value, ast.Name) and n.value.id == "sandgrain"}


def test_commands_and_benchmarks_use_only_public_names() -> None:
    """A room such as `sandgrain.bundle` is an attribute only once something has imported it."""
    assert used_names("import sandgrain\nsandgrain.bundle.verify('out')") == {"bundle"}
    files = [*(ROOT / "sandgrain" / "cli").glob("*.py"), *(ROOT / "bench").glob("*.py")]
    used = {file.name: used_names(file.read_text("utf-8")) - set(sandgrain.__all__) for file in files}
    assert {name: names for name, names in used.items() if names} == {}
    assert any("verify" in used_names(file.read_text("utf-8")) for file in files)


def python(code: str, path: Path = ROOT) -> str:
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(path)!r})\n{code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_sandgrain_imports_next_to_nothing() -> None:
    seen = python("import sandgrain\nprint(*sorted(m for m in sys.modules if m.startswith('sandgrain') or m == 'numpy'))").split()
    assert seen == ["sandgrain", "sandgrain.base", "sandgrain.base.errors", "sandgrain.base.version"]


def test_the_list_of_commands_imports_no_compiler() -> None:
    code = "import runpy\nsys.argv = ['sandgrain', '--help']\ntry: runpy.run_module('sandgrain', run_name='__main__')\n"
    code += "except SystemExit: pass\nprint(*sorted(m for m in sys.modules if m.startswith('sandgrain') or m == 'numpy'))"
    *page, last = python(code).splitlines()
    assert any(line.strip().startswith("verify ") for line in page)
    assert {name.partition(".")[2].partition(".")[0] for name in last.split()} <= {"", "base", "cli", "__main__"}


@rare
def test_a_command_is_two_files(tmp_path: Path) -> None:
    """In a copy of the package: no list elsewhere knows of the new one."""
    shutil.copytree(ROOT / "sandgrain", tmp_path / "sandgrain", ignore=shutil.ignore_patterns("__pycache__", "*.c", "*.h"))
    (tmp_path / "sandgrain/api/greet.py").write_text('def greet(name: str) -> str:\n    return f"good day, {name}"\n')
    command = "import sandgrain\nfrom sandgrain.cli import _terminal\n\nEXAMPLE = 'Example: sandgrain greet you'\n\n\n"
    command += 'def command(name: str) -> None:\n    """Greet. Twice."""\n    _terminal.line(sandgrain.greet(name))\n'
    (tmp_path / "sandgrain/cli/greet.py").write_text(command)
    run = "from sandgrain.cli import main\nsys.argv = ['sandgrain', *{}]\nmain()"
    assert python(run.format(["greet", "you"]), tmp_path) == "good day, you\n"
    assert "\n  greet     Greet.\n" in python(run.format(["--help"]), tmp_path)
    assert "Example: sandgrain greet you" in python(run.format(["greet", "--help"]), tmp_path)


@pytest.mark.parametrize("name", cli.NAMES)
def test_the_list_of_commands_says_what_each_page_begins_with(name: str) -> None:
    page = CliRunner().invoke(cli.app, [name, "--help"], prog_name="sandgrain", env={"COLUMNS": "80"}).output
    assert cli.summary(name) in " ".join(page.split())


def test_an_error_after_the_answer_prints_no_second_object(capsys: pytest.CaptureFixture[str]) -> None:
    from sandgrain.cli import _terminal

    old, sys.argv = sys.argv, ["sandgrain", "--json"]
    try:
        for error, objects in ((sandgrain.MismatchError("m"), 1), (_terminal.answered(sandgrain.MismatchError("m")), 0)):
            with pytest.raises(SystemExit) as ended:
                cli._fail(error, str(error), 4)
            shown = capsys.readouterr()
            assert (ended.value.code, shown.err, shown.out.count("MismatchError")) == (4, "error: m\n", objects)
    finally:
        sys.argv = old
