"""ZIP archives from outside, such as .pt2 and .keras files: members are looked up by name and read whole, within limits.

Nothing is unpacked to a disk and no name is used as a path. Sizes that an archive declares are checked before anything is read.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from sandgrain.base.errors import ModelError, printable

MAX_MEMBERS = 1 << 13
MAX_NAME = 500  # characters
MAX_RATIO = 200  # bytes of a member for one of the archive; what frameworks write stays below 100
ENTRY = b"PK\x01\x02"  # begins a member's entry in the directory


class Archive:
    """An archive held in memory. `names`: its members', sorted."""

    def __init__(self, data: bytes, limit: int) -> None:
        """`limit`: bytes that all members together may take. Raises ModelError for what is no archive or exceeds a limit."""
        if data.count(ENTRY) > MAX_MEMBERS:
            raise ModelError(f"an archive of more than {MAX_MEMBERS} members; save the model again")
        with _one_line():
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        infos = self._zip.infolist()
        for info in infos:
            _check(info)
        self._infos = {info.filename: info for info in infos}
        self.names = sorted(self._infos)
        if len(self.names) < len(infos):
            raise ModelError("an archive with two members of one name; save the model again")
        if sum(info.compress_size for info in infos) > len(data):
            raise ModelError("an archive whose members overlap; save the model again")
        total = sum(info.file_size for info in infos)
        if total > limit:
            raise ModelError(f"an archive that unpacks to {total} bytes, more than {limit}; use a smaller model")

    def size(self, name: str) -> int:
        """Bytes of a member. Raises ModelError when there is none of that name."""
        if name not in self._infos:
            raise ModelError(f"an archive without {printable(name)}; save the model again")
        return self._infos[name].file_size

    def read(self, name: str, limit: int | None = None) -> bytes:
        """A member's bytes, its checksum checked. Raises ModelError when it is missing, damaged, or larger than `limit`."""
        size = self.size(name)
        if limit is not None and size > limit:
            raise ModelError(f"{printable(name)} takes {size} bytes, more than {limit}; use a smaller model")
        with _one_line(), self._zip.open(self._infos[name]) as stream:
            return stream.read(size)  # never more, whatever the packed bytes hold


def _check(info: zipfile.ZipInfo) -> None:
    """What a framework never writes is refused before it is looked at."""
    name, shown = info.filename, printable(info.filename)
    if len(name) > MAX_NAME or name.startswith("/") or "\\" in name or ":" in name or ".." in name.split("/"):
        raise ModelError(f"an archive with a member outside of it ({shown}); save the model again")
    if info.flag_bits & 1:
        raise ModelError(f"{shown} is encrypted; save the model without a password")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ModelError(f"{shown} is packed in a way that models are not; save the model again")
    if info.file_size > MAX_RATIO * (info.compress_size + 1024):
        raise ModelError(f"{shown} unpacks {info.compress_size} bytes to {info.file_size}; save the model again")


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError, OverflowError) as error:
        fact = printable(" ".join(str(error).split()))
        raise ModelError(f"a damaged archive ({fact}); save the model again") from None
