"""Campaigns of hostile files: thousands of mutants of a format, tried in a process that may hang, crash, or ask for too much.

The process is forked (or started) once and tries one mutant after the other. Whoever started it watches: a mutant that takes too long is
blamed, the process is killed, and another one goes on behind it. So a hang or a crash in native code costs one process and is told like
any other finding.

What is measured: the seconds of that process on a core for one mutant, and the peak of its resident memory over what it
had before the first one. The hard limit is on address space: 512 MiB more than before the first mutant. Processes that a reader starts
itself (that of the onnx package) have limits of their own and count in neither.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import re
import resource
import selectors
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sandgrain.base.errors import SandgrainError
from tests.support.draws import new_seed
from tests.support.tallies import PROPERTY, Tally, to_json, told

SECONDS = 10.0  # of a core that a mutant may take
LATE = 12.0  # of a core, after which the process is killed: it is in native code, and hears no signal
STUCK = 90.0  # of the wall: the process waits for something
MIB = 512  # that a mutant may take beyond what the process has
CHECK = 1.0  # seconds between two looks at a process that says nothing
SHARED = Path("/dev/shm")  # where files cost least
ENOUGH = 5  # findings
SLIPPED = (
    "TypeError", "KeyError", "IndexError", "AttributeError", "AssertionError", "ZeroDivisionError", "RecursionError", "NameError",
    "UnboundLocalError", "please report",
)  # fmt: skip
WRITES = (
    "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.utime", "shutil.rmtree",
)  # fmt: skip

Mutate = Callable[[bytes, random.Random, Sequence[bytes]], bytes]


@dataclass(frozen=True, slots=True)
class Format:
    """`seeds`: valid files. `mutate`: damages one of them once. `consume`: takes the file at a path; raises SandgrainError where it refuses.

    `name`: of the file. `excuse`: a text with which a refusal may name an exception, where its message is known to say so.
    """

    name: str
    seeds: Callable[[], Sequence[bytes]]
    mutate: Mutate
    consume: Callable[[Path], object]
    excuse: str = "\0"


def mutant(form: Format, seeds: Sequence[bytes], seed: int) -> bytes:
    """One mutant, damaged one to four times; the same for a seed on every machine."""
    rng = random.Random(seed)
    data = seeds[seed % len(seeds)]
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = form.mutate(data, rng, seeds)
    return data


# --- one mutant ----------------------------------------------------------------------------------------------------------


class _Slow(BaseException):
    """A mutant took too long; nobody else catches it."""


def complaint(form: Format, path: Path) -> str:
    """What breaks the promise about hostile files, "" when it is kept."""
    return verdict(form.consume, path, form.excuse)[0]


def verdict(consume: Callable[[Path], object], path: Path, excuse: str = "\0") -> tuple[str, bool]:
    """(what breaks the promise about hostile files, whether the file was refused)."""
    message = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            consume(path)
    except SandgrainError as error:
        message = str(error) or "refused without a word"
    except _Slow:
        return "hangs", False
    except BaseException:  # whatever it is, it is a finding
        return traceback.format_exc(limit=-3), False
    if re.search(rf"\b({'|'.join(SLIPPED)})\b", message) and excuse not in message:
        return f"a reader slipped: {message}", True
    if message and (len(message.splitlines()) != 1 or not message.isprintable() or len(message) > 4000):
        return f"not one line: {message!r}", True
    return "", bool(message)


# --- the process that tries them -----------------------------------------------------------------------------------------


class Board:
    """What a process has done so far, in memory that it shares with the one that watches: nothing is written for each mutant.

    `done`: mutants that are behind it.
    """

    FORM = struct.Struct("<QQQdd")

    def __init__(self, path: Path) -> None:
        """A file that is made where it is missing."""
        with path.open("a+b") as file:
            file.truncate(self.FORM.size)
            self._memory = mmap.mmap(file.fileno(), self.FORM.size)

    def read(self) -> tuple[int, int, int, float, float]:
        """(done, refused, accepted, worst seconds, worst MiB)."""
        return self.FORM.unpack(self._memory[:])  # type: ignore[return-value]

    def add(self, refused: int, accepted: int, seconds: float, mib: float) -> None:
        """One mutant more."""
        done, *counts, most, largest = self.read()
        self.FORM.pack_into(
            self._memory, 0, done + 1, counts[0] + refused, counts[1] + accepted, max(most, seconds), max(largest, mib)
        )


Mutants = Iterator[tuple[int | None, bytes]]


def serve(form: Format, made: Mutants, folder: Path, out: IO[bytes]) -> None:
    """Try mutants in `folder`, in this process, which is limited for good; each finding becomes a line of JSON on `out`.

    `made`: seeds and mutants, each made when it is its turn; the first has no seed, is valid, and is tried before there are limits, so
    that imports count for nobody.
    """
    temporary, place = folder / "tmp", folder / "work"
    for path in (temporary, place):
        path.mkdir()
    tempfile.tempdir = str(temporary)
    os.environ |= {"TMPDIR": str(temporary), "XDG_CACHE_HOME": str(folder / "cache")}
    os.chdir(folder)
    board, path = Board(folder / "board"), place / form.name
    path.write_bytes(next(made)[1])
    _quietly(form.consume, path)
    seen = _Seen(folder, path)
    _limit()
    status = os.open("/proc/self/status", os.O_RDONLY)
    least = _status(status, b"VmRSS")
    for seed, data in made:
        path.write_bytes(data)
        seen.clear()
        begin = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            said, refused = verdict(form.consume, path, form.excuse)
        except _Slow:  # between two steps of the above
            said, refused = "hangs", False
        seconds, mib = time.process_time() - begin, (_status(status, b"VmHWM") - least) / 1024
        said = said or seen.stray or (f"takes {mib:.0f} MiB" if mib > MIB else "")
        if seen.made:
            said = said or (f"leaves {left[0]}" if (left := [p.name for p in temporary.iterdir()]) else "")
            shutil.rmtree(place)
            place.mkdir()
        if said:
            out.write(json.dumps({"seed": seed, "said": said[-1500:]}).encode() + b"\n")
            out.flush()
        board.add(int(refused and not said), int(not refused and not said), seconds, mib)


def _quietly(consume: Callable[[Path], object], path: Path) -> None:
    """For what it imports."""
    with suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        consume(path)


def _limit() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + (MIB << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def late(number: int, frame: object) -> None:
        raise _Slow

    signal.signal(signal.SIGPROF, late)


class _Seen:
    """What this process writes or removes. `stray`: outside of `folder`, or what it unpickles; `made`: something beside the mutant."""

    def __init__(self, folder: Path, mutant: Path) -> None:
        self.clear()
        self._here, self._inside, self._mutant = folder, f"{folder}{os.sep}", str(mutant)
        sys.dont_write_bytecode = True
        sys.addaudithook(self._see)

    def clear(self) -> None:
        self.stray, self.made = "", False

    def _see(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "pickle.find_class" or event == "os.system":
            self.stray = self.stray or f"{event} {arguments}"
        elif event in WRITES or (event == "open" and _writes(arguments[1], arguments[2])):
            for given in arguments[: 1 + (event in ("os.rename", "os.link", "os.symlink"))]:
                path = (
                    os.path.normpath(self._here / os.fsdecode(given))
                    if isinstance(given, str | bytes | os.PathLike)
                    else self._inside
                )
                if not path.startswith(self._inside) and path != os.devnull:
                    self.stray = self.stray or f"touches what is not its own: {event} {path}"
                self.made |= path != self._mutant


def _writes(mode: Any, flags: Any) -> bool:
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _status(file: int, field: bytes) -> int:
    """KiB, from this process's status. (The peak of `getrusage` begins with that of the process that started it.)"""
    found = re.search(rb"^%b:\s+(\d+) kB" % field, os.pread(file, 4096, 0), re.MULTILINE)
    assert found is not None
    return int(found[1])


# --- who watches ---------------------------------------------------------------------------------------------------------

Start = Callable[[Path, int, int], tuple[int, int]]  # (folder, first, count) -> (process, file that its lines come from)


def forked(form: Format, seeds: Sequence[bytes]) -> Start:
    """Mutants of a format, in a fork of this process."""

    def start(folder: Path, first: int, count: int) -> tuple[int, int]:
        reading, writing = os.pipe()
        child = os.fork()
        if child:
            os.close(writing)
            return child, reading
        try:
            os.close(reading)
            with os.fdopen(writing, "wb") as out:
                serve(form, _made(form, seeds, first, count), folder, out)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)

    return start


def spawned(module: str, seeds: Sequence[bytes], folder: Path) -> Start:
    """Mutants of `seeds`, in a process that runs `module` and imports nothing else. `folder`: where the seeds are put."""
    for k, data in enumerate(seeds):
        (folder / f"{k:03}").write_bytes(data)

    def start(place: Path, first: int, count: int) -> tuple[int, int]:
        reading, writing = os.pipe()
        words = [sys.executable, "-m", module, *map(str, (folder, first, count, place))]
        made = os.posix_spawn(
            sys.executable, words, {**os.environ, "OMP_NUM_THREADS": "1"}, file_actions=[(os.POSIX_SPAWN_DUP2, writing, 1)]
        )
        os.close(writing)
        return made, reading

    return start


def serve_spawned(form: Format, mutate: Callable[[Sequence[bytes], int], bytes]) -> None:
    """What a module does that `spawned` runs. `mutate`: (seeds, seed) -> a mutant."""
    folder, first, count, place = sys.argv[1:]
    seeds = [p.read_bytes() for p in sorted(Path(folder).iterdir())]

    def made() -> Mutants:
        yield None, seeds[0]
        for seed in map(new_seed, range(int(first), int(first) + int(count))):
            yield seed, mutate(seeds, seed)

    serve(form, made(), Path(place), sys.stdout.buffer)


def _made(form: Format, seeds: Sequence[bytes], first: int, count: int) -> Mutants:
    yield None, seeds[0]
    for seed in map(new_seed, range(first, first + count)):
        yield seed, mutant(form, seeds, seed)


def tried(format: str, start: Start, first: int, count: int) -> Tally:
    """Have mutants `first` on tried, and say what became of them; after some findings the rest is left.

    A process that takes too long over a mutant, or ends over it, is a finding, and another one goes on with the next mutant.
    """
    tally, at, begin = Tally(format), first, time.monotonic()
    while at < first + count and len(tally.found) < ENOUGH:
        with tempfile.TemporaryDirectory(dir=SHARED if SHARED.is_dir() else None, ignore_cleanup_errors=True) as name:
            folder = Path(name).resolve() / "own"
            folder.mkdir()
            why = _watch(tally, start(folder, at, first + count - at), Board(folder / "board"))
            done, refused, accepted, seconds, mib = Board(folder / "board").read()
            left = [path.name for path in folder.parent.iterdir() if path != folder]
        at += done
        tally.add(Tally(format, done, refused, accepted, worst_seconds=seconds, worst_mib=mib))
        why = why or (f"something was left outside: {left}" if left else "")
        if why and len(tally.found) < ENOUGH:
            tally.found[new_seed(at)] = why
            tally.mutants, at = tally.mutants + 1, at + 1
    tally.seconds = time.monotonic() - begin
    return tally


def _watch(tally: Tally, started: tuple[int, int], board: Board) -> str:
    """Take a process's findings until it ends; what is wrong with how it does, or "". It is killed where it takes too long."""
    process, file = started
    why = ""
    with os.fdopen(file, "rb", buffering=0) as stream:
        rest = b""
        for piece in _pieces(stream, process, board):
            if isinstance(piece, str):
                why = piece
                break
            *lines, rest = (rest + piece).split(b"\n")
            tally.found |= {found["seed"]: found["said"] for found in map(json.loads, lines)}
            if len(tally.found) >= ENOUGH:
                why = "enough"
                break
    if why:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return why or (f"the process ended with {code}" if code else "")


def _pieces(stream: IO[bytes], process: int, board: Board) -> Iterator[bytes | str]:
    """What a process says; a text where a mutant takes too long."""
    done, cpu, last = -1, 0.0, 0.0
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            if selector.select(CHECK):
                piece = stream.read(1 << 16)
                if not piece:
                    return
                yield piece
            if board.read()[0] != done:
                done, cpu, last = board.read()[0], _cpu(process), time.monotonic()
            elif _cpu(process) - cpu > LATE:
                yield "hangs in native code"
            elif time.monotonic() - last > STUCK:
                yield "waits for something"


def _cpu(process: int) -> float:
    """Seconds of a core that a process has taken."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


MUTANTS = int(os.environ.get("SANDGRAIN_MUTANTS", "0"))  # 0: each campaign has its own number


PARTS = range(4 if MUTANTS else 1)  # of a campaign that takes long, so that it spreads over pytest's workers


def run(format: str, start: Start, usual: int, record: Callable[[str, object], None], part: int | None = None) -> Tally:
    """A campaign as a test: `usual` mutants, or SANDGRAIN_MUTANTS of them, none of which breaks the promise.

    `record`: pytest's `record_property`; the tally gets to the summary of the session that way. `part`: one of PARTS.
    """
    count = MUTANTS or usual
    share = count if part is None else count // len(PARTS)
    tally = tried(format, start, (part or 0) * share, share)
    record(PROPERTY, to_json(tally))
    assert not tally.found, told(tally)
    return tally
