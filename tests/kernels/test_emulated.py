"""Every kernel of every op, on the cores that it is for: the emulated core's bytes equal the numpy reference's.

Ops and kernels come from the registry, so a new one is tested the day it is added. SANDGRAIN_OP_CASES sets how many cases
a kernel gets (24 by default): portable kernels share them out to M0+, M3 and RV32 (and, where they make use of DSP, get half as
many on M4); kernels for the DSP extension run all of them on M4 and an eighth on M7 and M33; those for vectors run on M55.
Cores that share cases out take turns in `make test`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sandgrain.compiler.plan import Plan, plan
from sandgrain.device import targets
from sandgrain.device.run import emulator_missing
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.signal.base import SignalOp
from sandgrain.kernels import Kernel, kernels_of
from tests.support.draws import CASES, new_seed, rare, turns
from tests.support.emulated_graphs import Case, cases, run
from tests.support.toy_firmware import compilers

SECOND = 8  # another compiler, or another core of the same kind, gets one case in this many
BATCH = 400  # cases in one firmware at most: they must fit the flash of QEMU's board
KINDS = frozenset({"dsp", "mve"})  # the features that make another kind of core
FIRST = {frozenset({"dsp"}): "cortex-m4"}  # kind: the core that gets all cases; the cores of other kinds share them out
CORES = {name: core for name in targets.cores() if (core := targets.load_core(name)).runs_firmware}


def homes(kernel: Kernel) -> dict[str, int]:
    """Core -> how many cases the kernel gets there: the simplest cores that offer what it needs."""
    able = {name: core.features & KINDS for name, core in CORES.items() if kernel.needs <= core.features}
    kind = min(able.values(), key=len)
    cores = [name for name, features in able.items() if features == kind]
    if kind in FIRST:
        return {name: CASES if name == FIRST[kind] else -(-CASES // SECOND) for name in cores}
    helped = {core: -(-CASES // 2) for features, core in FIRST.items() if kernel.helped_by >= features}
    return dict.fromkeys(cores, -(-CASES // len(cores))) | helped


def seed_of(core: str) -> int:
    """Each core draws its own cases: where the tests of this run begin to count."""
    return 1_000_000 * sorted(CORES).index(core)


def groups() -> list[tuple[str, tuple[str, ...]]]:
    """Each core with ops that share a firmware there: about BATCH cases, as a compiler run costs more than a case."""
    found: list[tuple[str, tuple[str, ...]]] = []
    for core in CORES:
        room = 0
        for op in OPS:
            count = sum(homes(kernel).get(core, 0) for kernel in kernels_of(op))
            if not count or isinstance(OPS[op], SignalOp):  # tests/frontend emulates those, on real windows
                continue
            if count > room:
                found.append((core, ()))
                room = BATCH
            found[-1] = (core, (*found[-1][1], op))
            room -= count
    return found


def drawn(op: str, core: str) -> list[Case]:
    """The cases of all kernels of `op` that are for `core`."""
    features = CORES[core].features
    wanted = {kernel.name: homes(kernel).get(core, 0) for kernel in kernels_of(op)}
    first = new_seed(seed_of(core))
    return [case for name, count in wanted.items() for case in cases(op, name, features, first, count)]


def kind(group: tuple[str, tuple[str, ...]]) -> tuple[bool, frozenset[str], tuple[str, ...]]:
    """Groups that differ in nothing but the core take turns; the first core of a kind, which gets most cases, stands alone."""
    core, ops = group
    return core in FIRST.values(), CORES[core].features & KINDS, ops


@pytest.mark.parametrize(
    ("core", "ops"), turns(groups(), same=kind), ids=lambda part: part if isinstance(part, str) else "+".join(part)
)
def test_the_kernels_equal_the_reference_on_their_core(core: str, ops: tuple[str, ...]) -> None:
    if missing := emulator_missing(targets.load(core)):
        pytest.skip(missing)
    batch = [case for op in ops for case in drawn(op, core)]
    failures = []
    for k, compiler in enumerate(compilers(core)):
        chosen = batch if k == 0 else batch[::SECOND]
        for start in range(0, len(chosen), BATCH):
            failures += [f"{compiler}: {f}" for f in run(chosen[start : start + BATCH], core, compiler).failures]
    assert not failures, f"{len(failures)} of {len(batch)} cases on {core}, the first: {failures[0]}"


@pytest.mark.parametrize(("op", "kernel"), [(op, k.name) for op in OPS for k in kernels_of(op)])
def test_every_kernel_is_drawn_as_often_as_it_is_tested(op: str, kernel: str) -> None:
    """A kernel that the samples seldom reach needs a sampler in shapes.py."""
    [chosen] = [k for k in kernels_of(op) if k.name == kernel]
    core, count = max(homes(chosen).items(), key=lambda home: home[1])
    wanted = min(count, 20)
    found = sum(1 for _ in cases(op, kernel, CORES[core].features, seed_of(core), wanted))
    assert found == wanted, f"{found} of {wanted} cases"


@rare
def test_outputs_lie_over_inputs() -> None:
    """The planner uses what kernels declare, so the cases above are run in memory that output and input share."""
    sharing: set[str] = set()
    for op in ("add", "relu", "depthwise_conv_2d", "conv_2d"):
        batch = [
            case
            for kernel in kernels_of(op)
            if kernel.needs <= CORES["cortex-m4"].features
            for case in cases(op, kernel.name, CORES["cortex-m4"].features, 7, 12)
        ]
        outcome = run(batch, "cortex-m4", compilers("cortex-m4")[0])
        assert not outcome.failures
        sharing |= {op} if outcome.in_place else set()
    assert sharing == {"add", "relu", "depthwise_conv_2d", "conv_2d"}


def test_a_kernel_that_writes_behind_its_arena_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_small(*args: Any) -> Plan:
        made = plan(*args)
        return replace(made, arena_bytes=made.arena_bytes - 4)

    monkeypatch.setattr("tests.support.emulated_graphs.plan", too_small)
    [failure] = run(list(cases("logistic", "lut_s8", frozenset(), 1, 1)), "cortex-m3", compilers("cortex-m3")[0]).failures
    assert failure.startswith("wrote behind its arena: logistic by lut_s8")
