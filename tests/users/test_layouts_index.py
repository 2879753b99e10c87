"""Index files as others write them, linked folders, and background that lies elsewhere: each layout in miniature."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import sandgrain as api
from sandgrain.base.errors import UsageError
from sandgrain.cli import app
from sandgrain.dataset.ingest import ingest, open_record
from sandgrain.dataset.readers import make_layout
from sandgrain.dataset.split import Draw, assign
from sandgrain.project.file.look import look

RUN = CliRunner()
DRAW = np.random.default_rng(11)


def clip(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(DRAW.integers(-9000, 9000, 800).astype("<i2").tobytes())


def clips(root: Path, table: str, folders: tuple[str, ...] = ("no", "yes")) -> list[str]:
    """Six people with a clip in each folder; the rows of `table` are made of {path}, {stem}, {folder}, {who}, {k}."""
    head, row = table.split("\n")
    rows = []
    for folder in folders:
        for k in range(12):
            name = f"{folder}/c{folder}{k:02}.wav"
            clip(root / name)
            rows.append(row.format(path=name, stem=f"c{folder}{k:02}", folder=folder, who=f"w{k % 6}x{k % 6}", k=k))
    (root / "index.csv").write_text("\n".join([head, *rows]) + "\n")
    return rows


LAYOUTS = {
    "usual": ("file,label,speaker\n{path},{folder},{who}", {}),
    "words of another language": (
        "Datei,Grund,Kind\n{path},{folder},{who}",
        {"file_column": "Datei", "label_column": "Grund", "group_column": "Kind"},
    ),
    "no suffix, no folder": (
        "clip_id;seconds;reason;app\n{stem};0.{k};{folder};{who}",
        {"file_column": "clip_id", "label_column": "reason", "group_column": "app"},
    ),
    "the folders of another machine": (
        "who,wav,word\n{who},C:\\rec\\2024\\{folder}\\{stem}.wav,{folder}",
        {"group_column": "who"},
    ),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_init_finds_the_columns_of_an_index_file_and_says_why(case: str, tmp_path: Path) -> None:
    table, keys = LAYOUTS[case]
    clips(tmp_path, table)
    found = look(tmp_path)
    assert {k: v for k, v in found.table if k.endswith("_column")} == keys
    assert found.labels == ("no", "yes") and found.groups == 6
    note = " ".join(n for n in found.notes if "index.csv" in n)
    assert "lists the files" in note and "file_column" in note and "label_column" in note and "group_column" in note
    read = ingest(tmp_path, make_layout("audio", labels="index.csv", **keys), workers=1)
    assert not read.bad and len(read.records) == 24 and {r.group for r in read.records} == {f"w{k}x{k}" for k in range(6)}


def test_what_init_wrote_for_an_index_passes_data(tmp_path: Path) -> None:
    clips(tmp_path, LAYOUTS["no suffix, no folder"][0])
    assert RUN.invoke(app, ["init", str(tmp_path), "--out", str(tmp_path)]).exit_code == 0
    text = (tmp_path / "sandgrain.toml").read_text()
    assert 'file_column = "clip_id"' in text and 'by = "group"' in text
    found = api.data(tmp_path, workers=1)
    assert found.labels == ("no", "yes") and found.groups == 6 and not found.manifest.bad


def test_an_index_that_only_says_whose_the_recordings_are_leaves_the_labels_to_the_folders(tmp_path: Path) -> None:
    clips(tmp_path, "recording,subject\n{stem},{who}")
    found = look(tmp_path)
    assert found.labels == ("no", "yes") and found.groups == 6 and "label_column" not in dict(found.table)
    read = ingest(tmp_path, make_layout("audio", labels="index.csv"), workers=1)
    assert {(r.label, bool(r.group)) for r in read.records} == {("no", True), ("yes", True)}


def test_a_table_of_samples_is_no_index(tmp_path: Path) -> None:
    for k in range(3):
        (tmp_path / f"{k}.csv").write_text("state,ax\n" + "".join(f"{n // 40},{n}\n" for n in range(120)))
    assert "labels" not in dict(look(tmp_path).table)


def test_a_column_that_is_not_there_and_a_name_that_several_have_are_told(tmp_path: Path) -> None:
    clips(tmp_path, "clip,word\n{stem},{folder}")
    with pytest.raises(UsageError, match=r"no column 'nope' \(label_column\); it has clip, word"):
        ingest(tmp_path, make_layout("audio", labels="index.csv", file_column="clip", label_column="nope"))
    clip(tmp_path / "more" / "cno01.wav")
    read = ingest(tmp_path, make_layout("audio", labels="index.csv", file_column="clip"), workers=1)
    assert any(b.path == "cno01" and "several files are called so" in b.reason for b in read.bad)


def test_an_empty_group_is_no_group_and_never_an_error(tmp_path: Path) -> None:
    clips(tmp_path, "file,label,speaker\n{path},{folder},{who}")
    table = (tmp_path / "index.csv").read_text()
    (tmp_path / "index.csv").write_text(table.replace(",w0x0", ","))
    assert look(tmp_path).groups == 5
    read = ingest(tmp_path, make_layout("audio", labels="index.csv"), workers=1)
    alone = [r.key for r in read.records if not r.group]
    assert len(alone) == 4
    sides = assign(read.records, Draw("group", True, 0.2, 0.2, 0))
    assert set(sides) == {r.key for r in read.records} and len(set(sides.values())) == 3
    for group in {r.group for r in read.records if r.group}:
        assert len({sides[r.key] for r in read.records if r.group == group}) == 1


def test_linked_folders_are_followed_inside_and_outside_where_they_are_named(tmp_path: Path) -> None:
    data, away = tmp_path / "data", tmp_path / "away"
    clip(away / "a.wav")
    clip(data / "all" / "b.wav")
    (data / "no").symlink_to("all")
    (data / "yes").symlink_to(away)
    (data / "all" / "around").symlink_to("..")
    read = ingest(data, make_layout("audio"), workers=1)
    assert {r.key for r in read.records} == {"all/b.wav", "no/b.wav"}
    why = {b.path: b.reason for b in read.bad}
    assert "name it in links" in why["yes"] and "lies in" in why["all/around"]
    read = ingest(data, make_layout("audio", links=("yes",)), workers=1)
    assert {r.key for r in read.records} == {"all/b.wav", "no/b.wav", "yes/a.wav"} and {b.path for b in read.bad} == {
        "all/around",
        "no/around",
    }
    assert all(open_record(read, r).shape == (800, 1) for r in read.records)


def test_links_among_many_folders_are_read_once_each(tmp_path: Path) -> None:
    for a in range(7):
        clip(tmp_path / f"f{a}" / "x.wav")
        for b in range(7):
            if a != b:
                (tmp_path / f"f{a}" / f"to{b}").symlink_to(f"../f{b}")
    read = ingest(tmp_path, make_layout("audio"), workers=1)
    assert len(read.records) <= 7 * 7


def project(root: Path, background: str) -> Path:
    clips(root, "file,label,speaker\n{path},{folder},{who}")
    (root / "sandgrain.toml").write_text(
        f'[data]\npath = "."\nkind = "audio"\nlabels = "index.csv"\nwindow_s = 0.1\nbackground = ["{background}"]\n\n'
        '[data.split]\nby = "group"\n\n[[features]]\nblock = "log-mel"\nwindow_ms = 30\nhop_ms = 20\nbands = 10\n'
    )
    return root


def test_background_beside_the_data_and_below_it_is_no_bad_file_of_an_index(tmp_path: Path) -> None:
    clip(tmp_path / "noise" / "tap.wav")
    found = api.data(project(tmp_path / "data", "../noise/*.wav"), workers=1)
    assert not found.manifest.bad and len(found.records) == 24
    clip(tmp_path / "data2" / "hum" / "tap.wav")
    found = api.data(project(tmp_path / "data2", "hum/*.wav"), workers=1)
    assert not found.manifest.bad and len(found.records) == 24


def test_background_that_is_not_there_is_told_before_anything_is_computed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\[data\] background: .*noise"):
        api.data(project(tmp_path / "data", "../noise/*.wav"), workers=1)
    with pytest.raises(UsageError, match=r"background: .*holds no audio files"):
        api.data(project(tmp_path / "data", "quiet/*.wav"), workers=1)
