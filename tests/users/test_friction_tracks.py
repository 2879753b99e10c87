"""Audacity's label tracks: NAME.txt beside NAME.wav says what is heard from when to when."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

import sandgrain as api
from sandgrain.dataset.decode import decode
from sandgrain.dataset.ingest import ingest, open_record
from sandgrain.dataset.readers import make_layout
from sandgrain.dataset.readers.base import BadFileError
from sandgrain.dataset.records import Layout
from tests.support.draws import rare

RATE = 8000
SOUND = np.random.default_rng(4).integers(-9000, 9000, 10 * RATE).astype(np.int16)


def recorded(path: Path, track: str | bytes | None, sound: np.ndarray = SOUND) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, RATE, 0, "NONE", ""))
        out.writeframes(sound.tobytes())
    if track is not None:
        path.with_suffix(".txt").write_bytes(track if isinstance(track, bytes) else track.encode())


def tracked(rest: str = "") -> Layout:
    return make_layout("audio", label_tracks=True, rest_label=rest)


def parts(root: Path, track: str | bytes, rest: str = "") -> list[tuple[str | None, float, float]]:
    """(label, start, end) of each recording, in seconds; found by looking for its samples in the whole."""
    recorded(root / "a.wav", track)
    found = []
    for k, sample in enumerate(decode(root, "a.wav", tracked(rest)), 1):
        samples = sample.data[:, 0]
        start = next(s for s in range(len(SOUND)) if SOUND[s] == samples[0] and (SOUND[s : s + len(samples)] == samples).all())
        assert sample.index == k
        found.append((sample.label, start / RATE, (start + len(samples)) / RATE))
    return found


WORDS = "1.000000\t2.500000\tyes\n4.000000\t4.750000\tno\n"


@pytest.mark.parametrize(
    ("track", "rest", "expected"),
    [
        (WORDS, "", [("yes", 1, 2.5), ("no", 4, 4.75)]),
        (WORDS.replace("\n", "\r\n"), "", [("yes", 1, 2.5), ("no", 4, 4.75)]),
        ("\ufeff" + WORDS, "", [("yes", 1, 2.5), ("no", 4, 4.75)]),
        (WORDS.replace(".", ","), "", [("yes", 1, 2.5), ("no", 4, 4.75)]),  # where the system's decimal mark is a comma
        ("1.0\t2.5\tyes\n\\\t100.0\t2000.0\n4.0\t4.75\tno\n", "", [("yes", 1, 2.5), ("no", 4, 4.75)]),  # with frequencies
        (WORDS, "rest", [("rest", 0, 1), ("yes", 1, 2.5), ("rest", 2.5, 4), ("no", 4, 4.75), ("rest", 4.75, 10)]),
        ("0\t1\tyes\n1\t2\tyes\n", "", [("yes", 0, 1), ("yes", 1, 2)]),  # two words, not one
        ("0\t2\tyes\n1\t3\tno\n", "", [("yes", 0, 1), ("no", 2, 3)]),  # nobody knows what is heard in between
        ("0\t2\tyes\n1\t3\tyes\n", "", [("yes", 0, 2), ("yes", 2, 3)]),
        ("9\t12\tyes\n11\t12\tno\n", "", [("yes", 9, 10)]),  # beyond the end
        ("3\t3\tclick\n4\t5\t\n6\t7\tyes now\n", "", [("yes now", 6, 7)]),  # a moment, and a label without text
        ("0\t4\tyes\n4.02\t10\tno\n", "rest", [("yes", 0, 4), ("no", 4.02, 10)]),  # 20 ms are nobody's background
    ],
)
def test_a_stretch_of_a_label_track_is_a_recording(
    track: str, rest: str, expected: list[tuple[str, float, float]], tmp_path: Path
) -> None:
    assert parts(tmp_path, track, rest) == expected


@pytest.mark.parametrize(
    ("track", "said"),
    [
        (None, "its label track a.txt is not there"),
        ("1.0 2.0 yes\n", "line 1 of its label track is not start, end and label between tabs"),
        ("0\t1\tyes\n2\t1\tno\n", "line 2 of its label track goes from 2 s to 1 s"),
        ("nan\t1\tyes\n", "line 1 of its label track goes from nan s"),
        ("-1\t1\tyes\n", "line 1 of its label track goes from -1 s"),
        ("0\tinf\tyes\n", "line 1 of its label track goes from 0 s to inf s"),
        ("20\t21\tyes\n", "its label track labels no stretch of it"),
        (b"0\t1\t\xff\xfe\n", "its label track is not UTF-8 text"),
        ("0\t1\t" + "y" * 200 + "\n", "its label is longer than 100 characters"),
    ],
)
def test_a_track_that_cannot_be_used_makes_its_recording_bad(track: str | None, said: str, tmp_path: Path) -> None:
    recorded(tmp_path / "a.wav", track)
    with pytest.raises(BadFileError) as refused:
        list(decode(tmp_path, "a.wav", tracked()))
    assert said in str(refused.value)


def test_what_is_left_out_of_a_track_is_counted(tmp_path: Path) -> None:
    recorded(tmp_path / "a.wav", "1\t2\tyes\n3\t3\tclick\n4\t5\t\n9\t12\tno\n")
    note = list(decode(tmp_path, "a.wav", tracked()))[-1].note
    for said in ("8 of 10 s have no label", "1 labels mark a moment", "1 labels have no text", "1 stretches go beyond its end"):
        assert said in note


def test_a_track_that_changes_is_read_again(tmp_path: Path) -> None:
    recorded(tmp_path / "x" / "a.wav", "1\t2\tyes\n3\t4\tno\n")
    cache = tmp_path / "cache"
    first = ingest(tmp_path / "x", tracked(), workers=1, cache=cache)
    assert first.labels == ("no", "yes") and not first.others and not first.bad
    recorded(tmp_path / "x" / "a.wav", "1\t2\tyes\n3\t4\tup\n")  # as many bytes
    again = ingest(tmp_path / "x", tracked(), workers=1, cache=cache)
    assert again.labels == ("up", "yes")
    assert (open_record(again, again.records[1])[:, 0] == SOUND[3 * RATE : 4 * RATE]).all()


@rare
def test_init_and_data_read_tracks_as_people_have_them(tmp_path: Path) -> None:
    draw = np.random.default_rng(2)
    for k in range(5):
        sound = draw.integers(-9000, 9000, 10 * RATE).astype(np.int16)
        recorded(
            tmp_path / "x" / f"take{k}.wav",
            "".join(f"{2 * n}\t{2 * n + 1}\t{'yes' if n % 2 else 'no'}\n" for n in range(5)),
            sound,
        )
    (tmp_path / "x" / "notes.txt").write_text("recorded at home\n")
    found = api.init(tmp_path / "x", out=tmp_path / "p")
    assert (found.labels, found.groups) == (("no", "yes"), 5)
    assert any("label tracks beside 5 of 5 recordings: each of 25 stretches (25 s)" in note for note in found.notes)
    seen = api.data(tmp_path / "p", workers=1)
    assert len(seen.records) == 25 and {r.group for r in seen.records} == {f"take{k}" for k in range(5)}
    assert sum(seen.manifest.others.values()) == 1 and not seen.manifest.bad
    assert seen.loaded.project.data.window_s == 1 and seen.loaded.project.data.split.by == "group"
    text = (tmp_path / "p" / "sandgrain.toml").read_text().replace('rest_label = ""', 'rest_label = "background"')
    (tmp_path / "p" / "sandgrain.toml").write_text(text)
    assert api.data(tmp_path / "p", workers=1).labels == ("background", "no", "yes")
