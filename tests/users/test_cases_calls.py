"""Case 28, between calls: C that answers rightly at first, and otherwise when it is called again, by another way, or as a stream goes on."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import sandgrain as api
from sandgrain.bundle import sequence, store
from sandgrain.bundle.make import CompileRequest, make
from sandgrain.bundle.measure import Build
from sandgrain.compiler import pipeline
from sandgrain.compiler.emit.long_stream import signal
from sandgrain.compiler.emit.options import Options
from sandgrain.device import targets
from sandgrain.formats.text import dump
from sandgrain.graph.ops import OPS
from tests.conftest import ROOT
from tests.support.c_bundles import front
from tests.support.draws import SeededDraw, rare, turns

DIGITS = ROOT / "sandgrain" / "demo" / "digits.tflite"


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three bundles: of whole inputs, of a stream that decides, of a score with an alarm."""
    place, board = tmp_path_factory.mktemp("calls"), targets.load("cortex-m4")
    api.compile(DIGITS, target=board.name, out=place / "digits", measure=False)
    made = front(100)
    out = made.graph().tensors[made.graph().outputs[0]]
    labels = tuple(f"label {k}" for k in range(out.size))
    compiled = pipeline.compile_bytes(None, board, Options("heard"), labels, front=made)
    store.save(Build(compiled, board, title="heard"), store.Origin(None, made), place / "heard", lambda _: None)
    graphs = (OPS["least"].sample(SeededDraw(seed)) for seed in range(100))
    score = next(g for g in graphs if g.tensors[g.outputs[0]].size == 1)
    options = Options("watched", threshold=7)
    watched = CompileRequest(title="watched", out=place / "watched", board=board, options=options, measure=False)
    make(watched, score, dump(score).encode())
    return place


def edited(bundles: Path, place: Path, file: str, before: str, after: str) -> Path:
    """A copy of the bundle that `file` is of, with another text in it."""
    name = file.split("/")[0]
    copy = Path(shutil.copytree(bundles / name, place / name))
    path = place / file
    text, count = re.subn(before, lambda _: after, path.read_text(), count=1)
    assert count == 1
    path.write_text(text)
    return copy


ENTRY = r"(?<=\n\{\n)    uint8_t \*const arena = digits_arena.bytes;\n(?=    if \(input_0 == NULL)"
ARENA = "    uint8_t *const arena = digits_arena.bytes;\n"
KEPT = {
    "a result that is taken for known": (
        "digits/digits.c",
        ENTRY,
        (
            f"{ARENA}    static int32_t known = 1000;\n    if (input_0 != NULL && output_0 != NULL && known == input_0[20] * 3 + input_0[27]) {{\n"
            "        output_0[0] ^= 1;\n        return DIGITS_OK;\n    }\n"
            "    if (input_0 != NULL) {\n        known = input_0[20] * 3 + input_0[27];\n    }\n"
        ),
    ),
    "a count of calls": (
        "digits/digits.c",
        r"    return DIGITS_OK;\n",
        "    static uint32_t calls;\n    output_0[0] ^= ++calls == 13u;\n    return DIGITS_OK;\n",
    ),
    "a byte of the arena that nobody wrote": (
        "digits/digits.c",
        r"    return DIGITS_OK;\n",
        "    output_0[0] ^= old > 100u;\n    return DIGITS_OK;\n",
    ),
    "the buffer of an earlier call": (
        "digits/digits.c",
        r"    sg_copy\(output_0, ",
        "    static int8_t *first;\n    first = first == NULL ? output_0 : first;\n    sg_copy(first, ",
    ),
}
PUSHED = {
    "the order of rows behind the first window": ("heard/kernels/sg_stream.h", r"\(const uint8_t \*\)ring \+ newest", "(const uint8_t *)ring"),
    "the rows until the next result": ("heard/heard.c", r"s->wait = HEARD_STREAM_STRIDE", "s->wait = HEARD_STREAM_STRIDE + 1"),
    "rows that two streams share": ("heard/heard.c", r"sg_stream_unroll\(&heard_rows, (.*), s->features", None),
    "what a decision holds, for all deciders": ("heard/heard.c", r"&d->hold, ", "&holds, "),
    "samples that are lost where a push gives two results": ("heard/heard.c", r"        results\+\+;", "        results++;\n        if (results > 1) {\n            s->rows = 0;\n        }"),
}  # fmt: skip


@pytest.mark.parametrize("what", turns(list(KEPT), 2))
def test_28_what_is_kept_from_one_call_to_the_next_is_found(what: str, bundles: Path, tmp_path: Path) -> None:
    bundle = edited(bundles, tmp_path, *KEPT[what])
    if what.startswith("a byte"):
        text = (bundle / "digits.c").read_text()
        (bundle / "digits.c").write_text(text.replace(ARENA, f"{ARENA}    const uint32_t old = arena[11];\n", 1))
    verdict = api.verify(bundle, limit=2, on="host", oracle=False, edited=True, seed=5)
    assert not verdict.identical and verdict.difference is not None, what


@rare
@pytest.mark.parametrize("what", turns(list(PUSHED), 2))
def test_28_a_wrong_push_is_found_where_one_window_does_not_show_it(what: str, bundles: Path, tmp_path: Path) -> None:
    file, before, after = PUSHED[what]
    if after is None:  # the ring of rows in a variable of the file's
        text = (bundles / file).read_text()
        bundle = edited(bundles, tmp_path, file, "(?s).+", text.replace("s->features", "shared"))
        edited_again = (
            (bundle / "heard.c").read_text().replace("int32_t heard_push(", "static int8_t shared[4096];\nint32_t heard_push(", 1)
        )
        (bundle / "heard.c").write_text(edited_again)
    else:
        bundle = edited(bundles, tmp_path, file, before, after)
        if "holds" in after:
            text = (bundle / "heard.c").read_text()
            (bundle / "heard.c").write_text(
                text.replace("int32_t heard_decide(", "static int32_t holds;\nint32_t heard_decide(", 1)
            )
    verdict = api.verify(bundle, limit=2, on="host", oracle=False, edited=True, seed=5)
    assert not verdict.identical and verdict.difference is not None, what


def test_28_a_wrong_alarm_is_found(bundles: Path, tmp_path: Path) -> None:
    bundle = edited(bundles, tmp_path, "watched/watched.h", "score > WATCHED_THRESHOLD", "score >= WATCHED_THRESHOLD")
    verdict = api.verify(bundle, limit=1, on="host", oracle=False, edited=True)
    assert verdict.difference is not None and verdict.difference.name == "watched_is_anomaly"


def test_28_a_stream_and_its_decisions_are_the_same_here_and_on_the_core(bundles: Path) -> None:
    verdict = api.verify(bundles / "heard", limit=2)
    assert verdict.identical and verdict.compared == {"emulator": 2, "host": 2, "stream": 2}, verdict.reason
    assert verdict.calls > sequence.CALLS and "calls in drawn order" in verdict.conclusion


@rare
def test_28_a_count_of_calls_on_the_device_alone_is_found_there(bundles: Path, tmp_path: Path) -> None:
    count = "    static uint32_t calls;\n#ifdef __arm__\n    output_0[0] ^= ++calls > 3u;\n#endif\n    (void)calls;\n"
    bundle = edited(bundles, tmp_path, "digits/digits.c", r"    return DIGITS_OK;\n", f"{count}    return DIGITS_OK;\n")
    verdict = api.verify(bundle, limit=1, on="emulator", oracle=False, edited=True)
    assert verdict.difference is not None and "of one process after others" in verdict.difference.name


def test_28_the_signal_of_a_long_stream_is_that_of_the_c(tmp_path: Path) -> None:
    """Every kind of it comes, and the same seed gives the same."""
    kinds = {tuple(np.unique(np.sign(np.diff(signal(seed, 256, 1)[:, 0].astype(int))))) for seed in range(40)}
    assert len(kinds) > 1 and np.array_equal(signal(3, 600, 2), signal(3, 1200, 1).reshape(600, 2))
    assert signal(3, 512, 1).std() > 0
