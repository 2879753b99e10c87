"""The form in which a bundle keeps a model holds the whole of it, the order of its axes too, as text and as .tflite."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import sandgrain
from sandgrain.bundle import store
from sandgrain.compiler import passes
from sandgrain.formats import text
from sandgrain.formats.tflite import read
from sandgrain.graph.ir import Graph
from sandgrain.graph.ops import OPS
from sandgrain.graph.text import dump, parse
from tests.support.draws import SeededDraw


def graph(op: str = "max_pool_2d") -> Graph:
    return replace(OPS[op].sample(SeededDraw(4)), channels_first=True)


def unwritable() -> str:
    """An op on pictures that no .tflite has."""
    return next(
        name for name, op in OPS.items() if not op.foreign and name != "strips" and len(graph(name).tensors[0].shape) == 4
    )


def test_text_keeps_the_order_of_the_axes() -> None:
    assert parse(dump(graph(), data=True)).channels_first
    assert not parse(dump(replace(graph(), channels_first=False), data=True)).channels_first
    assert text.read(text.write(graph()), "m").channels_first


def test_a_kept_tflite_keeps_the_order_of_the_axes() -> None:
    data = text.write_any(graph())
    assert not text.is_text(data)
    assert text.read_any(data, "m").channels_first and read.read(data, "m").channels_first
    assert not text.read_any(text.write_any(replace(graph(), channels_first=False)), "m").channels_first


def test_what_is_compiled_is_what_the_kept_bytes_read_as(tmp_path: Path) -> None:
    made = sandgrain.compile(graph(), name="m", out=tmp_path / "out", target="host", measure=False)
    kept = (tmp_path / "out" / "proof" / "model.tflite").read_bytes()
    assert made.text == dump(passes.optimize(text.read_any(kept, "m")))
    assert text.read_any(kept, "m").channels_first


@pytest.mark.parametrize("writable", [True, False])
def test_a_bundle_knows_the_order_from_its_model_and_not_from_its_facts(writable: bool, tmp_path: Path) -> None:
    original = graph("max_pool_2d" if writable else unwritable())
    made = sandgrain.compile(original, out=tmp_path / "out", target="host", measure=False)
    name = "model.tflite" if writable else "model.txt"
    assert (tmp_path / "out" / "proof" / name).is_file()
    assert "channels_first" not in (tmp_path / "out" / "proof" / "build.json").read_text()
    again = store.load_bundle(made.folder)
    assert again.compiled.imported.channels_first and not again.edited


def test_a_model_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`compile` does not turn the graph that it has into bytes and read those again."""
    model = tmp_path / "m.tflite"
    model.write_bytes(text.write_any(replace(graph(), channels_first=False)))
    reads, original = [], read._subgraph

    def counted(data: bytes) -> object:
        reads.append(len(data))
        return original(data)

    monkeypatch.setattr(read, "_subgraph", counted)
    sandgrain.inspect(model)
    brought = len(reads)
    reads.clear()
    sandgrain.compile(model, out=tmp_path / "out", target="host", measure=False)
    assert len(reads) == brought
