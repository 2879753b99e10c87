"""Decisions over a stream: the C decides as numpy does, and the rates count what they say."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from sandgrain.base.errors import UsageError
from sandgrain.compiler.emit.parts import decide as emitted
from sandgrain.device.toolchain import build_shared
from sandgrain.graph.decisions import Event, Rule, decide, rates
from sandgrain.graph.ir import Tensor
from sandgrain.kernels import FOLDER

LABELS = 4
SCORES = Tensor("scores", (LABELS,), "int8")
FLAGS = ["-Wall", "-Wextra", "-Werror", "-Wconversion"]
RUNTIME = FOLDER / "runtime"


def in_c(rule: Rule, scores: np.ndarray, folder: Path, before: str = "") -> np.ndarray:
    """The decisions of the emitted C, with `before` in front of it."""
    text = (
        '#include <stddef.h>\n#include <stdint.h>\n#include "sg_decide.h"\n'
        + before
        + emitted.declaration("m", rule, SCORES)
        + emitted.definition("m", SCORES)
        + f"void run(const int8_t *s, int32_t n, int32_t *out);\nvoid run(const int8_t *s, int32_t n, int32_t *out)\n{{\n"
        f"    struct m_decider d = {{0}};\n    for (int32_t i = 0; i < n; i++) {{\n        out[i] = m_decide(&d, s + {LABELS} * i);\n    }}\n}}\n"
    )
    (folder / "d.c").write_text(text)
    place = folder / f"{len(list(folder.iterdir()))}.so"  # a library of the same name is not loaded again
    library = ctypes.CDLL(str(build_shared([folder / "d.c"], place, FLAGS, include_dirs=[RUNTIME])))
    out = np.zeros(len(scores), np.int32)
    data = np.ascontiguousarray(scores)
    library.run(ctypes.c_void_p(data.ctypes.data), len(scores), ctypes.c_void_p(out.ctypes.data))
    return out


@pytest.mark.parametrize(
    "rule", [Rule(), Rule(1, 0, 0), Rule(5, 3, 2), Rule(2, 40, 9), Rule(1, 255, 1), Rule(2, 8, 3, (0, 2))], ids=str
)
def test_the_c_decides_as_numpy_does(rule: Rule, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    scores = np.clip(rng.normal(0, 20, (500, LABELS)).cumsum(axis=0) * 0.2, -128, 127).astype(np.int8)
    scores[100:140] = 7  # equal scores: the first label leads by nothing
    found = decide(scores, rule)
    assert np.array_equal(found, in_c(rule, scores, tmp_path)) and not set(rule.background) & set(found.tolist())


def test_one_loud_result_does_not_decide() -> None:
    scores = np.zeros((9, LABELS), np.int8)
    scores[4, 2] = 100
    assert (decide(scores, Rule(smoothing=3, margin=40, hold=1)) == -1).all()
    scores[3:6, 2] = 100
    assert decide(scores, Rule(smoothing=3, margin=40, hold=3)).tolist().count(2) == 1


def test_a_background_label_is_led_by_others_and_never_said() -> None:
    scores = np.zeros((12, LABELS), np.int8)
    scores[:6, 1] = 100
    scores[6:, 2] = 100
    rule = Rule(smoothing=1, margin=50, hold=1, background=(1,))
    assert decide(scores, rule).tolist() == [-1] * 6 + [2] + [-1] * 5
    scores[6:, 1] = 60  # near enough to keep the other from being said
    assert (decide(scores, rule) == -1).all()


def test_every_macro_can_be_defined_before(tmp_path: Path) -> None:
    scores = np.zeros((4, LABELS), np.int8)
    scores[:, 3] = 100
    changed = "#define M_SMOOTHING 1\n#define M_MARGIN 101\n#define M_HOLD 0\n#define M_IS_BACKGROUND(label) ((label) == 9)\n"
    assert in_c(Rule(1, 5, 0, (3,)), scores, tmp_path).tolist() == [-1] * 4
    assert in_c(Rule(1, 5, 0, (3,)), scores, tmp_path, changed).tolist() == [-1] * 4
    assert in_c(Rule(1, 5, 0, (3,)), scores, tmp_path, changed.replace("101", "100")).tolist() == [3, -1, -1, -1]


def test_rates_count_false_accepts_an_hour_and_missed_events() -> None:
    times = np.arange(0, 3600, 0.5)
    found = np.full(len(times), -1)
    events = [Event(1, 10.0, 11.0), Event(1, 50.0, 51.0), Event(2, 90.0, 91.0), Event(0, 5, 6)]
    found[times == 11.0] = 1  # right
    found[times == 11.5] = 1  # the same event again: wrong, for a device would act twice
    found[times == 70.0] = 1  # wrong
    found[times == 90.5] = 3  # wrong label
    found[times == 5.5] = 0  # silence does not count
    r = rates(found, times, events, 3600.0, ignore=(0,))
    assert (r.false_accepts_per_hour, r.false_rejects, r.events) == (3.0, pytest.approx(2 / 3), 3)


def test_a_rule_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="choose"):
        Rule(smoothing=0)
    with pytest.raises(UsageError, match="give their numbers"):
        Rule(background=(-1,))
