"""Limits as people write them, and what they mean."""

from __future__ import annotations

import pytest

from sandgrain.base.errors import UsageError
from sandgrain.bundle.budget import parse_size, parse_time


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64K", 65536),
        ("256 KiB", 262144),
        ("1M", 1 << 20),
        ("0.5m", 1 << 19),
        ("900", 900),
        ("900B", 900),
        (" 2kb ", 2048),
        ("0", 0),
        (None, None),
    ],
)
def test_a_size_is_bytes_with_binary_units(text: str | None, size: int | None) -> None:
    assert parse_size(text, "--max-ram") == size


@pytest.mark.parametrize(("text", "ms"), [("50ms", 50.0), ("800us", 0.8), ("1.5s", 1500.0), ("3", 3.0), (None, None)])
def test_a_time_is_milliseconds(text: str | None, ms: float | None) -> None:
    assert parse_time(text, "--max-latency") == pytest.approx(ms)


@pytest.mark.parametrize("text", ["", "K", "-1", "1e3", "64Q", "64 K B", "nan", "inf", "9" * 400, "1\n2", "٣K", "0x10"])
def test_what_is_no_size_and_no_time_is_refused_in_one_line(text: str) -> None:
    for parse in (parse_size, parse_time):
        with pytest.raises(UsageError, match="--max") as caught:
            parse(text, "--max-x")
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 200
