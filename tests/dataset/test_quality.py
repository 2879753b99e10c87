"""What is doubtful about a data set is found, and what is not doubtful is left alone."""

from __future__ import annotations

import hashlib
import io
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sandgrain.base.arrays import Array
from sandgrain.base.text import plain
from sandgrain.dataset import fingerprint, kinds, page, pictures, quality
from sandgrain.dataset.records import BadFile, Kind, Record
from tests.support.draws import rare

RATE = 8000.0


def voice(seed: int, seconds: float = 0.5) -> Array:
    """Something like a word: a few partials that come and go, over a little noise. int16 [n, 1]."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    x = rng.normal(0, 30, len(t))
    for _ in range(12):
        middle, width = rng.uniform(0, seconds), rng.uniform(0.02, 0.1)
        x += 1500 * np.exp(-(((t - middle) / width) ** 2)) * np.sin(2 * np.pi * rng.uniform(150, 3500) * t)
    return whole(x)[:, None]


def whole(x: Array) -> Array:
    return np.clip(np.rint(x), -32768, 32767).astype(np.int16)


def photo(seed: int, side: int = 48) -> Array:
    """Soft blobs, uint8 [side, side, 3]."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8))
    return np.asarray(small.resize((side, side), Image.Resampling.BICUBIC))


def stroke(seed: int) -> Array:
    """A smooth movement, int16 [100, 3]."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 1, 100)[:, None]
    return whole(sum(4000 * np.sin(2 * np.pi * (k * t + rng.uniform(size=3))) * rng.uniform(size=3) / k for k in range(1, 4)))


def cosine(kind: Kind, a: Array, b: Array, rate: float = RATE, other: float = RATE) -> float:
    return float(kinds.of(kind).fingerprint(a, rate) @ kinds.of(kind).fingerprint(b, other))


# --- fingerprints --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_copy_of_sound_is_found_though_gain_noise_and_rate_changed(seed: int) -> None:
    x = voice(seed)
    noise = np.random.default_rng(99).normal(0, x.std() * 10 ** (-30 / 20), x.shape)
    twice = np.interp(np.arange(2 * len(x) - 1) / 2, np.arange(len(x)), x[:, 0])
    for copy, rate in ((whole(x * 0.5), RATE), (whole(x + noise), RATE), (whole(twice)[:, None], 2 * RATE)):
        assert cosine("audio", x, copy, RATE, rate) >= kinds.of("audio").near


@pytest.mark.parametrize("seed", range(5))
def test_a_copy_of_an_image_is_found_though_it_was_compressed_and_brightened(seed: int) -> None:
    x, stream = photo(seed), io.BytesIO()
    Image.fromarray(x).save(stream, "JPEG", quality=75)
    for copy in (np.asarray(Image.open(stream)), (x * 0.8 + 20).astype(np.uint8)):
        assert cosine("image", x, copy) >= kinds.of("image").near


@pytest.mark.parametrize(("kind", "make"), [("audio", voice), ("image", photo), ("motion", stroke)])
def test_different_recordings_are_not_copies(kind: Kind, make: object) -> None:
    assert callable(make)
    prints = np.stack([kinds.of(kind).fingerprint(make(k), RATE) for k in range(40)])
    assert (np.triu(prints @ prints.T, 1) < kinds.of(kind).near).all()


@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (15, 1), (17, 1), (300, 1)])
def test_short_sound_has_a_fingerprint(shape: tuple[int, int]) -> None:
    x = np.arange(shape[0], dtype=np.int16)[:, None] * 100
    made = kinds.of("audio").fingerprint(x, RATE)
    assert made.shape == (fingerprint.SIZE,) and np.isfinite(made).all()


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 7, 3), (5, 3, 4), (16, 16, 1), (17, 33, 3)])
def test_images_of_any_size_have_a_fingerprint(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    made = kinds.of("image").fingerprint(x, 0)
    assert made.size <= fingerprint.SIZE and np.isfinite(made).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 256, 1000])
def test_motion_of_many_channels_has_a_fingerprint(channels: int) -> None:
    x = np.random.default_rng(0).integers(-99, 99, (50, channels)).astype(np.int16)
    assert 0 < kinds.of("motion").fingerprint(x, 50).size <= fingerprint.SIZE


@rare
@given(st.integers(0, 400), st.integers(2, 12), st.floats(0.5, 0.9999), st.integers(0, 2**32 - 1))
def test_near_pairs_are_those_of_comparing_all_with_all(n: int, size: int, threshold: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, size))
    x[n // 2 :] = x[: n - n // 2] + rng.normal(0, 0.02, x[n // 2 :].shape)
    x = (x / np.sqrt((x * x).sum(axis=1, keepdims=True))).astype(np.float32)
    if n:
        x[:: max(1, n // 5)] = 0  # rows without a fingerprint
    old, fingerprint.LEAF = fingerprint.LEAF, 16
    try:
        pairs, cosines = fingerprint.near_pairs(x, threshold)
    finally:
        fingerprint.LEAF = old
    product = np.triu(x.astype(np.float64) @ x.T.astype(np.float64), 1)
    surely, maybe = (
        set(zip(*(v.tolist() for v in np.nonzero(product >= t)), strict=True)) for t in (threshold + 1e-5, threshold - 1e-5)
    )
    found = {(int(a), int(b)) for a, b in pairs}
    assert surely <= found <= maybe and len(found) == len(pairs) == len(cosines)


def test_many_fingerprints_do_not_take_the_memory_of_their_square() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(8000, 32)).astype(np.float32)  # the square is 256 MB
    x /= np.sqrt((x * x).sum(axis=1, keepdims=True))
    x[1] = x[7000]
    tracemalloc.start()
    try:
        assert fingerprint.near_pairs(x, 0.995)[0].tolist() == [[1, 7000]]
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


def test_groups_join_chains() -> None:
    assert fingerprint.groups(6, np.array([[4, 5], [1, 4], [0, 2]])).tolist() == [0, 1, 0, 3, 1, 1]


# --- facts ---------------------------------------------------------------------------------------------------------------


def facts_of(kind: Kind, x: Array) -> dict[str, object]:
    return dict(zip(quality.FACTS.names or (), quality.describe(kind, x, RATE), strict=True))


def test_silence_is_what_nobody_hears_and_not_what_rests_beside_zero() -> None:
    hum = whole(20 * np.sin(np.arange(8000) / 9))[:, None]
    click = hum.copy()
    click[4000:4100] = 3000
    assert facts_of("audio", hum)["silent"] and facts_of("audio", hum + 5000)["silent"]
    assert not facts_of("audio", click)["silent"] and not facts_of("audio", voice(0))["silent"]


@pytest.mark.parametrize(("kind", "shape"), [("audio", (100, 1)), ("motion", (100, 3)), ("image", (8, 8, 3))])
def test_what_never_changes_is_constant_and_not_also_silent(kind: Kind, shape: tuple[int, ...]) -> None:
    x = np.full(shape, 7, np.uint8 if kind == "image" else np.int16)
    assert facts_of(kind, x)["constant"] and not facts_of(kind, x)["silent"]
    x[0] = 200
    assert not facts_of(kind, x)["constant"]


def test_runs_at_the_end_of_the_scale_are_clipping_and_a_single_peak_is_not() -> None:
    x = voice(3)
    x[100] = 32767
    assert facts_of("audio", x)["clipped"] == 0.0
    x[200:203] = -32768
    assert facts_of("audio", x)["clipped"] == pytest.approx(3 / len(x))
    loud = whole(x.astype(float) * 20)
    assert facts_of("audio", loud)["clipped"] > 0.05  # type: ignore[operator]


def test_a_stuck_channel_is_told() -> None:
    x = stroke(0)
    x[:, 1] = 3
    assert facts_of("motion", x)["stuck"] and not facts_of("motion", stroke(0))["stuck"]


def test_a_flat_image_is_silent() -> None:
    grey = np.full((16, 16, 1), 128, np.uint8)
    grey[0, 0] = 130
    assert facts_of("image", grey)["silent"] and not facts_of("image", photo(0))["silent"]


# --- a judgement ---------------------------------------------------------------------------------------------------------


def records_of(samples: dict[str, Array], labels: dict[str, str] | None = None, kind: Kind = "audio") -> tuple[Record, ...]:
    return tuple(
        Record(key, (labels or {}).get(key, key[0]), "", kind, x.shape, RATE, hashlib.sha256(x.tobytes()).hexdigest())
        for key, x in sorted(samples.items())
    )


def judged(samples: dict[str, Array], labels: dict[str, str] | None = None, **answers: str) -> quality.Judgement:
    records = records_of(samples, labels)
    return quality.judge(records, quality.measure(records, lambda r: samples[r.key]), answers)


def count(found: quality.Judgement) -> dict[str, int]:
    return {f.topic: f.count for f in found.findings if f.count}


DOUBTFUL = {
    "a1": voice(1),
    "a2": voice(2),
    "a3": voice(3),
    "b1": voice(1),  # a copy of a1 under another label
    "b2": whole(voice(2) * 0.5),  # a2, softer
    "c1": np.zeros((4000, 1), np.int16),
    "c2": whole(voice(9) / 800),
    "c3": whole(voice(8) * 60.0),
}


def test_everything_doubtful_is_counted() -> None:
    found = judged(DOUBTFUL)
    assert count(found) == {"copies": 1, "near-duplicates": 1, "conflicting labels": 4, "clipped": 1, "silent": 1, "constant": 1}
    assert found.dropped == {}
    near = next(f for f in found.findings if f.topic == "near-duplicates")
    assert near.examples[0].keys == ("a2", "b2") and "cosine" in near.examples[0].detail


@pytest.mark.parametrize(
    ("answers", "gone"),
    [
        ({"duplicates": "drop"}, {"b1": "copies", "b2": "near-duplicates"}),
        ({"conflicts": "drop"}, dict.fromkeys(("a1", "a2", "b1", "b2"), "conflicting labels")),
        ({"silent": "drop", "constant": "drop"}, {"c1": "constant", "c2": "silent"}),
        ({"clipped": "drop"}, {"c3": "clipped"}),
    ],
)
def test_what_is_dropped_is_what_was_asked_for(answers: dict[str, str], gone: dict[str, str]) -> None:
    found = judged(DOUBTFUL, **answers)
    assert found.dropped == gone
    assert sum(f.dropped for f in found.findings) == len(gone)


def test_recordings_of_other_length_are_no_near_duplicates() -> None:
    tone = whole(8000 * np.sin(np.arange(8000) / 3))[:, None]
    assert count(judged({"a": tone, "b": whole(tone[:4000] * 0.5)})) == {}


def test_copies_on_two_sides_are_told() -> None:
    records = records_of(DOUBTFUL)
    found = judged(DOUBTFUL)
    sides = {r.key: "test" if r.key.startswith("b") else "train" for r in records}
    assert quality.across(records, found.family, sides) == [
        "b1 (test) and a1 (train) are copies or near-copies",
        "b2 (test) and a2 (train) are copies or near-copies",
    ]


def test_no_records_are_no_trouble() -> None:
    assert judged({}).findings == ()


def test_what_was_measured_is_remembered_by_content(tmp_path: Path) -> None:
    records, opened = records_of(DOUBTFUL), []

    def opening(record: Record) -> Array:
        opened.append(record.key)
        return DOUBTFUL[record.key]

    first = quality.measure(records, opening, cache=tmp_path / "facts.npz")
    again = quality.measure(records, opening, cache=tmp_path / "facts.npz")
    assert len(opened) == len(records)
    assert (first.rows == again.rows).all() and (first.prints == again.prints).all()
    (tmp_path / "facts.npz").write_bytes(b"PK\x03\x04 damaged")
    quality.measure(records, opening, cache=tmp_path / "facts.npz")
    assert len(opened) == 2 * len(records)


# --- the page ------------------------------------------------------------------------------------------------------------

EVIL = '<script>alert("x")</script>&\u202e"\'{{ 7*7 }}'


def rendered(samples: dict[str, Array], kind: Kind, label: str = "a") -> str:
    records = records_of(samples, dict.fromkeys(samples, label), kind)
    facts = quality.measure(records, lambda r: samples[r.key])
    prints = facts.prints
    return page.render(
        page.Content(
            look=[EVIL],
            title=EVIL, kind=kind, records=records, sides={r.key: "train" for r in records},
            labels=[(label, (len(records), 0, 0), 1.0)], findings=quality.judge(records, facts, {}).findings, leaks=[EVIL],
            bad=[BadFile(EVIL, EVIL)], sha256="00", peaks=facts.rows["peak"], prints=prints, map_rows=range(len(records)),
            map_vectors=prints, map_says="its fingerprint", features=EVIL, remarks=[EVIL], open_record=lambda r: samples[r.key],
        )
    )  # fmt: skip


@pytest.mark.parametrize(("kind", "make"), [("audio", voice), ("image", photo), ("motion", stroke)])
def test_the_page_holds_no_markup_from_outside_and_loads_nothing(kind: Kind, make: object) -> None:
    assert callable(make)
    text = rendered({f"{EVIL}{k}": make(k) for k in range(12)} | {EVIL: make(0)}, kind, EVIL)
    assert "<script" not in text and "7*7" in text and "\u202e" not in text
    assert text.count("<circle ") == 13 and text.count("<figure") == kinds.of(kind).shown
    outside = [part for part in text.split("http")[1:] if not part.startswith(("://www.w3.org/", "-equiv"))]
    assert outside == [] and text.count("src=") == text.count('src="data:image/png')


def test_the_page_is_the_same_each_time() -> None:
    samples = {f"a{k}": voice(k) for k in range(4)}
    assert rendered(samples, "audio") == rendered(samples, "audio")


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (151, 1), (1000, 1)])
def test_short_recordings_have_pictures(shape: tuple[int, int]) -> None:
    x = np.arange(shape[0], dtype=np.int16)[:, None]
    assert "<svg" in kinds.of("audio").picture(x, RATE) and "<svg" in kinds.of("motion").picture(x, 50)


def test_many_labels_have_many_colours() -> None:
    def distinct(counts: Sequence[int]) -> bool:
        return all(len(set(pictures.colours(n))) == n for n in counts)

    assert distinct((1, 2, 10, 12, 13, 35, 60))


def test_plain_text_is_one_line() -> None:
    assert plain("a\nb\x00\u202e\x85c") == "a?b???c" and plain("x" * 100, 10) == "xxxxxxx..." and plain("grün") == "grün"
