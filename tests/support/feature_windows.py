"""Feature blocks on real windows: the numpy reference, the C on this machine, and the firmware on emulated cores."""

from __future__ import annotations

import os
import tempfile
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from sandgrain.bundle import on_host
from sandgrain.compiler.emit import bundle
from sandgrain.compiler.emit.model import Options, Source, generate, harness
from sandgrain.compiler.plan import plan
from sandgrain.device import targets
from sandgrain.device.run import open_emulator
from sandgrain.device.run.trace import Trace
from sandgrain.device.run.unicorn_core import Emulator
from sandgrain.device.toolchain import Toolchain, build_firmware
from sandgrain.graph import interpret, rules
from sandgrain.graph.ir import Array, Graph
from tests.support.draws import CASES, new_seed
from tests.support.shared_files import DATA

CORES = ("cortex-m0plus", "cortex-m4", "rv32imc")
AT_ONCE = 1 if CASES <= 100 else len(CORES)  # a run of `make test` draws one for each check
WINDOWS = int(os.environ.get("SANDGRAIN_SIGNAL_WINDOWS", "50"))  # on each emulated core; 1000 always run on the host


def source_of(graph: Graph, core: str) -> Source:
    rules.check(graph)
    return generate(plan(graph, targets.load(core).core.features), Options("front"))


@contextmanager
def emulated(graph: Graph, core: str, compiler: str = "zig", opt: str = "-O2") -> Iterator[Emulator]:
    """The graph's firmware on an emulated core: `infer([window])`, `profile([window])`."""
    source = source_of(graph, core)
    with tempfile.TemporaryDirectory(prefix="sandgrain-signal-") as work:
        folder = Path(work)
        bundle.write(source, folder)
        (folder / "harness.c").write_text(harness(source), "ascii")
        elf = build_firmware(
            [folder / source.options.c_file, folder / "harness.c"],
            [folder],
            targets.load(core),
            folder / "f.elf",
            Toolchain(compiler, opt),
        )
        core_ = open_emulator(elf, targets.load(core))
        assert isinstance(core_, Emulator)
        yield core_


def profile(graph: Graph, window: Array, core: str = "cortex-m4", opt: str = "-O2") -> Trace:
    """One window on an emulated core: instructions by layer and function (exact), stack."""
    with emulated(graph, core, opt=opt) as emulator:
        return emulator.profile([window])


def check_everywhere(graph: Graph, windows: Sequence[Array], cores: Sequence[str] = (), emulate: int = WINDOWS) -> None:
    """Byte for byte: the numpy reference of all `windows` (one input, one or more outputs) = the C on the host; and the
    first `emulate` of them, spread evenly over all, = the firmware on each core, or on those that this run draws."""
    assert len(graph.inputs) == 1
    tensor = graph.tensors[graph.inputs[0]]
    stack = np.stack([np.ascontiguousarray(w).reshape(tensor.shape) for w in windows])
    assert stack.dtype == np.dtype(tensor.dtype)
    expected = [interpret.run(graph, [w]) for w in stack]
    host = on_host.loaded(source_of(graph, "host")).run([stack])
    for k in range(len(expected[0])):
        assert np.array_equal(np.stack([e[k] for e in expected]), host[k]), f"output {k}: host C differs from numpy"
    chosen = np.unique(np.linspace(0, len(stack) - 1, min(emulate, len(stack))).astype(int))
    drawn = np.random.default_rng(new_seed(sum(map(ord, graph.nodes[-1].op)) + len(graph.nodes))).permutation(len(CORES))
    for core in cores or [CORES[k] for k in drawn[:AT_ONCE]]:
        with emulated(graph, core) as emulator:
            for i in chosen:
                outputs = emulator.infer([stack[i]])
                assert [e.tobytes() for e in expected[i]] == outputs, f"window {i} differs on {core}"


# --- real windows ------------------------------------------------------------------------------------------------------


def _folder(name: str) -> Path:
    if not (DATA / name).is_dir():
        pytest.skip(f"no {name} beside the project; name the folder that has it in SANDGRAIN_DATA")
    return DATA / name


@cache
def _speech() -> Array:
    """Every fifth recording of fsdd, int16 at 8 kHz, one after another."""
    parts = []
    for path in sorted(_folder("fsdd").glob("*.wav"))[::5]:
        with wave.open(str(path)) as file:
            parts.append(np.frombuffer(file.readframes(file.getnframes()), "<i2"))
    return np.concatenate(parts).astype(np.int16)


def audio_windows(samples: int, count: int = 1000) -> Array:
    """int16 [count, 1, samples, 1] of real speech at 8 kHz, spread evenly over the recordings (they may overlap)."""
    speech = _speech()
    starts = np.linspace(0, len(speech) - samples, count).astype(int)
    return np.stack([speech[s : s + samples] for s in starts]).reshape(count, 1, samples, 1)


def motion_windows(samples: int, count: int = 1000) -> Array:
    """int16 [count, 1, samples, 6] of real IMU data at 119 Hz: 32768 is 4 g (first three), 2000 degrees/s (last three)."""
    rows = np.concatenate([np.genfromtxt(p, delimiter=",", skip_header=1) for p in sorted(_folder("gestures").glob("*.csv"))])
    counts = np.clip(np.round(rows / np.array([4, 4, 4, 2000, 2000, 2000]) * 32768), -32768, 32767).astype(np.int16)
    starts = np.linspace(0, len(counts) - samples, count).astype(int)
    return np.stack([counts[s : s + samples] for s in starts]).reshape(count, 1, samples, 6)


def images(count: int = 1000) -> Array:
    """uint8 [count, 1, 32, 32, 3] RGB from cifar10's training folder, spread evenly over the classes."""
    from PIL import Image

    paths = sorted(_folder("cifar10").glob("train/*/*.jpg"))
    chosen = [paths[i] for i in np.linspace(0, len(paths) - 1, count).astype(int)]
    return np.stack([np.asarray(Image.open(p).convert("RGB"), np.uint8) for p in chosen]).reshape(count, 1, 32, 32, 3)
