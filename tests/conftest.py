"""Shared by all tests: where the project lies, and the seed from which this run draws its random cases."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

import hypothesis.core
import pytest
from hypothesis import HealthCheck, settings

from tests.support.draws import RUN_SEED, has_its_turn
from tests.support.tallies import summary

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("SANDGRAIN_DATA", "SANDGRAIN_MODELS")  # where files lie; the other variables change what a run covers

# No database: a case comes from the run's seed and nothing else. No deadline: an emulated core on a busy machine is slow now and then.
settings.register_profile("drawn", database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("drawn")


def pytest_configure(config: pytest.Config) -> None:
    """Hypothesis draws from the run's seed, in every worker, unless --hypothesis-seed says otherwise."""
    if config.getoption("--hypothesis-seed", None) is None:
        hypothesis.core.global_force_seed = RUN_SEED


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A rare test whose turn it is not counts as slow in this run. Before `-m` picks."""
    for item in items:
        if item.get_closest_marker("rare") and not has_its_turn(item.nodeid):
            item.add_marker("slow")


def knobs() -> dict[str, str]:
    """The variables that change what a run covers, the seed among them."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith("SANDGRAIN_") and name not in FOLDERS}


def replay_command(nodeid: str) -> str:
    """What runs one test again on the very cases of this run."""
    settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in knobs().items())
    return f"{settings} python -m pytest {shlex.quote(nodeid)}"


def pytest_sessionstart(session: pytest.Session) -> None:
    """Print the knobs first, with -q too: a run that is killed has said its seed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:  # a worker has none
        reporter.write_line("random cases: " + " ".join(f"{name}={value}" for name, value in knobs().items()))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What became of the hostile files, a line for each format."""
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, ())]
    for line in summary(p for report in reports for p in report.user_properties):
        terminalreporter.write_line(line)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """A test that fails says how to run it again on the same cases."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        report.sections.append(("to replay", replay_command(item.nodeid)))


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def digits_model() -> Path:
    """The demo's model file."""
    return ROOT / "sandgrain" / "demo" / "digits.tflite"


@pytest.fixture(scope="session")
def digits_data() -> Path:
    """The demo's held-out images: x int8 [360, 8, 8, 1], y uint8 [360], labels."""
    return ROOT / "sandgrain" / "demo" / "digits.npz"
