"""PNG, JPEG, BMP, GIF, TIFF and WebP (the first picture of several) by Pillow, always three channels: grey is repeated, palettes are looked up, transparency lies on white."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.dataset.readers.base import MAX_PIXELS, BadFileError, Sample, Within, load_package, one_line
from sandgrain.dataset.records import Layout

KINDS = ("image",)
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
WHAT = "an image"
OPTIONS = ()

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")  # no other decoder of Pillow is reached


MAGIC = {
    b"\x89PNG\r\n\x1a\n": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"II*\0": "a TIFF image",
    b"MM\0*": "a TIFF image",
}


def needs(suffix: str, layout: Layout) -> tuple[str, ...]:
    """See `base.Reader`."""
    return ("PIL.Image",)


def sniff(head: bytes) -> str:
    """See `base.Reader`."""
    if head[8:12] == b"WEBP" and head[:4] == b"RIFF":
        return "a WebP image"
    if head[:2] == b"BM" and head[6:10] == bytes(4):  # two letters are also how a text may begin
        return "a BMP image"
    return next((what for magic, what in MAGIC.items() if head.startswith(magic)), "")


def read(stream: BinaryIO, size: int, layout: Layout) -> Iterator[Sample]:
    """See `base.Reader`. One recording a file: uint8 [height, width, 3], turned as EXIF says."""
    load_package("PIL.Image", "images")
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", category=UserWarning)  # "corrupt EXIF data": then it is not turned
            with Image.open(Within(stream, size), formats=FORMATS) as image:  # type: ignore[arg-type]
                if image.width * image.height > MAX_PIXELS:
                    raise BadFileError(f"has {image.width} x {image.height} pixels; at most {MAX_PIXELS} are read")
                yield Sample(_rgb(image))
    except BadFileError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadFileError(f"has too many pixels; at most {MAX_PIXELS} are read") from None
    except MemoryError:
        raise
    except Exception as error:  # Pillow's plug-ins let every kind out: SyntaxError, struct.error, KeyError, ...
        raise BadFileError(f"cannot be decoded ({one_line(error)})") from None


def _rgb(image: Any) -> Array:
    from PIL import Image, ImageOps

    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16 bits of grey
        deep = np.asarray(image)
        grey = np.clip(deep >> 8, 0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        paper.alpha_composite(image)
        image = paper
    return np.asarray(image.convert("RGB"))
