"""A NaN that signals is a NaN like any other: no reader warns of it, and rows with it are left out or spoil their file as usual."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sandgrain.dataset.decode import decode
from sandgrain.dataset.readers import make_layout
from sandgrain.dataset.readers.base import BadFileError
from sandgrain.project.file.init import How, write

ROWS = 400
WAVES = np.sin(np.arange(ROWS * 2) / 9).reshape(ROWS, 2)


def signalling(dtype: str, at: int = 100) -> np.ndarray:
    """[ROWS, 2] of `dtype` with one signalling NaN, written as bytes: no arithmetic makes one."""
    x = WAVES.astype(dtype)
    bits = {2: 0x7D01, 4: 0x7FA00000, 8: 0x7FF4000000000000}[x.dtype.itemsize]
    x.reshape(-1).view(f"{x.dtype.byteorder.replace('=', '<')}u{x.dtype.itemsize}")[at] = bits
    return x


def npz(**arrays: Any) -> bytes:
    made = io.BytesIO()
    np.savez(made, **arrays)
    return made.getvalue()


def npy(array: np.ndarray) -> bytes:
    made = io.BytesIO()
    np.save(made, array)
    return made.getvalue()


LEFT_OUT = {
    "npy": ("a.npy", lambda d: npy(signalling(d)), {}),
    "a stream": ("a.npz", lambda d: npz(x=signalling(d)), {"stream": True}),
    "channels": (
        "a.npz",
        lambda d: npz(a=signalling(d)[:, 0], b=WAVES[:, 1].astype("<f8" if d != "<f8" else "<f4")),
        {"stream": True, "x_array": ("a", "b")},
    ),
}
BAD = {
    "recordings": ("a.npz", lambda d: npz(x=signalling(d)[None]), {}),
    "channels of recordings": (
        "a.npz",
        lambda d: npz(a=signalling(d)[None, :, 0], b=WAVES[None, :, 1].astype("<f8" if d != "<f8" else "<f4")),
        {"x_array": ("a", "b")},
    ),
}


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8"])
@pytest.mark.parametrize("case", LEFT_OUT)
def test_a_row_with_one_is_left_out(case: str, dtype: str, tmp_path: Path) -> None:
    name, content, options = LEFT_OUT[case]
    (tmp_path / name).write_bytes(content(dtype))
    read = decode(tmp_path, name, make_layout("motion", rate=50.0, full_scale=(1.0, 1.0), **options))
    assert sum(sample.data.shape[0] for sample in read) == ROWS - 1
    write(tmp_path, tmp_path / "sandgrain.toml", How(dry=True, draft=True))


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8"])
@pytest.mark.parametrize("case", BAD)
def test_a_whole_recording_with_one_is_bad(case: str, dtype: str, tmp_path: Path) -> None:
    name, content, options = BAD[case]
    (tmp_path / name).write_bytes(content(dtype))
    with pytest.raises(BadFileError, match="nan"):
        list(decode(tmp_path, name, make_layout("motion", rate=50.0, full_scale=(1.0, 1.0), **options)))


@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
def test_an_image_with_one_is_bad(dtype: str, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(npz(x=np.abs(signalling(dtype)).reshape(1, 20, 40)))
    with pytest.raises(BadFileError, match="not 0 to 1"):
        list(decode(tmp_path, "a.npz", make_layout("image")))


@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
def test_sound_with_one_is_read_without_a_warning(dtype: str, tmp_path: Path) -> None:
    width = int(dtype[2])
    body = signalling(dtype).reshape(-1).tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 1, 8000, 8000 * width, width, 8 * width)
    data = b"WAVE" + form + struct.pack("<4sI", b"data", len(body)) + body
    (tmp_path / "a.wav").write_bytes(struct.pack("<4sI", b"RIFF", len(data)) + data)
    with pytest.raises(BadFileError, match="finite"):
        list(decode(tmp_path, "a.wav", make_layout("audio", rate=8000.0)))
