"""The project file: what it says, what it refuses and how, what `init` writes, and that the docs say the same."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sandgrain as api
from sandgrain.base.errors import UsageError
from sandgrain.dataset import manifest, readers
from sandgrain.dataset.readers import csv, keys_of, make_layout
from sandgrain.dataset.records import Layout, option
from sandgrain.project.file import init, schema
from sandgrain.project.file.load import MAX_BYTES, Loaded, load
from sandgrain.project.file.look import look
from sandgrain.project.file.schema import Data, Project, parse_energy
from tests.conftest import ROOT
from tests.support.draws import rare

EXAMPLES = ("cifar10", "digits", "gestures", "keywords", "machine-sound", "magic-wand", "spoken-digits")
AUDIO = '[data]\nkind = "audio"\n'


def project(folder: Path, text: str) -> Path:
    path = folder / "sandgrain.toml"
    path.write_text(text)
    return path


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(UsageError) as caught:
        load(project(folder, text))
    message = str(caught.value)
    assert message.isprintable() and len(message) < 400
    return message


# --- what a file says ----------------------------------------------------------------------------------------------------


def test_the_smallest_file_has_every_default(tmp_path: Path) -> None:
    found = load(project(tmp_path, AUDIO)).project
    assert (found.data.split.seed, found.train.qat, found.target.board, found.budget.limits.ram_bytes) == (
        0,
        True,
        "cortex-m4",
        None,
    )


def test_a_folder_stands_for_the_file_in_it(tmp_path: Path) -> None:
    project(tmp_path, AUDIO)
    assert load(tmp_path).file == tmp_path / "sandgrain.toml"


def test_limits_have_units(tmp_path: Path) -> None:
    text = AUDIO + '[budget]\nram = "32K"\nflash = 4096\nlatency = "60ms"\nenergy = "1.5mJ"\n'
    budget = load(project(tmp_path, text)).project.budget
    limits = budget.limits
    assert (limits.ram_bytes, limits.flash_bytes, limits.latency_ms, budget.energy_uj) == (32768, 4096, 60.0, 1500.0)


@pytest.mark.parametrize("text", ["", "5", "5 W", "uJ", "-1uJ", "1e3uJ"])
def test_what_is_no_energy_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an energy"):
        parse_energy(text, "energy")


def test_data_has_every_field_of_a_layout_with_its_default() -> None:
    own = keys_of(Layout("audio"))
    assert {name: Data.model_fields[name].default for name in own if name != "kind"} | {"kind": "audio"} == own
    assert Data(kind="image").layout == Layout("image")


def test_what_a_reader_can_be_told_is_a_key_of_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """An option that is added beside its reader reaches the file, the layout and the manifest; nothing else names it."""

    @dataclasses.dataclass(frozen=True)
    class Gain:
        """Of an imagined format."""

        gain_db: float = option(0.0, "Gain of the recording, dB.", ge=-60, le=60)

    monkeypatch.setattr(csv, "OPTIONS", (*csv.OPTIONS, Gain))
    readers.option_classes.cache_clear()
    try:
        made = schema.with_options(schema.Files)
        field = made.model_fields["gain_db"]
        assert (field.default, field.description) == (0.0, "Gain of the recording, dB.")
        with pytest.raises(ValueError, match="less than or equal to 60"):
            made(kind="motion", gain_db=61.0)
        layout = make_layout("motion", gain_db=6.0, segment=3)
        assert layout.get(Gain).gain_db == 6.0 and manifest.layout_of(manifest.layout_json(layout)) == layout
        with pytest.raises(TypeError):
            make_layout("motion", gain=6.0)
    finally:
        monkeypatch.undo()
        readers.option_classes.cache_clear()


def test_the_hash_of_a_data_set_does_not_depend_on_where_options_stand() -> None:
    """As it was when one class held all of them."""
    layout = make_layout("motion", columns=("x",), full_scale=(4,), rate=100)
    assert manifest.manifest_hash(layout, ()) == "69de66365e0671118b648a4b2164abe548273858c2ea9b850f9f4b609547e344"


def test_every_key_is_described() -> None:
    def walk(model: type) -> list[str]:
        fields = model.model_fields  # type: ignore[attr-defined]
        inner = [f.annotation for f in fields.values() if hasattr(f.annotation, "model_fields")]
        return [name for name, f in fields.items() if not f.description] + [n for m in inner for n in walk(m)]

    assert walk(Project) == []


# --- what is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "section [data] is missing"),
        ("data = 1", "[data]: should be a table"),
        ("[data]", "[data]: 'kind' is missing"),
        (AUDIO + "ratee = 1", "[data]: there is no key 'ratee'; did you mean 'rate'?"),
        (AUDIO + "epochs = 1", "it belongs in [train]"),
        (AUDIO + "[data.split]\nsed = 1", "[data.split]: there is no key 'sed'; did you mean 'seed'?"),
        (AUDIO + "[modle]", "did you mean 'model'?"),
        ('[data]\nkind = "audi"', "[data] kind: should be 'audio', 'image' or 'motion'"),
        (AUDIO + 'rate = "16000"', "[data] rate: should be a number"),
        (AUDIO + "rate = true", "[data] rate: should be a number"),
        (AUDIO + "rate = nan", "finite"),
        (AUDIO + "rate = -1", "greater than or equal to 0"),
        (AUDIO + "files = [1]", "[data] files.0: should be text in quotes"),
        (AUDIO + "rate = 1979-05-27", "[data] rate: should be a number"),
        (AUDIO + "stride_s = 1", "stride_s needs window_s"),
        ('[data]\nkind = "image"\nwindow_s = 1', "do not go with images"),
        (AUDIO + "full_scale = 0", "full_scale must be above 0"),
        (AUDIO + 'classes = ["a", "a"]', "names a label twice"),
        (AUDIO + "[data.split]\ntest = 0.6\nvalidation = 0.5", "below 1"),
        (AUDIO + '[data.split]\nchoose.tests = { a = ["1"] }', "should be 'train', 'validation' or 'test'"),
        (AUDIO + "[train]\nepochs = 1.5", "[train] epochs: should be a whole number"),
        (AUDIO + '[budget]\nram = "lots"', "[budget]: ram 'lots' is not a size"),
        (AUDIO + '[budget]\nenergy = "1 W"', "is not an energy"),
        (AUDIO + '[target]\nboard = "microbitt"', "did you mean microbit-v2"),
        (AUDIO + "[[features]]", "[[features]] 1"),
        (AUDIO + '[[features]]\nblock = "logmel"', "log-mel"),
        (AUDIO + '[[features]]\nblock = "log-mel"\nband = 3', "bands"),
        (AUDIO + '[[augment]]\nkind = "nois"', "did you mean noise?"),
        (AUDIO + '[[augment]]\nkind = "flip"', "not for audio"),
        (AUDIO + "augment = 3", "it is a section of its own"),
        ("augment = 3\n" + AUDIO, "[[augment]] 1: should be a table"),
    ],
)
def test_a_mistake_is_one_line_with_its_place_and_the_way_out(tmp_path: Path, text: str, says: str) -> None:
    message = refusal(tmp_path, text)
    assert message.startswith("sandgrain.toml: ") and says in message


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"[data", "is not TOML"),
        (b'[data]\nkind = "audio"\nx = \xff', "not UTF-8"),
        (b"x = " + b"[" * 60_000, "is not TOML"),
        (b"x = " + b"[" * 40 + b"]" * 40, "nested more than"),
        (b"a" + b".a" * 100 + b" = 1", "nested more than"),
        (b"x = " + b"9" * 6000, "is not TOML"),
        (b"#" * (MAX_BYTES + 1), "larger than"),
        (b"[data]\n" + b'"\\u202e\\u0000" = 1', "there is no key '??'"),
    ],
)
def test_a_hostile_file_costs_one_line(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "sandgrain.toml"
    path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        load(path)
    assert says in str(caught.value) and str(caught.value).isprintable() and len(str(caught.value)) < 500


def test_a_missing_file_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="sandgrain init"):
        load(tmp_path)


def test_data_is_looked_for_beside_the_file_and_then_below_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: Loaded = load(project(tmp_path, AUDIO + 'path = "set"'))
    monkeypatch.delenv("SANDGRAIN_DATA", raising=False)
    with pytest.raises(UsageError, match="set SANDGRAIN_DATA"):
        _ = found.root
    (tmp_path / "elsewhere" / "set").mkdir(parents=True)
    monkeypatch.setenv("SANDGRAIN_DATA", str(tmp_path / "elsewhere"))
    assert found.root == tmp_path / "elsewhere" / "set"
    (tmp_path / "set").mkdir()
    assert found.root == tmp_path / "set"


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'sandgrain\[data\]'"):
        api.data(".")


# --- docs and examples ---------------------------------------------------------------------------------------------------


def test_the_page_about_the_project_file_is_what_the_schema_says() -> None:
    spec = importlib.util.spec_from_file_location("project_docs", ROOT / "tools" / "project_docs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "reference" / "project.md").read_text() == module.render(), "run `make docs`"


def test_there_are_seven_examples() -> None:
    assert tuple(sorted(p.parent.name for p in (ROOT / "examples").glob("*/sandgrain.toml"))) == EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_a_project_with_features_and_a_readme(name: str) -> None:
    found = load(ROOT / "examples" / name)
    assert found.blocks and found.project.target.board != "cortex-m4"
    assert f"sandgrain data examples/{name}" in (ROOT / "examples" / name / "README.md").read_text()


# --- init ----------------------------------------------------------------------------------------------------------------


def wav(path: Path, seconds: float = 0.5, rate: int = 8000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, rate, 0, "NONE", ""))
        out.writeframes(bytes(2 * int(seconds * rate)))


def started(folder: Path, data: Path) -> Project:
    """What `init` writes about `data`."""
    api.init(data, out=folder / "sandgrain.toml")
    return load(folder).project


def test_init_sees_label_group_and_index_in_names(tmp_path: Path) -> None:
    for digit in range(3):
        for who in ("ann", "bob", "cyd"):
            for k in range(4):
                wav(tmp_path / "x" / f"{digit}_{who}_{k}.wav")
    data = started(tmp_path, tmp_path / "x").data
    assert (data.kind, data.rate, data.name, data.split.by) == ("audio", 8000, "{label}_{group}_{index}", "group")
    assert data.path == "x" and data.window_s == 0.5


def test_init_sees_folders_of_classes_below_train_and_test(tmp_path: Path) -> None:
    for side in ("train", "test"):
        for label in ("cat", "dog"):
            (tmp_path / "x" / side / label).mkdir(parents=True)
            Image.new("RGB", (40, 30)).save(tmp_path / "x" / side / label / "1.png")
    data = started(tmp_path, tmp_path / "x").data
    assert (data.kind, data.name, data.split.by) == ("image", "{split}/{label}/{index}", "given")


def test_init_sees_speech_commands(tmp_path: Path) -> None:
    for word in ("no", "yes"):
        wav(tmp_path / "x" / word / "0a7c2a8d_nohash_0.wav", 1.0, 16000)
    wav(tmp_path / "x" / "_background_noise_" / "hum.wav", 1.0, 16000)
    for name in ("validation_list.txt", "testing_list.txt"):
        (tmp_path / "x" / name).write_text("yes/0a7c2a8d_nohash_0.wav\n")
    data = started(tmp_path, tmp_path / "x").data
    assert (data.name, data.files) == ("{label}/{group}_nohash_{index}", ("[!_]*/**/*.wav",))
    assert data.background == ("_background_noise_/*.wav",)
    assert data.split.lists == {"validation": "validation_list.txt", "test": "testing_list.txt"}


def test_init_sees_columns_ranges_and_blocks_of_rows(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    rows = "".join(f"{0.5 * k},{100.0 + k}\n" for k in range(5))
    for label in ("punch", "flex"):
        (tmp_path / "x" / f"{label}.csv").write_text("aX,gX\n" + "\n".join([rows] * 3) + "\n")
    data = started(tmp_path, tmp_path / "x").data
    assert (data.kind, data.columns, data.segment, data.name) == ("motion", ("aX", "gX"), 5, "{label}")
    assert data.full_scale == (4.0, 200.0)  # the next round values above 2 and 104


def test_init_sees_a_table_with_label_group_and_time(tmp_path: Path) -> None:
    lines = [f"{k / 50},{k % 7},{'walk' if k < 30 else 'run'},p{k // 20}" for k in range(60)]
    (tmp_path / "all.csv").write_text("time,x,label,subject\n" + "\n".join(lines))
    data = started(tmp_path, tmp_path / "all.csv").data
    assert (data.columns, data.label_column, data.group_column, data.time_column) == (("x",), "label", "subject", ("time",))
    assert (data.rate, data.files, data.full_scale) == (50.0, ("all.csv",), ())


def test_init_sees_recordings_in_json(tmp_path: Path) -> None:
    stroke = {"label": "3", "strokePoints": [{"x": 0.1, "y": -0.7}] * 40}
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.json").write_text(json.dumps({"strokes": [stroke, stroke]}))
    data = started(tmp_path, tmp_path / "x").data
    assert (data.records, data.points, data.columns, data.full_scale) == ("strokes", "strokePoints", ("x", "y"), (0.2, 1.0))


def test_init_sees_an_array_of_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.zeros((3, 8, 8, 1), np.uint8), y=np.zeros(3, np.uint8))
    data = started(tmp_path, tmp_path / "d.npz").data
    assert (data.kind, data.files) == ("image", ("d.npz",))


def test_init_keeps_a_file_that_is_there(tmp_path: Path) -> None:
    wav(tmp_path / "x" / "a" / "1.wav")
    project(tmp_path, "mine")
    with pytest.raises(UsageError, match="force"):
        started(tmp_path, tmp_path / "x")
    assert (tmp_path / "sandgrain.toml").read_text() == "mine"


@rare
@pytest.mark.parametrize("name", ['a"b', "a'b#", "a\\b", "tab\there", "\u202egnp", "new\nline", "del\x7f"])
def test_hostile_names_cannot_break_the_file_that_init_writes(tmp_path: Path, name: str) -> None:
    wav(tmp_path / name / name / f"{name}_1_x.wav")
    wav(tmp_path / name / "other" / "1_2_x.wav")
    data = started(tmp_path, tmp_path / name).data
    assert data.path == name and data.kind == "audio"


@pytest.mark.parametrize("content", [{}, {"a.txt": "x"}, {"a.csv": ""}, {"a.csv": "1,2\n"}, {"a.json": "{"}, {"a.npz": "PK"}])
def test_init_without_usable_data_is_one_line(tmp_path: Path, content: dict[str, str]) -> None:
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError):
        init.write(tmp_path, tmp_path / "sandgrain.toml")
    assert not (tmp_path / "sandgrain.toml").exists()


def test_a_look_does_not_follow_links(tmp_path: Path) -> None:
    wav(tmp_path / "outside" / "a" / "1.wav")
    wav(tmp_path / "x" / "b" / "1.wav")
    (tmp_path / "x" / "link").symlink_to(tmp_path / "outside")
    assert look(tmp_path / "x").count == 1
