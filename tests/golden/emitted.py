"""The emitted C as hashes: how the golden files beside this one are computed, compared and written.

Everything that is asked of Sandgrain stands in the section "asked of Sandgrain", so that a move of its modules touches one place.
`tools/golden_c.py` is the command, `test_emitted_c.py` the test.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from sandgrain.base.errors import SandgrainError
from sandgrain.bundle import tune
from sandgrain.compiler.emit import bundle
from sandgrain.compiler.emit.figures import Figures
from sandgrain.compiler.emit.model import Options, Source, generate
from sandgrain.compiler.pipeline import emit, planned, read
from sandgrain.compiler.plan import Choice, candidates
from sandgrain.device import targets
from sandgrain.device.run import emulator_missing
from sandgrain.formats import text
from sandgrain.graph.decisions import Rule
from sandgrain.graph.ops import OPS
from tests.support import c_bundles
from tests.support.draws import SeededDraw
from tests.support.shared_files import MODELS

HERE = Path(__file__).resolve().parent
MODEL_CORES = ("host", "cortex-m0plus", "cortex-m4", "cortex-m55", "rv32imc")
MEASURED_CORES = ("cortex-m0plus", "cortex-m4", "rv32imc")  # those whose emulator needs no program that may be missing
# Others than these: models that take seconds are measured on a Cortex-M55 as well, which needs QEMU; those that take minutes on one core.
OTHER_CORES = {
    **dict.fromkeys(("ad01_int8.tflite", "hello_world_int8.tflite"), (*MEASURED_CORES, "cortex-m55")),
    **dict.fromkeys(("pretrainedResnet_quant.tflite", "vww_96_int8.tflite"), ("cortex-m4",)),
}
OP_CORES = ("portable", "cortex-m4", "cortex-m55")
SETTINGS = ("speed", "size", "balanced")
SEEDS, FEW = 50, 10  # samples of an op: all of them, and those that `make test` has time for
QUANTIZED = ("kws_ref_model.tflite", "micro_speech_quantized.tflite", "pretrainedResnet_quant.tflite")  # beside *_int8.tflite
DIGITS = 16  # of a hash: 64 bits tell any two texts apart that will ever meet here

T = TypeVar("T")
Files = Mapping[str, str]  # relative path -> text, as a bundle lies on disk
Hashes = dict[str, str]  # entry -> hashes with blanks between them

# --- asked of Sandgrain -------------------------------------------------------------------------------------------------


def op_names() -> tuple[str, ...]:
    return tuple(OPS)


def features_of(core: str) -> frozenset[str]:
    return frozenset() if core == "portable" else targets.load(core).core.features


def graphs_of(model: bytes) -> Any:
    """A model as it is read and optimized, or None where it cannot be compiled without calibration, or at all."""
    try:
        return read(text.read_any(model, "model"), "model")
    except SandgrainError:
        return None


def bundles_of(graphs: Any, core: str, *, measure: bool) -> Iterator[tuple[str, Files]]:
    """(setting, files) of one model on one core."""
    board = targets.load(core)
    done: list[tuple[Choice, Files]] = []
    for setting in SETTINGS:
        choice = tune.choose(graphs[1], board, "zig", setting, measure=measure)
        files = next((files for known, files in done if known == choice), None)
        if files is None:
            files = bundle.files(emit(*graphs, board, Options("model"), choice).source)
            done.append((choice, files))
        yield setting, files


def op_bundles(op: str, core: str, seeds: Sequence[int], draws: Draws | None = None) -> Iterator[tuple[str, Files]]:
    """(seed and kernel, files) of an op's samples, each once with every kernel that can run it."""
    features = features_of(core)
    for seed in seeds:
        graph = OPS[op].sample(SeededDraw(seed) if draws is None else draws.begin(seed))
        (node,) = graph.nodes
        names = [kernel.name for kernel in candidates(graph, node, features, compact=True)]
        for name in names or [""]:
            choice = Choice({node.outputs[0]: name} if name else {})
            yield f"{seed:02}_{name}", bundle.files(generate(planned(graph, features, choice), Options("model")))


@cache
def part_sources() -> dict[str, Source]:
    """Name -> a bundle with optional parts of the interface: each part, and each option that changes what a part writes."""
    streaming, filters = c_bundles.streaming, ({"block": "decimate", "factor": 2}, *c_bundles.BLOCKS)
    return {
        **{name: kind.source for name, kind in c_bundles.kinds().items()},
        "alarm below zero": c_bundles.scored(Options("low", threshold=-5)),
        "sections": c_bundles.digits(Options("placed", section=".dtcm", weights_section=".ext_flash")),
        "stream with another rule": streaming(Options("ruled", rule=Rule(smoothing=5, margin=20, hold=9, background=(0, 2)))),
        "stream with filters": streaming(Options("filtered"), filters),
    }


def part_files(name: str) -> Files:
    """One of them, with figures in its header."""
    figures = Figures("model.tflite", "cortex-m4", "cortex-m4", "zig -O2", 1000, 2000, 100, 3000, "sandgrain compile")
    return bundle.files(part_sources()[name], figures)


def part_names() -> set[str]:
    """The parts that these bundles have between them."""
    return {part for source in part_sources().values() for part in source.facts}


# --- hashes -------------------------------------------------------------------------------------------------------------


def digest(*texts: str) -> str:
    found = hashlib.sha256()
    for part in texts:
        found.update(f"{len(part)} ".encode())
        found.update(part.encode())
    return found.hexdigest()[:DIGITS]


def parts_of(files: Files) -> tuple[str, str, str]:
    """Hashes of the model's .c, of its .h, and of the kernels with their names."""
    kernels = [text for name in sorted(files) if name.startswith("kernels/") for text in (name, files[name])]
    ((body,), (header,)) = (
        [text for name, text in files.items() if "/" not in name and name.endswith(suffix)] for suffix in (".c", ".h")
    )
    return digest(body), digest(header), digest(*kernels)


class Draws(SeededDraw):
    """A seeded drawer that hashes what it has given, so that changed samples are told apart from changed C."""

    def __init__(self) -> None:
        super().__init__(0)
        self._hash = hashlib.sha256()

    def begin(self, seed: int) -> Draws:
        super().__init__(seed)
        return self

    def _kept(self, value: T) -> T:
        self._hash.update(value.tobytes() if hasattr(value, "tobytes") else f"{value!r};".encode())
        return value

    def integer(self, low: int, high: int) -> int:
        return self._kept(super().integer(low, high))

    def choice(self, options: Sequence[T]) -> T:
        return options[self._kept(super().choice(range(len(options))))]

    def real(self, low: float, high: float) -> float:
        return self._kept(super().real(low, high))

    def array(self, shape: Sequence[int], low: int, high: int, dtype: str = "int8") -> Any:
        return self._kept(super().array(shape, low, high, dtype))

    def digest(self) -> str:
        return self._hash.hexdigest()[:DIGITS]


def cores_of(name: str, *, measure: bool) -> tuple[str, ...]:
    """The cores that a model's C is frozen for, without those that it would be measured on and that cannot be emulated here."""
    if not measure:
        return MODEL_CORES
    return tuple(c for c in OTHER_CORES.get(name, MEASURED_CORES) if not emulator_missing(targets.load(c)))


def model_hashes(name: str, *, measure: bool) -> Hashes:
    """ "core setting" -> hashes of model.c, model.h and the kernels; empty where the model does not compile."""
    graphs = graphs_of(model_bytes(name))
    if graphs is None:
        return {}
    return {
        f"{core} {setting}": " ".join(parts_of(files))
        for core in cores_of(name, measure=measure)
        for setting, files in bundles_of(graphs, core, measure=measure)
    }


def op_hashes(op: str, *counts: int) -> Hashes:
    """ "core count" -> how many bundles the first `count` samples give, and hashes of what was drawn, of all model.c, of all model.h, and
    of all kernels. `counts` ascend."""
    found = {}
    for core in OP_CORES:
        draws, cases, bodies, headers, kernels = Draws(), 0, "", "", ""
        for first, count in zip((0, *counts), counts, strict=False):
            for case, files in op_bundles(op, core, range(first, count), draws):
                body, header, used = parts_of(files)
                cases, bodies = cases + 1, digest(bodies, case, body)
                headers, kernels = digest(headers, header), digest(kernels, used)
            found[f"{core} {count}"] = f"{cases} {draws.digest()} {bodies} {headers} {kernels}"
    return found


def part_hashes(name: str) -> Hashes:
    """ "portable" -> hashes of a bundle's .c, of its .h, and of its kernels."""
    return {"portable": " ".join(parts_of(part_files(name)))}


# --- the golden files ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Golden:
    """One golden file: what its entries are made from, and what the hashes of an entry stand for."""

    file: Path
    words: tuple[str, ...]
    names: Callable[[], tuple[str, ...]]
    hashes: Callable[[str], Hashes]

    def read(self) -> dict[str, Hashes]:
        return json.loads(self.file.read_text("ascii")) if self.file.is_file() else {}

    def write(self, entries: Mapping[str, Hashes]) -> None:
        self.file.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n", "ascii")


def models() -> dict[str, Path]:
    """Name -> path of every .tflite beside the project; wild ones begin with wild/."""
    return {path.relative_to(MODELS).as_posix(): path for path in sorted(MODELS.rglob("*.tflite"))}


def measured_models() -> tuple[str, ...]:
    """The models whose kernels are also chosen by measuring: wild ones would take hours."""
    return tuple(name for name in models() if ("/" not in name and "int8" in name) or name in QUANTIZED)


@cache
def model_bytes(name: str) -> bytes:
    return models()[name].read_bytes()


def with_file(name: str, *, measure: bool) -> Hashes:
    """The hashes of a model's C, and "file" -> the hash of the model itself."""
    return {"file": file_hash(name), **model_hashes(name, measure=measure)}


def file_hash(name: str) -> str:
    return hashlib.sha256(model_bytes(name)).hexdigest()


MODEL_WORDS = ("model.c", "model.h", "kernels")
BUNDLES = Golden(HERE / "bundles.json", MODEL_WORDS, lambda: tuple(models()), lambda name: with_file(name, measure=False))
MEASURED = Golden(HERE / "measured.json", MODEL_WORDS, measured_models, lambda name: with_file(name, measure=True))
PARTS = Golden(HERE / "parts.json", MODEL_WORDS, lambda: tuple(part_sources()), part_hashes)
OPS_GOLDEN = Golden(HERE / "ops.json", ("cases", "samples", *MODEL_WORDS), op_names, lambda op: op_hashes(op, FEW, SEEDS))


def changes(golden: Golden, name: str, old: Hashes, new: Hashes) -> list[str]:
    """What differs between the frozen and the present hashes of `name`, a line for each kind of change; nothing where they agree."""
    if old.get("file") != new.get("file"):
        return [f"{name}: the model's file is another one"]
    entries: dict[str, list[str]] = {}
    for entry in sorted(old.keys() | new.keys()):
        if old.get(entry) != new.get(entry):
            entries.setdefault(_change(golden, old.get(entry), new.get(entry)), []).append(entry)
    return [
        f"{name}: {change} ({', '.join(where) if where != sorted(new.keys() - {'file'}) else 'all'})"
        for change, where in entries.items()
    ]


def _change(golden: Golden, old: str | None, new: str | None) -> str:
    if old is None or new is None:
        return "new" if old is None else "no longer there"
    pairs = zip(golden.words, old.split(), new.split(), strict=True)
    return f"{', '.join(word for word, a, b in pairs if a != b)} changed"
