"""One bundle of every kind that a firmware author may be given, each under a prefix of its own, and calls of all that it offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sandgrain.compiler import pipeline
from sandgrain.compiler.emit.model import Options, Source, generate
from sandgrain.compiler.plan import plan
from sandgrain.device import targets
from sandgrain.frontend.blocks import parse
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.frontend.pipeline import Normalization, Pipeline
from sandgrain.frontend.signal import Channel, Signal
from sandgrain.graph.numbers import Number
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import per_tensor
from tests.conftest import ROOT
from tests.support.c_programs import mixed_graph
from tests.support.draws import SeededDraw

DIGITS = (ROOT / "sandgrain" / "demo" / "digits.tflite").read_bytes()
AUDIO = Signal("audio", (400, 1), 2000.0, (Channel("sound pressure", "Pa", 20.0),))
PEAKS = replace(AUDIO, channels=(replace(AUDIO.channels[0], centres=True),))
Blocks = Sequence[Mapping[str, Any]]
BLOCKS: Blocks = ({"block": "log-mel", "window_ms": 64, "hop_ms": 50, "bands": 4},)


@dataclass(frozen=True)
class Kind:
    """`source`: a bundle's C. `calls`: statements of C and C++ that use every function of its header; `status` is an int."""

    source: Source
    calls: str


def front(stride: int, blocks: Blocks = BLOCKS, signal: Signal = AUDIO) -> FrontEnd:
    """A few rows of log-mel features, int8; with `stride` samples from one result of a stream to the next."""
    return FrontEnd(Pipeline(signal, parse(list(blocks))), Normalization((0.0,), (1.0,)), stride)


def streaming(options: Options, blocks: Blocks = BLOCKS, signal: Signal = AUDIO) -> Source:
    """Features as a stream, a label for each of them, so that the stream also decides."""
    made = front(100, blocks, signal)
    out = made.graph().tensors[made.graph().outputs[0]]
    labels = tuple(f"label {k}" for k in range(out.size))
    return pipeline.compile_bytes(None, targets.load("host"), options, labels, front=made).source


def digits(options: Options, labels: tuple[str, ...] = ()) -> Source:
    return pipeline.compile_bytes(DIGITS, targets.load("host"), options, labels).source


def scored(options: Options) -> Source:
    """One int32 score."""
    graphs = (OPS["least"].sample(SeededDraw(seed)) for seed in range(100))
    graph = next(g for g in graphs if g.tensors[g.outputs[0]].size == 1)
    return generate(plan(graph, ()), options)


def numbered(options: Options) -> Source:
    """One int32 that stands for a number."""
    graphs = (OPS["dense_sum"].sample(SeededDraw(seed)) for seed in range(1000))
    graph = next(g for g in graphs if g.tensors[g.outputs[0]].size == 1)
    out = replace(graph.tensors[graph.outputs[0]], quant=per_tensor(0.0003, 0))
    return generate(plan(replace(graph, tensors=(*graph.tensors[:-1], out)), ()), options)


ARENA = "static union { int64_t alignment; uint8_t bytes[%s_ARENA_BYTES]; } memory;\n"
STREAM = """\
static struct {name}_stream stream;
static int16_t samples[{upper}_INPUT_0_SIZE];
static int8_t scores[{upper}_OUTPUT_0_SIZE];
static struct {name}_decider decider;
samples[0] = {name}_sample_0(1.5f);
{name}_start(&stream);
status |= {name}_push({memory}&stream, samples, 400, scores) != 1;
status |= {name}_classify({memory}&stream, samples, scores) != {upper}_OK;
status |= {name}_decide(&decider, scores) != -1;
status |= {name}_labels[{upper}_LABEL_COUNT - 1][0] != 'l';
"""
DIGIT = """\
static int8_t x[{upper}_INPUT_0_SIZE], y[{upper}_OUTPUT_0_SIZE];
x[0] = {name}_quantize_input_0(0.5f);
status |= {name}_run({memory}x, y) != {upper}_OK;
status |= {name}_dequantize_output_0(y[0]) > 1.0f;
status |= {name}_run({memory}x, 0) != {upper}_ERROR_NULL;
"""


@cache
def kinds() -> dict[str, Kind]:
    """Name of a kind -> one bundle of it."""
    mixed = generate(plan(mixed_graph(), ()), Options("mixed"))
    return {
        "plain": Kind(digits(Options("plain")), DIGIT.format(name="plain", upper="PLAIN", memory="")),
        "caller arena": Kind(
            digits(Options("lent", "caller")),
            ARENA % "LENT" + DIGIT.format(name="lent", upper="LENT", memory="memory.bytes, "),
        ),
        "labels": Kind(
            digits(Options("named"), tuple("0123456789")),
            "status |= named_labels[NAMED_LABEL_COUNT - 1][0] != '9';\n" + DIGIT.format(name="named", upper="NAMED", memory=""),
        ),
        "float ports": Kind(
            mixed,
            "static float x[30], y[30];\nstatic int8_t a[30], b[30], c[30];\n"
            "status |= mixed_run(x, a, y, b, c) != MIXED_OK;\nMIXED_INPUT_0_SLOT[0] = 1.0f;\n",
        ),
        "stream and decide": Kind(streaming(Options("heard")), STREAM.format(name="heard", upper="HEARD", memory="")),
        "stream, caller arena": Kind(
            streaming(Options("pushed", "caller")),
            ARENA % "PUSHED" + STREAM.format(name="pushed", upper="PUSHED", memory="memory.bytes, "),
        ),
        "stream around peaks": Kind(
            streaming(Options("centred"), signal=PEAKS),
            STREAM.format(name="centred", upper="CENTRED", memory="")
            + "samples[CENTRED_WINDOW_SAMPLES / 2] = 9;\nstatus |= centred_is_centred(samples) != 1;\n",
        ),
        "alarm": Kind(
            scored(Options("watched", threshold=2147483646)),
            "static int32_t x[WATCHED_INPUT_0_SIZE];\nstatic int32_t score[1];\n"
            "status |= watched_run(x, score) != WATCHED_OK;\nstatus |= watched_is_anomaly(score[0]) != 0;\n",
        ),
        "number": Kind(
            numbered(Options("gauged", number=Number(1000, -250, "mg/m3"))),
            "static int8_t x[GAUGED_INPUT_0_SIZE];\nstatic int32_t sum[1];\n"
            "status |= gauged_run(x, sum) != GAUGED_OK;\nstatus |= gauged_number(0) != -250 || GAUGED_NUMBER_PARTS != 1000;\n",
        ),
    }


def main_text(made: dict[str, Kind]) -> str:
    """A program, C and C++ alike, that uses everything of every bundle and returns 0 where all of it answers as it should."""
    blocks = "".join(f"    {{ /* {name} */\n{kind.calls}    }}\n" for name, kind in made.items())
    includes = "".join(f'#include "{kind.source.options.h_file}"\n' for kind in made.values())
    return f"{includes}int main(void)\n{{\n    int status = 0;\n{blocks}    return status;\n}}\n"
