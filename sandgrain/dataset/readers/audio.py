"""WAV, and what libsndfile (FLAC, Ogg, MP3, AIFF, AU, CAF) or ffmpeg (M4A, AAC, WMA, AMR) decode. Audio is mixed down to one channel; sensors recorded as WAV (`kind = "motion"`) keep their channels.

WAV is parsed here (Microsoft's "Multimedia Programming Interface and Data Specifications 1.0", and WAVEFORMATEXTENSIBLE), so
that a header can be held against the bytes that are there: recorders that were cut off, or wrote into a pipe, leave lengths that
are not so, and then what is there is read, with a note. Values are scaled to int16 counts: full scale is 32768, one step
of 24 bits is 1/256 count, and a float of 1.0 is 32768 counts.
"""

from __future__ import annotations

import io
import math
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np

from sandgrain.base.arrays import Array, as_float64
from sandgrain.dataset import kinds
from sandgrain.dataset.readers.base import (
    MAX_VALUES,
    BadFileError,
    RateOptions,
    Sample,
    check_rate,
    check_values,
    load_package,
    one_line,
    to_int16,
)
from sandgrain.dataset.records import Layout
from sandgrain.dataset.tracks import TrackOptions

KINDS = ("audio", "motion")
SNDFILE = (".aif", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus")
FFMPEG = (".aac", ".amr", ".m4a", ".wma")
SUFFIXES = tuple(sorted((".wav", *SNDFILE, *FFMPEG)))
WHAT = "audio"


OPTIONS = (RateOptions, TrackOptions)

BLOCK = 1 << 16  # frames at a time
MAX_CHUNKS = 64  # of a RIFF file before its samples
MAX_RATIO = 4096  # of a resampling's terms: the filter has 20 taps for each
HALO = 32  # input samples (times the larger term) that the filter, 10 on each side, can see
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
MAX_DECODED = 2 * MAX_VALUES + (1 << 16)  # bytes that ffmpeg may give
DECODE_SECONDS = 60
OVERS = 4.0  # floats up to here are sound that was mixed too loud; beyond, they are counts
SMALLEST_COUNTS = 128.0  # of floats that are no whole numbers, and yet counts
WIDTHS = {(PCM, 8), (PCM, 16), (PCM, 24), (PCM, 32), (FLOAT, 32), (FLOAT, 64)}  # format, bits


@dataclass(frozen=True, slots=True)
class Wave:
    """A WAV header: `code` and `bits` are one of WIDTHS; `frames` of `channels` values each begin at byte `start`.

    `note`: what it says that is not so, or "".
    """

    code: int
    bits: int
    channels: int
    rate: int
    start: int
    frames: int
    note: str = ""


def needs(suffix: str, layout: Layout) -> tuple[str, ...]:
    """See `base.Reader`."""
    return (("soundfile",) if suffix in SNDFILE else ()) + (("scipy.signal",) if layout.get(RateOptions).resample else ())


# Where in the file, the bytes, what it is called.
MAGIC = (
    (0, b"fLaC", "a FLAC file"),
    (0, b"OggS", "an Ogg file"),
    (0, b"ID3", "an MP3 file"),
    (0, b".snd", "an AU file"),
    (0, b"caff", "a CAF file"),
    (0, b"#!AMR", "an AMR file"),
    (0, b"ADIF", "an AAC file"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a WMA file"),
)
# Of an MP4 file, at byte 8: what recorders of phones and computers write into .m4a.
BRANDS = (
    b"M4A ",
    b"M4B ",
    b"mp41",
    b"mp42",
    b"isom",
    b"iso2",
    b"iso4",
    b"iso5",
    b"iso6",
    b"dash",
    b"3gp4",
    b"3gp5",
    b"3gp6",
    b"3g2a",
    b"qt  ",
)
BY_FFMPEG = ("an M4A file", "an AMR file", "an AAC file", "a WMA file")


def sniff(head: bytes) -> str:
    """See `base.Reader`."""
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return "a WAV file"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "an AIFF file"
    if head[:1] == b"\xff" and head[1:2] in (b"\xfb", b"\xfa", b"\xf3", b"\xf2", b"\xe3", b"\xe2"):
        return "an MP3 file"
    if head[4:8] == b"ftyp" and head[8:12] in BRANDS:
        return "an M4A file"
    if head[:1] == b"\xff" and head[1:2] and head[1] & 0xF6 == 0xF0:  # ADTS
        return "an AAC file"
    return next((what for start, magic, what in MAGIC if head[start : start + len(magic)] == magic), "")


def read(stream: BinaryIO, size: int, layout: Layout) -> Iterator[Sample]:
    """See `base.Reader`. One recording a file."""
    head = stream.read(64)
    stream.seek(0)
    what = sniff(head)
    if what == "a WAV file":
        yield _wave_sample(stream, wave_header(stream, size), layout)
    elif what in BY_FFMPEG or not what:
        whole = io.BytesIO(_by_ffmpeg(stream))
        yield _wave_sample(whole, replace(wave_header(whole, len(whole.getvalue())), note=""), layout)
    else:
        yield _by_sndfile(stream, layout)


def about(stream: BinaryIO, size: int) -> tuple[float, int]:
    """Rate (Hz) and frames, from the header alone. Raises BadFileError for a file whose header does not say."""
    head = stream.read(64)
    stream.seek(0)
    what = sniff(head)
    if what == "a WAV file":
        wave = wave_header(stream, size)
        return wave.rate, wave.frames
    if what in BY_FFMPEG or not what:
        raise BadFileError("has to be decoded first")
    load_package("soundfile", what.partition(" ")[2])
    import soundfile

    try:
        with soundfile.SoundFile(stream) as sound:
            return sound.samplerate, sound.frames
    except (soundfile.SoundFileError, RuntimeError, OSError, TypeError, ValueError) as error:
        raise BadFileError(f"cannot be decoded ({one_line(error)})") from None


def wave_header(stream: BinaryIO, size: int) -> Wave:
    """The header of a WAV file of `size` bytes; its samples are all there. Raises BadFileError."""
    stream.seek(12)
    form: bytes | None = None
    for _ in range(MAX_CHUNKS):
        head = stream.read(8)
        if len(head) < 8:
            raise BadFileError("its header is cut short" if form is None else "it has no data chunk")
        name, length = struct.unpack("<4sI", head)
        start = stream.tell()
        if name == b"data":
            here = stream.read(4)
            return _wave(form, start, length, size, here in (b"LIST", b"id3 ", b"fact", b"bext", b"JUNK", b"cue "))
        if name == b"fmt ":
            form = stream.read(min(length, 64))
        if start + length > size:
            raise BadFileError("its header is cut short")
        stream.seek(start + length + length % 2)  # chunks begin at even places
    raise BadFileError(f"its header has more than {MAX_CHUNKS} chunks")


def _wave(form: bytes | None, start: int, length: int, size: int, follows: bool) -> Wave:
    """`follows`: another chunk begins where the samples would."""
    if form is None or len(form) < 16:
        raise BadFileError("its header does not say what the samples are")
    code, channels, rate, _, align, bits = struct.unpack_from("<HHIIHH", form)
    if code == EXTENSIBLE and len(form) >= 26:
        code = struct.unpack_from("<H", form, 24)[0]  # the first two bytes of the sub-format's GUID
    if (code, bits) not in WIDTHS:
        raise BadFileError(
            f"its samples are of format {code} with {bits} bits; PCM of 8, 16, 24, 32 and float of 32, 64 are read"
        )
    if not channels or align != channels * bits // 8:
        raise BadFileError(f"its header contradicts itself: {channels} channels of {bits} bits in {align} bytes")
    there, notes = size - start, []
    if length > there:
        notes.append(f"its header promises {length} bytes of samples; the {there} that are there are read")
        length = there
    elif not length and there >= align and not follows:
        notes.append(f"its header promises no samples; the {there} bytes that are there are read")
        length = there
    if length % align:
        notes.append(f"its last {length % align} bytes are no whole frame, and left out")
    check_rate(rate)
    check_values(length // align, channels)
    return Wave(code, bits, channels, rate, start, length // align, "; ".join(notes))


def _wave_sample(stream: BinaryIO, wave: Wave, layout: Layout) -> Sample:
    scale, note = 1.0, wave.note
    if wave.code == FLOAT:
        scale, said = _float_scale(_wave_blocks(stream, wave))
        note = "; ".join(filter(None, (note, said)))
    blocks = (block * scale if scale != 1 else block for block in _wave_blocks(stream, wave))
    sample = _sample(wave.rate, wave.frames, wave.channels, blocks, layout)
    return replace(sample, note="; ".join(n for n in (note, sample.note) if n))


def _float_scale(blocks: Iterator[Array]) -> tuple[float, str]:
    """What floats are multiplied by, and a note: from -1 to 1, as they should be, or counts of 16 or 32 bits. Raises BadFileError."""
    peak, whole = 0.0, True
    for block in blocks:
        values = block[np.isfinite(block)] / 32768.0
        peak = max(peak, float(np.abs(values).max(initial=0.0)))
        whole = whole and bool((values == np.rint(values)).all())
    if peak <= OVERS:
        return 1.0, f"its floats reach {peak:.3g}, beyond 1: that is clipped" if peak > 1 else ""
    for name, top in (("int16", 32768.0), ("int32", 2147483648.0)):
        if peak <= top and (whole or peak > SMALLEST_COUNTS):
            return 1.0 / top, f"its floats reach {peak:.6g}, beyond 1: they are taken for {name} counts"
    raise BadFileError(f"its floats reach {peak:.4g}, and are neither from -1 to 1 nor counts; divide them by their full scale")


def _wave_blocks(stream: BinaryIO, wave: Wave) -> Iterator[Array]:
    """Blocks [frames, channels]: int16 for 16 bits, otherwise float64 counts."""
    stream.seek(wave.start)
    width, left = wave.channels * wave.bits // 8, wave.frames
    step = max(1, BLOCK // wave.channels)
    while left:
        frames = min(left, step)
        raw = stream.read(frames * width)
        if len(raw) < frames * width:
            raise BadFileError("it is cut short")
        yield _counts(raw, wave.code, wave.bits).reshape(frames, wave.channels)
        left -= frames


def _counts(raw: bytes, code: int, bits: int) -> Array:
    """Counts: every PCM width is exact in float64."""
    if code == FLOAT:
        with np.errstate(over="ignore"):
            return np.asarray(as_float64(np.frombuffer(raw, f"<f{bits // 8}")) * 32768.0)
    if bits == 8:
        return np.asarray((np.frombuffer(raw, np.uint8).astype(np.float64) - 128.0) * 256.0)
    if bits == 16:
        return np.frombuffer(raw, "<i2")
    if bits == 24:
        wide = np.zeros((len(raw) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        return np.asarray(wide.reshape(-1).view("<i4") / 65536.0)
    return np.asarray(np.frombuffer(raw, "<i4") / 65536.0)


def _by_sndfile(stream: BinaryIO, layout: Layout) -> Sample:
    load_package("soundfile", "compressed sound")
    import soundfile

    try:
        with soundfile.SoundFile(stream) as sound:
            check_rate(sound.samplerate)
            check_values(sound.frames, sound.channels)
            return _sample(sound.samplerate, sound.frames, sound.channels, _sound_blocks(sound), layout)
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        raise BadFileError(f"cannot be decoded ({one_line(error)})") from None


def _sound_blocks(sound: Any) -> Iterator[Array]:
    """Blocks of float64 counts: whole samples of 32 bits where the format has such, floats where it is lossy."""
    left, step = sound.frames, max(1, BLOCK // sound.channels)
    lossy = sound.format in ("OGG", "MPEG", "MP3")
    while left:
        block = sound.read(min(left, step), dtype="float32" if lossy else "int32", always_2d=True)
        if not len(block):
            raise BadFileError(f"it is cut short: {left} of its samples are missing")
        yield np.asarray(as_float64(block) * 32768.0 if lossy else block / 65536.0)
        left -= len(block)


def _by_ffmpeg(stream: BinaryIO) -> bytes:
    """What ffmpeg makes of a file: a WAV file of 16 bits. Raises BadFileError."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise BadFileError(
            "is of a format that ffmpeg decodes, and there is no ffmpeg on the PATH; install it (such as apt install ffmpeg), or "
            "convert the files to WAV where it is: ffmpeg -i NAME.m4a NAME.wav"
        )
    handle = stream.fileno()
    command = [
        program, "-v", "error", "-nostdin", "-threads", "1", "-protocol_whitelist", "file,pipe", "-i", f"/dev/fd/{handle}",
        "-map", "0:a:0", "-c:a", "pcm_s16le", "-f", "wav", "-fs", str(MAX_DECODED), "pipe:1",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, timeout=DECODE_SECONDS, pass_fds=(handle,), check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BadFileError(f"cannot be decoded by ffmpeg ({type(error).__name__})") from None
    if done.returncode or not done.stdout:
        lines = done.stderr.decode("ascii", "replace").splitlines()
        raise BadFileError(f"cannot be decoded by ffmpeg ({(lines or ['no message'])[0][:100]})")
    return done.stdout


def _sample(rate: float, frames: int, channels: int, blocks: Iterator[Array], layout: Layout) -> Sample:
    """The recording: mixed down for audio, at the layout's rate."""
    change = _change(rate, layout)
    kept = 1 if kinds.of(layout.kind).mono else channels
    if change != 1:
        check_values(math.ceil(frames * change), kept)
        data, clipped = resampled(_joined(blocks, frames, kept), change)
        return Sample(data, layout.rate, clipped=clipped, note=_averaged(channels, kept))
    data, clipped, at = np.empty((frames, kept), np.int16), 0, 0
    for block in blocks:
        whole, over = _rounded(_mixed(block, kept), at)
        data[at : at + len(block)] = whole
        clipped, at = clipped + over, at + len(block)
    return Sample(data, float(rate), clipped=clipped, note=_averaged(channels, kept))


def _averaged(channels: int, kept: int) -> str:
    return f"{channels} channels are averaged into one" if kept < channels else ""


def _change(rate: float, layout: Layout) -> Fraction:
    """New samples for each old one. Raises BadFileError where the rate is not the data set's and may not be changed."""
    if not layout.rate or rate == layout.rate:
        return Fraction(1)
    if not layout.get(RateOptions).resample:
        raise BadFileError(f"is sampled at {rate:g} Hz, the data set at {layout.rate:g} Hz; set resample = true")
    change = Fraction(layout.rate).limit_denominator(1000) / Fraction(rate).limit_denominator(1000)
    if max(change.numerator, change.denominator) > MAX_RATIO:
        raise BadFileError(f"cannot be resampled from {rate:g} Hz to {layout.rate:g} Hz: {change} has large terms")
    return change


def _mixed(block: Array, kept: int) -> Array:
    return block if block.shape[1] == kept else np.asarray(block.mean(axis=1, keepdims=True, dtype=np.float64))


def _rounded(block: Array, at: int) -> tuple[Array, int]:
    if block.dtype.kind == "i":
        return block, 0
    if not np.isfinite(block).all():
        place = at + int(np.argmin(np.isfinite(block).all(axis=1)))
        raise BadFileError(f"sample {place} is not a finite number")
    return to_int16(block)


def _joined(blocks: Iterator[Array], frames: int, kept: int) -> Array:
    """float32 [frames, kept] counts: 24 bits are enough for what becomes 16."""
    whole, at = np.empty((frames, kept), np.float32), 0
    for block in blocks:
        mixed = _mixed(block, kept)
        _rounded(mixed, at)
        whole[at : at + len(block)] = mixed
        at += len(block)
    return whole


def resampled(counts: Array, change: Fraction) -> tuple[Array, int]:
    """`counts` [n, channels] at `change` times the rate: int16 [ceil(n * change), channels], and how many were clipped.

    A polyphase filter (scipy.signal.resample_poly: a Kaiser window with beta 5 and 10 taps to each side for each term), a
    block at a time: a block begins where an old and a new sample coincide, and sees as much beyond its ends as the filter does.
    """
    load_package("scipy.signal", "audio of another rate")
    from scipy import signal

    up, down = change.numerator, change.denominator
    most = max(up, down)
    window = signal.firwin(20 * most + 1, 1.0 / most, window=("kaiser", 5.0))
    step = down * max(1, BLOCK // down)
    halo = down * math.ceil(HALO * most / (up * down))
    whole, clipped = np.empty((math.ceil(len(counts) * change), counts.shape[1]), np.int16), 0
    for start in range(0, len(counts), step):
        first, end = max(0, start - halo), min(len(counts), start + step)
        seen = counts[first : min(len(counts), end + halo)].astype(np.float64)
        made = signal.resample_poly(seen, up, down, axis=0, window=window)
        skip, count = (start - first) // down * up, math.ceil((end - start) * change)
        at = start // down * up
        whole[at : at + count], over = to_int16(made[skip : skip + count])
        clipped += over
    return whole, clipped
