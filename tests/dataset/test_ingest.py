"""Ingest: the manifest of a folder, its cache, its file, and what happens when a decoder dies."""

from __future__ import annotations

import json
import os
import shutil
import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sandgrain.base.errors import UsageError
from sandgrain.dataset import ingest as module
from sandgrain.dataset import pool
from sandgrain.dataset.ingest import ingest, load_manifest, open_record, save
from sandgrain.dataset.readers import make_layout
from sandgrain.dataset.readers.base import digest
from sandgrain.dataset.records import Layout, Manifest
from tests.conftest import ROOT
from tests.support.draws import rare
from tests.support.shared_files import DATA

AUDIO = Layout("audio")


def write(path: Path, samples: Any, rate: int = 8000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples, "<i2").tobytes())
    return path


@pytest.fixture
def words(tmp_path: Path) -> Path:
    for k in range(6):
        write(tmp_path / "data" / ("no", "yes")[k % 2] / f"anna_{k}.wav", np.arange(k, k + 50))
    return tmp_path / "data"


def reasons(manifest: Manifest) -> dict[str, str]:
    return {b.path: b.reason for b in manifest.bad}


def test_the_first_folder_is_the_label_and_records_are_in_order(words: Path) -> None:
    told: list[tuple[int, int]] = []
    found = ingest(words, AUDIO, progress=lambda what, done, total: told.append((done, total)))
    assert [r.key for r in found.records] == [f"{w}/anna_{k}.wav" for w, s in (("no", 0), ("yes", 1)) for k in range(s, 6, 2)]
    assert found.labels == ("no", "yes") and not found.bad
    first = found.records[0]
    assert (first.shape, first.rate, first.group, first.split) == ((50, 1), 8000.0, "", None)
    assert first.sha256 == digest(np.arange(50, dtype=np.int16)[:, None])
    assert told[0] == (0, 6) and told[-1] == (6, 6)
    data = open_record(found, found.records[3])
    assert data.dtype == np.int16 and data[:, 0].tolist() == list(range(1, 51))


def test_names_give_label_group_split_and_fields(tmp_path: Path) -> None:
    write(tmp_path / "val" / "7_anna_3.wav", [1, 2])
    write(tmp_path / "train" / "7_bert_4.wav", [1, 3])
    write(tmp_path / "train" / "bert.wav", [1, 3])
    found = ingest(tmp_path, Layout("audio", name="{split}/{label}_{group}_{index}"))
    assert [(r.label, r.group, r.split, r.fields) for r in found.records] == [
        ("7", "bert", "train", {"index": "4"}),
        ("7", "anna", "validation", {"index": "3"}),
    ]
    assert reasons(found) == {"train/bert.wav": "its name does not fit {split}/{label}_{group}_{index}"}


def test_a_labels_file_wins_and_what_it_cannot_name_is_listed(words: Path) -> None:
    table = "file,label,group,split\nno/anna_0.wav,NO,a,train\n./yes/anna_1.wav,YES,,test\n../../secret.wav,x,,\n"
    (words / "labels.csv").write_text(
        table + "no/gone.wav,NO,,\nno/anna_2.wav,a\x07b,,\nno/anna_4.wav,NO,,sideways\n/etc/passwd,x,,\n"
    )
    found = ingest(words, Layout("audio", labels="labels.csv"))
    assert [(r.key, r.label, r.group, r.split) for r in found.records] == [
        ("no/anna_0.wav", "NO", "a", "train"),
        ("yes/anna_1.wav", "YES", "", "test"),
    ]
    why = reasons(found)
    assert "leads outside" in why["../../secret.wav"] and "leads outside" in why["/etc/passwd"]
    assert "not there" in why["no/gone.wav"]
    assert "does not name it" in why["yes/anna_3.wav"]
    listed = [b.reason for b in found.bad if b.path in ("no/anna_2.wav", "no/anna_4.wav")]
    assert any("cannot be seen" in r for r in listed) and any("sideways" in r for r in listed)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("file\na.wav\n", "must name the columns"),
        ("", "empty"),
        ("\xff", "must name the columns"),
        ("file,label,label\n", "once each"),
    ],
)
def test_a_labels_file_that_cannot_be_used_is_one_line(text: str, match: str, words: Path) -> None:
    (words / "l.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=match):
        ingest(words, Layout("audio", labels="l.csv"))
    with pytest.raises(UsageError, match="not there"):
        ingest(words, Layout("audio", labels="m.csv"))
    with pytest.raises(UsageError, match="outside"):
        ingest(words, Layout("audio", labels="../l.csv"))


def test_records_without_label_are_bad_only_beside_others(words: Path, tmp_path: Path) -> None:
    write(words / "stray.wav", [1, 2, 3])
    assert reasons(ingest(words, AUDIO)) == {"stray.wav": "has no label, while others have one"}
    write(tmp_path / "normal" / "a.wav", [1, 2, 3])
    found = ingest(tmp_path / "normal", AUDIO)
    assert [r.label for r in found.records] == [""] and not found.bad


@rare
def test_mixed_rates_are_bad_unless_they_are_resampled(words: Path) -> None:
    write(words / "no" / "odd.wav", np.zeros(100), 16000)
    why = reasons(ingest(words, AUDIO))
    assert why == {"no/odd.wav": "is sampled at 16000 Hz, most of the data at 8000 Hz; set rate and resample"}
    assert "16000 Hz" in reasons(ingest(words, Layout("audio", rate=8000)))["no/odd.wav"]
    found = ingest(words, make_layout("audio", rate=8000, resample=True))
    assert not found.bad and {r.rate for r in found.records} == {8000.0}
    assert next(r for r in found.records if r.key == "no/odd.wav").shape == (50, 1)


def test_refusing_names_the_count_and_the_first_files(words: Path) -> None:
    for k in range(5):
        (words / f"{k}.wav").write_bytes(b"no sound")
    with pytest.raises(
        UsageError, match=r"^5 of 11 files cannot be used: 0\.wav: is text, not audio; 1\.wav: .*2\.wav: [^;]*; mend"
    ):
        ingest(words, AUDIO, bad="refuse")
    assert len(ingest(words, AUDIO, bad="skip").records) == 6


@pytest.mark.parametrize(
    ("layout", "match"),
    [
        (Layout("image"), r"no image files \(.bmp, .gif, .jpeg, .jpg, .npz, .png, .tif, .tiff, .webp\)"),
        (make_layout("audio", resample=True), "set rate"),
        (Layout("audio", rate=1e9), "rate"),
        (Layout("audio", name="{label}{group}"), "between"),
        (Layout("audio", name="{label}_{label}"), "twice"),
        (Layout("audio", name="{Label"), "placeholder"),
        (make_layout("motion", full_scale=(0.0,)), "full_scale"),
    ],
)
def test_a_layout_that_cannot_be_used_is_one_line(layout: Layout, match: str, words: Path) -> None:
    with pytest.raises(UsageError, match=match):
        ingest(words, layout)
    with pytest.raises(UsageError, match="no such folder"):
        ingest(words / "none", AUDIO)


def test_files_choose_by_pattern_and_hidden_ones_are_passed_over(words: Path) -> None:
    write(words / "yes" / "deep" / "er" / "x.wav", [1, 2])
    write(words / ".hidden" / "x.wav", [1, 2])
    write(words / "yes" / "._x.wav", [1, 2])
    (words / "README.md").write_text("not data")
    assert len(ingest(words, AUDIO).records) == 7
    only = ingest(words, Layout("audio", files=("yes/*.wav", "**/x.wav")))
    assert [r.key for r in only.records] == ["yes/anna_1.wav", "yes/anna_3.wav", "yes/anna_5.wav", "yes/deep/er/x.wav"]


def test_links_inside_are_followed_and_never_around_themselves(words: Path) -> None:
    (words / "no" / "same.wav").symlink_to("../yes/anna_1.wav")
    (words / "no" / "loop").symlink_to("..")
    (words / "no" / "self.wav").symlink_to("self.wav")
    found = ingest(words, AUDIO)
    assert "no/same.wav" in {r.key for r in found.records}
    assert set(reasons(found)) == {"no/loop", "no/self.wav"}
    same = next(r for r in found.records if r.key == "no/same.wav")
    assert open_record(found, same)[0, 0] == 1


# --- cache ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were decoded, as they are."""
    seen: list[str] = []

    def watched(root: Path, layout: Layout, files: Any, *rest: Any) -> Any:
        seen.extend(f.path for f in files)
        return pool.decode_all(root, layout, files, *rest)

    monkeypatch.setattr(module, "decode_all", watched)
    return seen


@rare
def test_only_changed_files_are_decoded_again(words: Path, tmp_path: Path, decoded: list[str]) -> None:
    (words / "no" / "bad.wav").write_bytes(b"?")
    cache = tmp_path / "cache"
    first = ingest(words, AUDIO, cache=cache)
    assert len(decoded) == 7
    decoded.clear()
    assert ingest(words, AUDIO, cache=cache) == first and decoded == []
    write(words / "no" / "anna_0.wav", np.arange(60))
    write(words / "no" / "new.wav", np.arange(9))
    os.utime(words / "yes" / "anna_1.wav", ns=(1, 1))
    (words / "yes" / "anna_3.wav").unlink()
    again = ingest(words, AUDIO, cache=cache)
    assert sorted(decoded) == ["no/anna_0.wav", "no/new.wav"]
    assert again.sha256 != first.sha256 and again == ingest(words, AUDIO)
    decoded.clear()
    ingest(words, Layout("audio", rate=8000), cache=cache)
    assert len(decoded) == 7  # another layout reads otherwise


@rare
@pytest.mark.parametrize("damage", ["cut", "nonsense", "types", "other", "binary"])
def test_a_damaged_cache_is_an_empty_one(damage: str, words: Path, tmp_path: Path, decoded: list[str]) -> None:
    first = ingest(words, AUDIO, cache=tmp_path / "cache")
    (path,) = (tmp_path / "cache").iterdir()
    lines = path.read_bytes().splitlines(keepends=True)
    body = {
        "cut": b"".join(lines)[:-5],
        "nonsense": lines[0] + b"[[[[\n" + lines[1],
        "types": lines[0] + b"".join(line.replace(b"8000.0", b'"8000"') for line in lines[1:]),
        "other": b"{}\n" + b"".join(lines[1:]),
        "binary": bytes(range(256)) * 10,
    }[damage]
    path.write_bytes(body)
    decoded.clear()
    assert ingest(words, AUDIO, cache=tmp_path / "cache") == first
    assert decoded


# --- a decoder that dies -----------------------------------------------------------------------------------------------


@rare
def test_a_decoder_that_dies_costs_one_file(words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MODULE", "tests.support.bad_worker")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("crash", "leave", "hang", "eat", "write", "print"):
        write(words / "yes" / f"{name}.wav", np.arange(5))
    found = ingest(words, AUDIO, cache=tmp_path / "cache")
    why = reasons(found)
    assert why.pop("yes/crash.wav") == "the decoder crashed (SIGSEGV)"
    assert why.pop("yes/leave.wav") == "the decoder crashed (exit status 7)"
    assert "seconds" in why.pop("yes/hang.wav")
    assert "MiB to decode" in why.pop("yes/eat.wav")
    assert "crashed" in why.pop("yes/write.wav") and (words / "written").stat().st_size == 0
    assert not why and len(found.records) == 7
    monkeypatch.setattr(pool, "MODULE", "sandgrain.dataset.worker")
    assert len(ingest(words, AUDIO, cache=tmp_path / "cache").records) == 12  # what died is asked again


def test_decoders_that_do_not_start_are_one_line(words: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MODULE", "tests.no_such_worker")
    with pytest.raises(UsageError, match=r"does not start: .*no_such_worker"):
        ingest(words, AUDIO)


# --- manifests --------------------------------------------------------------------------------------------------------


def test_a_manifest_comes_back_as_it_was(words: Path, tmp_path: Path) -> None:
    (words / "no" / "b\nad.wav").write_bytes(b"x")
    found = ingest(words, Layout("audio", name="{label}/{group}_{index}", rate=8000))
    save(found, tmp_path / "deep" / "manifest.jsonl")
    assert load_manifest(tmp_path / "deep" / "manifest.jsonl") == found
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["manifest.jsonl"]


@rare
def test_the_hash_is_of_the_data_and_not_of_the_place(words: Path, tmp_path: Path) -> None:
    found = ingest(words, AUDIO)
    shutil.copytree(words, tmp_path / "copy")
    copy = ingest(tmp_path / "copy", AUDIO)
    assert copy.sha256 == found.sha256 and copy.root != found.root
    write(tmp_path / "copy" / "no" / "anna_0.wav", np.arange(1, 51))
    assert ingest(tmp_path / "copy", AUDIO).sha256 != found.sha256
    save(found, tmp_path / "m")
    moved = load_manifest(tmp_path / "m", root=tmp_path / "copy")
    with pytest.raises(UsageError, match=r"no/anna_0.wav is no longer what it was"):
        open_record(moved, moved.records[0])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda b: b[:-1], "cut short"),
        (lambda b: b[: len(b) // 2], "cut short"),
        (lambda b: b"", "cut short"),
        (lambda b: b"\x00\xff" * 100 + b"\n", "damaged"),
        (lambda b: b + b"[]\n", "more lines"),
        (lambda b: b.replace(b'"no/anna_0.wav"', b'"no/anna_9.wav"'), "changed"),
        (lambda b: b.replace(b'"no/anna_0.wav"', b'"../../secret.wav"'), "outside"),
        (lambda b: b.replace(b'"no/anna_0.wav"', b'"/etc/passwd"'), "outside"),
        (lambda b: b.replace(b"[50, 1]", b"[-50, 1]", 1), "shape"),
        (lambda b: b.replace(b'"kind": "audio"', b'"kind": "smell"'), "damaged"),
        (lambda b: b.replace(b'"resample": false', b'"resample": [1]'), "damaged"),
        (lambda b: b.replace(b'"sandgrain_manifest": 1', b'"sandgrain_manifest": 99'), "version"),
        (lambda b: b.replace(b'"records": 6', b'"records": 1e99'), "counts"),
        (lambda b: b"[" * 100_000 + b"\n", "damaged"),
        (lambda b: b"[]\n" + b, "begin"),
        (lambda b: b"x" * 1_000_000, "too long"),
    ],
)
def test_a_hostile_manifest_is_one_line(change: Any, match: str, tmp_path: Path, words: Path) -> None:
    found = made(words)
    save(found, tmp_path / "m.jsonl")
    before = (tmp_path / "m.jsonl").read_bytes()
    changed = change(before)
    assert changed != before
    (tmp_path / "m.jsonl").write_bytes(changed)
    with pytest.raises(UsageError, match=match) as error:
        load_manifest(tmp_path / "m.jsonl")
    assert "\n" not in str(error.value)
    with pytest.raises(UsageError, match="cannot be read"):
        load_manifest(tmp_path / "none.jsonl")


def made(words: Path) -> Manifest:
    """A manifest without any process."""
    from sandgrain.dataset.decode import describe
    from sandgrain.dataset.manifest import make_manifest
    from sandgrain.dataset.names import Place
    from sandgrain.dataset.walk import walk

    files, _ = walk(words, lambda path: True)
    records = [r for f in files for r in module._records(f, describe(words, f.path, AUDIO), Place(), AUDIO)]
    return make_manifest(words, AUDIO, records, [])


def test_a_record_that_leads_outside_is_not_opened(words: Path, tmp_path: Path) -> None:
    write(tmp_path / "secret.wav", [1, 2, 3])
    found = made(words)
    for key in ("../secret.wav", str(tmp_path / "secret.wav"), "no/../../secret.wav"):
        with pytest.raises(UsageError, match="outside"):
            open_record(found, replace(found.records[0], key=key))
    (words / "no" / "link.wav").symlink_to(tmp_path / "secret.wav")
    (words / "way").symlink_to(tmp_path)
    for key in ("no/link.wav", "way/secret.wav"):
        with pytest.raises(UsageError, match="outside"):
            open_record(found, replace(found.records[0], key=key))
    with pytest.raises(UsageError, match="not there"):
        open_record(found, replace(found.records[0], key="no/none.wav"))


def test_recordings_of_one_file_open_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([[[k, j] for j in range(k + 1)] for k in range(20)]))
    found = ingest(tmp_path, Layout("motion"))
    assert [r.key for r in found.records] == [f"a.json#{k}" for k in range(1, 21)]
    for k in (3, 0, 19, 3, 7, 7, 18, 1):
        assert open_record(found, found.records[k])[:, 0].tolist() == [k] * (k + 1)
    (tmp_path / "a.json").write_text(json.dumps([[[k, j + 1] for j in range(k + 1)] for k in range(20)]))
    with pytest.raises(UsageError, match="no longer"):
        open_record(found, found.records[3])


# --- real data --------------------------------------------------------------------------------------------------------


@rare
@pytest.mark.parametrize(
    ("folder", "layout", "count", "labels"),
    [
        ("fsdd", Layout("audio", name="{label}_{group}_{index}"), 2500, tuple("0123456789")),
        (
            "cifar10/test",
            Layout("image", name="{label}/{index}"),
            500,
            ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        ),
        (
            "magic_wand",
            make_layout("motion", records="strokes", points="strokePoints", columns=("x", "y"), full_scale=(2.0,)),
            800,
            tuple("0123456789"),
        ),
        (
            "gestures",
            make_layout(
                "motion",
                name="{label}",
                rate=119,
                segment=119,
                columns=("aX", "aY", "aZ", "gX", "gY", "gZ"),
                full_scale=(4, 4, 4, 2000, 2000, 2000),
            ),
            21,
            ("flex", "punch"),
        ),
    ],
)
def test_real_data_is_read_whole(folder: str, layout: Layout, count: int, labels: tuple[str, ...]) -> None:
    if not (DATA / folder).is_dir():
        pytest.skip(f"no {folder} beside the project; name the folder that has it in SANDGRAIN_DATA")
    found = ingest(DATA / folder, layout)
    assert (len(found.records), found.bad, found.labels) == (count, (), labels)
    record = found.records[count // 2]
    assert open_record(found, record).shape == record.shape
