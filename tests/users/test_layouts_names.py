"""Names that can be read in several ways: all of them together decide, and what else they could be is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandgrain.dataset.ambiguous import settle
from sandgrain.dataset.ingest import ingest
from sandgrain.dataset.names import compile_pattern
from sandgrain.dataset.readers import make_layout
from sandgrain.project.file.init import How, write
from sandgrain.project.file.look import look

POSES = ("boat_pose", "bow_pose", "plank", "the_tree")
CASES = {
    "takes that count": ("{label}_{take}", POSES, ("1", "2")),
    "takes of one small vocabulary": ("{label}_{half}", POSES, ("left", "right")),
    "people": ("{label}_{group}", POSES, ("anna", "bert", "carl")),
    "people and takes": ("{label}_{group}_{index}", POSES, ("anna_1", "bert_1", "anna_2")),
}


def read(pattern: str, names: list[str]) -> tuple[list[dict[str, str] | None], str]:
    chosen, said = settle(compile_pattern(pattern), [f"{n}.csv" for n in names])
    return [chosen.match(f"{n}.csv") for n in names], said[1] if said else ""


@pytest.mark.parametrize("case", CASES)
def test_03_labels_of_several_words_do_not_merge(case: str) -> None:
    pattern, labels, rest = CASES[case]
    found, said = read(pattern, [f"{label}_{take}" for label in labels for take in rest])
    assert {f["label"] for f in found if f} == set(labels) and None not in found
    assert "ambiguous" in said and "boat_pose" in said and "it could be label boat" in said


def test_03_the_reverse_a_person_of_several_words() -> None:
    names = [f"{label}_{who}" for label in ("up", "down") for who in ("anna_b", "carl_d", "eve")]
    found, said = read("{label}_{group}", names)
    assert {f["group"] for f in found if f} == {"anna_b", "carl_d", "eve"} and "it could be label up_anna" in said


def test_03_a_label_in_the_middle() -> None:
    names = [f"{who}_{label}_{k}" for who in ("anna", "bert") for label in POSES for k in (1, 2)]
    found, _ = read("{group}_{label}_{index}", names)
    assert {f["label"] for f in found if f} == set(POSES) and {f["group"] for f in found if f} == {"anna", "bert"}


def test_03_names_of_one_reading_are_not_told() -> None:
    assert read("{label}_{group}_{index}", ["7_anna_1", "8_bert_2"])[1] == ""
    assert read("{label}", ["boat_pose_1"])[1] == ""


def recordings(folder: Path, takes: tuple[str, ...]) -> None:
    for n, label in enumerate(POSES):
        for k, take in enumerate(takes):
            rows = "".join(f"{(j * (n + 2)) % 50},{(j + k) % 7}\n" for j in range(120))
            (folder / f"{label}_{take}.csv").write_text("ax,ay\n" + rows)


@pytest.mark.parametrize("takes", [("1", "2"), ("left", "right", "both")])
def test_03_init_finds_them_says_so_and_data_reads_them(takes: tuple[str, ...], tmp_path: Path) -> None:
    recordings(tmp_path, takes)
    found = look(tmp_path)
    assert found.labels == POSES
    told = write(tmp_path, tmp_path / "sandgrain.toml", How(dry=True))
    assert any("ambiguous" in note for note in told.notes) and not told.problem
    read = ingest(tmp_path, make_layout("motion", name=found.name, rate=50.0), workers=1)
    assert read.labels == POSES and any("ambiguous" in note.text for note in read.notes)
