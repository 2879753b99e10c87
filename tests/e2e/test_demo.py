"""`sandgrain demo`: what README.md says about its accuracy holds, also for floats that are added in another order."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.support.command import sandgrain

# PyTorch's sums as on a processor of 2008, without AVX and FMA: the training ends in other weights.
PLAIN = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}


def budget(root: Path) -> float:
    """The least accuracy that the demo's project file allows, in percent."""
    project = tomllib.loads((root / "sandgrain" / "demo" / "sandgrain.toml").read_text("utf-8"))
    return 100 * float(project["budget"]["accuracy"])


def test_the_readme_names_the_range_and_the_limit_of_the_demos_accuracy(root: Path) -> None:
    text = (root / "README.md").read_text("utf-8")
    ((low, high, fewest, most, scans, limit),) = re.findall(
        r"elsewhere: ([\d.]+) to ([\d.]+) % of the scans \((\d+) to (\d+) of (\d+)\).*?Below ([\d.]+) % the demo fails",
        text,
        re.DOTALL,
    )
    assert float(limit) == budget(root) < float(low) < float(high)
    assert [f"{100 * int(count) / int(scans):.1f}" for count in (fewest, most)] == [low, high]
    ((accuracy, all_of),) = re.findall(r"^int8\s+([\d.]+) %  all (\d+) test windows", text, re.MULTILINE)
    assert float(low) <= float(accuracy) <= float(high) and all_of == scans


@pytest.mark.slow  # trains twice: two minutes of a core each
@pytest.mark.parametrize("arithmetic", [{}, PLAIN], ids=["native", "plain"])
def test_the_demo_keeps_its_budget_however_floats_are_added(arithmetic: dict[str, str], root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    done = sandgrain("demo", "--json", cwd=folder, timeout=1800, env=arithmetic)
    assert done.code == 0, done.err
    found = done.json
    assert found["identical"] and found["missed"] == []
    assert 100 * found["accuracy"] >= budget(root)
    assert found["accuracy"] == found["accuracy_int8_host"]
