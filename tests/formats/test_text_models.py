"""Models as a graph's text: compiled, proven and verified like a .tflite; damaged, they cost one line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import sandgrain
from sandgrain.base.errors import ModelError, SandgrainError, UnsupportedError, UsageError
from sandgrain.bundle import store
from sandgrain.compiler import passes
from sandgrain.compiler.emit.model import Options, generate
from sandgrain.compiler.plan import plan
from sandgrain.formats import text
from sandgrain.graph import rules
from sandgrain.graph.ir import Graph
from sandgrain.graph.ops import OPS
from tests.support.draws import SeededDraw, rare

SEEDS = 3000


def nearest() -> Graph:
    """Features to one int32 score."""
    graphs = (OPS["least"].sample(SeededDraw(seed)) for seed in range(100))
    return next(g for g in graphs if g.tensors[g.outputs[0]].size == 1)


@rare
def test_a_graph_is_compiled_proven_and_verified(tmp_path: Path) -> None:
    made = sandgrain.compile(nearest(), out=tmp_path / "out", name="near", threshold=-7, optimize="size", measure=False)
    assert (made.folder / "proof" / "model.txt").read_bytes() == text.write(nearest())
    bundle = store.load_bundle(made.folder)
    assert bundle.compiled.source.options.threshold == -7 and not bundle.edited
    assert "#define NEAR_THRESHOLD (-7)\n" in (made.folder / "near.h").read_text()
    verdict = sandgrain.verify(made.folder, limit=3)
    assert verdict.identical and "emulator" in verdict.compared and verdict.scores is not None and len(verdict.scores) == 3
    assert verdict.notes[:1] == ("not compared with TensorFlow Lite Micro: it has no such model",)


def test_a_file_with_text_is_a_model(tmp_path: Path) -> None:
    path = tmp_path / "near.sgt"
    path.write_bytes(text.write(nearest()))
    made = sandgrain.compile(path, out=tmp_path / "out", measure=False)
    assert made.report.name == "near" and (made.folder / "proof" / "model.txt").is_file()


def test_a_threshold_needs_a_score(tmp_path: Path) -> None:
    graph = OPS["relu"].sample(SeededDraw(0))
    with pytest.raises(UsageError, match="a threshold for an output int8"):
        sandgrain.compile(graph, out=tmp_path / "out", threshold=3, measure=False)
    with pytest.raises(UsageError, match="choose an int32 number"):
        sandgrain.compile(nearest(), out=tmp_path / "out", threshold=1 << 31, measure=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", ['"12"', "1.5", "true", "99999999999"])
def test_a_threshold_that_is_none_makes_the_bundle_unusable(value: str, tmp_path: Path) -> None:
    made = sandgrain.compile(nearest(), out=tmp_path / "out", threshold=3, measure=False)
    path = made.folder / "proof" / "build.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "threshold": json.loads(value)}))
    with pytest.raises(UsageError):
        store.load_bundle(made.folder)


@rare
@pytest.mark.parametrize("seed", range(0, SEEDS, 50))
def test_damaged_text_costs_one_line(seed: int) -> None:
    """Bytes changed, lines dropped, doubled and swapped, numbers made huge: an error of ours, or a model that has C."""
    names = sorted(OPS)
    for k in range(seed, seed + 50):
        rng = np.random.default_rng(k)
        data = damaged(text.write(OPS[names[k % len(names)]].sample(SeededDraw(k))), rng)
        said = ""
        try:
            with rules.located("model"):  # as compile does
                graph = passes.optimize(text.read(data, "m"))
                generate(plan(graph, frozenset()), Options("m"))
        except SandgrainError as error:
            said = str(error)
        assert "\n" not in said and len(said) < 600


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    lines = data.decode().splitlines()
    for _ in range(rng.integers(1, 3)):
        at, other = (int(v) for v in rng.integers(0, len(lines), 2))
        how = rng.integers(0, 6)
        if how == 0:
            lines[at] = lines[other]
        elif how == 1:
            lines.insert(at, lines[other])
        elif how == 2 and len(lines) > 1:
            del lines[at]
            continue
        digits = [i for i, c in enumerate(lines[at % len(lines)]) if c.isdigit()]
        if how >= 3 and digits:
            line, i = lines[at], int(rng.choice(digits))
            value = str(rng.choice(["-1", "0", "7", "99999999999999999999", "1.5", "null", '"x"', "[3]", "1e400", "{}", "NaN"]))
            lines[at] = line[:i] + value + line[i + 1 :]
        elif how >= 3:
            lines[at] = lines[at][: rng.integers(0, len(lines[at]) + 1)]
    return "\n".join(lines).encode()


def test_the_bounds_of_a_text_are_named() -> None:
    deep = b'graph "x"\n%0 = relu %1 "a" {"b": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"
    with pytest.raises(ModelError, match="the graph's text is damaged"):
        text.read(deep, "m")
    with pytest.raises(UnsupportedError, match="the limit is"):
        text.read(b'graph "' + b"x" * text.MAX_TEXT, "m")
    wide = b'graph "x"\ninput %0\noutput %1\ntensor %0 int8 [99999, 99999] "a" {"scale": [1.0], "zero_point": [0]}\n'
    with pytest.raises(UnsupportedError, match="more than"):
        text.read(wide, "m")
    with pytest.raises(ModelError):
        text.read(b'graph "x"\n\xff', "m")


@pytest.mark.parametrize("op", ["conv_2d", "depthwise_conv_2d", "max_pool_2d", "average_pool_2d"])
def test_a_padding_below_zero_is_refused(op: str) -> None:
    """No kernel is made for it, and those of least code keep it in a byte."""
    whole = text.write(OPS[op].sample(SeededDraw(0)))
    changed = re.sub(rb'"padding": \[\d+, (\d+), \d+, (\d+)\]', rb'"padding": [-1, \1, 0, \2]', whole)
    assert changed != whole
    with pytest.raises(ModelError, match="takes away from its input; slice it before"):
        text.read(changed, "m")


@pytest.mark.parametrize("op", ["mish", "silu", "gelu"])
def test_a_curve_that_leaves_double_precision_is_refused(op: str) -> None:
    """Its table would hold what this computer makes of no number."""
    whole = text.write(OPS[op].sample(SeededDraw(0)))
    with pytest.raises(UnsupportedError, match="leave double precision"):
        text.read(re.sub(rb'"scale": \[[^]]+\]', b'"scale": [1e308]', whole), "m")
