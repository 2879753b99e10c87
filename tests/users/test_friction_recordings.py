"""What stood in the way of somebody with recordings, in `init` and `data`."""

from __future__ import annotations

import json
import shutil
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import sandgrain as api
from sandgrain.base.errors import UsageError
from sandgrain.cli import app
from sandgrain.project.build.samples import Samples
from sandgrain.project.build.store import Store
from sandgrain.project.file.load import load
from sandgrain.project.file.naming import naming
from tests.support import effort
from tests.support.draws import rare

RUN = CliRunner()


def wav(path: Path, seed: int, seconds: float = 0.5, rate: int = 8000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes(np.random.default_rng(seed).integers(-9000, 9000, int(seconds * rate)).astype("<i2").tobytes())


@pytest.mark.parametrize(
    ("stem", "pattern", "groups"),
    [
        ("s{g:02}_{k:02}", "{label}/{group}_{index}", 5),
        ("machine{g}_{k:02}", "{label}/{group}_{index}", 5),
        ("user_{w}_{k}", "{label}/user_{group}_{index}", 5),
        ("{k:03}-{w}", "{label}/{index}-{group}", 5),
        ("spk-{g}-take-{k}", "{label}/spk-{group}-take-{index}", 5),
        ("s{g:02}t{k:02}", "{label}/s{group}t{index}", 5),
        ("subject{g}/{k:04}", "{label}/{group}/{index}", 5),
        ("2024010{g}_{k:06}", "{label}/{group}_{index}", 5),
        ("img_{k:04}", "{label}/{index}", 0),
        ("{k:04}", "{label}/{index}", 0),
    ],
)
def test_groups_are_found_in_names_that_repeat_below_folders_of_labels(stem: str, pattern: str, groups: int) -> None:
    who = ("ann", "bob", "cyd", "dan", "eve")
    names = [f"{label}/{stem.format(g=g, w=who[g], k=k)}.wav" for label in ("up", "down") for g in range(5) for k in range(4)]
    if not groups:
        names = [f"{label}/{stem.format(g=0, w='', k=k)}.wav" for label in ("up", "down") for k in range(20)]
    found = naming(sorted(names))
    assert (found["name"], found.get("groups", 0)) == (pattern, groups)
    assert not groups or "take {group} out of name" in found["notes"][0]


@pytest.mark.parametrize(
    ("stem", "by"), [("img_{k:04}", "block"), ("img_{both}", "block"), ("{k}", "block"), ("{h}", "file"), ("img_{far}", "file")]
)
def test_pictures_that_a_camera_numbered_stay_beside_their_neighbours(stem: str, by: str, tmp_path: Path) -> None:
    for label in ("rock", "paper"):
        (tmp_path / "x" / label).mkdir(parents=True)
        for k in range(30):
            name = stem.format(k=k, far=k * 977, both=15 * k + len(label), h=f"{k * 7919:06x}"[::-1] + "x")
            picture = np.random.default_rng(100 * len(label) + k).integers(0, 256, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(picture).save(tmp_path / "x" / label / f"{name}.png")
    api.init(tmp_path / "x", out=tmp_path)
    found = api.data(tmp_path)
    assert found.loaded.project.data.split.by == by
    if by == "block":  # thirty pictures are ten blocks of three
        sides = [
            [found.sides[f"{label}/{stem.format(k=k, both=15 * k + len(label))}.png"] for k in range(30)]
            for label in ("rock", "paper")
        ]
        assert all(len({*side[k : k + 3]}) == 1 for side in sides for k in range(0, 30, 3))


FALLS = ("fall", "fall_forward", "walk")


@pytest.mark.parametrize(
    ("path", "people", "pattern", "labels"),
    [
        ("{p}/{l}_{k}/rec", ("subj1", "subj2", "subj3"), "{group}/{label}_{take}/{index}", FALLS),
        ("{p}/{l}/{k}", ("user_alice", "user_bob"), "{group}/{label}/{index}", FALLS),
        ("{p}/{l}-{k}", ("S01", "S02"), "{group}/{label}-{index}", FALLS),
        ("{p}/{l}", ("Patient 1", "Patient 2"), "{group}/{label}", FALLS),
        ("{p}/{p}_{l}_{k}", ("p03", "p04"), "{group}/{who}_{label}_{index}", FALLS),
        ("{l}/{p}/{k}", ("volunteer1", "volunteer2"), "{label}/{group}/{index}", FALLS),
        ("train/{p}/{l}/{k}", ("subject3", "subject4"), "{split}/{group}/{label}/{index}", FALLS),
        ("{p}/2024-01-0{k}/{l}", ("s1", "s2"), "{group}/{folder0}/{label}", FALLS),
        ("{p}/{l}/rec", ("m1", "m2"), "{group}/{label}/{index}", ("1", "2", "3")),
        ("{p}/{l}/rec_{k}", ("id_00",), "{group}/{label}/{index}", FALLS),
        # what is nobody's, or has no label of its own, is read as before
        ("{p}/rec_{k}", ("subj1", "subj2"), "{label}/{index}", ("subj1", "subj2")),
        ("{p}/{p}{k}", ("p1", "p2"), "{label}/{index}", ("p1", "p2")),
        ("{p}/{k}", ("left", "right"), "{label}/{index}", ("left", "right")),
    ],
)
def test_folders_of_people_in_which_labels_repeat_are_groups(
    path: str, people: tuple[str, ...], pattern: str, labels: tuple[str, ...]
) -> None:
    own = labels if "{l}" in path else ("",)
    found = naming(sorted({f"{path.format(p=p, l=x, k=k)}.csv" for p in people for x in own for k in range(1, 5)}))
    assert (found["name"], found["labels"]) == (pattern, labels)
    assert (found.get("groups", 0), "notes" in found) == ((len(people), True) if "{group}" in pattern else (0, False))


def test_recordings_in_folders_of_people_are_read_as_init_says(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for who in range(1, 5):
        for label in ("fall", "walk"):
            for k in range(1, 4):
                place = tmp_path / "x" / f"subj{who}" / f"{label}_{k}"
                place.mkdir(parents=True)
                (place / "rec.csv").write_text("ax,ay\n" + "".join(f"{a},{b}\n" for a, b in draw.integers(-9, 9, (60, 2))))
    found = api.init(tmp_path / "x", out=tmp_path)
    assert (found.labels, found.groups) == (("fall", "walk"), 4) and 'by = "group"' in (tmp_path / "sandgrain.toml").read_text()
    read = api.data(tmp_path, workers=1)
    assert read.labels == ("fall", "walk") and {r.group for r in read.records} == {f"subj{k}" for k in range(1, 5)}


@pytest.mark.parametrize(
    ("stem", "pattern", "labels"),
    [
        ("{label}_s{g:02}_{k:02}", "{label}_{group}_{index}", {"up", "down"}),
        ("s{g:02}_{label}_{k:02}", "{group}_{label}_{index}", {"up", "down"}),
        ("{label}_{w}_{k}", "{label}_{group}_{index}", {"up", "down"}),
    ],
)
def test_groups_are_found_in_speaking_names(stem: str, pattern: str, labels: set[str]) -> None:
    who = ("ann", "bob", "cyd")
    names = [
        f"{stem.format(label=label, g=g, w=who[g], k=k)}.wav" for label in ("up", "down") for g in range(3) for k in range(4)
    ]
    found = naming(sorted(names))
    assert (found["name"], set(found["labels"]), found["groups"]) == (pattern, labels, 3)


def test_labels_of_several_words_stay_whole_and_are_read_so(tmp_path: Path) -> None:
    for n, label in enumerate(("boat_pose", "boat_twist", "plank")):
        for k in range(1, 4):
            wav(tmp_path / "x" / f"{label}_{k}.wav", 10 * n + k)
    found = api.init(tmp_path / "x", out=tmp_path)
    assert (found.name, found.labels) == ("{label}_{index}", ("boat_pose", "boat_twist", "plank"))
    assert api.data(tmp_path, workers=1).labels == found.labels


def test_init_writes_into_a_folder_that_it_makes(tmp_path: Path) -> None:
    wav(tmp_path / "x" / "up" / "1.wav", 1)
    done = RUN.invoke(app, ["init", str(tmp_path / "x"), "-o", str(tmp_path / "vib")])
    assert done.exit_code == 0 and (tmp_path / "vib" / "sandgrain.toml").is_file()
    api.init(tmp_path / "x", out=tmp_path / "other.toml")
    assert load(tmp_path / "other.toml").project.data.path == "x"


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    for label in ("no", "yes"):
        for k in range(6):
            wav(tmp_path / "x" / label / f"{k}.wav", k + 10 * len(label))
    (tmp_path / "x" / "yes" / "7.xyz").write_bytes(b"who knows")
    api.init(tmp_path / "x", out=tmp_path)
    return tmp_path


def test_data_ends_with_the_next_step_and_counts_what_it_did_not_read(voices: Path) -> None:
    done = RUN.invoke(app, ["data", str(voices), "--quiet"])
    assert done.exit_code == 0, done.output
    assert done.stdout.rstrip().replace("\n", "").endswith(f"Next: sandgrain build {voices}")
    assert "not read   1 other files: 1 .xyz in yes" in done.stdout
    assert "no speaker, subject or device is known" in done.stdout.replace("\n", " ")


def test_data_fails_where_features_cannot_be_computed(voices: Path) -> None:
    text = (voices / "sandgrain.toml").read_text()
    (voices / "sandgrain.toml").write_text(text.replace("window_ms = 32", "window_ms = 3000"))
    done = RUN.invoke(app, ["data", str(voices), "--quiet"])
    assert isinstance(done.exception, UsageError) and "features cannot be computed: log-mel: frames of 3000 ms" in str(
        done.exception
    )
    assert "Next:" not in done.stdout and "labels" in done.stdout
    done = RUN.invoke(app, ["data", str(voices), "--quiet", "--json"])
    assert done.exit_code == 2 and "features cannot be computed" in json.loads(done.stdout)["problem"]


def test_the_first_line_of_init_on_a_thousand_files_takes_two_seconds_of_a_core(tmp_path: Path) -> None:
    wav(tmp_path / "x" / "0" / "s0_0.wav", 1)
    content = (tmp_path / "x" / "0" / "s0_0.wav").read_bytes()
    for k in range(1000):
        (tmp_path / "x" / str(k % 10)).mkdir(exist_ok=True)
        (tmp_path / "x" / str(k % 10) / f"s{k % 7}_{k:04}.wav").write_bytes(content)

    def explained() -> None:
        found = api.init(tmp_path / "x", explain=True)
        assert found.count == 1001 and found.groups == 7

    assert effort.seconds(explained, enough=2) < 2


@rare
def test_a_copied_folder_with_the_same_data_is_not_read_or_computed_again(voices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = api.data(voices, workers=1)
    shutil.copytree(voices / "x", voices / "y", copy_function=shutil.copyfile)  # other times of change
    (voices / "sandgrain.toml").write_text((voices / "sandgrain.toml").read_text().replace('path = "x"', 'path = "y"'))
    monkeypatch.setattr("sandgrain.dataset.pool.Process", None)  # nothing is decoded by anybody
    again = api.data(voices, workers=1)
    assert again.manifest.sha256 == first.manifest.sha256 and again.manifest.root != first.manifest.root
    keys = [Samples(found, Store(voices / "store")).key for found in (first, again)]
    assert keys[0] == keys[1]
    changed = voices / "y" / "no" / "0.wav"
    changed.write_bytes(changed.read_bytes()[:-2] + b"\1\1")
    with pytest.raises(TypeError):  # it is decoded: the content is another, the size the same
        api.data(voices, workers=1)


@rare
def test_what_is_guessed_of_tables_is_printed_and_the_project_file_is_no_unread_file(tmp_path: Path) -> None:
    """A rate that no file says, and channels of which one took a second look, were in the comments of the file only."""
    draw = np.random.default_rng(5)
    (tmp_path / "rec").mkdir()
    for k in range(6):
        lines = [f"{a:.3f},{b:.3f},{who}" for who in ["ann", "bob"] for a, b in draw.normal(size=(120, 2))]
        (tmp_path / "rec" / f"{'walk' if k % 2 else 'run'}_{k}.csv").write_text("\n".join(["x,y,subject", *lines]) + "\n")
    said = CliRunner().invoke(app, ["init", str(tmp_path / "rec"), "--explain"]).output
    assert "channels: x, y (columns)" in said and "50 Hz is a guess, so set it right (rate)" in said
    api.init(tmp_path / "rec", out=tmp_path / "rec" / "sandgrain.toml", board="pico")
    found = api.data(tmp_path / "rec", workers=1).to_json()
    assert found["others"] == []
    assert not [leak for leak in found["leaks"] if "cut from one file" in leak]
