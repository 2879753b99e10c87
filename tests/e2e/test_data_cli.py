"""`sandgrain init` and `sandgrain data` as their users call them: on a small data set with faults, and on the examples."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sandgrain as api
from sandgrain.base.errors import UsageError
from tests.conftest import ROOT
from tests.dataset.test_quality import voice, whole
from tests.support.command import environment, sandgrain
from tests.support.draws import turns
from tests.support.shared_files import DATA

RATE = 8000


def wav(path: Path, samples: np.ndarray, rate: int = RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes(samples.astype("<i2").tobytes())


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project about 24 words and what can be wrong with such; `sandgrain init` wrote the project file."""
    folder = tmp_path_factory.mktemp("faulty") / "words"
    for k in range(12):
        for n, label in enumerate(("no", "yes")):
            wav(folder / "rec" / label / f"{k:02}.wav", voice(100 * n + k))
    wav(folder / "rec" / "no" / "copy.wav", voice(3))
    wav(folder / "rec" / "no" / "softer.wav", whole(voice(4) * 0.5))
    wav(folder / "rec" / "yes" / "clash.wav", voice(5))
    wav(folder / "rec" / "yes" / "loud.wav", whole(voice(300) * 40.0))
    wav(folder / "rec" / "yes" / "silent.wav", whole(voice(301) / 900))
    wav(folder / "rec" / "yes" / "zero.wav", np.zeros(4000))
    wav(folder / "rec" / "yes" / "fast.wav", voice(302), 16000)
    (folder / "rec" / "yes" / "cut.wav").write_bytes((folder / "rec" / "no" / "01.wav").read_bytes()[:30])  # in its header
    (folder / "rec" / "yes" / "text.wav").write_text("no sound")
    done = sandgrain("init", "rec", "--board", "microbit-v2", cwd=folder)
    assert done.code == 0 and "sandgrain.toml written" in done.out
    text = (folder / "sandgrain.toml").read_text().replace("resample = true", "# resample = true")
    (folder / "sandgrain.toml").write_text(text)
    return folder


def looked(place: Path) -> dict[str, Any]:
    """What `sandgrain data --json` prints, without another process; one that reads is enough for so few files."""
    return api.data(place, workers=1).to_json()


def refused(place: Path) -> str:
    with pytest.raises(UsageError) as caught:
        api.data(place, workers=1)
    return str(caught.value)


def counts(report: dict[str, Any]) -> dict[str, int]:
    return {c["topic"]: c["count"] for c in report["checks"]}


def test_the_report_counts_what_is_wrong(faulty: Path) -> None:
    done = sandgrain("data", "--json", cwd=faulty)
    assert (done.code, done.err) == (0, "")
    report = done.json
    assert report["records"] == 30 and report["labels"]["no"]["total"] == 14 and report["rates_hz"] == [RATE]
    assert counts(report) == {
        "copies": 2,
        "near-duplicates": 1,
        "conflicting labels": 2,
        "clipped": 1,
        "silent": 1,
        "constant": 1,
    }
    assert {b["path"] for b in report["bad"]} == {"yes/cut.wav", "yes/fast.wav", "yes/text.wav"}
    assert all(b["reason"] for b in report["bad"]) and report["leaks"] == [] and len(report["dataset_hash"]) == 64


def test_the_same_data_gives_the_same_report_and_hash_elsewhere(faulty: Path, tmp_path: Path) -> None:
    shutil.copytree(faulty, tmp_path / "words", ignore=shutil.ignore_patterns(".sandgrain"))
    assert looked(tmp_path / "words") == looked(faulty)


def test_the_text_fits_a_terminal_and_names_files(faulty: Path) -> None:
    done = sandgrain("data", cwd=faulty)
    assert done.code == 0 and max(map(len, done.out.splitlines())) <= 80
    for word in ("words: 30 recordings", "no/03.wav = no/copy.wav", "labels no, yes", "yes/cut.wav", "bad files  3", "data set "):
        assert word in done.out
    assert (faulty / ".sandgrain" / ".gitignore").read_text() == "*\n"
    assert (faulty / ".sandgrain" / "manifest.json").is_file()


def test_what_the_project_says_is_dropped(faulty: Path, tmp_path: Path) -> None:
    place = tmp_path / "words"
    shutil.copytree(faulty, place)
    text = (place / "sandgrain.toml").read_text().replace('duplicates = "keep"', 'duplicates = "drop"')
    options = 'silent = "drop"\nconstant = "drop"\nclipped = "drop"\nconflicts = "drop"\n[data.split]'
    (place / "sandgrain.toml").write_text(text.replace("[data.split]", options))
    report = looked(place)
    assert report["records"] == 30 - report["dropped"] == 23
    assert {c["topic"]: c["dropped"] for c in report["checks"]} == {
        "copies": 1,
        "near-duplicates": 1,
        "conflicting labels": 2,
        "clipped": 1,
        "silent": 1,
        "constant": 1,
    }


def test_bad_files_can_be_refused(faulty: Path, tmp_path: Path) -> None:
    place = tmp_path / "words"
    shutil.copytree(faulty, place)
    path = place / "sandgrain.toml"
    path.write_text(path.read_text().replace('bad = "skip"', 'bad = "refuse"'))
    assert "yes/cut.wav" in refused(place)


def test_classes_take_labels_and_leave_others_out(faulty: Path, tmp_path: Path) -> None:
    place = tmp_path / "words"
    shutil.copytree(faulty, place)
    path = place / "sandgrain.toml"
    text = path.read_text()
    path.write_text(text.replace('kind = "audio"', 'kind = "audio"\nclasses = ["yes"]'))
    report = looked(place)
    assert (list(report["labels"]), report["left_out"]) == (["yes"], 14)
    path.write_text(text.replace('kind = "audio"', 'kind = "audio"\nclasses = ["yes"]\nrest = "other"'))
    report = looked(place)
    assert (list(report["labels"]), report["left_out"]) == (["yes", "other"], 0)


def test_lists_say_which_side_and_cannot_lead_outside(faulty: Path, tmp_path: Path) -> None:
    place = tmp_path / "words"
    shutil.copytree(faulty, place)
    path = place / "sandgrain.toml"
    (place / "rec" / "test.txt").write_text("yes/01.wav\nno/01.wav\n")
    text = path.read_text().replace('by = "file"', 'by = "given"\nlists = { test = "test.txt" }')
    path.write_text(text)
    assert [v["test"] for v in looked(place)["labels"].values()] == [1, 1]
    path.write_text(text.replace("test.txt", "../sandgrain.toml"))
    assert "below the data" in refused(place)


def test_the_page_has_pictures_and_a_map_of_the_features(faulty: Path, tmp_path: Path) -> None:
    done = sandgrain("data", "--html", tmp_path / "page.html", "--json", cwd=faulty)
    assert done.code == 0
    text = (tmp_path / "page.html").read_text()
    assert "Map of the features" in text and "of its features" in text and text.count("<figure") == 10
    assert text.count("<circle ") == 30 and "yes/cut.wav" in text and "<script" not in text


def test_a_page_that_cannot_be_written_leaves_nothing(faulty: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="html="):
        api.data(faulty, html=tmp_path / "none" / "page.html", workers=1)
    assert list(tmp_path.iterdir()) == []


def test_init_and_data_say_in_one_line_what_is_missing(tmp_path: Path) -> None:
    place = tmp_path / "empty"
    place.mkdir()
    done = sandgrain("data", "--json", cwd=place)
    assert "sandgrain init" in done.line and json.loads(done.out)["exit_code"] == done.code == 2
    assert "no file that is read" in sandgrain("init", ".", cwd=place).line
    with pytest.raises(UsageError, match="name the folder"):
        api.init(place / "nowhere")
    (place / "sandgrain.toml").write_text('[data]\npath = "nowhere"\nkind = "audio"\n')
    assert "SANDGRAIN_DATA" in refused(place)
    assert [p.name for p in place.iterdir()] == ["sandgrain.toml"], "a project without data leaves nothing behind"


def test_compiling_needs_no_package_of_the_data_extra(tmp_path: Path) -> None:
    code = "import sys, sandgrain.cli; sys.exit(bool({'matplotlib', 'sklearn', 'scipy', 'jinja2', 'soundfile', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], env=environment(tmp_path), check=False).returncode == 0


def example(name: str, tmp_path: Path) -> Path:
    """A copy of an example, with its data made where a script makes it; skipped where the data is not at hand."""
    place = tmp_path / "examples" / name
    shutil.copytree(ROOT / "examples" / name, place, ignore=shutil.ignore_patterns(".sandgrain", "data"))
    if (place / "make_data.py").exists():
        subprocess.run([sys.executable, place / "make_data.py"], check=True, capture_output=True)
        return place
    path = {"spoken-digits": "fsdd", "magic-wand": "magic_wand", "keywords": "speech_commands"}.get(name, name)
    if not (DATA / path).is_dir():
        pytest.skip(f"no {path} beside the project; name the folder that has it in SANDGRAIN_DATA")
    return place


LONG = [pytest.param(name, marks=pytest.mark.slow) for name in ("spoken-digits", "cifar10", "machine-sound")]


@pytest.mark.parametrize("name", [*turns(["digits", "gestures", "magic-wand"]), *LONG])
def test_the_readme_of_an_example_shows_what_is_printed(name: str, tmp_path: Path) -> None:
    """By the command as the README has it; tools/example_docs.py refreshes what it shows."""
    example(name, tmp_path)
    text = (ROOT / "examples" / name / "README.md").read_text()
    [line] = re.findall(r"^sandgrain (data .*)$", text, re.MULTILINE)
    done = sandgrain(*line.split(), cwd=tmp_path, env={"SANDGRAIN_DATA": str(DATA)}, timeout=600)
    assert done.code == 0, done.err
    shown = "\n".join(line.rstrip() for line in done.out.strip().splitlines())
    assert f"```text\n{shown}\n```" in text
