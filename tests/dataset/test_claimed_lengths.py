"""A length that a picture's header claims takes no memory: never more is read than the file has."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest

from sandgrain.dataset.readers import image
from sandgrain.dataset.readers.base import BadFileError, Within
from sandgrain.dataset.records import Layout


class Greedy(io.BytesIO):
    """Remembers the largest number of bytes that it was asked for."""

    most = 0

    def read(self, count: int | None = -1) -> bytes:
        self.most = max(self.most, len(self.getvalue()) if count is None or count < 0 else count)
        return super().read(count)


def picture(kind: str) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(out, kind)
    return out.getvalue()


@pytest.mark.parametrize("claimed", [0x7FFFFFF0, 0xFFFFFFF0])
@pytest.mark.parametrize("chunk", [b"IDAT", b"IEND", b"IHDR"])
def test_a_png_chunk_that_claims_gigabytes(chunk: bytes, claimed: int) -> None:
    whole = picture("PNG")
    at = whole.index(chunk) - 4
    stream = Greedy(whole[:at] + struct.pack(">I", claimed) + whole[at + 4 :])
    try:
        (sample,) = image.read(stream, len(whole), Layout("image"))
        assert sample.data.shape == (8, 8, 3)
    except BadFileError:
        pass
    assert stream.most <= max(len(whole), 1 << 16)  # or a block of Pillow's own size


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"])
def test_whole_pictures_are_read_as_before(kind: str) -> None:
    whole = picture(kind)
    (sample,) = image.read(Greedy(whole), len(whole), Layout("image"))
    assert sample.data.shape == (8, 8, 3)


def test_what_is_left_bounds_a_read() -> None:
    stream = Within(io.BytesIO(b"0123456789"), 8)
    assert stream.read(5) == b"01234" and stream.read(1 << 40) == b"567" and stream.read() == b""
    stream.seek(6)
    assert stream.tell() == 6 and stream.read(-1) == b"67"
