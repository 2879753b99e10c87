"""The benchmark of whole builds: the examples from raw samples to the emulated board, three seeds each, and what they are held to.

    python bench/builds.py [--tasks digits gestures ...] [--jobs 2]

It trains some thirty networks: an hour or more on two cores. Projects and their stages stay in out/builds, so that a run that was
ended goes on where it was. bench/builds.json holds the figures, docs/explanation/builds.md shows them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

HERE = Path(__file__).parent
ROOT = HERE.parent
WORK = ROOT / "out" / "builds"
PATH = HERE / "builds.json"
PAGE = ROOT / "docs" / "explanation" / "builds.md"
HEADING = "## The last figures\n"  # everything below it is written by the benchmark
DATA = Path(os.environ.get("SANDGRAIN_DATA", ROOT.parent / "shared" / "data"))
SEEDS = (0, 1, 2)
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo")
DETECTORS = ("autoencoder", "gmm", "kmeans", "mahalanobis")
ENOUGH = (0, 3)  # exit codes of a build that has figures: all limits kept, or not
STRENGTHS = (3e-4, 1e-3, 3e-3, 1e-2, 1e-1)  # scikit-learn's C: the inverse of the regularization
LONG = ("cifar10", "spoken-digits")  # started first

Row = dict[str, Any]
console = Console(highlight=False, width=int(os.environ.get("COLUMNS", "150")))


@dataclass(frozen=True, slots=True)
class Job:
    """One build: an example, what is changed in its project file, and a seed. `variant`: of the project, "" for the example's own."""

    task: str
    seed: int
    variant: str = ""
    edits: tuple[tuple[str, str], ...] = ()

    @property
    def folder(self) -> Path:
        return WORK / (f"{self.task}-{self.variant}" if self.variant else self.task)


def jobs() -> Iterator[Job]:
    """Every build, the longest first."""
    for task in (*LONG, "magic-wand", "gestures", "digits"):
        yield from (Job(task, seed) for seed in SEEDS)
    for speaker in SPEAKERS:
        by = ('by = "file"', 'by = "group"')
        chosen = ('choose.test = { index = ["0", "1", "2", "3", "4"] }', f'choose.test = {{ group = ["{speaker}"] }}')
        yield from (Job("spoken-digits", seed, f"without-{speaker}", (by, chosen)) for seed in SEEDS)
    for name in DETECTORS:
        yield from (Job("machine-sound", seed, name, (('name = "autoencoder"', f'name = "{name}"'),)) for seed in SEEDS)


def prepared(job: Job) -> Path:
    """The job's project folder; made, or brought up to date, from the example's files."""
    source, folder = ROOT / "examples" / job.task, job.folder
    folder.mkdir(parents=True, exist_ok=True)
    text = (source / "sandgrain.toml").read_text("utf-8")
    for before, after in job.edits:
        if before not in text:
            raise SystemExit(f"{job.task}: its project file has no {before}")
        text = text.replace(before, after)
    (folder / "sandgrain.toml").write_text(text, "utf-8")
    if (source / "make_data.py").is_file() and not (folder / "data").is_dir():
        shutil.copy(source / "make_data.py", folder)
        subprocess.run([sys.executable, "make_data.py"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder


def build(job: Job) -> Row:
    """The figures of one build. Raises SystemExit when it has none."""
    out = job.folder / f"out-{job.seed}"
    environment = {**os.environ, "SANDGRAIN_DATA": str(DATA), "OMP_NUM_THREADS": "1"}  # one process a core
    command = [
        sys.executable,
        "-m",
        "sandgrain",
        "build",
        str(job.folder),
        "-o",
        str(out),
        "--seed",
        str(job.seed),
        "--verify",
        "1000",
        "--json",
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in ENOUGH:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise SystemExit(f"{job.folder.name}, seed {job.seed}: exit code {done.returncode}: {last}")
    found = json.loads(done.stdout)
    kept = {name: found[name] for name in FIGURES if found.get(name) is not None}
    return {"task": job.task, "variant": job.variant, "seed": job.seed, **kept}


FIGURES = (
    "accuracy_float", "accuracy_int8_after_training", "accuracy_int8_host", "accuracy", "auc_float", "auc_reference", "auc_board",
    "verified_windows", "ram_bytes", "flash_bytes", "latency_ms", "energy_uj", "instructions", "identical",
)  # fmt: skip


def logistic_regression(project: Path) -> float:
    """Accuracy of scikit-learn's logistic regression on the pixels of a project's images: on its test side.

    Trained on the training side with each strength of regularization, the best on the validation side taken, then on both.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    from sandgrain.project import inspection
    from sandgrain.project.build.samples import Samples
    from sandgrain.project.build.store import Store
    from sandgrain.project.file.load import load

    loaded = load(project)
    samples = Samples(inspection.inspect(loaded), Store(loaded.work / "build"), 0)
    x, y = {}, {}
    for side in ("train", "validation", "test"):
        pixels, y[side] = samples.features(side)
        x[side] = pixels.reshape(len(pixels), -1) / np.float32(128)

    def fitted(strength: float, *sides: str) -> LogisticRegression:
        rows = np.concatenate([x[s] for s in sides]), np.concatenate([y[s] for s in sides])
        return LogisticRegression(C=strength, max_iter=300).fit(*rows)

    best = max(STRENGTHS, key=lambda c: fitted(c, "train").score(x["validation"], y["validation"]))
    return float(fitted(best, "train", "validation").score(x["test"], y["test"]))


# --- what is asked -----------------------------------------------------------------------------------------------------

KIB = 1024


@dataclass(frozen=True, slots=True)
class Check:
    """`value` against `bar`; `most`: at most, or else at least."""

    what: str
    value: float
    bar: float
    most: bool = False

    @property
    def kept(self) -> bool:
        return self.value <= self.bar if self.most else self.value >= self.bar


def checks(rows: list[Row], baseline: float | None) -> Iterator[Check]:
    """The bars whose figures are there: the median of the seeds."""
    of = partial(figures, rows)
    for task, bar in (("spoken-digits", 0.97), ("magic-wand", 0.95), ("digits", 0.98), ("gestures", 1.0)):
        if of(task, "accuracy"):
            yield Check(f"{task}: accuracy", median(of(task, "accuracy")), bar)
    limits = (
        ("spoken-digits", "ram_bytes", 32 * KIB),
        ("spoken-digits", "flash_bytes", 96 * KIB),
        ("spoken-digits", "latency_ms", 60.0),
        ("magic-wand", "ram_bytes", 16 * KIB),
    )
    for task, name, bar in limits:
        if of(task, name):
            yield Check(f"{task}: {name}", median(of(task, name)), bar, most=True)
    left_out = [found for speaker in SPEAKERS if (found := of("spoken-digits", "accuracy", f"without-{speaker}"))]
    if len(left_out) == len(SPEAKERS):
        yield Check("spoken-digits: a speaker left out, the mean of five", fmean(map(median, left_out)), 0.75)
    if of("cifar10", "accuracy") and baseline is not None:
        yield Check("cifar10: accuracy over logistic regression's", median(of("cifar10", "accuracy")) - baseline, 0.10)
    for task in ("spoken-digits", "magic-wand", "gestures", "digits", "cifar10"):
        for name, say, bar in (
            ("accuracy", "trained in int8", 0.005),
            ("accuracy_int8_after_training", "int8 after training", 0.015),
        ):
            lost = [r["accuracy_float"] - r[name] for r in rows if r["task"] == task and not r["variant"] and name in r]
            if lost:
                yield Check(f"{task}: lost by {say}", round(median(lost), 6), bar, most=True)
    for name in DETECTORS:
        apart = [
            abs(b - r)
            for b, r in zip(of("machine-sound", "auc_board", name), of("machine-sound", "auc_reference", name), strict=True)
        ]
        if apart:
            yield Check(f"machine-sound, {name}: AUC apart, board and numpy", max(apart), 0.0005, most=True)


def figures(rows: list[Row], task: str, name: str, variant: str = "") -> list[float]:
    """One figure of every seed."""
    return [r[name] for r in rows if r["task"] == task and r["variant"] == variant and name in r]


# --- shown -------------------------------------------------------------------------------------------------------------

PERCENT = ("accuracy_float", "accuracy_int8_after_training", "accuracy_int8_host", "accuracy")
TITLES = ("project", "seed", "float", "int8 after training", "int8", "board", "AUC float / numpy / board", "RAM", "flash", "ms")


def cells(row: Row) -> tuple[str, ...]:
    share = [f"{100 * row[n]:.1f}" if n in row else "" for n in PERCENT]
    auc = " / ".join(f"{row[n]:.4f}" for n in ("auc_float", "auc_reference", "auc_board") if n in row)
    name = f"{row['task']} {row['variant']}".strip()
    return (name, str(row["seed"]), *share, auc, f"{row['ram_bytes']:,}", f"{row['flash_bytes']:,}", f"{row['latency_ms']:.1f}")


def check_cells(check: Check) -> tuple[str, ...]:
    sign = "at most" if check.most else "at least"
    return check.what, number(check.value), f"{sign} {number(check.bar)}", "kept" if check.kept else "MISSED"


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


CHECKED = ("what", "result", "bar", "")


def table(title: str, columns: Iterable[str], lines: Iterable[tuple[str, ...]]) -> None:
    made = Table(title=title, title_justify="left")
    for k, name in enumerate(columns):
        made.add_column(name, justify="left" if k == 0 else "right")
    for line in lines:
        made.add_row(*line)
    console.print(made, "")


def markdown(columns: Iterable[str], lines: Iterable[tuple[str, ...]]) -> str:
    columns = tuple(columns)
    rule = "|".join(["---", *["---:"] * (len(columns) - 1)])
    return "\n".join([f"| {' | '.join(columns)} |", f"|{rule}|", *(f"| {' | '.join(line)} |" for line in lines)])


def section(rows: list[Row], baseline: float | None) -> str:
    """The last section of docs/explanation/builds.md."""
    parts = ["Accuracies in percent of the test windows, RAM and flash in bytes:", markdown(TITLES, map(cells, rows))]
    if baseline is not None:
        parts.append(f"Logistic regression on the pixels of cifar10: {100 * baseline:.1f} %.")
    parts += ["What is asked, and the median of the seeds:", markdown(CHECKED, map(check_cells, checks(rows, baseline)))]
    return "\n" + "\n\n".join(parts) + "\n"


def text(rows: list[Row], baseline: float | None) -> str:
    lines = ",\n".join(json.dumps(row) for row in rows)
    return f'{{\n"logistic_regression": {json.dumps(baseline)},\n"rows": [\n{lines}\n]\n}}\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = list(dict.fromkeys(j.task for j in jobs()))
    parser.add_argument("--tasks", nargs="*", default=names, choices=names, metavar="TASK")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    given = parser.parse_args()
    wanted = [j for j in jobs() if j.task in given.tasks]
    for job in wanted:
        prepared(job)
    rows, failed = run(wanted, given.jobs, build)
    cifar = next((j for j in wanted if j.task == "cifar10"), None)
    os.environ["SANDGRAIN_DATA"] = str(DATA)
    baseline = logistic_regression(cifar.folder) if cifar else None
    table("Builds: from raw samples to the emulated board", TITLES, map(cells, rows))
    table("What is asked", CHECKED, map(check_cells, checks(rows, baseline)))
    for line in failed:
        console.print(line)
    if set(given.tasks) == set(names) and not failed:
        PATH.write_text(text(rows, baseline), "utf-8")
        PAGE.write_text(PAGE.read_text("utf-8").partition(HEADING)[0] + HEADING + section(rows, baseline), "utf-8")
        console.print(f"written: {PATH.name} and the tables in docs/explanation/{PAGE.name}")
    else:
        console.print(f"{PATH.name} is written by a run over everything in which nothing fails")


def run(wanted: list[Job], processes: int, make: Callable[[Job], Row]) -> tuple[list[Row], list[str]]:
    """Rows in the order of `wanted`, and what could not be built. Two seeds of a project wait for each other: they share stages."""
    rows: dict[Job, Row] = {}
    failed: list[str] = []
    groups: dict[Path, list[Job]] = {}
    for job in wanted:
        groups.setdefault(job.folder, []).append(job)

    def all_of(group: list[Job]) -> list[tuple[Job, Row | str]]:
        done: list[tuple[Job, Row | str]] = []
        for job in group:
            try:
                done.append((job, make(job)))
            except SystemExit as error:
                done.append((job, str(error)))
            told.update(task, advance=1, description=f"{job.folder.name}, seed {job.seed}")
            if not told.console.is_terminal:
                told.console.print(f"{job.folder.name}, seed {job.seed}: {done[-1][1]}")
        return done

    with Progress(console=Console(stderr=True), transient=True) as told, ThreadPoolExecutor(processes) as pool:
        task = told.add_task("builds", total=len(wanted))
        for future in as_completed([pool.submit(all_of, g) for g in groups.values()]):
            for job, result in future.result():
                if isinstance(result, str):
                    failed.append(result)
                else:
                    rows[job] = result
    return [rows[j] for j in wanted if j in rows], failed


if __name__ == "__main__":
    main()
