"""Sealed arrays whose digest belongs to them and whose content is none: whoever can write the file can forge it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from sandgrain.base import sealed
from sandgrain.base.arrays import Array
from sandgrain.dataset import fingerprint, quality


def kept(path: Path, arrays: Mapping[str, Array], texts: Mapping[str, bytes] | None = None) -> Path:
    """A sealed archive; `texts`: members that are no arrays."""
    inner = io.BytesIO()
    np.savez(inner, **dict(arrays))  # type: ignore[arg-type]
    with zipfile.ZipFile(inner, "a") as archive:
        for name, text in (texts or {}).items():
            archive.writestr(f"{name}.npy", text)
    with path.open("w+b") as stream:
        sealed.write(stream, lambda file: file.write(inner.getvalue()))
    return path


def test_what_is_no_array_is_not_believed(tmp_path: Path) -> None:
    assert sealed.read_arrays(kept(tmp_path / "a", {"x": np.arange(3)})) is not None
    assert sealed.read_arrays(kept(tmp_path / "b", {"x": np.arange(3)}, {"y": b"no array"})) is None


ROWS, PRINTS = np.zeros(2, quality.FACTS), np.zeros((2, fingerprint.SIZE), np.float16)
WHOLE = {"keys": np.array(["a", "b"]), "rows": ROWS, "prints": PRINTS, "version": np.array(quality.CACHE_VERSION)}


@pytest.mark.parametrize(
    "other",
    [
        {"keys": np.array("a")},
        {"keys": np.array([["a"], ["b"]])},
        {"rows": ROWS[0]},
        {"rows": ROWS[:, np.newaxis]},
        {"prints": PRINTS[:1]},
        {"version": np.array("x")},
        {"version": np.arange(2)},
    ],
)
def test_a_quality_cache_of_another_shape_is_made_again(other: Mapping[str, Array], tmp_path: Path) -> None:
    assert set(quality._load(kept(tmp_path / "whole", WHOLE)).place) == {"a", "b"}
    assert quality._load(kept(tmp_path / "other", {**WHOLE, **other})).place == {}
