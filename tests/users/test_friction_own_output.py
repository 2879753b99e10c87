"""What Sandgrain wrote beside recordings is no recording: `init` and `data` in a project that was built before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sandgrain as api
from sandgrain.base.files import BUNDLE, is_bundle
from tests.conftest import ROOT

DIGITS = ROOT / "sandgrain" / "demo" / "digits.tflite"


@pytest.mark.parametrize("kind", ["table", "stream"])
def test_init_and_data_again_after_a_build(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    for label in ("idle", "run"):
        for k in range(4):
            x = rng.normal(0, 400, (300, 3)).cumsum(axis=0).astype(np.int16)
            if kind == "table":
                (tmp_path / f"{label}_{k}.csv").write_text("x,y,z\n" + "".join(f"{a},{b},{c}\n" for a, b, c in x))
            else:
                np.savez(tmp_path / f"{label}_{k}.npz", x=x)
    first = api.init(tmp_path, out=tmp_path)
    text, seen = (tmp_path / "sandgrain.toml").read_text(), api.data(tmp_path).to_json()
    for name in ("out", "made/by/hand"):
        api.compile(DIGITS, target="host", out=tmp_path / name, name="model", measure=False)
        assert is_bundle(tmp_path / name)  # a mark that a renamed file would lose
        (tmp_path / name / "noise.csv").write_text("1,2\n")
    again = api.init(tmp_path, out=tmp_path, force=True)
    assert (tmp_path / "sandgrain.toml").read_text() == text and again.count == first.count
    assert api.data(tmp_path).to_json() == seen


def test_the_folder_that_is_asked_for_is_looked_at_whatever_lies_in_it(tmp_path: Path) -> None:
    (tmp_path / BUNDLE).parent.mkdir()
    (tmp_path / BUNDLE).write_text("{}")
    (tmp_path / "a.csv").write_text("x\n" + "".join(f"{k % 7}\n" for k in range(200)))
    assert api.init(tmp_path, out=tmp_path, draft=True).count == 1
