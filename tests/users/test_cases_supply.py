"""What is said of security, and which packages a set-up takes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_33_a_policy_is_stated() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    for words in ("Report a vulnerability", "Which versions", "--on emulator", "constraints.txt", "days"):
        assert words in text, words


def test_33_every_package_of_the_set_up_is_pinned_within_its_range() -> None:
    versions = pinned()
    extras = PROJECT["optional-dependencies"]
    wanted = [
        Requirement(line) for line in PROJECT["dependencies"] + [r for e in ("data", "train", "onnx", "test") for r in extras[e]]
    ]
    for requirement in wanted:
        if canonicalize_name(requirement.name) == "sandgrain":
            continue
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None and requirement.specifier.contains(version, prereleases=True), (
            f"{requirement}: run tools/constraints.py"
        )
    assert all(re.fullmatch(r"[a-z0-9-]+", name) and "+" not in version for name, version in versions.items())


def test_33_the_commands_of_the_readme_install_with_it() -> None:
    made = (ROOT / "Makefile").read_text()
    installs = [line for line in made.splitlines() if "pip_install.py" in line]
    assert len(installs) >= 3 and all("--constraint constraints.txt" in line for line in installs)
    assert "make demo" in (ROOT / "README.md").read_text()
