"""Entry 31, at the command line: every command that writes is killed at moments that are drawn. What was there before is whole, or all
of it is new; and the next run goes on and leaves nothing of the killed one."""

from __future__ import annotations

import importlib
import re
import shutil
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
from typer.models import OptionInfo

import sandgrain
from sandgrain.cli import NAMES
from sandgrain.formats.tflite import write as writer
from tests.conftest import ROOT
from tests.support import sensor_project
from tests.support.command import environment, tree
from tests.support.draws import new_seed, turns
from tests.support.float_graphs import small

DIGITS = ROOT / "sandgrain" / "demo" / "digits.tflite"
KILLS = 3  # of each command
READ = {"calibration", "data", "features", "labels", "model", "test"}  # options of paths that are read; all others are written to
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Scene:
    """`lay`: puts what the command reads into a folder, for the first run (0) or the second (1), whose output is another.
    `arguments`: of the command. `outputs`: the paths that it writes."""

    lay: Callable[[Path, int], None]
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]


def _digits(place: Path, number: int) -> None:
    (place / "labels.txt").write_text("\n".join(f"label {number} {k}" for k in range(10)))


def _nothing(place: Path, number: int) -> None:
    pass


def _project(place: Path, number: int) -> None:
    epochs, cutoff = ("1", "2"), ("[0.8, 1.2]", "[0.7, 1.3]")
    sensor_project.project(place / "waves", epochs=epochs[number], factor=cutoff[number], width=("2", "4")[number])
    if number:  # other features, and another page of the data
        x, y = sensor_project.waves()
        np.savez(place / "waves" / "waves.npz", x=x // 2, y=y, labels=np.array(["slow", "fast"]))


def _recordings(place: Path, number: int) -> None:
    shutil.rmtree(place / "recordings", ignore_errors=True)
    for label in ("up", "down") if number else ("left", "right"):
        folder = place / "recordings" / label
        folder.mkdir(parents=True, exist_ok=True)
        for k in range(3):
            rows = "\n".join(f"{t * 10},{(t * (k + 3)) % 17}" for t in range(200))
            (folder / f"{k}.csv").write_text(f"ms,x\n{rows}\n")


def _floats(place: Path, number: int) -> None:
    net, graph = small()
    x = net.samples(40)
    np.savez(place / "net.npz", x=x * (1 + number), y=np.arange(40) % 2)
    (place / "net.tflite").write_bytes(writer.write(graph))


def _heard(place: Path, number: int) -> None:
    """A bundle, and a recording in which the label changes, for `score`."""
    if not (place / "out").is_dir():
        sensor_project.project(place / "waves", epochs="1")
        sandgrain.build(place / "waves", out=place / "out", verify=2)
    shutil.rmtree(place / "heard", ignore_errors=True)
    (place / "heard").mkdir()
    t = np.arange(640) / 64
    sines = [(label, np.sin(2 * np.pi * f * t) * (9000, 20000)[number]) for label, f in (("0", 3), ("1", 7))]
    rows = "".join(f"{v:.0f},{label}\n" for label, sine in sines for v in sine)
    (place / "heard" / "a.csv").write_text(f"x,label\n{rows}")


SCENES = {
    "build": Scene(_project, ("waves", "-o", "out", "--html", "page.html"), ("out", "page.html")),
    "compare": Scene(
        _floats, ("net.tflite", "-c", "net.npz", "--targets", "cortex-m0plus,host", "--plot", "rows.svg"), ("rows.svg",)
    ),
    "compile": Scene(_digits, (str(DIGITS), "--labels", "labels.txt", "-o", "out"), ("out",)),
    "data": Scene(_project, ("waves", "--html", "page.html"), ("page.html",)),
    "demo": Scene(_nothing, ("-o", "shown"), ("shown/out", "shown/build.html")),
    "export": Scene(_floats, ("net.tflite", "-c", "net.npz", "-o", "net.cc"), ("net.cc", "net.h")),
    "features": Scene(_project, ("waves", "-o", "made"), ("made",)),
    "init": Scene(_recordings, ("recordings", "-o", "project.toml", "--force"), ("project.toml",)),
    "quantize": Scene(_floats, ("net.tflite", "-c", "net.npz", "-o", "int8.tflite"), ("int8.tflite",)),
    "score": Scene(_heard, ("out", "heard", "--label-column", "label", "--html", "page.html"), ("page.html",)),
    "targets": Scene(
        _nothing,
        ("--new", "mine.toml", "--core", "cortex-m4", "--ram", "64K", "--flash", "256K", "--clock", "80MHz"),
        ("mine.toml",),
    ),
}
QUICK = ("export", "init", "targets")  # which take little more than the start of Python


def writes(name: str) -> list[str]:
    """The options of a command by which it is told where to write."""
    command = importlib.import_module(f"sandgrain.cli.{name}").command
    found = []
    for parameter, hint in get_type_hints(command, include_extras=True).items():
        option = any(isinstance(of, OptionInfo) for of in getattr(hint, "__metadata__", ()))
        if option and "Path" in str(hint) and parameter not in READ:
            found.append(parameter)
    return found


def test_31_every_command_that_writes_is_among_those_that_are_killed() -> None:
    """A new option of a path makes a command one that writes, until it is said that it reads."""
    assert {name for name in NAMES if writes(name)} == set(SCENES)


def shown(place: Path, scene: Scene) -> dict[str, bytes]:
    """What there is of a command's outputs, without the seconds that each stage took: a page of a build has a row for them."""
    found = tree(place)
    shown = {name: data for output in scene.outputs for name, data in part_of(found, output).items()}
    return {name: re.sub(rb'<td class="n" style="width:80px">[0-9.]+ s</td>.*', b"", data) for name, data in shown.items()}


def part_of(files: dict[str, bytes], output: str) -> dict[str, bytes]:
    """Those of one output, a file or a folder."""
    return {name: data for name, data in files.items() if name == output or name.startswith(f"{output}/")}


def started(name: str, scene: Scene, place: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "sandgrain", name, *scene.arguments]
    temporary = place.parent / "tmp"
    temporary.mkdir(exist_ok=True)
    return subprocess.Popen(command, cwd=place, env=environment(temporary), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def run(name: str, scene: Scene, place: Path) -> float:
    """Seconds of a run to its end."""
    begun = time.monotonic()
    with started(name, scene, place) as process:
        _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err.decode()
    return time.monotonic() - begun


def slow_ones(names: Sequence[str]) -> list[Any]:
    """One of the quick commands in each run of `make test`; all in the long one."""
    quick = turns([name for name in names if name in QUICK], 1)
    return [*quick, *(pytest.param(name, marks=pytest.mark.slow) for name in names if name not in QUICK)]


@pytest.mark.parametrize("name", slow_ones(list(SCENES)))
def test_31_a_killed_command_leaves_the_old_or_the_new_and_the_next_one_goes_on(name: str, tmp_path: Path) -> None:
    scene, place = SCENES[name], tmp_path / "place"
    rng = np.random.default_rng((new_seed(0), zlib.crc32(name.encode())))
    wanted, seconds = {}, 0.0
    place.mkdir()
    for number in (1, 0):  # the new one first; then the old one, over which the new one is written again
        scene.lay(place, number)
        seconds = max(seconds, run(name, scene, place))
        wanted[number] = shown(place, scene)
        if name == "targets":
            (place / "mine.toml").unlink()
    assert wanted[0] and (scene.lay is _nothing or wanted[0] != wanted[1])
    scene.lay(place, 1)
    for kept in place.rglob(".sandgrain"):  # what was trained for it before
        shutil.rmtree(kept)
    again = name != "targets"  # which never replaces a board
    for kill in range(KILLS):
        if name == "targets":
            (place / "mine.toml").unlink(missing_ok=True)
        with started(name, scene, place) as process:
            try:
                process.wait(float(rng.uniform(0.05, 1)) * seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(SIGNALS[kill % len(SIGNALS)])
            _, err = process.communicate(timeout=120)
        assert b"Traceback" not in err, err.decode()
        now = shown(place, scene)
        if again:
            for output in scene.outputs:
                known = [part_of(whole, output) for whole in wanted.values()]
                assert part_of(now, output) in known, f"{output} is neither the old nor the new one"
        else:
            assert now in ({}, wanted[1])
    if name == "targets":
        (place / "mine.toml").unlink(missing_ok=True)
    run(name, scene, place)
    assert shown(place, scene) == wanted[1]
    left = [p for p in tree(place) if any(re.match(r"\.(?!sandgrain$|gitignore$)", part) for part in Path(p).parts)]
    assert left == [], "drafts of killed runs are left"
    assert list((tmp_path / "tmp").iterdir()) == [], "temporary folders of killed runs are left"
