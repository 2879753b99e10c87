"""A kind of data is one file: what is true of it is asked there, and a new one is found by looking."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sandgrain.dataset import kinds, quality
from sandgrain.dataset.records import Record
from tests.conftest import ROOT

THERMAL = '''\
"""Heat: int16 [samples, channels], slowly."""

from sandgrain.dataset.kinds.motion import Motion


class Thermal(Motion):
    """Everything as motion has it, but for what is silent."""

    name = "thermal"
    noun = "curves"
    silent_rule = "never above zero"

    def is_silent(self, samples, rate):
        return bool((samples <= 0).all())


KIND = Thermal()
'''


@pytest.fixture
def thermal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[kinds.Kind]:
    (tmp_path / "thermal.py").write_text(THERMAL)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path)])
    kinds.kinds.cache_clear()
    yield kinds.of("thermal")
    monkeypatch.undo()
    kinds.kinds.cache_clear()
    sys.modules.pop("sandgrain.dataset.kinds.thermal", None)


def test_kinds_are_found_by_looking() -> None:
    assert kinds.names() == ("audio", "image", "motion")


def test_a_new_kind_is_judged_and_shown_by_its_own_file(thermal: kinds.Kind) -> None:
    assert kinds.names() == ("audio", "image", "motion", "thermal")
    cold = np.full((64, 1), -5, np.int16)
    cold[::2] = -900
    records = [Record(f"{k}", "a", "", "thermal", (64, 1), 10.0, f"{k}") for k in range(2)]
    warm = -cold
    facts = quality.measure(records, lambda r: cold if r.key == "0" else warm)
    judged = quality.judge(records, facts, dict.fromkeys(("duplicates", "conflicts", "silent", "constant", "clipped"), "keep"))
    silent = next(f for f in judged.findings if f.topic == "silent")
    assert (silent.count, silent.rule) == (1, "never above zero")
    assert "<svg" in thermal.picture(warm, 10.0) and thermal.fingerprint(warm, 10.0).dtype == np.float32


def test_nobody_above_compares_a_kind_with_a_word() -> None:
    """A comparison with a literal is a fact about a kind that its file should say. Readers say what they read."""
    word = re.compile(r"""kind\s*(?:==|!=|in)\s*\(?["'](?:audio|motion|image)|["'](?:audio|motion|image)["']:""")
    files = [p for part in ("dataset", "project", "cli") for p in (ROOT / "sandgrain" / part).rglob("*.py")]
    hits = {p.relative_to(ROOT / "sandgrain").as_posix() for p in files if word.search(p.read_text("utf-8"))}
    assert hits == LEFT


LEFT = {
    "project/file/look.py",  # a first guess from the names of files
}
