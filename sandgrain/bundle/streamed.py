"""What one result of a stream costs: a stream computes only what is new since the last one, a whole window everything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sandgrain.base.scratch import scratch
from sandgrain.bundle.measure import Build
from sandgrain.bundle.report import Report
from sandgrain.compiler.emit import bundle
from sandgrain.compiler.plan.streaming import samples_per_result
from sandgrain.device.cost import milliseconds
from sandgrain.device.run import emulator_missing, open_emulator
from sandgrain.device.run.trace import Trace
from sandgrain.device.toolchain import build_firmware

# Pushes as many samples as lie between two results. State lasts from one run to the next.
DRIVER = """\
#include "{header}"
int sg_infer(void);
extern const uint32_t sg_input_count, sg_input_bytes[], sg_output_count, sg_output_bytes[];
extern void *const sg_inputs[], *const sg_outputs[];
{memory}
static struct {name}_stream stream;
static int16_t samples[{values}];
static int32_t results[1];
static union {{ int64_t alignment; {output} values[{outputs}]; }} scores;
const uint32_t sg_input_count = 1, sg_input_bytes[] = {{sizeof samples}};
const uint32_t sg_output_count = 1, sg_output_bytes[] = {{sizeof results}};
void *const sg_inputs[] = {{samples}}, *const sg_outputs[] = {{results}};
int sg_infer(void)
{{
    static int started;
    if (!started) {{
        {name}_start(&stream);
        started = 1;
    }}
    results[0] = {name}_push({argument}&stream, samples, {count}, scores.values);
    return results[0] < 0 ? -results[0] : 0;
}}
"""
WINDOWS = 3  # a stream has its first result after one window; filters may take some samples more


def with_result(report: Report, build: Build) -> Report:
    """The report of a build that was measured, with what one result of its stream costs; as it is where there is no stream or no
    emulator that keeps its state. Raises ToolchainError or RunError."""
    board, plan = build.board, build.compiled.source.plan
    if report.cycles is None or plan.stream is None or board.core.emulator != "unicorn":
        return report
    count = samples_per_result(plan.graph, plan.stream)
    trace = None if emulator_missing(board) else _trace(build, count)
    if trace is None:
        return report
    cycles = trace.cycles * board.slowdown
    sources = {**report.sources, "result_ms": f"estimated: one push of {count} samples into a running stream, emulated"}
    return replace(
        report, result_samples=count, result_cycles=cycles, result_ms=milliseconds(cycles, board.clock_hz), sources=sources
    )


def _trace(build: Build, count: int) -> Trace | None:
    """The push that gives a result; None where `count` samples do not give one result each time."""
    graph = build.compiled.graph
    window, channels = graph.tensors[graph.inputs[0]].shape[1:]
    rng = np.random.default_rng(0)
    with scratch() as work:
        bundle.write(build.compiled.source, work / "bundle")
        (work / "driver.c").write_text(_driver(build, count, channels), "ascii")
        sources = [work / "bundle" / build.compiled.source.options.c_file, work / "driver.c"]
        elf = build_firmware(sources, [work / "bundle"], build.roomy.board, work / "driver.elf", build.toolchain)
        core = open_emulator(elf, build.roomy.board)
        for _ in range(WINDOWS * (window // count + 1)):
            sample = [rng.integers(-(2**14), 2**14, (count, channels), np.int16).tobytes()]
            if core.infer(sample)[0] != b"\0\0\0\0":
                trace = core.profile(sample)
                return trace if trace.outputs[0] == (1).to_bytes(4, "little") else None
    return None


def _driver(build: Build, count: int, channels: int) -> str:
    source, graph = build.compiled.source, build.compiled.graph
    out = graph.tensors[graph.outputs[0]]
    caller, upper = source.options.arena == "caller", source.options.name.upper()
    block = f"static union {{ int64_t alignment; uint8_t bytes[{upper}_ARENA_BYTES]; }} memory;"
    return DRIVER.format(
        header=source.options.h_file,
        name=source.options.name,
        memory=block if caller else "",
        argument="memory.bytes, " if caller else "",
        values=count * channels,
        count=count,
        output=out.dtype.c_type,
        outputs=out.units,
    )
