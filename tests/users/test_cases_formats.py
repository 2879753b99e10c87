"""Entry 4 of the list of cases: no class vanishes because of the suffix of its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sandgrain as api
from sandgrain.dataset.ingest import ingest
from sandgrain.dataset.records import Layout
from sandgrain.project.file.load import load
from tests.support.draws import rare
from tests.users.test_cases_data import wav

TONE = 0.3 * np.sin(np.arange(8000) / 4)


@rare
@pytest.mark.parametrize("suffix", ["mp3", "ogg", "flac", "aiff", "au"])
def test_04_compressed_sound_is_read_beside_wav(suffix: str, tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    for label in ("no", "yes"):
        (tmp_path / "x" / label).mkdir(parents=True)
    (tmp_path / "x" / "no" / "0.wav").write_bytes(wav(8000, 16000))
    soundfile.write(tmp_path / "x" / "yes" / f"0.{suffix}", TONE, 8000)
    found = api.init(tmp_path / "x", out=tmp_path)
    assert (found.count, found.labels, found.others) == (2, ("no", "yes"), ())
    manifest = ingest(tmp_path / "x", load(tmp_path).project.data.layout, workers=1)
    assert not manifest.bad and manifest.labels == ("no", "yes") and {r.rate for r in manifest.records} == {8000.0}
    assert abs(next(r for r in manifest.records if r.label == "yes").shape[0] - 8000) < 2500  # MP3 and Ogg pad


@rare
@pytest.mark.parametrize("kind", ["bmp", "gif", "tiff", "webp"])
def test_04_every_kind_of_picture_is_read(kind: str, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for label, value in (("cat", 200), ("dog", 90)):
        (tmp_path / "x" / label).mkdir(parents=True)
        frames = [image.new("RGB", (24, 20), (value, 10 * k, 30)) for k in range(3)]
        more = {"save_all": True, "append_images": frames[1:]} if kind != "bmp" else {}
        frames[0].save(tmp_path / "x" / label / f"0.{kind}", **more)
    found = api.init(tmp_path / "x", out=tmp_path)
    assert (found.kind, found.labels, found.shape) == ("image", ("cat", "dog"), (20, 24, 3))
    manifest = ingest(tmp_path / "x", Layout("image"), workers=1)
    assert not manifest.bad and [r.shape for r in manifest.records] == [(20, 24, 3)] * 2


def test_04_what_is_not_read_is_counted_by_label(tmp_path: Path) -> None:
    for k in range(3):
        for label, name, content in (("no", f"{k}.wav", wav(800 + k, 1600)), ("yes", f"{k}.m4b", b"?"), ("up", f"{k}.voc", b"?")):
            (tmp_path / "x" / label).mkdir(parents=True, exist_ok=True)
            (tmp_path / "x" / label / name).write_bytes(content)
    found = api.init(tmp_path / "x", out=tmp_path)
    assert found.others == ((".m4b", "yes", 3), (".voc", "up", 3))
    assert any("6 other files are left alone: 3 .m4b in yes, 3 .voc in up" in note for note in found.notes)
    assert ingest(tmp_path / "x", Layout("audio"), workers=1).others == {(".m4b", "yes"): 3, (".voc", "up"): 3}


def test_04_an_m4a_without_a_decoder_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "x" / "yes").mkdir(parents=True)
    (tmp_path / "x" / "yes" / "0.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    (bad,) = ingest(tmp_path / "x", Layout("audio"), workers=1).bad
    assert bad.path == "yes/0.m4a" and "no ffmpeg on the PATH; install it" in bad.reason
