"""init proposes a number as the target where a column says so by its name and takes too many values for classes; never where labels are few."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sandgrain.project.file import init
from sandgrain.project.file.column import Column
from sandgrain.project.file.columns import judge

Rows = dict[str, list[str]]


def waves(rows: int = 300, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    return {name: [f"{v:.4f}" for v in rng.normal(0, 2, rows)] for name in ("s1", "s2", "s3")}


def roles(columns: Rows) -> dict[str, str]:
    judged = judge([Column(name, [cells]) for name, cells in columns.items()])
    return {name: verdict.role for name, verdict in judged.verdicts.items()}


def fine(rows: int = 300) -> list[str]:
    return [f"{v:.2f}" for v in np.random.default_rng(9).normal(5, 2, rows)]


@pytest.mark.parametrize("name", ["target", "CO_GT", "label", "y", "ground_truth", "groundtruth"])
def test_a_column_of_many_numbers_whose_name_says_so_is_the_target(name: str) -> None:
    found = roles({**waves(), name: fine()})
    assert found[name] == "number" and list(found.values()).count("channel") == 3


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("label", lambda: [str(k // 30) for k in range(300)]),
        ("target", lambda: ["rest" if k < 150 else "walk" for k in range(300)]),
        ("class", lambda: [f"{k // 100}.5" for k in range(300)]),
        ("gt", lambda: [str(k // 100) for k in range(300)]),
    ],
)
def test_few_labels_are_never_a_target(name: str, cells: Callable[[], list[str]]) -> None:
    assert "number" not in roles({**waves(), name: cells()}).values()


def test_an_axis_a_second_label_and_a_plain_channel_are_no_target() -> None:
    assert "number" not in roles({"x": fine(), "y": fine(), "z": fine()}).values(), "axes"
    labelled = {**waves(), "target": fine(), "activity": [str(k // 75) for k in range(300)]}
    assert roles(labelled)["activity"] == "label" and "number" not in roles(labelled).values(), "there is a label"
    assert "number" not in roles({**waves(), "voltage": fine()}).values()


def test_of_several_the_others_are_left_out_with_the_key_that_takes_them() -> None:
    judged = judge([Column(n, [c]) for n, c in {**waves(), "CO_GT": fine(), "NO2_GT": fine()[::-1]}.items()])
    assert judged.of("number") == ("CO_GT",) and judged.verdicts["NO2_GT"].role == "unused"
    assert "NO2_GT may be it as well" in judged.verdicts["CO_GT"].why and "target_column" in judged.verdicts["NO2_GT"].why
    assert judged.verdicts["CO_GT"].key == "target_column"


def test_what_init_writes_passes_data(tmp_path: Path) -> None:
    """A reading an hour, some of them without the number: windows of one row, split in time, no augmentation."""
    folder = tmp_path / "air"
    folder.mkdir()
    numbers = [n if k % 7 else "" for k, n in enumerate(fine())]
    hours = [f"2024-03-{1 + k // 24:02} {k % 24:02}:00:00" for k in range(300)]
    columns = {"time": hours, **waves(), "CO_GT": numbers}
    (folder / "all.csv").write_text("\n".join([",".join(columns), *map(",".join, zip(*columns.values(), strict=True))]))
    look = init.write(folder, tmp_path / "sandgrain.toml")
    text = (tmp_path / "sandgrain.toml").read_text()
    assert not look.problem and 'target_column = "CO_GT"' in text and "bad_rows" not in text
    assert "43 of 300 rows have none, and stay input" in "\n".join(v.text for v in look.columns)
    assert 'name = "mlp"' in text and 'by = "time"' in text and "[[augment]]" not in text and "# mae = 1" in text
