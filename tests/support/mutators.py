"""How files are damaged: as bytes, as text, as JSON, as an archive, as a text of chunks. Each function damages a file once.

Damage that knows the structure gets past the first checks: lengths, counts, dimensions, types, depth, keys, names in archives.
"""

from __future__ import annotations

import copy
import io
import json
import random
import re
import struct
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

from tests.support.tflite_mutants import INTERESTING, MUTATIONS

VALUES: tuple[Any, ...] = (
    None, True, False, [], {}, "", "x", "x" * 5000, "\x1b[31m", "\0", "../../etc/passwd", "/etc/passwd", -1, 0, 1, 1.5, -0.0, 1e308, 1e-308,
    float("nan"), float("inf"), -float("inf"), 2**31, 2**31 - 1, 2**53 + 1, 2**63, -(2**63) - 1, 10**40, 10**400, [[[[]]]], {"a": {"b": 1}}, [1, 2], "1",
    "é", "\ud800", "²", "NaN", "1e999", "\u2028", "\u202e", "None", "true", [0] * 3000,
)  # fmt: skip
WORDS = (
    b"", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b",", b";", b"\t", b"\n", b"\r", b'"', b"'", b"[", b"{", b"]", b"}", b"(", b"=", b"#",
    b"nan", b"inf", b"-inf", b"-", b"-0", b"-0.0", b"1e999", b"-1e999", b"1e-999", b"9" * 400, b"9" * 5000, b"0x10", b"1_000", b"true", b"null",
    b"[" * 3000, b'{"a":' * 3000, b"\\u0000", b"\\ud800", b"1,5", b"2020-01-01T00:00:00Z", b"2020-02-30", b"9999-12-31T23:59:60+99:99",
    b"x" * 70_000, "ä".encode("latin-1"), "𝛼".encode(), "²".encode(), "١".encode(), b"[[a]]\n", b"[a.b]\n", b"\x85", b"\x0b", b"\x1a",
)  # fmt: skip
NAMES = (
    "x.npy",
    "y.npy",
    "labels.npy",
    "rate.npy",
    "group.npy",
    "z.npy",
    "../x.npy",
    "/x.npy",
    "x",
    "X.NPY",
    "",
    "x" * 600,
    "x\n.npy",
    "ä.npy",
)
DESCRS = (
    "|O", "<f2", ">f8", "<f16", "<c16", "<U0", "<U300", "<U99999999", "|S1", "|V8", "<M8[s]", "|b1", "<i8", "<u8", "|i1", "[('a','<f4')]", "f", "'",
)  # fmt: skip
SHAPES = (
    "()", "(0,)", "(1,)", "(0, 3)", "(3, 0)", "(-1, 3)", "(4294967296,)", "(1048576, 1048576)", "(9223372036854775807,)", "(True,)", "(1.5,)",
    "(2" + ", 1" * 40 + ")", "3", "None", "(" * 200, "(2, 3", "(1e3,)",
)  # fmt: skip
BOMB = bytes(1 << 22)  # bytes that deflate packs a thousandfold


def raw(data: bytes, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Bytes, as those of a model are damaged."""
    changed = bytearray(data or b"\0\0\0\0")
    rng.choice(MUTATIONS)(changed, rng, seeds)
    return bytes(changed)


def whole(data: bytes, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """The file as such: cut, doubled, joined to another, empty, reversed, in another encoding."""
    return rng.choice(
        (
            lambda: data[: rng.randrange(len(data) + 1)],
            lambda: data * 2,
            lambda: data + rng.choice(seeds),
            lambda: b"",
            lambda: data[rng.randrange(len(data) + 1) :],
            lambda: b"\xef\xbb\xbf" + data,
            lambda: data.decode("latin-1").encode(rng.choice(("utf-16", "utf-16-be", "utf-32", "utf-8"))),
            lambda: data.replace(b"\n", rng.choice((b"\r", b"\r\n", b"\n\n", b"\x85", b""))),
        )
    )()


def words(data: bytes, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Text: something is put in, taken out, doubled, or becomes what stands elsewhere."""
    tokens = re.split(rb"([\s,;=\[\]{}:\"]+)", data)
    at, kind = rng.randrange(len(tokens)), rng.randrange(7)
    if kind == 0:
        tokens[at] = rng.choice(WORDS)
    elif kind == 1:
        tokens.insert(at, rng.choice(WORDS))
    elif kind == 2:
        del tokens[at : at + rng.choice((1, 2, 20))]
    elif kind == 3:
        tokens[at:at] = tokens[at : at + rng.choice((1, 3, 30))] * rng.choice((1, 2, 50))
    elif kind == 4:
        tokens[at] = rng.choice(tokens)
    elif kind == 5:
        rows = data.split(b"\n")
        rows[(k := rng.randrange(len(rows)))] = rng.choice(rows)
        rows.insert(rng.randrange(len(rows) + 1), rows[k])
        return b"\n".join(rows)
    else:
        tokens[at] = str(rng.choice(INTERESTING) * rng.choice((1, -1, 0.5))).encode()
    return b"".join(tokens)


ODD = (  # bytes that are no UTF-8, or no character that anybody sees
    b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80\x8b", b"\xe2\x80\xae", b"\xef\xbb\xbf", b"\0", b"\xc2\xa0", b"\xef\xbc\x91", b"\x1b[2J",
)  # fmt: skip


def rough(data: bytes, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Text as careless programs write it: line ends of several kinds, marks on every line, quotes that stay open, a header that comes again,
    rows that are too long, too short, or far too wide."""
    rows = data.split(b"\n")
    at, kind = rng.randrange(len(rows)), rng.randrange(9)
    if kind == 0:
        return b"".join(row + rng.choice((b"\n", b"\r\n", b"\r", b"\n\r")) for row in rows)
    if kind == 1:
        return b"\n".join(rng.choice((b"\xef\xbb\xbf", b"\xfe\xff", b"")) + row for row in rows)
    if kind == 2:
        rows[at] = b'"' + rows[at]
    elif kind == 3:
        rows.insert(at, rows[0])
    elif kind == 4:
        mark = rng.choice((b",", b";", b"\t", b" ", b"="))
        often = rng.choice((2, 300, 20_000))
        rows[at] = mark.join([rows[at][: (1 << 20) // often]] * often)
    elif kind == 5:
        mark = rng.choice((b",", b";", b"\t", b"|"))
        rows = [row + mark for row in rows]
    elif kind == 6:
        rng.shuffle(rows)
    elif kind == 7:
        rows = [*rows[:at], b'"' + b"\n".join(rows[at : at + 3]) + b'"', *rows[at + 3 :]]
    else:
        place = rng.randrange(len(rows[at]) + 1)
        rows[at] = rows[at][:place] + rng.choice(ODD) * rng.choice((1, 1, 500)) + rows[at][place:]
    return b"\n".join(rows)


def text(data: bytes, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Text, now and then as bytes or as a whole."""
    return rng.choice((words,) * 6 + (rough, rough, raw, whole))(data, rng, seeds)


def binary(data: bytes, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Bytes, now and then as a whole."""
    return (whole if rng.random() < 0.1 else raw)(data, rng, seeds)


# --- JSON ----------------------------------------------------------------------------------------------------------------


def values(data: bytes, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """JSON: a value becomes another, goes, is nested deeply, or its key comes twice. What is no JSON any more is damaged as text."""
    try:
        document = json.loads(data)
        leaves = list(leaves_of(document)) if isinstance(document, dict | list) else []
    except (ValueError, RecursionError):
        leaves = []
    if not leaves or rng.random() < 0.15:
        return text(data, rng, seeds)
    holder, key = rng.choice(leaves)
    kind = rng.random()
    if kind < 0.12:
        del holder[key]
    elif kind < 0.2 and isinstance(holder, dict):
        return _doubled(document, holder, key, rng)
    elif kind < 0.25:
        inner = holder[key]
        for _ in range(rng.choice((1, 5, 90, 400))):
            inner = [inner] if rng.random() < 0.5 else {"a": inner}
        holder[key] = inner
    elif kind < 0.35 and isinstance(holder, list):
        holder[key:key] = holder[:: rng.choice((1, -1))] * rng.choice((1, 2, 40))
    elif kind < 0.45 and isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
        holder[key] = rng.choice(
            (
                -holder[key],
                holder[key] + 1,
                holder[key] * 2,
                holder[key] * 1000,
                min(float(abs(holder[key]) % (1 << 60)), 1e30) + 0.5,
                str(holder[key]),
            )
        )
    else:
        holder[key] = copy.deepcopy(rng.choice((*VALUES, *(h[k] for h, k in rng.choices(leaves, k=4)))))
    return dumped(document)


def dumped(document: Any) -> bytes:
    try:
        return json.dumps(document).encode("utf-8", "surrogatepass")
    except RecursionError:
        return b"[" * 2000


def _doubled(document: Any, holder: dict[str, Any], key: str, rng: random.Random) -> bytes:
    """A key comes twice, with two values."""
    mark = "key that comes twice"
    holder[mark] = rng.choice((None, -1, "x", [], {}, holder[key]))
    return dumped(document).replace(json.dumps(mark).encode(), json.dumps(key).encode())


def leaves_of(tree: Any) -> Iterator[tuple[Any, Any]]:
    """(holder, key) of every value that holds no other, and of those that hold some."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        if isinstance(value, dict | list) and value:
            yield from leaves_of(value)
        yield tree, key


def lines(data: bytes, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Lines of JSON: one of them is damaged, doubled or moved."""
    rows = data.split(b"\n")
    at = rng.randrange(len(rows))
    rows[at] = values(rows[at], rng, seeds) if rng.random() < 0.8 else rng.choice(rows)
    return b"\n".join(rows)


# --- archives of arrays --------------------------------------------------------------------------------------------------


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {n: archive.read(n) for n in archive.namelist()}


def packed(parts: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of the members; the same bytes at any time of day (a `ZipInfo` has no date, a mere name gets the present one)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in parts.items():
            archive.writestr(zipfile.ZipInfo(name), data, kind)
    return buffer.getvalue()


def arrays(data: bytes, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """An archive of arrays: a header, a shape, a type, a member, its name, how it is packed, what the directory says."""
    if rng.random() < 0.2:
        return binary(data, rng, seeds)
    try:
        parts = members(data)
    except Exception:  # damaged before
        return raw(data, rng, seeds)
    if not parts:
        return data
    name, kind = rng.choice(sorted(parts)), rng.randrange(11)
    if kind == 10:
        return _stuffed(parts, name, rng)
    if kind <= 4 and len(parts[name]) > 10:
        parts[name] = _headed(parts[name], kind, rng, seeds)
    elif kind == 5:
        body = parts[name]
        parts[name] = rng.choice(
            (b"", body[: rng.randrange(len(body) + 1)], parts[rng.choice(sorted(parts))], body * 2, _odd(body, rng))
        )
    elif kind == 6:
        parts[rng.choice(NAMES)] = parts.pop(name)
    elif kind == 7:
        copies = min(rng.choice((1,) * 20 + (30,) * 10 + (1200,)), 1 + (1 << 21) // (1 + len(parts[name])))
        parts.update({f"{k}.npy": parts[name] for k in range(copies)})
    elif kind == 8:
        return _claims(packed(parts, zipfile.ZIP_DEFLATED), rng)
    elif rng.random() < 0.1:
        parts[name] = parts[name][:128] + BOMB
        return packed(parts, zipfile.ZIP_DEFLATED)
    return packed(
        parts, rng.choice((zipfile.ZIP_STORED,) * 9 + (zipfile.ZIP_DEFLATED,) * 9 + (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2))
    )


def _headed(member: bytes, kind: int, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """An .npy file with another header."""
    size = struct.unpack("<H", member[8:10])[0]
    header, body = member[10 : 10 + size], member[10 + size :]
    if kind == 0:
        header = re.sub(rb"'descr': *'[^']*'", b"'descr': '" + rng.choice(DESCRS).encode() + b"'", header)
    elif kind <= 2:
        header = re.sub(rb"\([^)]*\)", rng.choice(SHAPES).encode(), header)
    elif kind == 3:
        header = header.replace(b"False", rng.choice((b"True", b"0", b"None", b"'x'")))
    else:
        header = words(header, rng, seeds)[:60_000]
    return member[:8] + struct.pack("<H", len(header)) + header + body


def _odd(body: bytes, rng: random.Random) -> bytes:
    """Numbers that are none, or too large, in place of an array's last ones."""
    odd = struct.pack("<d", rng.choice((float("nan"), float("inf"), -float("inf"), 1e308, -0.0))) + struct.pack(
        "<f", float("nan")
    )
    return body[: -len(odd)] + odd


def _stuffed(parts: dict[str, bytes], name: str, rng: random.Random) -> bytes:
    """A member that comes twice with two contents, a folder of a member's name, a long comment, something in front of or behind the archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that comes twice
        for member, data in parts.items():
            archive.writestr(zipfile.ZipInfo(member), data, zipfile.ZIP_DEFLATED)
        kind = rng.randrange(5)
        if kind == 0:
            archive.writestr(zipfile.ZipInfo(name), parts[rng.choice(sorted(parts))][: rng.choice((0, 9, 80, 1 << 20))])
        elif kind == 1:
            archive.writestr(zipfile.ZipInfo(f"{name}/"), b"")
        elif kind == 2:
            archive.comment = rng.choice((b"PK\x05\x06" + bytes(40), b"x" * 65535, b"\xff\0"))
    whole = buffer.getvalue()
    if kind == 3:
        return rng.choice((b"#!/bin/sh\n", bytes(5000), whole)) + whole
    return whole + rng.choice((b"\0", b"PK\x05\x06", whole[-60:])) if kind == 4 else whole


def _claims(data: bytes, rng: random.Random) -> bytes:
    """The directory of an archive claims something else: sizes, counts, offsets, flags, a way of packing."""
    changed = bytearray(data)
    places = [m.start() for m in re.finditer(re.escape(rng.choice((b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"))), data)]
    if places:
        at = rng.choice(places) + rng.choice((6, 8, 10, 12, 16, 20, 24, 28, 30, 42))
        value = rng.choice((0, 1, 8, 99, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, rng.randrange(2**16)))
        changed[at : at + 4] = struct.pack("<I", value)
    return bytes(changed)


# --- chunks --------------------------------------------------------------------------------------------------------------


def chunks(data: bytes, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """RIFF: a chunk's length or place, or a field of the header that says how samples are written."""
    if rng.random() < 0.35 or len(data) < 44:
        return binary(data, rng, seeds)
    changed, kind = bytearray(data), rng.randrange(5)
    if kind == 0:  # code, channels, rate, bytes a second, bytes a frame, bits
        at, width = rng.choice(((20, 2), (22, 2), (24, 4), (28, 4), (32, 2), (34, 2)))
        number = rng.choice((0, 1, 2, 3, 7, 16, 24, 32, 64, 255, 0x7FFF, 0xFFFE, 0xFFFF, 44100, 2**31, 2**32 - 1))
        changed[at : at + width] = (number % (1 << 8 * width)).to_bytes(width, "little")
    elif kind == 1:  # a length
        at = rng.choice([4, 16, *(m.start() + 4 for m in re.finditer(b"data|LIST|fact", data))])
        value = rng.choice((0, 1, 2, 15, 17, 40, len(data), len(data) * 2, 2**31 - 1, 2**32 - 1))
        changed[at : at + 4] = struct.pack("<I", value)
    elif kind == 2:  # a chunk that is not needed, or one that comes twice
        at = rng.choice((12, 36, len(data)))
        size = rng.choice((0, 3, 26, 2**32 - 1))
        changed[at:at] = (
            rng.choice((b"LIST", b"fact", b"data", b"fmt ", b"\0\0\0\0", b"id3 "))
            + struct.pack("<I", size)
            + bytes(min(size, 30))
        )
    elif kind == 3:  # another order, without one of them
        changed[12:] = rng.choice((data[36:] + data[12:36], data[12:36], data[36:], data[12:] * 2))
    else:  # samples of floats that are none
        changed += struct.pack("<f", rng.choice((float("nan"), float("inf"), 1e38, -0.0))) * 8
        changed[20:22] = rng.choice((b"\3\0", b"\1\0"))
    return bytes(changed)
