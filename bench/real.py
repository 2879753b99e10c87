"""The benchmark of real recordings: public data sets put through init and build as a user would, cross-validated, without helper code.

    python bench/real.py [--sets fan_accel arabic_commands ...]

Each set is copied as it lies; `sandgrain init` writes its project file, and what a user would have to correct in it is listed here, a
line of the file each. Then `sandgrain build` with folds trains and judges it. A set takes minutes; stages stay in out/real, so that a
run that was ended goes on where it was. bench/real.json holds the last figures of each set, docs/explanation/real.md shows them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

import sandgrain
from sandgrain.base.errors import SandgrainError

HERE = Path(__file__).parent
ROOT = HERE.parent
WORK = ROOT / "out" / "real"
PATH = HERE / "real.json"
PAGE = ROOT / "docs" / "explanation" / "real.md"
HEADING = "## The last figures\n"  # everything below it is written by the benchmark
DATA = Path(os.environ.get("SANDGRAIN_DATA", ROOT.parent / "shared" / "data"))
BOARD = "arduino-nano-33-ble-sense"

Row = dict[str, Any]
console = Console(highlight=False, width=int(os.environ.get("COLUMNS", "120")))


@dataclass(frozen=True, slots=True)
class Case:
    """One set. `lines`: (what init wrote, as a pattern; what a user writes instead). `bar`: of `measure`, the mean over the folds, %; of "mae"
    on the test side, in the unit of the numbers, and at most.
    `part`: the folder or the files of the set that the task is about, "": all of it. `beside`: another set that its lines name. `label`: the one whose recall, precision and F1 count, over every window
    once. `heard`: recordings of the set that `score` judges the
    firmware by, with the options `score`; then the measure is F1 of each moment, and the worst is the lower end of the interval."""

    name: str
    measure: str
    bar: float
    lines: tuple[tuple[str, str], ...] = ()
    folds: int | None = 5
    leave_out: Literal["group"] | None = None
    part: str = ""
    label: str = ""
    beside: str = ""
    heard: tuple[str, ...] = ()
    score: tuple[tuple[str, Any], ...] = ()

    @property
    def source(self) -> str:
        """The set that it is of."""
        return self.name.partition(", ")[0]


WATCH = (r"files = \[.*?\].*", 'files = ["*_sw.npz"]')

MAGNITUDES = "\n\n[[features]]\n".join(  # of the accelerometer and the gyroscope, beside their axes
    f'block = "magnitude"\nchannels = {channels}\nkeep = true' for channels in ([0, 1, 2], [3, 4, 5])
)
VARIED = "share = 0.15\n\n" + "\n\n".join(  # keywords over noise, faster and slower, with holes
    f"[[augment]]\nkind = {kind}"
    for kind in ('"background"\nprobability = 0.8', '"speed"\nfactor = [0.88, 1.14]', '"time-mask"', '"frequency-mask"')
)
CASES = (
    Case(
        "fan_accel",
        "accuracy",
        86.0,
        (
            (r'(?s)block = "vibration".*?\n\n', 'block = "vibration"\n\n'),  # bands, peaks and shape: how it lies is no sign here
        ),
    ),
    Case("umafall", "accuracy", 98.0),
    Case(
        "umafall, wrist",
        "accuracy",
        95.0,
        (
            (r'bad = "skip"', 'center = "peak"\nevent_s = 3\ncenter_channels = ["0", "1", "2"]\nbad = "skip"'),
            (r'block = "vibration"', f'{MAGNITUDES}\n\n[[features]]\nblock = "vibration"'),
            (r'"min", "max"]', '"min", "max", "mean_step"]'),
        ),
        part="[Rtw][Er]*",  # the README, trials.csv, wrist.npz
    ),
    Case(
        "har_exercises, exercises",
        "accuracy",
        89.0,
        ((r"rate = .*", "rate = 100"), (r"stride_s = .*", "stride_s = 0.2")),  # the files do not say the rate
        part="exercises.*",
    ),
    Case(
        "st_mlc_logs, yoga",
        "accuracy",
        82.0,
        (
            (r"rate = .*", "rate = 105"),
            (r'name = "{label}_{index}"', 'name = "{label}_{group}"'),
            (r'by = "time".*\nvalidation = .*\ntest = .*', 'by = "group"\nvalidation = 0\ntest = 0.5'),
        ),
        folds=None,
        leave_out="group",
        part="yoga",
    ),
    Case(
        "sp_sw_har, watch",
        "accuracy",
        93.0,
        (
            WATCH,
            (r"purity = .*", "purity = 0.5"),  # each window of the streams counts
            (r"stride_s = .*", "stride_s = 0.25"),
        ),
    ),
    Case(
        "ecg_mitbih10",
        "f1",
        91.0,  # of recall 92 and precision 90
        ((r"epochs = 0", "epochs = 12"),),
        folds=None,
        leave_out="group",
        label="1",
    ),
    Case(
        "stress_e4",
        "balanced",
        70.0,
        (
            (r"window_s = .*", "window_s = 60"),
            (r"stride_s = .*", "stride_s = 30"),
            (r"\[train\]", '[train]\nclass_weights = "balanced"'),  # what is asked for is balanced
            (r"\[\[features\]\]", '[[features]]\nblock = "settle"\nseconds = 600\nof = "before"\n\n[[features]]'),
        ),
    ),
    Case(
        "skab",
        "f1",
        70.0,
        (
            (r"stride_s = .*", "stride_s = 1"),
            (
                r'by = "block".*\nvalidation = .*\ntest = .*',
                'by = "time"\nvalidation = 0.1\ntest = 0.7',
            ),  # the first 400 rows are normal
            (
                r"(?s)\[\[features\]\].*?\n\n\[\[augment\]\].*?\n\n",
                '[[features]]\nblock = "settle"\nseconds = 200\n\n[[features]]\nblock = "statistics"\nwhich = ["mean"]\n\n',
            ),
            (r'name = "mlp"', 'name = "mahalanobis"\noptions = {normal = "0.0", false_alarms = 0.05}'),
        ),
        folds=None,
        heard=("valve1", "valve2", "other"),
        score=(("label_column", "anomaly"), ("skip_s", 400.0)),
    ),
    Case(
        "speech_commands12",
        "accuracy",
        90.0,
        (
            (r"bad = .*", 'background = ["../noise/*.wav"]\nbad = "skip"'),
            (r"validation = .*\ntest = .*", "validation = 0.12\ntest = 0.12"),
            (r"window_ms = .*", "window_ms = 32"),
            (r"share = .*", VARIED),
            (r'name = "dscnn"', 'name = "tcresnet"\nwidth = 20'),
            (r"epochs = 0", "epochs = 90\nlabel_smoothing = 0.1\npatience = 40"),
            (r'background = \["silence', 'smoothing_s = 0.4\nhold_s = 1.0\nfalse_alarms_per_hour = 30\nbackground = ["silence'),
            ('# ram = "32K"\n# flash = "128K"\n# latency = "60ms"', 'ram = "32K"\nflash = "128K"\nlatency = "100ms"'),
        ),
        folds=None,
        beside="noise",
    ),
    Case("arabic_commands", "accuracy", 94.0),
    Case(
        "wake_words",
        "accuracy",
        97.0,
        ((r'labels = "index.csv".*', 'labels = "index.csv"\nclasses = ["computer"]\nrest = "other"'),),
    ),
    Case("sign_digits", "accuracy", 96.0),
    *(
        Case(
            f"air_quality, {gas}",
            "mae",
            bar,  # of extra trees over the same split, in the unit of the gas
            (
                (r"target_column = .*", f'target_column = "{gas}_GT"'),
                (r"validation = .*\ntest = .*", "validation = 0.1\ntest = 0.3"),  # sensors drift: the last 30 % of the time tests
            ),
            folds=None,
        )
        for gas, bar in (("CO", 0.44), ("C6H6", 0.33), ("NO2", 25.5))
    ),
)


def lay(source: Path, part: str, folder: Path) -> None:
    """Copy a set, or the part of it that is asked for."""
    if "*" not in part:
        shutil.copytree(source / part, folder)
        return
    folder.mkdir(parents=True)
    for file in source.glob(part):
        shutil.copy2(file, folder)


def prepared(case: Case) -> Path:
    """The set as it lies, with the project file of init and what a user corrects in it."""
    folder = WORK / case.name.replace(", ", "_")
    if not folder.is_dir():
        lay(DATA / case.source, case.part, folder)
    if case.beside and not (WORK / case.beside).is_dir():
        lay(DATA / case.beside, "", WORK / case.beside)
    sandgrain.init(folder, out=folder, board=BOARD, force=True)
    file = folder / "sandgrain.toml"
    text = file.read_text("utf-8")
    for pattern, instead in case.lines:
        text, found = re.subn(pattern, instead, text, count=1)
        if not found:
            raise SystemExit(f"{case.name}: init wrote nothing like {pattern}; correct the case")
    file.write_text(text, "utf-8")
    return folder


def run(case: Case) -> Row:
    """The figures of one set."""
    start = time.monotonic()
    constant: float | None
    folder = prepared(case)
    built = sandgrain.build(folder, folds=case.folds, leave_out=case.leave_out, verify=50)
    found = built.to_json()
    crossed = found["cross_validation"]
    if case.heard:
        measures, constant = of_moments(
            sandgrain.score(folder, [folder / one for one in case.heard], **dict(case.score)).to_json()
        )
        how = f"score, {dict(case.score).get('skip_s', 0):g} s skipped"
    elif crossed is None and case.measure == "accuracy":
        measures, how, constant = of_labels(found), "one split", round(100 * found["majority"], 1)
    elif crossed is None:
        measures, how = of_numbers(found), "the last part in time"
        constant = round(found["baseline"]["mae"], 4)
    else:
        measures = {name: {key: round(100 * value, 1) for key, value in m.items()} for name, m in crossed["measures"].items()}
        how, pooled = crossed["how"], crossed["pooled"]
        if case.label:
            measures = of_label(pooled, case.label)
        constant = round(100 * pooled["majority"], 1) if pooled else None
    return {
        "set": case.name,
        "how": how,
        "lines": len(case.lines),
        "measure": case.measure,
        "bar": case.bar,
        **measures[case.measure],
        "majority": constant,
        "measures": measures,
        "model": found["model"],
        "ram_bytes": found["ram_bytes"],
        "flash_bytes": found["flash_bytes"],
        "latency_ms": found["latency_ms"],
        "identical": found["identical"],
        "minutes": round((time.monotonic() - start) / 60, 1),
    }


def of_moments(found: Row) -> tuple[dict[str, dict[str, float]], float | None]:
    """What a detector finds of each moment of whole recordings, %, and what an alarm without an end would give."""
    moments, interval, always = found["moments"], found["f1_interval"], found["f1_always_alarm"]
    mean = {name: round(100 * moments[name], 1) for name in ("f1", "precision", "recall")}
    worst = {**mean, "f1": round(100 * interval[0], 1) if interval else mean["f1"]}
    return {name: {"mean": mean[name], "worst": worst[name]} for name in mean}, always and round(100 * always, 1)


def of_labels(found: Row) -> dict[str, dict[str, float]]:
    """The accuracy of one split, %: the worst is the lower end of the interval."""
    mean, worst = found["accuracy"], found["accuracy_interval"][0]
    return {"accuracy": {"mean": round(100 * mean, 1), "worst": round(100 * worst, 1)}}


def of_label(pooled: Row, label: str) -> dict[str, dict[str, float]]:
    """Recall, precision and F1 of one label, %, over the windows of all folds; there is no worst fold, for some have hardly any."""
    row = next(one for one in pooled["per_label"] if one["label"] == label)
    return {name: dict.fromkeys(("mean", "worst"), round(100 * row[name], 1)) for name in ("f1", "recall", "precision")}


def of_numbers(found: Row) -> dict[str, dict[str, float]]:
    """The errors of a model that gives a number, without folds: the worst is the upper end of the interval."""
    worst = {"mae": found["mae_interval"][1], "rmse": found["rmse"], "r2": found["r2"]}
    return {name: {"mean": round(found[name], 4), "worst": round(value, 4)} for name, value in worst.items()}


def shown(row: Row, key: str) -> str:
    """A figure of a row: a share in %, or a number with three digits."""
    return f"{row[key]:.3g}" if row["measure"] == "mae" else f"{row[key]:.{0 if key == 'bar' else 1}f}"


def keep(rows: list[Row]) -> None:
    """Write the figures and the page; a set that was not run keeps its last figures."""
    known = {r["set"]: r for r in (json.loads(PATH.read_text("utf-8")) if PATH.is_file() else [])}
    known |= {r["set"]: r for r in rows}
    kept = [known[name] for name in sorted(known)]
    PATH.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    head = PAGE.read_text("utf-8").partition(HEADING)[0]
    lines = [
        "| set | how | changed lines | measure | mean | worst | bar | majority | RAM | flash | ms |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in kept:
        told = [
            r["set"],
            r["how"],
            r["lines"],
            r["measure"],
            shown(r, "mean"),
            shown(r, "worst"),
            shown(r, "bar"),
            r["majority"],
        ]
        told += [f"{r['ram_bytes']:,}", f"{r['flash_bytes']:,}", "-" if r["latency_ms"] is None else f"{r['latency_ms']:.2f}"]
        lines.append("| " + " | ".join(map(str, told)) + " |")
    PAGE.write_text(f"{head}{HEADING}\n" + "\n".join(lines) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="*", choices=[case.name for case in CASES], default=[case.name for case in CASES])
    wanted = parser.parse_args().sets
    rows: list[Row] = []
    for case in CASES:
        if case.name not in wanted:
            continue
        if not (DATA / case.source).is_dir():
            console.print(f"{case.source}: not there; set SANDGRAIN_DATA to the folder that has the sets")
            continue
        console.print(f"{case.name} ...")
        try:
            rows.append(run(case))
        except SandgrainError as error:
            console.print(f"{case.name}: {error}")
            continue
        keep(rows)
    table = Table("set", "how", "mean", "worst", "bar", "RAM", "flash", "ms", "minutes")
    for r in rows:
        told = (
            r["set"],
            r["how"],
            r["mean"],
            r["worst"],
            r["bar"],
            r["ram_bytes"],
            r["flash_bytes"],
            r["latency_ms"],
            r["minutes"],
        )
        table.add_row(*map(str, told))
    console.print(table)


if __name__ == "__main__":
    main()
