"""The generated C on this machine in a child process with limits: what it does wrong stays there.

`HostModel` (host.py) loads C that this process wrote a moment ago; `HostProcess` runs the C of a bundle, which anybody may have edited.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandgrain.base.errors import RunError
from sandgrain.base.scratch import folder as temporary_folder
from sandgrain.base.text import printable
from sandgrain.device.run.host_child import HEAD, STATUS
from sandgrain.device.toolchain import build_shared

MEMORY = 1 << 30  # bytes of address space beside the samples: an interpreter takes some 20 MiB
BASE = 10  # seconds of computing that a run may take beside its samples
STRAY = 62  # bit of a status that says that a layer wrote what is not its own; above bit 32 its number, below the byte
PATIENCE = 8  # seconds of the clock that a second of computing may take, on a machine that is busy

# Loops over samples; after each layer that is looked at, what it left in the arena is kept, with a mark that it ran. Where samples bring
# feeds, each is then written to the arena: inputs of the layer that runs next. Guarded, a layer must leave alone what is not its own, and
# what means nothing behind it is overwritten with noise.
DRIVER = """\
#include <stdint.h>
#include <string.h>
extern int sg_infer(void);
extern const uint32_t sg_input_count, sg_input_bytes[], sg_output_count, sg_output_bytes[];
extern void *const sg_inputs[];
extern void *const sg_outputs[];
static const struct {{
    int32_t layer;
    uint32_t offset, bytes;
}} reads[] = {{
{reads}
    {{-2, 0, 0}},
}}, feeds[] = {{
{feeds}
    {{-2, 0, 0}},
}}, writes[] = {{
{writes}
    {{-2, 0, 0}},
}}, dead[] = {{
{dead}
    {{-2, 0, 0}},
}};
static uint8_t sg_kept[{guarded} + 3 * {zone}]; /* the arena and its zones as they were before the layer that runs */
static uint8_t *low, *arena, *high;          /* where what is guarded begins, where the arena, where it ends */
static uint64_t noise = 0x9E3779B97F4A7C15u;
static int64_t stray; /* 0, or what the first layer that went astray wrote */
static int guarding;
extern uint8_t sg_zone_before[];
extern uint8_t sg_zone_behind[];
uint8_t sg_zone_behind[{zone}] SG_ZONE;
static uint8_t *left; /* of this sample: a mark for each read, then the bytes */
static const uint8_t *fed; /* of this sample, 0 for none */
void sg_trace(int layer);
int64_t sg_run_all(const uint8_t *in, uint8_t *out, uint8_t *kept, int64_t samples, int64_t feeding);
static void sg_noise(uint8_t *to, uint32_t bytes)
{{
    for (; bytes >= 8u; bytes -= 8u, to += 8) {{
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        memcpy(to, &noise, 8);
    }}
    noise = noise * 6364136223846793005u + 1u;
    memcpy(to, &noise, bytes);
}}
/* The arena, and the zones around it where the linker put them there. */
static void sg_look(void)
{{
    const uintptr_t at = (uintptr_t)arena, before = (uintptr_t)sg_zone_before + {zone}, behind = (uintptr_t)sg_zone_behind;
    low = arena;
    high = arena + {guarded};
    if (before <= at && at - before < {zone} / 2 && at + {guarded} <= behind && behind - (at + {guarded}) < {zone} / 2) {{
        low = sg_zone_before;
        high = sg_zone_behind + {zone};
    }}
}}
/* Before the first layer, and behind each. */
static void sg_guard(int layer)
{{
    uint8_t *const as_it_was = sg_kept + (arena - low);
    if (layer < 0) {{
        sg_noise(low, (uint32_t)(arena - low));
        sg_noise(arena + {guarded}, (uint32_t)(high - (arena + {guarded})));
    }}
    for (uint32_t k = 0; k < {write_count}u; k++) {{
        if (writes[k].layer == layer) {{
            memcpy(as_it_was + writes[k].offset, arena + writes[k].offset, writes[k].bytes);
        }}
    }}
    if (layer >= 0 && stray == 0 && memcmp(sg_kept, low, (size_t)(high - low)) != 0) {{
        uint8_t *at = low;
        while (sg_kept[at - low] == *at) {{
            at++;
        }}
        stray = ((int64_t)1 << {stray}) + ((int64_t)layer << 32) + (at - arena) + {zone} * 2;
    }}
    for (uint32_t k = 0; k < {dead_count}u; k++) {{
        if (dead[k].layer == layer) {{
            sg_noise(arena + dead[k].offset, dead[k].bytes);
        }}
    }}
}}
static void sg_keep(void)
{{
    memcpy(sg_kept, low, (size_t)(high - low));
}}
static void sg_spoil(void) /* the arena means nothing between inferences */
{{
    sg_noise(arena, {spoiled}u);
}}
static void sg_feed(int layer)
{{
    const uint8_t *from = fed;
    for (uint32_t k = 0; from != 0 && k < {feed_count}u; k++) {{
        if (feeds[k].layer == layer) {{
            memcpy(arena + feeds[k].offset, from, feeds[k].bytes);
        }}
        from += feeds[k].bytes;
    }}
}}
void sg_trace(int layer)
{{
    uint32_t place = {count};
    for (uint32_t k = 0; k < {count}u; k++) {{
        if (left != 0 && reads[k].layer == layer) {{
            left[k] = 1;
            memcpy(left + place, arena + reads[k].offset, reads[k].bytes);
        }}
        place += reads[k].bytes;
    }}
    if (guarding) {{
        sg_guard(layer);
    }}
    sg_feed(layer);
    if (guarding) {{
        sg_keep();
    }}
}}
int64_t sg_run_all(const uint8_t *in, uint8_t *out, uint8_t *kept, int64_t samples, int64_t feeding)
{{
    stray = 0;
    arena = (uint8_t *)sg_outputs[0] - {output_offset};
    sg_look();
    for (int64_t s = 0; s < samples; s++) {{
        sg_spoil();
        for (uint32_t k = 0; k < sg_input_count; k++) {{
            memcpy(sg_inputs[k], in, sg_input_bytes[k]);
            in += sg_input_bytes[k];
        }}
        left = kept + s * {leaves};
        fed = feeding ? in : 0;
        in += feeding ? {fed_bytes} : 0;
        guarding = {guarded} != 0 && memcmp(sg_inputs[sg_input_count - 1], "\\0\\0\\0\\0", 4) == 0; /* the word that says how: as a whole */
        if (guarding) {{
            sg_guard(-1);
        }}
        sg_feed(-1);
        if (guarding) {{
            sg_keep();
        }}
        const int status = sg_infer();
        left = 0;
        fed = 0;
        if (status == 0 && stray != 0) {{
            return stray;
        }}
        if (status != 0) {{
            return status;
        }}
        for (uint32_t k = 0; k < sg_output_count; k++) {{
            memcpy(out, sg_outputs[k], sg_output_bytes[k]);
            out += sg_output_bytes[k];
        }}
    }}
    return 0;
}}
"""

ZONE = 1024  # bytes before and behind the arena that must keep their values

# Put before every source: each layer is followed by a call. The arena lies in a section of its own, between two zones: linkers keep the
# order of the sources.
TRACE = """\
extern void sg_trace(int layer);
#define SG_TRACE(layer) sg_trace(layer)
#ifdef __APPLE__
#define SG_ZONE __attribute__((section("__DATA,sg_zone"), aligned(8)))
#else
#define SG_ZONE __attribute__((section("sg_zone"), aligned(8)))
#endif
{arena}
"""

BEFORE = """\
#include <stdint.h>
extern uint8_t sg_zone_before[];
uint8_t sg_zone_before[{zone}] SG_ZONE;
"""


@dataclass(frozen=True, slots=True)
class Reads:
    """What layers leave in the arena: (layer, arena offset, bytes) in the order in which they run.

    `output_offset`: the arena offset of output 0, from which the arena's address follows. `feeds`: what can be written to it, likewise,
    after a layer; -1 is before the first one. `arena_bytes`: its size; so much is filled with noise before each sample.
    """

    places: tuple[tuple[int, int, int], ...] = ()
    output_offset: int = 0
    feeds: tuple[tuple[int, int, int], ...] = ()
    arena_bytes: int = 0
    guards: Guards | None = None

    @property
    def nbytes(self) -> int:
        """Of one sample: the marks and the bytes."""
        return len(self.places) + sum(size for _, _, size in self.places)

    @property
    def fed_bytes(self) -> int:
        """Of one sample that brings feeds."""
        return sum(size for _, _, size in self.feeds)


@dataclass(frozen=True, slots=True)
class Guards:
    """Of the arena's bytes, (layer, offset, bytes) of what each layer may write, and of what means nothing when it has run (-1: before the
    first one). They hold where a sample's last input is a word of zeros."""

    arena_bytes: int
    declared: (
        str  # C: the type and the name of the arena that NAME.c defines; "" where it is the caller's, or has a section of its own
    )
    writes: tuple[tuple[int, int, int], ...]
    dead: tuple[tuple[int, int, int], ...]
    ops: tuple[str, ...] = ()  # what each layer does, in words


UNGUARDED = Guards(0, "", (), ())


@dataclass(frozen=True, slots=True)
class Left:
    """One sample's answer. `outputs`: bytes of each. `layers`: bytes of each of `Reads.places`, None of a layer that did not run."""

    outputs: list[bytes]
    layers: list[bytes | None]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of each input and of each output of the harness."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class HostProcess:
    """A bundle's C, compiled here and run in child processes.

    `code`: NAME.c, with NAME.h and kernels/ beside it. `seconds`: of computing that one sample may take, at most.
    """

    def __init__(self, code: Path, harness_text: str, sizes: Sizes, reads: Reads, seconds: float = 1.0) -> None:
        self.code, self.sizes, self.reads, self.seconds, self.base = code, sizes, reads, seconds, BASE
        self._work = work = temporary_folder()
        weakref.finalize(self, shutil.rmtree, work, ignore_errors=True)
        guards = (reads.guards if reads.places else None) or UNGUARDED
        driver = DRIVER.format(
            reads=_table(reads.places),
            feeds=_table(reads.feeds),
            count=len(reads.places),
            feed_count=len(reads.feeds),
            leaves=reads.nbytes,
            fed_bytes=reads.fed_bytes,
            output_offset=reads.output_offset if reads.places else 0,
            writes=_table(guards.writes),
            dead=_table(guards.dead),
            write_count=len(guards.writes),
            dead_count=len(guards.dead),
            guarded=guards.arena_bytes,
            zone=ZONE,
            stray=STRAY,
            spoiled=reads.arena_bytes if reads.places else 0,
        )
        trace = TRACE.format(arena=f"extern {guards.declared} SG_ZONE;" if guards.declared else "")
        texts = {"before.c": BEFORE.format(zone=ZONE), "harness.c": harness_text, "driver.c": driver, "trace.h": trace}
        for name, text in texts.items():
            (work / name).write_text(text, "ascii")
        self._library = work / "model.so"
        self._build([work / "before.c", code, work / "harness.c", work / "driver.c"], work / "trace.h")

    def _build(self, sources: Sequence[Path], trace: Path) -> None:
        """Compile the library. `trace`: what stands before every source."""
        build_shared(sources, self._library, ["-include", str(trace)], include_dirs=[self.code.parent])

    def run(self, samples: Sequence[Sequence[bytes]], feeds: Sequence[bytes] = ()) -> list[Left]:
        """Each sample is the bytes of each input. `feeds`: of each sample, the bytes of all feeds. Raises RunError where the C crashes, does not end or returns a status."""
        sizes, reads = self.sizes, self.reads
        given, gives = sum(sizes.inputs), sum(sizes.outputs)
        given += reads.fed_bytes if feeds else 0
        pieces = ([*sample, fed] for sample, fed in zip(samples, feeds, strict=True)) if feeds else samples
        body = b"".join(b"".join(sample) for sample in pieces)
        assert len(body) == len(samples) * given
        head = HEAD.pack(len(samples), given, gives, reads.nbytes, bool(feeds), self._seconds(len(samples)))
        answer = self._ask(head + body, len(samples), gives + reads.nbytes)
        (status,) = STATUS.unpack_from(answer)
        if status >> STRAY == 1:
            raise RunError(self._strays(status >> 32 & (1 << STRAY - 32) - 1, (status & (1 << 32) - 1) - 2 * ZONE))
        if status:
            raise RunError(f"the model returned status {status} on the host")
        behind = STATUS.size + len(samples) * gives
        return [
            Left(
                _cut(answer[STATUS.size + s * gives : STATUS.size + (s + 1) * gives], sizes.outputs),
                _layers(answer[behind + s * reads.nbytes : behind + (s + 1) * reads.nbytes], reads),
            )
            for s in range(len(samples))
        ]

    def _seconds(self, samples: int) -> int:
        """Of computing, for so many samples."""
        return int(self.base + samples * self.seconds) + 1

    def _ask(self, request: bytes, samples: int, each: int) -> bytes:
        """The child's answer, of a known length."""
        seconds, whole = self._seconds(samples), STATUS.size + samples * each
        memory = MEMORY + 4 * (len(request) + whole)
        asked, answered = self._work / "request", self._work / "answer"
        asked.write_bytes(request)
        command = self._command(memory, whole, "once")
        with asked.open("rb") as stdin, answered.open("wb") as stdout, (self._work / "log").open("wb") as log:
            child = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=log, cwd=self._work, env=environment())
            try:
                code = child.wait(PATIENCE * seconds)
            except subprocess.TimeoutExpired:
                raise RunError(self._slow(samples, PATIENCE * seconds)) from None
            finally:  # an interrupt ends the child as well
                child.kill()
                child.wait()
        answer = answered.read_bytes() if code == 0 and answered.stat().st_size == whole else b""
        if not answer:
            raise RunError(self._died(code, samples, seconds))
        return answer

    def _strays(self, layer: int, at: int) -> str:
        guards = self.reads.guards or UNGUARDED
        size, op = guards.arena_bytes, f" ({guards.ops[layer]})" if layer < len(guards.ops) else ""
        where = f"byte {-at} before" if at < 0 else f"byte {at - size + 1} behind" if at >= size else f"byte {at} of"
        return (
            f"{printable(self.code.name)} on the host: layer {layer}{op} writes to {where} the arena, which is not its own; what another "
            "layer or the program keeps there would be spoilt"
        )

    def _died(self, code: int, samples: int, seconds: int) -> str:
        """Why there is no answer."""
        limits = (-getattr(signal, "SIGXCPU", 0), -getattr(signal, "SIGKILL", 0))
        return self._slow(samples, seconds) if code in limits and code else self._crashed(code)

    def _command(self, memory: int, written: int, how: str) -> list[str]:
        """Of the child. `memory`: bytes of address space; `written`: of any file; `how`: "once", or "stays"."""
        script = Path(__file__).with_name("host_child.py")
        return [sys.executable, "-I", "-S", str(script), str(self._library), str(memory), str(written), how]

    def _slow(self, samples: int, seconds: int) -> str:
        return f"{printable(self.code.name)} on the host: {samples} samples were not done in {seconds} s, so it was ended; look for an endless loop"

    def _crashed(self, code: int) -> str:
        what = f"ended with exit code {code}" if code >= 0 else f"crashed ({signal.Signals(-code).name})"
        if b"MemoryError" in (self._work / "log").read_bytes()[-2000:]:
            what = f"needs more than {MEMORY >> 20} MiB"
        return f"{printable(self.code.name)} {what} on the host; the emulated core names the layer: sandgrain verify FOLDER --on emulator"


def environment() -> dict[str, str]:
    """Nothing of ours that the C could read, but what Windows needs to start a process."""
    return {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}


def _table(places: Sequence[tuple[int, int, int]]) -> str:
    return "\n".join(f"    {{{layer}, {offset}u, {size}u}}," for layer, offset, size in places)


def _cut(row: bytes, sizes: Sequence[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(row[at : at + size])
        at += size
    return pieces


def _layers(row: bytes, reads: Reads) -> list[bytes | None]:
    pieces = _cut(row[len(reads.places) :], [size for _, _, size in reads.places])
    return [piece if mark else None for mark, piece in zip(row, pieces, strict=False)]
