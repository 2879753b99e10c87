"""Entries 11, 12 and 32 of the cases that failed for users: kinds of damage that the campaigns of tests/e2e/test_hostile_files.py found."""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sandgrain.base import reading, sealed
from sandgrain.base.errors import UsageError
from sandgrain.bundle import measured, samples
from sandgrain.compiler.emit.ctext import check_identifier
from sandgrain.dataset import augment, decode, quality
from sandgrain.dataset.readers.base import BadFileError, one_line
from sandgrain.dataset.records import Layout
from sandgrain.frontend.pipeline import Normalization
from sandgrain.project.build import features
from sandgrain.project.build.store import Store
from sandgrain.project.file.look import look
from tests.bundle.test_costs import dense
from tests.users.test_cases_npz import GOOD, archive, member

HUGE = 10**400  # a whole number that no float holds


def refusal(path: Path) -> str:
    """What `init` says of a file."""
    with pytest.raises(UsageError) as caught:
        look(path)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400
    return str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        archive(member(GOOD), zipfile.ZIP_LZMA),
        archive(member(GOOD), zipfile.ZIP_DEFLATED)[:40] + b"\xff" * 12 + archive(member(GOOD), zipfile.ZIP_DEFLATED)[52:],
        archive(b""),
        archive(member("{'descr': '<f4', 'fortran_order': False, 'shape': (2, ")),
        archive(member(GOOD.replace("(2, 3)", "(4294967296, 3)"))),
        archive(member(GOOD), name="z.txt"),
        archive(member(GOOD))[:-30],
        b"PK\x05\x06",
    ],
)
def test_11_init_says_in_one_line_what_is_wrong_with_an_npz(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(data)
    assert "x.npz holds no array x" in refusal(tmp_path / "x.npz")


@pytest.mark.parametrize("code", [0x110000, 0xFFFFFFFF, 0xD800, 0xDFFF])
@pytest.mark.parametrize("order", "<>")
def test_11_text_of_codes_that_are_none_is_refused(code: int, order: str, tmp_path: Path) -> None:
    """numpy makes a SystemError of it, or text that no terminal takes."""
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
        file.writestr("x.npy", member(GOOD.replace("(2, 3)", "(2, 8)"), bytes(64)))
        names = np.array(["a", "b"], f"{order}U1").view(f"{order}u4")
        names[1] = code
        file.writestr("labels.npy", member(f"{{'descr': '{order}U1', 'fortran_order': False, 'shape': (2,), }}", names.tobytes()))
        file.writestr("y.npy", member("{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }", bytes(8)))
    with pytest.raises(UsageError, match=r"labels\.npy holds text that is none"):
        samples.load(tmp_path / "x.npz", dense((8, 4)))
    with pytest.raises(BadFileError, match=r"labels\.npy holds text that is none"):
        decode.describe(tmp_path, "x.npz", Layout("motion", rate=9.0))


@pytest.mark.parametrize("value", [HUGE, -HUGE, None, [], {}, "x", True, float("nan"), 1e308])
def test_11_init_reads_json_whose_points_hold_anything(value: Any, tmp_path: Path) -> None:
    rows = [{"label": "a", "points": [[0, 1], [value, 2], [1, 3]]}]
    (tmp_path / "x.json").write_text(json.dumps(rows))
    assert look(tmp_path / "x.json").kind == "motion"


@pytest.mark.parametrize("value", [HUGE, {}, "x", [[1]]])
def test_11_and_acquisitions_too(value: Any, tmp_path: Path) -> None:
    payload = {"interval_ms": 10, "sensors": [{"name": "x", "units": "m"}], "values": [[1], [value]]}
    (tmp_path / "x.json").write_text(json.dumps({"protected": {"ver": "v1"}, "payload": payload}))
    refusal(tmp_path / "x.json")


@pytest.mark.parametrize("value", [HUGE, -HUGE, True, None, "1", float("inf"), float("nan"), [], 1j])
def test_12_what_no_float_holds_is_no_number(value: object) -> None:
    assert not reading.is_number(value)
    with pytest.raises(ValueError, match="not a number"):
        measured._number(value)
    with pytest.raises(UsageError):
        augment.from_tables([{"step": "noise", "snr_db": [value, 30.0]}], "audio")


def test_11_words_of_a_decoder_are_printable() -> None:
    assert one_line(OSError("don't know what type: \x0f\u2028")) == "don't know what type: ?"
    assert one_line(OSError("type \x1b[31m")) == "type ?[31m"
    assert one_line(KeyError()) == "KeyError"


@pytest.mark.parametrize(
    ("key", "shown"), [("l\ud800", "l\\ud800"), ("l\x1b[31m", "l\\x1b[31m"), ("l\u202e", "l\\u202e"), ("ä", "ä")]
)
def test_11_names_from_inside_a_file_are_made_harmless(key: str, shown: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps([{key: 1, "x": 2}, {key: [], "x": 3}]))
    with pytest.raises(BadFileError, match=re.escape(f"{shown} is missing or not a number")):
        decode.describe(tmp_path, "x.json", Layout("motion", rate=9.0))


def tiff() -> bytes:
    """Its directory says that there are nine entries, and ends after the first."""
    return b"II*\0" + struct.pack("<IH", 8, 9) + struct.pack("<HHII", 256, 4, 1, 3)


def test_11_a_picture_whose_header_is_damaged_is_looked_at_without_a_word(tmp_path: Path) -> None:
    """Pillow warns of it; pytest makes an error of that."""
    pytest.importorskip("PIL", reason="needs Pillow: pip install 'sandgrain[data]'")
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "x.tif").write_bytes(tiff())
    assert look(tmp_path).kind == "image"


# --- what can be made again ----------------------------------------------------------------------------------------------

ARRAYS = {"x": np.arange(12, dtype=np.int8).reshape(3, 4), "y": np.zeros(3)}


def content(arrays: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    sealed.write_arrays(buffer, arrays)
    return buffer.getvalue()


def test_32_sealed_arrays_are_read_again(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content(ARRAYS))
    found = sealed.read_arrays(tmp_path / "a")
    assert found is not None and found.keys() == ARRAYS.keys()
    assert all((found[k] == v).all() and found[k].dtype == v.dtype for k, v in ARRAYS.items())


@pytest.mark.parametrize("at", [0, 5, 20, sealed.HEAD - 1, sealed.HEAD, sealed.HEAD + 40, -30, -1])
def test_32_a_result_with_one_bit_changed_is_made_again(at: int, tmp_path: Path) -> None:
    """numpy reads such a file without a word where the bit lies in a name, and zlib, zipfile and tokenize each raise errors of their own."""
    kept = Store(tmp_path)
    kept.arrays("fit", "a", lambda: ARRAYS)
    path = kept.path("fit", "a", ".npz")
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    made = kept.arrays("fit", "a", lambda: {"z": np.ones(1)})
    assert [*made] == ["z"] and kept.made == ["fit", "fit"]


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-1], lambda d: d + b"\0", lambda d: b"", lambda d: d * 2, lambda d: d[sealed.HEAD :]]
)
def test_32_so_is_one_of_another_length(damage: Any, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(damage(content(ARRAYS)))
    assert sealed.read_arrays(tmp_path / "a") is None


@pytest.mark.parametrize(
    "arrays",
    [
        {}, {"keys": np.zeros(3)}, {**ARRAYS, "version": np.array([1, 2])},
        {"keys": np.array(["a"]), "rows": np.zeros(3, quality.FACTS), "prints": np.zeros((3, 2), np.float16), "version": np.array(quality.CACHE_VERSION)},
    ],
)  # fmt: skip
def test_32_facts_that_do_not_fit_each_other_are_found_again(arrays: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "facts.npz").write_bytes(content(arrays))
    assert not quality._load(tmp_path / "facts.npz").place


def test_32_an_older_file_of_facts_is_no_error(tmp_path: Path) -> None:
    np.savez(tmp_path / "facts.npz", keys=np.array(["a"]))
    assert not quality._load(tmp_path / "facts.npz").place


def test_features_have_a_prefix_that_c_allows() -> None:
    """`features.h` is a header of the C library: `sandgrain features` refused its own name."""
    assert check_identifier(features.NAME) == features.NAME


@pytest.mark.parametrize(
    "damage",
    [{"clip": 1e-320}, {"std": [1e-310]}, {"mean": [1e308]}, {"clip": float("inf")}, {"std": [0.0]}, {"mean": [10**400]}],
)
def test_a_normalization_that_no_float_can_compute_with_is_none(damage: dict[str, Any]) -> None:
    """`features.json` with a clip of 1e-320 was a ZeroDivisionError."""
    facts: dict[str, Any] = {"mean": [0.0], "std": [1.0], "clip": 4.0}
    assert Normalization.from_json(facts) is not None
    with pytest.raises(ValueError, match="normalization"):
        Normalization.from_json({**facts, **damage})
