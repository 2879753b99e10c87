"""Hostile .keras files: each gives a model or exactly one line, in time and in little memory; nothing runs, nothing is left behind."""

from __future__ import annotations

import json
import os
import pickle
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandgrain.base.errors import SandgrainError
from sandgrain.formats import sources
from sandgrain.formats.keras.hdf5 import Hdf5
from tests.support import campaign
from tests.support.command import sandgrain
from tests.support.draws import rare
from tests.support.hostile_archives import SECONDS, Trap, complaint
from tests.support.hostile_keras import made, mutant
from tests.support.keras_models import keras, kl, saved
from tests.support.mutators import members, packed
from tests.support.tflite_mutants import MUTATIONS

USUAL = 100  # mutants in `make test`
Change = Callable[[Any], Any]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, ...]:
    return made(tmp_path_factory.mktemp("seeds"))


@pytest.mark.parametrize("part", campaign.PARTS)
def test_a_mutant_gives_a_model_or_one_line(
    seeds: tuple[bytes, ...], part: int, record_property: Callable[[str, object], None], tmp_path: Path
) -> None:
    tally = campaign.run("keras", campaign.spawned("tests.support.hostile_keras", seeds, tmp_path), USUAL, record_property, part)
    assert tally.accepted and tally.refused


def test_the_files_that_are_mutated_are_legal(seeds: tuple[bytes, ...], tmp_path: Path) -> None:
    for data in seeds:
        (tmp_path / "m.keras").write_bytes(data)
        assert sources.load(tmp_path / "m.keras", "m").nodes


def test_mutants_are_the_same_on_every_run(seeds: tuple[bytes, ...]) -> None:
    assert [mutant(seeds, s) for s in range(20)] == [mutant(seeds, s) for s in range(20)]


def damage(data: bytes) -> str:
    """Why a file of weights cannot be read, "" if it can."""
    try:
        file = Hdf5(data)
        for path in file.places:
            file.array(path)
    except SandgrainError as error:
        return str(error)
    return ""


def test_damaged_weights_give_arrays_or_one_line(seeds: tuple[bytes, ...]) -> None:
    """The file of weights by itself: mutants that reach every step of its reader."""
    base = members(seeds[2])["model.weights.h5"]
    refused = 0
    for seed in range(300):
        rng, data = random.Random(seed), bytearray(base)
        rng.choice(MUTATIONS)(data, rng, [base])
        message = damage(bytes(data))
        refused += bool(message)
        assert not message or (message.endswith("save the model again, or give the live model") and message.isprintable())
    assert refused > 50


# --- made to measure ---------------------------------------------------------------------------------------------------


def edited(data: bytes, change: Change) -> bytes:
    """A file with its configuration changed."""
    parts = members(data)
    tree = json.loads(parts["config.json"])
    change(tree)
    return packed({**parts, "config.json": json.dumps(tree).encode()})


def layer(kind: str, **config: Any) -> Change:
    """Put a layer behind the last one of the sequential seed."""

    def change(tree: Any) -> None:
        entry = {"module": "keras.layers", "class_name": kind, "config": {"name": "odd", **config}, "registered_name": None}
        tree["config"]["layers"].append(entry)

    return change


def both(*changes: Change) -> Change:
    """One change after the other."""

    def change(tree: Any) -> None:
        for one in changes:
            one(tree)

    return change


def deep(tree: Any) -> None:
    """Models in each other."""
    for _ in range(40):
        inner = {
            "module": "keras",
            "class_name": "Sequential",
            "config": {"name": "deep", "layers": [tree["config"]["layers"][-1]]},
        }
        tree["config"]["layers"][-1] = inner


def endless(tree: Any) -> None:
    """A layer that reads itself."""
    for entry in tree["config"]["layers"]:
        for call in entry["inbound_nodes"]:
            call["args"] = [
                {"class_name": "__keras_tensor__", "config": {"shape": [None, 8], "keras_history": [entry["name"], 0, 0]}}
            ]


def often(tree: Any) -> None:
    """A layer that is called thousands of times."""
    for entry in tree["config"]["layers"]:
        entry["inbound_nodes"] = entry["inbound_nodes"] * 5000


def member(data: bytes, name: str, body: bytes) -> bytes:
    return packed({**members(data), name: body})


def renamed(data: bytes, to: str) -> bytes:
    return packed({to if n == "config.json" else n: body for n, body in members(data).items()})


def bomb(data: bytes) -> bytes:
    return packed({**members(data), "model.weights.h5": bytes(1 << 25)}, zipfile.ZIP_DEFLATED)


WORDS = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None, "closure": None}}
Make = Callable[[tuple[bytes, ...]], bytes]
ATTACKS: list[tuple[str, Make, str]] = [
    ("a zip bomb", lambda s: bomb(s[0]), "unpacks"),
    ("a path out of the archive", lambda s: renamed(s[0], "../config.json"), "outside"),
    ("an absolute path", lambda s: renamed(s[0], "/config.json"), "outside"),
    ("many members", lambda s: packed({str(k): b"" for k in range(9000)}), "more than 8192 members"),
    ("no configuration", lambda s: renamed(s[0], "other.json"), "without config.json"),
    ("no weights", lambda s: packed({"config.json": members(s[0])["config.json"]}), "save the model as one .keras file"),
    ("a pickle for weights", lambda s: member(s[0], "model.weights.h5", pickle.dumps(Trap())), "does not begin as HDF5 does"),
    ("a pickle for a configuration", lambda s: member(s[0], "config.json", pickle.dumps(Trap())), "no JSON"),
    ("nested lists", lambda s: member(s[0], "config.json", b"[" * 1_000_000), "no JSON, or too deep"),
    ("long numbers", lambda s: member(s[0], "config.json", b"9" * 1_000_000), "no JSON"),
    ("a large configuration", lambda s: member(s[0], "config.json", b" " * (9 << 20)), "more than 8388608"),
    ("a Lambda with code", lambda s: edited(s[1], layer("Lambda", function=WORDS)), "odd (Lambda): it holds code, which is not run"),
    ("code as an activation", lambda s: edited(s[1], layer("Activation", activation=WORDS)), "odd/None"),
    ("a function's name", lambda s: edited(s[1], layer("Activation", activation={"class_name": "function", "config": "os.system"})), "is code, which is not run"),
    ("a class of others", lambda s: edited(s[1], lambda t: t["config"]["layers"][-1].update(module="os", class_name="system")), "a class of its own, which is not run"),
    ("models in each other", lambda s: edited(s[1], deep), "too many layers, or too many in each other"),
    ("layers in a circle", lambda s: edited(s[2], endless), "wait for each other"),
    ("thousands of calls", lambda s: edited(s[2], often), "too many"),
    ("a huge output", lambda s: edited(s[1], both(layer("RepeatVector", n=1 << 20), layer("Flatten"), layer("RepeatVector", n=16))), "too large"),
    ("a huge padding", lambda s: edited(s[1], both(layer("Reshape", target_shape=[5, 1]), layer("ZeroPadding1D", padding=1 << 20), layer("UpSampling1D", size=1 << 19))), "too large"),
    ("a huge input", lambda s: edited(s[1], lambda t: t["config"]["layers"][0]["config"].update(batch_shape=[None, 1 << 20, 1 << 20])), "use a smaller input"),
]  # fmt: skip


@rare
@pytest.mark.parametrize(("make", "fact"), [a[1:] for a in ATTACKS], ids=[a[0].replace(" ", "-") for a in ATTACKS])
def test_an_attack_gives_one_line(make: Make, fact: str, seeds: tuple[bytes, ...], tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(make(seeds))
    assert complaint(path) == ""
    with pytest.raises(SandgrainError) as caught:
        sources.load(path, "m")
    assert fact in str(caught.value), str(caught.value)
    assert list(tmp_path.iterdir()) == [path] and not Path("unpickled").exists()


def test_code_that_keras_saved_is_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    path = tmp_path / "in" / "m.keras"
    path.parent.mkdir()
    name = str(trace)  # what Keras can put into a file
    saved(keras.Sequential([kl.Input((3,)), kl.Lambda(lambda x: Path(name).touch() or x), kl.Dense(2)]), path)
    assert trace.exists()  # Keras ran it when the model was built
    trace.unlink()
    done = sandgrain("compile", path, "-o", "out", cwd=path.parent, timeout=6 * SECONDS)
    assert done.code == 2 and "it holds code, which is not run; use a layer instead" in done.line
    assert [p.name for p in path.parent.iterdir()] == ["m.keras"] and not trace.exists()


def test_whole_models_in_hdf5_are_told_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    for name in ("m.h5", "m.keras"):
        with pytest.raises(SandgrainError, match=r"Keras 2; load it in Keras and save it as \.keras"):
            sources.load(path.rename(tmp_path / name), "m")
        path = tmp_path / name


def test_a_file_needs_neither_keras_nor_another_framework(seeds: tuple[bytes, ...], tmp_path: Path) -> None:
    (tmp_path / "m.keras").write_bytes(seeds[0])
    script = "import sys; from sandgrain.formats import sources; from pathlib import Path; sources.load(Path('m.keras'), 'm')"
    check = "print(sorted({'keras', 'torch', 'tensorflow', 'h5py', 'jax'} & sys.modules.keys()))"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", f"{script}; {check}"], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
