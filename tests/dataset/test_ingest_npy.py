"""NPY: an array a file is a recording, however it lies; what is no recording is refused in one line before memory is taken."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sandgrain as api
from sandgrain.base.errors import UsageError
from sandgrain.dataset.decode import decode
from sandgrain.dataset.names import suffix
from sandgrain.dataset.readers import make_layout, npy, readers
from sandgrain.dataset.readers.base import MAX_CHANNELS, BadFileError, Sample
from sandgrain.dataset.records import Layout
from sandgrain.project.file import insides
from sandgrain.project.file.init import write
from tests.dataset.test_claimed_lengths import Greedy
from tests.support.file_mutants import FORMATS

MOTION = Layout("motion", rate=50.0)


def saved(array: Any, **options: Any) -> bytes:
    made = io.BytesIO()
    np.save(made, array, **options)
    return made.getvalue()


def read(folder: Path, content: bytes, layout: Layout = MOTION) -> Sample:
    (folder / "a.npy").write_bytes(content)
    (sample,) = decode(folder, "a.npy", layout)
    return sample


def refused(folder: Path, content: bytes, layout: Layout = MOTION) -> str:
    with pytest.raises(BadFileError) as error:
        read(folder, content, layout)
    assert str(error.value).isprintable()
    return str(error.value)


@pytest.mark.parametrize("rows", [1, 3, 5, 100_000])
@pytest.mark.parametrize("dtype", ["|i1", "|u1", "<i2", ">i2", "<u4", ">i8", "<f2", ">f4", "<f8", ">f8", "=g"])
def test_an_array_is_a_recording_in_any_type_and_order(dtype: str, rows: int, tmp_path: Path) -> None:
    x = (np.arange(rows * 3) % 100).reshape(rows, 3)
    for array in (x.astype(dtype), np.asfortranarray(x.astype(dtype))):
        sample = read(tmp_path, saved(array))
        assert sample.data.dtype == np.int16 and np.array_equal(sample.data, x) and (sample.rate, sample.index) == (50.0, 0)
        turned = read(tmp_path, saved(array.T), make_layout("motion", rate=50.0, channels_first=True))
        assert np.array_equal(turned.data, x)
    assert np.array_equal(read(tmp_path, saved(x[:, 1].astype(dtype))).data, x[:, 1:2])


def test_floats_are_scaled_and_gaps_left_out_as_in_tables(tmp_path: Path) -> None:
    x = np.linspace(-2, 2, 4000).reshape(-1, 2)
    x[7, 1], x[1000, 0], x[1999, 0] = np.nan, -200.0, np.inf
    layout = make_layout("motion", rate=50.0, full_scale=(2.0,), missing=(-200.0,), columns=("a", "b"))
    for array in (x, np.asfortranarray(x)):
        sample = read(tmp_path, saved(array), layout)
        assert np.array_equal(sample.data, np.clip(np.rint(np.delete(x, [7, 1000, 1999], 0) * 16384), -32768, 32767))
        assert sample.note == "3 of 2000 rows left out: row 8, column b: nan is not a finite number"
    assert "no int16 integer; give full_scale" in refused(tmp_path, saved(x[:5]))
    assert refused(tmp_path, saved(x), make_layout("motion", columns=("a", "b", "c"))) == "has 2 channels, columns has 3 names"


def test_sound_is_one_channel_from_minus_one_to_one(tmp_path: Path) -> None:
    x = np.array([-1.0, -0.5, 0.0, 0.5, 1.0], np.float32)
    audio = Layout("audio", rate=16000.0)
    assert read(tmp_path, saved(x), audio).data[:, 0].tolist() == [-32768, -16384, 0, 16384, 32767]
    assert read(tmp_path, saved(x[:, None]), audio).clipped == 1
    assert read(tmp_path, saved(np.array([3, -4], np.int16)), audio).data.tolist() == [[3], [-4]]
    assert refused(tmp_path, saved(np.zeros((9, 2))), audio) == "has 2 channels; audio takes [samples]"


def test_a_long_array_may_be_cut_into_segments(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(saved(np.arange(12).reshape(6, 2)))
    found = list(decode(tmp_path, "a.npy", make_layout("motion", segment=3)))
    assert [(s.index, s.data[0].tolist()) for s in found] == [(1, [0, 1]), (2, [6, 7])]


X = np.arange(60.0).reshape(20, 3)
WHOLE = saved(X)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (WHOLE[:-1], "it is cut short: 479 of 480 bytes are there"),
        (WHOLE[:128], "it claims 480 bytes and holds 128, the limit is"),
        (WHOLE[:60], "it is cut short"),
        (WHOLE[:7], "is not"),
        (b"", "is empty"),
        (saved(np.float64(3.0)), "is an array of shape []; a recording is [samples] or [samples, channels]"),
        (saved(np.zeros((4, 5, 6))), "is an array of shape [4, 5, 6]; a recording is [samples] or [samples, channels]; save recordings of one length as x"),
        (saved(np.zeros((0, 3))), "it holds no samples"),
        (saved(np.zeros((3, 0))), "it holds no samples"),
        (saved(np.zeros(0)), "it holds no samples"),
        (saved(np.array([1, "a"], object), allow_pickle=True), "it holds Python objects, which are never unpickled; save numbers of one type"),
        (saved(np.zeros(3, [("x", "<f4")])), "it holds neither numbers nor text"),
        (saved(np.array(["a", "b"])), "holds <U1, not numbers"),
        (saved(np.array([True, False])), "holds bool, not numbers"),
        (saved(np.zeros(3, np.complex64)), "holds complex64, not numbers"),
        (saved(np.array(["2020"], "datetime64[D]")), "it holds neither numbers nor text"),
        (saved(np.full(30, np.nan)), "row 1, column 1: nan is not a finite number; 30 of 30 rows are like it"),
        (saved(np.array([2**63], np.uint64)), "no int16 integer; give full_scale"),
        (saved(np.zeros((3, MAX_CHANNELS + 1))), "set channels_first if it lies the other way"),
        (WHOLE.replace(b"(20, 3)", b"(1<<9,)"), "it has a damaged header"),
        (WHOLE.replace(b"(20, 3)", b"(-2, 3)"), "it has a damaged shape"),
        (WHOLE.replace(b"'<f8'", b"'|V8'"), "it holds neither numbers nor text"),
        (b"PK\x03\x04" + WHOLE, "is a ZIP archive, not an .npy file"),
        (b"1,2\n3,4\n", "is text, not an .npy file"),
    ],
)  # fmt: skip
def test_what_is_no_recording_is_refused_in_one_line(content: bytes, why: str, tmp_path: Path) -> None:
    assert why in refused(tmp_path, content)


@pytest.mark.parametrize("shape", [(1 << 40,), (1 << 30, 1000), (1 << 20, 1 << 20), (60, 1 << 33)])
@pytest.mark.parametrize("first", [False, True])
def test_what_a_header_claims_takes_no_memory(shape: tuple[int, ...], first: bool) -> None:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": first, "shape": shape})
    whole = head.getvalue() + bytes(480)
    stream = Greedy(whole)
    with pytest.raises(BadFileError, match="it claims"):
        list(npy.read(stream, len(whole), make_layout("motion", channels_first=first)))
    assert stream.most <= len(whole)


def test_what_lies_behind_an_array_is_noted(tmp_path: Path) -> None:
    sample = read(tmp_path, WHOLE + saved(np.zeros(2)))
    assert sample.data.shape == (20, 3) and sample.note == "144 bytes behind its array are not read"


def folder(place: Path, form: Any) -> None:
    """Two labels of six people each, an array a file."""
    rng = np.random.default_rng(0)
    for label, size in (("walk", 1.0), ("rest", 0.1)):
        for person in range(6):
            (place / label).mkdir(exist_ok=True, parents=True)
            x = size * np.clip(np.cumsum(rng.normal(0, 0.2, (400, 3)), axis=0), -1.5, 1.5)
            np.save(place / label / f"s{person}_1.npy", form(x))


@pytest.mark.parametrize(
    ("form", "keys"),
    [
        (lambda x: x.astype(np.float32), {"full_scale": (2.0, 2.0, 2.0)}),
        (lambda x: x.T.astype(">f8"), {"channels_first": True, "full_scale": (2.0, 2.0, 2.0)}),
        (lambda x: np.asfortranarray(np.rint(x * 1000).astype(np.int32)), {}),
        (lambda x: x[:, 0] * 1e5, {"full_scale": (200000.0,)}),
        (lambda x: np.where(np.arange(400)[:, None] % 40 == 7, -999, x), {"full_scale": (2.0, 2.0, 2.0), "missing": (-999.0,)}),
        (lambda x: np.where(np.arange(400)[:, None] % 10 == 7, np.nan, x), {"full_scale": (2.0, 2.0, 2.0), "bad_rows": 0.2}),
    ],
)
def test_init_understands_a_folder_of_arrays(form: Any, keys: dict[str, Any], tmp_path: Path) -> None:
    folder(tmp_path / "data", form)
    found = write(tmp_path / "data", tmp_path / "sandgrain.toml")
    assert dict(found.table) == keys and found.labels == ("rest", "walk") and found.groups == 6 and found.kind == "motion"
    assert not found.problem and not found.rate and any("rate: the files do not say" in str(line) for line in found.lines())
    seen = api.data(tmp_path, workers=1)
    assert {r.shape[1] for r in seen.records} == {1 if len(form(np.zeros((400, 3))).shape) == 1 else 3}
    assert len(seen.records) == 12 and not seen.manifest.bad


def test_an_index_file_may_name_arrays(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for k in range(8):
        np.save(tmp_path / f"rec{k}.npy", np.cumsum(rng.integers(-9, 10, 200)).astype(np.int16))
    lines = "".join(f"rec{k}.npy,{'ab'[k % 2]},p{k // 2}\n" for k in range(8))
    (tmp_path / "list.csv").write_text("file,label,who\n" + lines)
    found = write(tmp_path, tmp_path / "sandgrain.toml")
    assert dict(found.table)["labels"] == "list.csv" and found.labels == ("a", "b") and found.groups == 4
    seen = api.data(tmp_path, workers=1)
    assert sorted((r.key, r.label, r.group) for r in seen.records)[:2] == [("rec0.npy", "a", "p0"), ("rec1.npy", "b", "p0")]


def test_arrays_of_many_recordings_say_how_to_save_them(tmp_path: Path) -> None:
    np.save(tmp_path / "X_train.npy", np.zeros((20, 128, 9)))
    np.save(tmp_path / "y_train.npy", np.zeros(20, np.int64))
    with pytest.raises(
        UsageError, match=r"^X_train\.npy: .* save recordings of one length as x in an \.npz, with their labels as y"
    ):
        write(tmp_path, tmp_path / "sandgrain.toml")


def test_every_reader_has_mutants_and_those_with_an_inside_are_looked_into() -> None:
    """A format that is added is tried by the campaign and looked into by `init`, without a list that names it."""
    tried = {suffix(form.name) for form in FORMATS.values()}
    for reader in readers():
        assert tried & {*reader.SUFFIXES}, f"{reader.WHAT} has no mutants in tests/support/file_mutants.py"
        if reader.KINDS == ("motion",) or reader.WHAT.startswith("an .np"):
            assert {*reader.SUFFIXES} <= insides.suffixes().keys(), f"{reader.WHAT} is not looked into"
