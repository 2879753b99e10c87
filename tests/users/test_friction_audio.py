"""Sound as phones and computers record it: m4a, aac, wma, amr are read where ffmpeg is, and refused with a way out where it is not."""

from __future__ import annotations

import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest

import sandgrain as api
from sandgrain.base.errors import UsageError
from sandgrain.dataset.decode import decode
from sandgrain.dataset.readers import make_layout
from sandgrain.dataset.readers.base import BadFileError
from sandgrain.dataset.records import Layout
from tests.support.draws import rare

AUDIO = Layout("audio")
ADTS, ASF = b"\xff\xf1\x50\x80", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("a.m4a", b"\0\0\0\x20ftypM4A "),
        ("a.m4a", b"\0\0\0\x18ftypmp42"),  # Android, Windows
        ("a.m4a", b"\0\0\0\x18ftyp3gp4"),
        ("a.m4a", b"\0\0\0\x1cftypisom"),
        ("a.aac", ADTS),
        ("a.aac", b"\xff\xf9\x50\x80"),
        ("a.wma", ASF),
        ("a.amr", b"#!AMR\n"),
    ],
)
def test_what_only_ffmpeg_decodes_names_the_way_out(
    name: str, head: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / name).write_bytes(head + bytes(200))
    with pytest.raises(BadFileError) as refused:
        list(decode(tmp_path, name, AUDIO))
    assert "there is no ffmpeg on the PATH" in str(refused.value) and "ffmpeg -i NAME.m4a NAME.wav" in str(refused.value)


def test_init_does_not_write_a_project_of_files_that_nothing_here_decodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for label in ("yes", "no"):
        (tmp_path / "x" / label).mkdir(parents=True)
        for k in range(3):
            (tmp_path / "x" / label / f"{k}.m4a").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(200 + k))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="no ffmpeg on the PATH"):
        api.init(tmp_path / "x", out=tmp_path / "p")
    assert not (tmp_path / "p").exists()


def test_a_heic_picture_is_no_sound(tmp_path: Path) -> None:
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x18ftypheic" + bytes(200))
    with pytest.raises(BadFileError, match="is an MP4 file, not audio"):
        list(decode(tmp_path, "a.m4a", AUDIO))


@rare
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize(("suffix", "codec"), [("m4a", "aac"), ("aac", "aac"), ("wma", "wmav2")])
def test_a_real_recording_is_decoded_where_ffmpeg_is(suffix: str, codec: str, tmp_path: Path) -> None:
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)).astype("<i2")
    with wave.open(str(tmp_path / "a.wav"), "wb") as out:
        out.setparams((1, 2, 16000, 0, "NONE", ""))
        out.writeframes(tone.tobytes())
    made = ["ffmpeg", "-v", "error", "-i", str(tmp_path / "a.wav"), "-c:a", codec, str(tmp_path / f"b.{suffix}")]
    subprocess.run(made, check=True, timeout=60)
    (sample,) = decode(tmp_path, f"b.{suffix}", make_layout("audio"))
    assert sample.rate == 16000 and abs(len(sample.data) - 16000) < 4500  # codecs pad
    middle = sample.data[6000:10000, 0].astype(float)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert abs(float(spectrum.argmax()) * 16000 / len(middle) - 440) < 8 and 5000 < np.abs(middle).max() < 10000
