"""Writes a first, commented `sandgrain.toml` from a look at the data."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sandgrain.base import files
from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Progress, silent
from sandgrain.base.text import plain
from sandgrain.dataset import kinds
from sandgrain.dataset.augment import from_tables
from sandgrain.project import normal
from sandgrain.project.file.look import GUESSED_RATE, Look, look
from sandgrain.project.file.questions import Ask, answered
from sandgrain.project.file.schema import Split

MAX_SAID = 60  # columns that the file's comments speak of
LEAST = 16  # samples of a window of slow sensors
ENOUGH = 90  # Hz: beats are told apart by it
SLOW = 0.2  # Hz: sensors that are read so seldom are no waves
LONG_S = 3.0  # recordings longer than this are cut into windows
PURE = 0.6  # share of a window that its label must have at least, where windows run over changes


@dataclass(frozen=True, slots=True)
class How:
    """What is done with a look. `dry`: nothing is written. `draft`: written even if `sandgrain data` would refuse it. `ask`: who decides
    where it is torn; None: the best guess."""

    board: str = "cortex-m4"
    force: bool = False
    dry: bool = False
    draft: bool = False
    ask: Ask | None = None


def write(root: Path, out: Path, how: How = How(), progress: Progress = silent) -> Look:
    """Look at `root`, try what was found with the readers of `sandgrain data`, and write the project file `out`.

    `progress` is told the look's summary before the trial. Raises UsageError where there is nothing to read, `out` exists, or `data` would refuse what was found; where nothing is
    written, that is the look's `problem`.
    """
    if not root.exists():
        raise UsageError(f"there is no {plain(root, 120)}; name the folder with the data")
    if out.exists() and not how.force and not how.dry:
        raise UsageError(f"{plain(out, 120)} exists already; give --force to replace it, or another --out")
    found = look(root)
    folder = root
    if root.is_file():
        found, folder = replace(found, files=(root.name,)), root.parent
    progress(found.summary, 0, found.count)
    found = answered(found, how.ask) if how.ask else found
    found, text = _tried(found, folder, out.parent, how.board)
    progress(found.summary, found.count, found.count)
    if how.dry:
        return found
    if found.problem and not how.draft:
        raise UsageError(f"{_REFUSED}: {found.problem}; --explain shows what was seen, --draft writes it all the same")
    try:
        out.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(f"{plain(out.parent, 120)} cannot be made ({error.strerror}); give another --out") from None
    with files.output(out, "give another --out") as file:
        file.write(text.encode())
    return found


_REFUSED = "nothing is written, for sandgrain data would refuse it"


def _tried(found: Look, folder: Path, place: Path, board: str) -> tuple[Look, str]:
    """The look with what a trial of it says, and the file's text; the split is one that the recordings allow."""
    from sandgrain.project import (
        trial,  # here, as the features' room takes a second to import, which the first line shall not wait for
    )
    from sandgrain.project.file.load import parse, parse_blocks

    text = render(found, _relative(folder, place), board)
    project = parse(tomllib.loads(text))  # what is written can be read
    from_tables(project.augment, project.data.kind)
    came = trial.run(folder, project, parse_blocks(project.features), found.count)
    notes = [*found.notes, *came.notes]
    labels = () if _target(found) else _labels(found, came.labels)
    if len(labels) < 2 and not came.problem and not _target(found):
        seen = "one label is seen" if labels else "no label is seen"
        notes.append(f"{seen}: a classifier needs two (name, label_column or labels say them), a detector of anomalies needs one")
    if came.split:
        none = not came.split.test and came.split.by != "given"
        how = "left out, and there is nothing to test with" if none else "written otherwise"
        notes.append(f"split: {came.why}; so it is {how}, see [data.split]")
    tried = replace(found, notes=tuple(notes), labels=labels, problem=came.problem, split=came.split)
    return tried, text if tried == found else render(tried, _relative(folder, place), board)


def _labels(found: Look, tried: Sequence[str]) -> tuple[str, ...]:
    """Those of the look, which opens a part of each file, and of the recordings that were read whole."""
    inside = {"label_column", "stream"} & dict(found.table).keys()
    if not inside or not found.labels:
        return found.labels or tuple(tried)
    return tuple(sorted({*found.labels, *tried}, key=lambda t: (not t.isdecimal(), int(t) if t.isdecimal() else 0, t)))


def place_of(out: Path) -> Path:
    """The project file that `--out` means: a folder's sandgrain.toml, unless it is named as a .toml file."""
    return out if out.suffix == ".toml" and not out.is_dir() else out / "sandgrain.toml"


def render(found: Look, path: str, board: str) -> str:
    """The file's text; `path` is what `[data] path` will say."""
    return (
        "\n\n".join(
            "\n".join(part)
            for part in (
                _head(),
                _data(found, path),
                _split(found),
                _features(found),
                *filter(None, [_augment(found)]),
                *_decide(found),
                _rest(found, board),
            )
        )
        + "\n"
    )


def _relative(root: Path, folder: Path) -> str:
    """`root` seen from `folder`: relative where they share a part of the path, absolute otherwise."""
    try:
        text = Path(os.path.relpath(root.resolve(), folder.resolve())).as_posix()
        text.encode("utf-8")
    except (ValueError, UnicodeEncodeError):
        raise UsageError(f"{plain(root, 120)} cannot be written into a text file; give the folder another name") from None
    return text


def _head() -> list[str]:
    return [
        "# What Sandgrain needs to know to turn recordings into firmware. Every key: docs/reference/project.md",
        "# Look at the data first: sandgrain data",
    ]


def _data(found: Look, path: str) -> list[str]:
    lines = ["[data]", f"path = {quoted(path)}  # or a folder of this name below $SANDGRAIN_DATA", f"kind = {quoted(found.kind)}"]
    lines += [f"# {plain(note, 240)}" for note in found.notes]
    lines += [f"# column {plain(verdict.text, 200)} ({verdict.key})" for verdict in found.columns[:MAX_SAID]]
    lines.append(f"files = {quoted_list(found.files)}  # {found.count} of them")
    if found.name:
        lines += [f"name = {quoted(found.name)}", *_comment_labels(found)]
    elif found.labels:
        lines += ["# The label is the first folder's name." if not found.table else "", *_comment_labels(found)]
    for key, value in found.table:
        says = "  # each row is a recording: a sample of its own" if key == "segment" and value == 1 else _SAYS.get(key, "")
        lines.append(f"{key} = {_value(value)}{says}")
    if _ready(found):
        lines.append("rate = 1  # of no meaning: a row is a sample of its own")
    else:
        lines += kinds.of(found.kind).rate_lines(found.rate, found.resample, GUESSED_RATE)
    lines += _window(found)
    lines += [
        'bad = "skip"  # files that cannot be read: "skip" or "refuse"',
        'duplicates = "keep"  # copies and near-copies: "keep" or "drop"',
    ]
    if found.shape:
        lines.append(f"# The first image is {found.shape[0]} x {found.shape[1]}, {found.shape[2]} channel(s).")
    return [line for line in lines if line]


_SAYS = {
    "full_scale": "  # the sensor's range; seen in the data, so look into its data sheet",
    "stream": "  # x is one stream, a row a sample; false: each row is a recording",
    "segment": "  # rows a recording; empty lines lie between them",
    "background": '  # no samples, but what [[augment]] kind = "background" mixes in',
    "labels": "  # the index file: a row a file, and what its columns say about it",
    "bad_rows": "  # share of rows that may hold a cell that is no number",
    "target_column": "  # the number that the model is to give; where it is a label after all: label_column",
    "target_array": "  # the number that the model is to give; where it is a label after all: y_array",
    "label_tracks": "  # a file beside each recording says which stretches of it have which label",
    "rest_label": '  # of what no stretch covers, such as "background"; empty: it is left out',
    "sensors": "  # in files of their own, which are joined into one recording: {sensor} in name",
    "time_unit": "  # s, ms, us, ns, min, h, day, iso, dmy or mdy",
}


def _comment_labels(found: Look) -> list[str]:
    if not found.labels:
        return []
    shown = ", ".join(plain(label, 20) for label in found.labels[:12])
    more = f" and {len(found.labels) - 12} more" if len(found.labels) > 12 else ""
    people = f"; {found.groups} groups" if found.groups else ""
    return [f"# {len(found.labels)} labels: {shown}{more}{people}"]


def _purity(found: Look) -> list[str]:
    """Streams are cut where their label changes; the device hears what is over the changes, too."""
    table = dict(found.table)
    if table.keys() & {"offset_array", "event_array", "labels"} or table.get("segment"):
        return []
    if not table.get("label_column") and not (table.get("stream") and len(found.labels) > 1 and not table.get("label_tracks")):
        return []
    return [f"purity = {PURE:g}  # windows run over changes of the label where one has this share of them; 0: none does"]


def _seconds(found: Look) -> tuple[float, ...]:
    """Of the recordings that were looked at, rising."""
    return found.seconds or tuple(n / (found.rate or GUESSED_RATE) for n in found.points)


def _is_long(found: Look) -> bool:
    """Whether recordings are cut into windows, and are not windows themselves."""
    seconds = _seconds(found)
    return not dict(found.table).get("segment") and (not seconds or seconds[len(seconds) // 2] > LONG_S)


def _window(found: Look) -> list[str]:
    """Whole recordings where they are short; windows that overlap by half where they are long."""
    if not kinds.of(found.kind).sampled:
        return []
    rate, seconds = found.rate or GUESSED_RATE, _seconds(found)
    segment = dict(found.table).get("segment")
    if _readings(found):
        return [
            f"window_s = {1 / found.rate:g}  # a row: readings so far apart say the number by themselves; longer ones see the hours before"
        ]
    if segment or found.whole:
        return ["# A window is a whole recording."]
    length = max(1.0, float(f"{LEAST / rate:.3g}"))
    if not seconds:
        return [f"window_s = {length:g}  # seconds", f"stride_s = {length / 2:g}", *_purity(found)]
    longest = seconds[-1]
    if _is_long(found):
        return [
            f"window_s = {length:g}  # the recordings are {seconds[0]:.3g} to {longest:.3g} s long",
            f"stride_s = {length / 2:g}",
            *_purity(found),
        ]
    length = _nice(seconds[int(0.95 * (len(seconds) - 1))])
    return [
        f"window_s = {length:g}  # seconds; the recordings are {seconds[0]:.2g} to {longest:.2g} s long",
        'pad = "center"  # where a shorter one lies in its window',
    ]


def _nice(seconds: float) -> float:
    """Up to the next 0.05 s, or 0.25 s beyond a second."""
    step = 0.05 if seconds <= 1 else 0.25
    return round(-(-(seconds - 1e-6) // step) * step, 4)


def _split(found: Look) -> list[str]:
    if found.split:
        return _other_split(found.split, found.lists, found.chosen)
    if found.has_split:
        return [
            "[data.split]",
            'by = "given"  # the data says train and test',
            "validation = 0.1  # drawn from train",
            "seed = 0",
        ]
    if found.lists:
        listed = ", ".join(f"{side} = {quoted(name)}" for side, name in found.lists)
        return [
            "[data.split]",
            'by = "given"  # the lists that came with the data; what they do not name is for training',
            f"lists = {{ {listed} }}",
        ]
    if found.chosen:
        how = [] if "validation" in dict(found.chosen) else [_validation(found, 0.15)]
        return ["[data.split]", 'by = "given"  # the files\' names say train and test', *how, "seed = 0", *_chosen(found.chosen)]
    if found.groups >= 3:
        said = f"{found.groups} groups; none is on two sides, so that new ones are what is tested"
        return ["[data.split]", f'by = "group"  # {said}', _validation(found, 0.2), "test = 0.2", "seed = 0"]
    why = (
        f"a split by group needs 3 groups, there are {found.groups}" if found.groups else "no speaker, subject or device is known"
    )
    if _together(found):
        said = f"{why}; recordings that follow each other stay together, for neighbours are alike"
        return ["[data.split]", f'by = "block"  # {said}', _validation(found, 0.15), "test = 0.2", "seed = 0"]
    return [
        "[data.split]",
        f'by = "file"  # {why}: the same one may be on both sides, and figures better than with a new one',
        _validation(found, 0.15),
        "test = 0.2",
        "seed = 0",
    ]


def _validation(found: Look, usual: float) -> str:
    """The share that watches the training; a detector's threshold comes from it, too."""
    if len(found.labels) > 1 and found.count < kinds.of(found.kind).watched_from:
        return f"validation = 0  # all that is not for the test trains; {usual:g} would watch the training, and train with less"
    return f"validation = {usual:g}"


def _together(found: Look) -> bool:
    """Whether a file holds several recordings, by labels inside it or by lines of an index; or a folder pictures in the order of taking."""
    inside = dict(found.table)
    if found.counted or inside.keys() & {"row_column", "offset_array", "event_array"}:
        return True
    return (
        bool(found.labels)
        and not inside.keys() & {"labels", "label_tracks"}
        and ("label_column" in inside or bool(inside.get("stream")))
    )


def _chosen(chosen: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    return [f"choose.{side} = {{ file = {quoted_list(files)} }}" for side, files in chosen]


def _other_split(split: Split, lists: Sequence[tuple[str, str]], chosen: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """What the recordings allow where they do not allow what is usual."""
    if split.by == "given":
        listed = [f"lists = {{ {', '.join(f'{side} = {quoted(name)}' for side, name in lists)} }}"] if lists else []
        why = "too few recordings to draw any"
        none = [f"validation = 0  # {why}", "test = 0"]
        return ["[data.split]", 'by = "given"  # as it came with the data', *listed, *none, *_chosen(chosen)]
    if split.by == "time":
        how = "too few recordings to keep whole ones back: the first part of each trains, the last one tests"
        shares = [f"validation = {split.validation:g}", f"test = {split.test:g}"]
        return ["[data.split]", f'by = "time"  # {how}', *shares, "# gap_s = 1  # left out between two parts"]
    nothing = not split.validation + split.test
    said = (
        "too few recordings to keep any back: nothing says how good a model is until there are more"
        if nothing
        else "the same speaker, subject or device may be on both sides, and figures better than with a new one"
    )
    return [
        "[data.split]",
        f'by = "file"  # {said}',
        *([] if split.stratify else ["stratify = false  # a label has too few recordings to be on every side"]),
        f"validation = {split.validation:g}",
        f"test = {split.test:g}",
        f"seed = {split.seed}",
    ]


def _features(found: Look) -> list[str]:
    if _ready(found) or _readings(found):
        return ["[[features]]", f'block = "raw"  # the {"readings" if _readings(found) else "features"} as they are']
    if found.rhythm:
        return _rhythm(found.rate or GUESSED_RATE)
    return kinds.of(found.kind).first_block(found.rate or GUESSED_RATE, found.shape, not _is_long(found))


def _rhythm(rate: float) -> list[str]:
    """What tells one beat from its neighbours; it needs no more than some hundred samples a second."""
    slower = int(rate // ENOUGH)
    fewer = [f'[[features]]\nblock = "decimate"\nfactor = {slower}\n'] if slower >= 2 else []
    return [
        *fewer,
        "[[features]]",
        'block = "beats"  # when the beat in the middle comes, how strong it is, how much like the others',
    ]


def _ready(found: Look) -> bool:
    """Whether rows are samples of their own."""
    return dict(found.table).get("segment") == 1


def _target(found: Look) -> str:
    """The column or array with the number that a model is to give, or ""."""
    table = dict(found.table)
    return str(table.get("target_column", "") or table.get("target_array", ""))


def _readings(found: Look) -> bool:
    """Whether a number is asked of readings so slow that each row is one, and no piece of a wave."""
    return bool(_target(found)) and 0 < found.rate <= SLOW


def _augment(found: Look) -> list[str]:
    """One variation that does no harm to any data of the kind; none of features, for it would be another sample, and none where a number is
    asked for, which may depend on what would be varied."""
    if _ready(found) or _target(found):
        return []
    kind, options, why = kinds.of(found.kind).variation
    return [f"[[augment]]  # what training sees is varied: {why}", f"kind = {quoted(kind)}", options]


def _decide(found: Look) -> list[list[str]]:
    """Labels that are no keywords."""
    if not found.background or not kinds.of(found.kind).sampled:
        return []
    return [["[decide]", f"background = {quoted_list(found.background)}  # by their names: nothing is ever decided for them"]]


def _rest(found: Look, board: str) -> list[str]:
    model = (
        "mlp"
        if _ready(found) or _readings(found) or found.rhythm
        else kinds.of(found.kind).first_model(found.rate or GUESSED_RATE, found.shape, not _is_long(found))
    )
    quiet = "" if _target(found) else normal.speaking(found.labels)
    detector = [
        f'# a detector of anomalies instead: name = "mahalanobis"; it learns from {quoted(quiet)} alone, normal by its name (else options.normal = ...)'
    ]
    return [
        "[model]", f"name = {quoted(model)}", *(detector if quiet else []), "# width = 16  # channels: more are more accurate, slower and bigger", "",
        "[train]", "epochs = 0  # passes over the data; 0: by the number of windows", "seed = 0", "",
        "[target]", f"board = {quoted(board)}  # see: sandgrain targets", "",
        "[budget]  # the build fails when one is exceeded", '# ram = "32K"', '# flash = "128K"', '# latency = "60ms"', "# mae = 1  # mean absolute error, in the unit of the number" if _target(found) else "# accuracy = 0.95",
    ]  # fmt: skip


def quoted(text: str) -> str:
    """A TOML basic string. JSON's escapes are TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def quoted_list(items: Sequence[str]) -> str:
    """A TOML list of strings, in lines of moderate length."""
    return "[" + ", ".join(quoted(item) for item in items) + "]"


def _value(value: object) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
