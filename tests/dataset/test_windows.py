"""Windows of long recordings: what they hold, in which order they come, and how little is held for them."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.dataset.records import Record
from sandgrain.dataset.windows import Cut, Window, Windowing, count, cut, generator, stream, windows_of


def record(key: str, samples: int, channels: int = 1) -> Record:
    return Record(key, "a", "", "audio", (samples, channels), 8000.0, key)


def samples_of(r: Record) -> Array:
    seed = sum(map(ord, r.key))
    return np.random.default_rng(seed).integers(-32768, 32767, r.shape).astype(np.int16)


def ids(items: list[Cut]) -> list[tuple[str, int]]:
    return [(item.record.key, item.index) for item in items]


RECORDS = [record(f"r{k}", 40 + 13 * k) for k in range(12)]
WINDOWING = Windowing(50, 20)


@given(
    samples=st.integers(0, 200),
    length=st.integers(1, 80),
    stride=st.integers(0, 90),
    pad=st.sampled_from(["center", "end", "none"]),
)
def test_every_window_has_the_length_and_lies_inside(samples: int, length: int, stride: int, pad: str) -> None:
    windows = windows_of((samples, 2), Windowing(length, stride, pad))  # type: ignore[arg-type]
    x = np.arange(1, 2 * samples + 1, dtype=np.int16).reshape(samples, 2)
    for k, w in enumerate(windows):
        assert 0 <= w.start < w.stop <= samples
        made = cut(x, w)
        assert made.shape == (length, 2) and made.dtype == np.int16
        assert np.array_equal(made[w.pad_before : length - w.pad_after], x[w.start : w.stop])
        assert not made[: w.pad_before].any() and not made[length - w.pad_after :].any()
        assert w.start == k * (stride or length)
    if samples >= length:
        assert all(w.pad_before == w.pad_after == 0 for w in windows)
        assert samples - windows[-1].start < length + (stride or length)  # no room for another
    else:
        assert len(windows) == (0 if pad == "none" or not samples else 1)


def test_a_short_recording_is_padded_where_it_is_said() -> None:
    assert windows_of((5, 1), Windowing(8, pad="center")) == [Window(0, 5, 1, 2)]
    assert windows_of((5, 1), Windowing(8, pad="end")) == [Window(0, 5, 0, 3)]
    x = np.array([[7, 1], [8, 2], [9, 3]], np.int16)
    edges = cut(x, Window(0, 3, 1, 2), "edge")
    assert edges.tolist() == [[7, 1], [7, 1], [8, 2], [9, 3], [9, 3], [9, 3]]


def test_an_image_is_one_window() -> None:
    assert windows_of((32, 24, 3), None) == [Window(0, 32)]


def test_seconds_become_samples() -> None:
    assert Windowing.of(1.0, 0.5, 8000) == Windowing(8000, 4000)
    assert Windowing.of(0.3, 0, 119.0) == Windowing(36, 0)
    with pytest.raises(UsageError, match="less than a sample"):
        Windowing.of(0.001, 0, 100)


@pytest.mark.parametrize("wrong", [{"length": 0}, {"length": 5, "stride": -1}, {"length": 5, "pad": "left"}])
def test_windows_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=";"):
        Windowing(**wrong)  # type: ignore[arg-type]


def test_a_stream_without_a_seed_is_in_order() -> None:
    found = list(stream(RECORDS, samples_of, WINDOWING))
    assert ids(found) == [(r.key, k) for r in RECORDS for k in range(len(windows_of(r.shape, WINDOWING)))]
    assert len(found) == count(RECORDS, WINDOWING)
    for item in found:
        [window] = windows_of(item.record.shape, WINDOWING)[item.index : item.index + 1]
        assert np.array_equal(item.x, cut(samples_of(item.record), window))


@pytest.mark.parametrize("pad", ["none", "center", "end"])
def test_windows_are_counted_without_being_made(pad: Any) -> None:
    for length, stride in ((1, 0), (5, 1), (5, 3), (5, 5), (5, 9)):
        windowing = Windowing(length, stride, pad)
        for samples in range(22):
            shape = (samples, 2)
            record = replace(RECORDS[0], shape=shape)
            assert count([record], windowing) == len(windows_of(shape, windowing)), (windowing, samples)
    assert count(RECORDS, None) == len(RECORDS)


@pytest.mark.parametrize("buffer", [0, 1, 7, 1000])
def test_a_shuffled_stream_holds_every_window_once_and_is_repeatable(buffer: int) -> None:
    first, again = (ids(list(stream(RECORDS, samples_of, WINDOWING, seed=5, buffer=buffer))) for _ in range(2))
    in_order = ids(list(stream(RECORDS, samples_of, WINDOWING)))
    assert first == again != in_order
    assert sorted(first) == sorted(in_order)
    assert ids(list(stream(RECORDS, samples_of, WINDOWING, seed=5, epoch=1, buffer=buffer))) != first
    assert ids(list(stream(RECORDS, samples_of, WINDOWING, seed=6, buffer=buffer))) != first


@pytest.mark.parametrize("seed", [None, 3])
def test_one_recording_is_held_at_a_time(seed: int | None) -> None:
    held: list[weakref.ref[Array]] = []
    most = 0

    def load(r: Record) -> Array:
        nonlocal most
        x = samples_of(r)
        most = max(most, sum(ref() is not None for ref in held))
        held.append(weakref.ref(x))
        return x

    for item in stream(RECORDS, load, WINDOWING, seed=seed, buffer=8):
        assert item.x.base is None  # a window does not keep its recording alive
    assert len(held) == len([r for r in RECORDS if windows_of(r.shape, WINDOWING)])
    assert most == 0  # the one before is gone when the next is loaded


def test_a_recording_that_changed_is_noticed() -> None:
    with pytest.raises(UsageError, match="read the data again"):
        list(stream(RECORDS, lambda r: np.zeros((3, 1), np.int16), WINDOWING))


def test_a_generator_depends_on_all_its_parts() -> None:
    parts = [(0, 1, "a"), (1, 0, "a"), (0, 1, "b"), (0, "1", "aa"), (0, 11, "a")]
    assert len({int(generator(*p).integers(2**62)) for p in parts}) == len(parts)
    assert generator(0, 1, "a").integers(100, size=5).tolist() == generator(0, 1, "a").integers(100, size=5).tolist()
