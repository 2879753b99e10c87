"""Mutants of every format that is no model: each file is taken or refused in one line, in time and in 512 MiB, and nothing is left behind.

SANDGRAIN_MUTANTS sets how many of each format are tried (100 by default, 10,000 in `make test-all`).
"""

from __future__ import annotations

import json
import os
import pickle
import random
import signal
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from sandgrain.base.errors import UsageError
from tests.support import campaign
from tests.support.campaign import Format, complaint, forked, mutant, tried
from tests.support.draws import rare
from tests.support.file_mutants import FORMATS, NEVER_REFUSED
from tests.support.tallies import Tally, summary, to_json

names = pytest.mark.parametrize("name", FORMATS)
Record = Callable[[str, object], None]


@names
def test_a_mutant_is_taken_or_refused_in_one_line(name: str, record_property: Record) -> None:
    """Of mutants that are all taken, or all refused, nobody learns anything."""
    tally = campaign.run(name, forked(FORMATS[name], [*FORMATS[name].seeds()]), 100, record_property)
    assert tally.accepted >= tally.mutants / 100
    assert tally.refused >= tally.mutants / 10 or name in NEVER_REFUSED


@names
def test_the_files_that_are_mutated_are_legal(name: str, tmp_path: Path) -> None:
    form = FORMATS[name]
    for k, data in enumerate(form.seeds()):
        path = tmp_path / str(k) / form.name
        path.parent.mkdir()
        path.write_bytes(data)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            form.consume(path)


@rare
@names
def test_mutants_are_many_and_the_same_on_every_machine(name: str) -> None:
    form = FORMATS[name]
    seeds = [*form.seeds()]
    damaged = [mutant(form, seeds, k) for k in range(40)]
    assert damaged == [mutant(form, seeds, k) for k in range(40)] and len({*damaged} - {*seeds}) > 25


# --- the campaign itself: what breaks the promise is found ---------------------------------------------------------------


def form(consume: Callable[[Path], object]) -> Format:
    """Five mutants; it is the third that does it, not the first one that is tried without limits."""
    return Format("m", lambda: [b"seed"], lambda data, *_: b"%d" % random.randrange(1 << 60), consume)


def once(deed: Callable[[Path], object]) -> tuple[Format, list[int]]:
    """A format whose third file does something."""
    count = [0]

    def consume(path: Path) -> None:
        count[0] += 1
        if count[0] == 4:  # the first is the valid one
            deed(path)
        if count[0] % 2:
            raise UsageError("one line; mend it")

    return form(consume), count


def loop(path: Path) -> None:
    while True:
        pass


def deaf_loop(path: Path) -> None:
    """As native code is, which hears no signal of Python's."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPROF})
    loop(path)


def crash(path: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def wait(path: Path) -> None:
    os.mkfifo(path.parent / "pipe")
    (path.parent / "pipe").read_bytes()


def fill(path: Path) -> None:
    bytes(700 << 20)


def stray(path: Path) -> None:
    other = Path(tempfile.gettempdir()).parents[1] / "x"  # the campaign's own folder is below it
    other.touch()
    other.unlink()


def unpickle(path: Path) -> None:
    pickle.loads(pickle.dumps(time.sleep))


def litter(path: Path) -> None:
    (path.parents[1] / "tmp" / "x").touch()


@rare
@pytest.mark.parametrize(
    ("deed", "said"),
    [
        (loop, "hangs"),
        (deaf_loop, "hangs in native code"),
        (wait, "waits for something"),
        (crash, "ended with -9"),
        (fill, "MemoryError"),
        (stray, "touches what is not its own"),
        (unpickle, "pickle.find_class"),
        (litter, "leaves x"),
    ],
)
def test_the_third_of_five_files_is_blamed(deed: Callable[[Path], object], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, value in (("SECONDS", 0.1), ("LATE", 0.2), ("STUCK", 1.0 if deed is wait else 60.0), ("CHECK", 0.1)):
        monkeypatch.setattr(campaign, limit, value)
    tally = tried("x", forked(once(deed)[0], [b"seed"]), 0, 5)
    assert list(tally.found) == [campaign.new_seed(2)] and said in tally.found[campaign.new_seed(2)]
    assert tally.mutants == 5 and tally.refused + tally.accepted == 4


def fails(error: BaseException) -> Format:
    def consume(path: Path) -> object:
        raise error

    return form(consume)


def raw(message: str) -> UsageError:
    """One whose text the constructor did not clean."""
    error = UsageError()
    error.args = (message,)
    return error


@pytest.mark.parametrize(
    "error", [KeyError("x"), MemoryError(), RecursionError(), UsageError("two\nlines"), raw("\x1b"), UsageError("cannot (KeyError: x)"), SystemExit(1)]
)  # fmt: skip
def test_what_breaks_the_promise_is_told(error: BaseException, tmp_path: Path) -> None:
    assert complaint(fails(error), tmp_path / "x")
    assert not complaint(fails(UsageError("one line; mend it")), tmp_path / "x")


def test_parts_of_a_campaign_are_one_line_of_the_summary() -> None:
    """As pytest's workers send them: through JSON."""
    parts = [Tally("npz", 10, 4, 6, 1.5, 0.25, 3.0), Tally("csv", 1, 1, 0, 0.5, 0.5, 1.0), Tally("npz", 5, 5, 0, 2.0, 0.75, 2.0)]
    sent = json.loads(json.dumps([("campaign", to_json(t)) for t in parts] + [("other", 1)]))
    npz, csv = summary(sent)
    assert npz.split() == [
        "npz",
        "15",
        "mutants",
        "4",
        "s",
        "9",
        "refused",
        "cleanly",
        "6",
        "accepted",
        "worst",
        "0.75",
        "s",
        "3",
        "MiB",
    ]
    assert csv.startswith("csv ")
