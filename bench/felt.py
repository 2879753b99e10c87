"""What users feel: seconds until the tool answers, and how fast the emulator proves. `python bench/felt.py` measures it alone.

The figures depend on the machine, so they are printed and not kept.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import costs
import jobs
from bars import BARS, Check

import sandgrain
from sandgrain.bundle.tune import Goal
from sandgrain.compiler import passes
from sandgrain.device import targets
from sandgrain.formats import text

RUNS = 5  # of a command; the fastest counts, as other work on the machine only slows
MODEL, CORE = "kws_ref_model", "cortex-m4"
GOAL: Goal = "balanced"
FEW, MANY = 4, 24  # samples: what verify takes for the others holds neither the build nor the start
IMPORT = "import time, numpy\nstart = time.perf_counter()\nimport sandgrain\nprint(time.perf_counter() - start)"


def measure() -> list[Check]:
    """All figures; about a minute and a half on two cores."""
    compiled = jobs.compile_seconds([MODEL], [GOAL], CORE)[MODEL, GOAL]
    return [
        Check("seconds of sandgrain --help", help_seconds(), None),
        Check("seconds of import sandgrain, numpy's left out", import_seconds(), BARS["felt"]["import_seconds"]["bar"]),
        Check(f"{MODEL} seconds to compile, nothing measured before", compiled, None),
        Check(f"{MODEL} emulated instructions per second in verify", verify_rate(), None, at_least=True),
        *cost_rates(),
    ]


def cost_rates() -> list[Check]:
    """Calls per second of the cost function: what a search over models waits for."""
    graph = passes.optimize(text.read_any(jobs.model_path(MODEL).read_bytes(), MODEL))
    known, new = costs.rates(graph, targets.load(CORE))
    return [
        Check(f"{MODEL} calls per second of costs.cost, known graph", known, None, at_least=True),
        Check(f"{MODEL} calls per second of costs.cost, new weights", new, None, at_least=True),
    ]


def help_seconds() -> float:
    """Seconds from the command to the end of its help page."""

    def once() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "sandgrain", "--help"], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start

    return min(once() for _ in range(RUNS))


def import_seconds() -> float:
    """Seconds of `import sandgrain` in a new process that has numpy already."""

    def once() -> float:
        return float(subprocess.run([sys.executable, "-c", IMPORT], check=True, capture_output=True, text=True).stdout)

    return min(once() for _ in range(RUNS))


def verify_rate() -> float:
    """Emulated instructions per second of `verify` for each further sample, whose reference and host run are included."""
    with tempfile.TemporaryDirectory(prefix="sandgrain-bench-") as work:
        folder = Path(work) / "out"
        report = sandgrain.compile(jobs.model_path(MODEL), target=CORE, out=folder, optimize=GOAL).report
        seconds = [min(_verify(folder, count) for _ in range(2)) for count in (FEW, MANY)]
    assert report.instructions
    return (MANY - FEW) * report.instructions / (seconds[1] - seconds[0])


def _verify(folder: Path, count: int) -> float:
    start = time.perf_counter()
    assert sandgrain.verify(folder, limit=count, oracle=False).identical
    return time.perf_counter() - start


def show(found: list[Check]) -> None:
    for check in found:
        print(f"{check.what}: {check.text(check.value)} (bar {check.text(check.bar)}, {check.verdict(check.bar)})")


if __name__ == "__main__":
    show(measure())
