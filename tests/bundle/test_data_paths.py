"""A layer whose instructions depend on its input is measured over several inputs; others cost two runs and say one number."""

from __future__ import annotations

from collections.abc import Sequence

from sandgrain.bundle import measure
from sandgrain.device import targets
from sandgrain.device.cost.cycles import Cost
from sandgrain.device.run.trace import Trace
from sandgrain.graph.ir import Graph, Node, Tensor
from sandgrain.graph.quantization import per_tensor
from tests.device.test_wait_states import planned

BOARD = targets.load("cortex-m4")
GRAPH = Graph("g", (Tensor("x", (1, 8), "int8", per_tensor(0.1, 0)),), (Node("relu", "r", (0,), (0,)),), (0,), (0,))


class Core:
    """Layer 0 takes 1000 instructions, and `extra` for each byte of the input that is above zero; layer 1 always takes 500."""

    def __init__(self, extra: int) -> None:
        self.extra = extra
        self.runs: list[int] = []

    def profile(self, inputs: Sequence[bytes]) -> Trace:
        count = 1000 + self.extra * sum(b < 128 and b > 0 for b in inputs[0])
        self.runs.append(count)
        return Trace([], {0: Cost(count, 1.0 * count), 1: Cost(500, 500.0)}, Cost(10, 10.0), {}, 16)


def report(core: Core) -> measure.Report:
    traces = measure.profiles(core, GRAPH)  # type: ignore[arg-type]
    traced = measure.with_trace(planned(BOARD), traces[0], BOARD)
    return measure.with_spread(traced, measure.spread(traces), len(traces))


def test_a_dense_net_is_run_twice_and_has_one_figure() -> None:
    core = Core(0)
    found = report(core)
    assert len(core.runs) == 2
    assert found.instructions == 1510 and found.instructions_mean is None and found.layers[0].instructions_max is None
    assert found == measure.with_trace(planned(BOARD), core.profile([bytes(8)]), BOARD)


def test_a_layer_that_branches_on_its_data_has_least_mean_and_most() -> None:
    core = Core(100)
    found = report(core)
    runs = core.runs
    assert len(runs) == measure.SAMPLES and min(runs) < max(runs)
    first, second = found.layers
    assert (first.instructions, first.instructions_min, first.instructions_max) == (runs[0], min(runs), max(runs))
    assert first.instructions_mean == sum(runs) / len(runs)
    assert second.instructions_mean is None
    assert (
        found.instructions_max == max(runs) + 510
        and f"over {measure.SAMPLES} seeded inputs" in found.sources["instructions_mean"]
    )


def test_what_hardly_matters_is_not_run_again() -> None:
    core = Core(1)
    found = report(core)
    assert len(core.runs) == 2 and found.layers[0].instructions_max == max(core.runs)
