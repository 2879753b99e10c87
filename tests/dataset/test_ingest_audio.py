"""Audio: every PCM width, mixed down, resampled, FLAC like WAV, and what is wrong with a header."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sandgrain.base.arrays import Array
from sandgrain.dataset.decode import decode, describe
from sandgrain.dataset.readers import audio, make_layout
from sandgrain.dataset.readers.base import BadFileError, Sample
from sandgrain.dataset.records import Layout

AUDIO = Layout("audio")
RNG = np.random.default_rng(3)


def riff(body: bytes, code: int, channels: int, bits: int, rate: int = 8000, extra: bytes = b"", before: bytes = b"") -> bytes:
    align = channels * bits // 8
    form = struct.pack("<HHIIHH", code, channels, rate, rate * align, align, bits) + extra
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + before + b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def read(tmp_path: Path, content: bytes, layout: Layout = AUDIO, name: str = "a.wav") -> Sample:
    (tmp_path / name).write_bytes(content)
    (sample,) = decode(tmp_path, name, layout)
    return sample


def refused(tmp_path: Path, content: bytes, layout: Layout = AUDIO, name: str = "a.wav") -> str:
    with pytest.raises(BadFileError) as error:
        read(tmp_path, content, layout, name)
    return str(error.value)


WIDE = RNG.integers(-(2**31), 2**31, 70_000)


def pcm(bits: int, values: Array) -> bytes:
    """The top bits of 32-bit values."""
    if bits == 8:
        return ((values >> 24) + 128).astype(np.uint8).tobytes()
    raw = (values >> (32 - bits)).astype("<i4").view(np.uint8).reshape(-1, 4)
    return raw[:, : bits // 8].tobytes()


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize("channels", [1, 2, 7])
def test_every_pcm_width_becomes_the_nearest_int16(bits: int, channels: int, tmp_path: Path) -> None:
    sample = read(tmp_path, riff(pcm(bits, WIDE), 1, channels, bits))
    exact = ((WIDE >> (32 - bits)) << (32 - bits)).reshape(-1, channels) / 65536
    expected = np.clip(np.rint(exact.mean(axis=1)), -32768, 32767)
    assert sample.data.dtype == np.int16 and sample.data.shape == (70_000 // channels, 1) and sample.rate == 8000
    assert np.array_equal(sample.data[:, 0], expected)
    assert sample.clipped == np.count_nonzero(np.rint(exact.mean(axis=1)) > 32767)


@pytest.mark.parametrize("bits", [32, 64])
def test_floats_are_scaled_and_what_does_not_fit_is_counted(bits: int, tmp_path: Path) -> None:
    values = np.array([0, 0.5, -0.5, -1.0, 0.99996, 1.0, 2.5, -3.0])
    sample = read(tmp_path, riff(values.astype(f"<f{bits // 8}").tobytes(), 3, 1, bits))
    assert sample.data[:, 0].tolist() == [0, 16384, -16384, -32768, 32767, 32767, 32767, -32768]
    assert sample.clipped == 3
    values[3] = np.nan
    assert refused(tmp_path, riff(values.astype(f"<f{bits // 8}").tobytes(), 3, 1, bits)) == "sample 3 is not a finite number"


def test_sensors_keep_their_channels(tmp_path: Path) -> None:
    values = np.arange(30, dtype="<i2").reshape(10, 3)
    sample = read(tmp_path, riff(values.tobytes(), 1, 3, 16), Layout("motion"))
    assert np.array_equal(sample.data, values)


def test_an_extensible_header_and_chunks_before_the_samples_make_no_difference(tmp_path: Path) -> None:
    body = np.arange(9, dtype="<i2").tobytes()
    guid = struct.pack("<HHIH", 22, 16, 4, 1) + bytes.fromhex("000000001000800000aa00389b71")
    odd = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    for content in (riff(body, 0xFFFE, 1, 16, extra=guid), riff(body, 1, 1, 16, before=odd), riff(body, 1, 1, 16) + b"junk"):
        assert read(tmp_path, content).data[:, 0].tolist() == list(range(9))


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
@pytest.mark.parametrize("channels", [1, 2])
def test_flac_has_the_hash_of_the_same_sound_in_wav(subtype: str, channels: int, tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    sound = RNG.integers(-(2**31), 2**31, (70_001, channels)).astype(np.int32)
    for name in ("a.wav", "a.flac"):
        soundfile.write(tmp_path / name, sound, 16000, subtype=subtype)
    (wav,), (flac,) = (describe(tmp_path, name, AUDIO) for name in ("a.wav", "a.flac"))
    assert wav == flac and wav.rate == 16000
    (tmp_path / "b.wav").write_bytes((tmp_path / "a.flac").read_bytes())
    assert describe(tmp_path, "b.wav", AUDIO) == [flac]  # the content says what it is


@pytest.mark.parametrize(("old", "new"), [(8000, 16000), (16000, 8000), (44100, 16000), (11025, 8000), (16000, 22050)])
@pytest.mark.parametrize("count", [1, 7, 150_001])
def test_resampling_in_blocks_is_resampling_as_a_whole(old: int, new: int, count: int) -> None:
    signal = pytest.importorskip("scipy.signal")
    change = Fraction(new, old)
    counts = RNG.integers(-20000, 20000, (count, 2)).astype(np.float32)
    made, _ = audio.resampled(counts, change)
    whole = signal.resample_poly(counts.astype(np.float64), change.numerator, change.denominator, axis=0)
    assert made.shape == whole.shape
    assert np.abs(made - np.clip(np.rint(whole), -32768, 32767)).max() <= (0 if count < 9 else 1)
    assert np.mean(made == np.clip(np.rint(whole), -32768, 32767)) > 0.9999


def test_a_tone_keeps_its_pitch_and_level(tmp_path: Path) -> None:
    pytest.importorskip("scipy.signal")
    tone = np.rint(10000 * np.sin(2 * np.pi * 440 * np.arange(44100) / 44100)).astype("<i2")
    sample = read(tmp_path, riff(tone.tobytes(), 1, 1, 16, 44100), make_layout("audio", rate=16000, resample=True))
    expected = 10000 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    assert sample.rate == 16000 and sample.data.shape == (16000, 1)
    assert np.abs(sample.data[100:-100, 0] - expected[100:-100]).max() < 30


def test_rates_that_cannot_be_reached_are_refused(tmp_path: Path) -> None:
    content = riff(bytes(2000), 1, 1, 16, 44099)
    assert "44099 Hz, the data set at 16000 Hz" in refused(tmp_path, content, Layout("audio", rate=16000))
    assert "large terms" in refused(tmp_path, content, make_layout("audio", rate=16000, resample=True))
    slow = make_layout("audio", rate=1e6, resample=True)
    assert "too long" in refused(tmp_path, riff(bytes(1 << 19), 1, 1, 16, 1000), slow)


@pytest.mark.parametrize("layout", [AUDIO, make_layout("audio", rate=4000, resample=True), Layout("motion")])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 11, 12, 13, 20, 36, 43, 44, 45])
def test_a_file_cut_before_its_first_sample_is_refused(size: int, layout: Layout, tmp_path: Path) -> None:
    whole = riff(np.arange(100, dtype="<i2").tobytes(), 1, 1, 16)
    assert len(whole) == 244
    assert refused(tmp_path, whole[:size], layout)


@pytest.mark.parametrize("size", [46, 100, 243])
def test_of_a_file_cut_later_what_is_there_is_read(size: int, tmp_path: Path) -> None:
    sample = read(tmp_path, riff(np.arange(100, dtype="<i2").tobytes(), 1, 1, 16)[:size])
    assert sample.data[:, 0].tolist() == list(range((size - 44) // 2))
    assert f"promises 200 bytes of samples; the {size - 44} that are there are read" in sample.note
    assert ("no whole frame" in sample.note) == bool(size % 2)


def test_headers_that_lie_are_refused(tmp_path: Path) -> None:
    body = bytes(200)
    good = riff(body, 1, 1, 16)
    assert "no samples" in refused(tmp_path, riff(b"", 1, 1, 16) + b"LIST\4\0\0\0abcd")
    assert "5000 channels" in refused(tmp_path, riff(bytes(10_000 * 2), 1, 5000, 16))
    assert "format 6" in refused(tmp_path, riff(body, 6, 1, 8))
    assert "12 bits" in refused(tmp_path, riff(body, 1, 1, 12))
    assert "chunks" in refused(tmp_path, riff(body, 1, 1, 16, before=b"junk\0\0\0\0" * 100))
    assert "what the samples are" in refused(tmp_path, good.replace(b"fmt ", b"fmt_"))
    assert "2e+06 Hz" in refused(tmp_path, riff(body, 1, 1, 16, rate=2_000_000))


def test_a_long_recording_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandgrain.dataset.readers.base.MAX_VALUES", 1000)
    assert "too long" in refused(tmp_path, riff(bytes(2002), 1, 1, 16))
    assert "too long" in refused(tmp_path, riff(bytes(2002), 1, 7, 16))


def test_a_flac_that_is_cut_or_damaged_is_refused(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    made = io.BytesIO()
    soundfile.write(made, RNG.integers(-3000, 3000, 9000).astype(np.int16), 8000, format="FLAC")
    whole = made.getvalue()
    for size in (4, 30, 60, 5000, len(whole) - 40):
        why = refused(tmp_path, whole[:size], name="a.flac")
        assert "decoded" in why or "cut short" in why
        assert "\n" not in why and "<_io" not in why


def test_a_sample_is_what_the_reader_says(tmp_path: Path) -> None:
    sample: Any = read(tmp_path, riff(bytes(20), 1, 1, 16))
    assert (sample.index, sample.label, sample.group, sample.clipped) == (0, None, None, 0)
