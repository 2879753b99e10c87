"""Images: three channels whatever the file's mode, turned as EXIF says, refused before they take memory."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sandgrain.base.arrays import Array
from sandgrain.dataset.decode import decode
from sandgrain.dataset.readers.base import BadFileError
from sandgrain.dataset.records import Layout

Image = pytest.importorskip("PIL.Image")
IMAGE = Layout("image")
RGB = np.random.default_rng(2).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def encode(image: Any, kind: str = "PNG", **options: Any) -> bytes:
    made = io.BytesIO()
    image.save(made, kind, **options)
    return made.getvalue()


def read(tmp_path: Path, content: bytes, name: str = "a.png") -> Array:
    (tmp_path / name).write_bytes(content)
    (sample,) = decode(tmp_path, name, IMAGE)
    assert sample.data.dtype == np.uint8 and sample.rate == 0
    return sample.data


def refused(tmp_path: Path, content: bytes, name: str = "a.png") -> str:
    with pytest.raises(BadFileError) as error:
        read(tmp_path, content, name)
    return str(error.value)


def test_colours_come_through(tmp_path: Path) -> None:
    assert np.array_equal(read(tmp_path, encode(Image.fromarray(RGB))), RGB)


def test_grey_is_repeated_and_sixteen_bits_lose_the_low_ones(tmp_path: Path) -> None:
    grey = RGB[:, :, 0]
    assert np.array_equal(read(tmp_path, encode(Image.fromarray(grey))), np.repeat(grey[:, :, None], 3, axis=2))
    deep = Image.fromarray(grey.astype(np.uint16) * 256 + 77)
    assert np.array_equal(read(tmp_path, encode(deep)), np.repeat(grey[:, :, None], 3, axis=2))
    assert (
        read(tmp_path, encode(Image.fromarray(grey > 99))).tolist()
        == np.repeat((grey > 99)[:, :, None] * 255, 3, axis=2).tolist()
    )


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    alpha = np.zeros((5, 7, 1), np.uint8)
    alpha[2:] = 255
    data = read(tmp_path, encode(Image.fromarray(np.concatenate([RGB, alpha], axis=2))))
    assert (data[:2] == 255).all() and np.array_equal(data[2:], RGB[2:])


def test_palettes_are_looked_up(tmp_path: Path) -> None:
    image = Image.fromarray(RGB).quantize(8)
    assert np.array_equal(read(tmp_path, encode(image)), np.asarray(image.convert("RGB")))


def test_exif_turns_the_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn by 90 degrees clockwise
    flat = np.zeros((16, 32, 3), np.uint8)
    flat[:, :16] = 250
    data = read(tmp_path, encode(Image.fromarray(flat), "JPEG", exif=exif, quality=95), "a.jpg")
    assert data.shape == (32, 16, 3)
    assert data[2:14].min() > 230 and data[18:].max() < 20


def test_print_colours_become_screen_colours(tmp_path: Path) -> None:
    data = read(tmp_path, encode(Image.fromarray(np.full((8, 8, 3), 200, np.uint8)).convert("CMYK"), "JPEG"), "a.jpeg")
    assert data.shape == (8, 8, 3) and np.abs(data.astype(int) - 200).max() < 5


def test_a_jpeg_called_png_is_read_by_its_content(tmp_path: Path) -> None:
    assert read(tmp_path, encode(Image.fromarray(RGB), "JPEG"), "a.png").shape == (5, 7, 3)


def png_that_claims(width: int, height: int, rows: bytes = b"") -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows or zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(5000, 5000), (10_000, 10_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1), (1, 2**30)])
def test_too_many_pixels_are_refused_by_the_header(size: tuple[int, int], tmp_path: Path) -> None:
    assert "pixels" in refused(tmp_path, png_that_claims(*size))


def test_what_is_too_short_or_too_long_is_refused_or_passed_over(tmp_path: Path) -> None:
    assert "decoded" in refused(tmp_path, png_that_claims(100, 100))
    bomb = zlib.compress(bytes(50_000_000), 9)  # 50 MB of rows for an image of 4
    assert read(tmp_path, png_that_claims(2, 2, bomb)).shape == (2, 2, 3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_file_cut_anywhere_is_refused_or_damaged_in_one_line(kind: str, tmp_path: Path) -> None:
    big = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    whole = encode(Image.fromarray(big), kind)
    name = f"a.{kind.lower()}"
    for size in (*range(1, 40, 5), len(whole) // 2, len(whole) - 100):
        why = refused(tmp_path, whole[:size], name)
        assert why and "\n" not in why


def test_other_formats_of_pillow_are_not_reached(tmp_path: Path) -> None:
    assert "not an image" in refused(tmp_path, encode(Image.fromarray(RGB), "PPM"))
    assert "not an image" in refused(tmp_path, encode(Image.fromarray(RGB), "TGA"))
