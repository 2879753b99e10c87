"""A broken graph costs one line, whatever is broken, and with assertions switched off as well."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sandgrain.formats import text
from sandgrain.formats.tflite import write
from sandgrain.graph import rules
from sandgrain.graph.ops import OPS
from tests.support.command import environment, sandgrain
from tests.support.draws import SeededDraw, new_seed, rare
from tests.support.hostile_graphs import verdicts

COUNT = 250  # graphs of one test
CHUNKS = range(0, 2000, COUNT)


@pytest.mark.parametrize("first", CHUNKS)
def test_the_rules_answer_every_broken_graph(first: int) -> None:
    """An assertion, or any other exception that is not ours, would be a rule that is missing where a graph is read."""
    start = new_seed(first)
    said = enumerate(verdicts(start, COUNT), start)
    wrong = {seed: v for seed, v in said if v.startswith("!") or "please report" in v or len(v.splitlines()) > 1}
    assert wrong == {}


@rare
def test_the_rules_hold_without_assertions(tmp_path: Path) -> None:
    first, count = 5000, 400
    done = subprocess.run(
        [sys.executable, "-O", "-m", "tests.support.hostile_graphs", str(first), str(count)],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert [json.loads(line) for line in done.stdout.splitlines()] == list(verdicts(first, count))


def _text_of(op: str, old: str, new: str) -> bytes:
    data = text.write(OPS[op].sample(SeededDraw(0))).decode()
    assert old in data
    return data.replace(old, new).encode()


FILES = {
    "an input that is absent": (
        "m.txt",
        lambda: _text_of("weighted_distance", "weighted_distance %0, %1", "weighted_distance none, %1"),
    ),
    "a type that does not exist": ("m.txt", lambda: _text_of("relu", " int8 ", " int3 ")),
    "strips that are no graph": ("m.txt", lambda: _text_of("relu", '= relu %0 "relu" {', '= strips %0 "relu" {"graph": 1.5')),
    "a file that ends early": ("m.tflite", lambda: write.write(OPS["conv_2d"].sample(SeededDraw(1)))[:-200]),
    "a file of zeros": ("m.tflite", lambda: bytes(500)),
    "an archive that is none": ("m.keras", lambda: b"PK\x03\x04" + bytes(200)),
}


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_costs_one_line_without_assertions(name: str, tmp_path: Path) -> None:
    file, data = FILES[name]
    place = tmp_path / "here"
    place.mkdir()
    (place / file).write_bytes(data())
    done = sandgrain("inspect", file, cwd=place, env={"PYTHONOPTIMIZE": "1"})
    assert done.code == 2 and done.line


def test_a_failed_assertion_is_not_taken_for_a_broken_model() -> None:
    with pytest.raises(AssertionError), rules.located("layer 0"):
        raise AssertionError("a mistake of ours")
