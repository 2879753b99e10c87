"""A quick look at a folder of data: what kind it is, its rate, its classes, how its names are made. `init` writes it down.

A look is bounded: so many names, so many files opened, so many bytes of each. It never follows a link.
"""

from __future__ import annotations

import os
import re
import stat
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandgrain.base.errors import UsageError
from sandgrain.base.files import is_bundle
from sandgrain.base.tables import Line, Shown
from sandgrain.base.text import plain
from sandgrain.dataset import kinds, readers
from sandgrain.dataset.names import PROJECT_FILE, ending, suffix
from sandgrain.dataset.readers import audio, csv
from sandgrain.dataset.readers.base import BadFileError
from sandgrain.dataset.records import Kind
from sandgrain.project.file import insides, listing, rates, stretched
from sandgrain.project.file.column import Verdict
from sandgrain.project.file.lines import find_lines
from sandgrain.project.file.listing import Index, find_index
from sandgrain.project.file.naming import counted, naming
from sandgrain.project.file.schema import Split
from sandgrain.project.file.sensed import find_sensors
from sandgrain.project.file.shared import find_shared
from sandgrain.project.file.tables import is_labels, is_list_of_stretches, is_table, spread
from sandgrain.project.file.target import says_so
from sandgrain.project.file.words import find_words

TABLES = csv.SUFFIXES
SUFFIXES: dict[str, str] = {
    **{end: kind for kind in ("audio", "image") for end in readers.suffixes(kind)},
    **insides.suffixes(),
}  # suffix -> what such a file is looked into as
TEXTS = csv.ALSO  # may be tables: looked into
MAX_NAMES = 50_000
SIZED = 1000  # files whose size decides what the data is, where there are as many of two kinds
MAX_PATTERNS = 200  # of files
SHOWN, MANY = 12, 60  # labels, and columns, that are shown
OPENED = 40  # files that are looked into
LISTS = (("validation", "validation_list.txt"), ("test", "testing_list.txt"))  # as in Speech Commands


@dataclass(frozen=True, slots=True, repr=False)
class Look(Shown):
    """What a look has found; the fields are those of `[data]`, and some that only the comments need."""

    kind: Kind
    files: tuple[str, ...]
    count: int
    name: str = ""
    rate: float = 0.0
    resample: bool = False
    seconds: tuple[float, ...] = ()  # of the files that were opened
    shape: tuple[int, ...] = ()  # of the first image
    counted: bool = False  # images whose numbers are the order in which they were taken
    labels: tuple[str, ...] = ()
    groups: int = 0
    has_split: bool = False
    lists: tuple[tuple[str, str], ...] = ()  # side -> list file
    chosen: tuple[tuple[str, tuple[str, ...]], ...] = ()  # side -> files whose names say that they are for it
    table: tuple[tuple[str, Any], ...] = ()  # keys of [data] that the file's inside calls for
    notes: tuple[str, ...] = ()
    points: tuple[int, ...] = ()  # of recordings whose lengths are known in samples
    whole: bool = False  # they have one length, and are windows as they are
    rhythm: bool = False  # recordings lie around events that follow each other evenly
    columns: tuple[Verdict, ...] = ()  # of tables: what each is taken for
    background: tuple[str, ...] = ()  # labels that are no keywords, by their names
    others: tuple[tuple[str, str, int], ...] = ()  # suffix, first folder, files that are not read
    rivals: tuple[str, ...] = ()  # columns that may be the label, the best guess first; one or none where nothing is in doubt
    number: str = ""  # a column, or array, that may be the number to give although there is a label
    problem: str = ""  # why `sandgrain data` would refuse what was found
    split: Split | None = None  # a split that works, where the usual one does not

    @property
    def summary(self) -> str:
        """The first line: how many files of what kind, and how many labels."""
        own = dict(self.table).get("segment") == 1
        rate = ", a sample a row" if own else f" at {self.rate:g} Hz" if self.rate else ""
        return f"{self.count:,} {'file' if self.count == 1 else 'files'}, {self.kind}{rate}, {len(self.labels)} labels seen"

    def lines(self) -> list[Line]:
        made: list[Line] = [self.summary]
        if self.labels:
            more = f" and {len(self.labels) - SHOWN} more" if len(self.labels) > SHOWN else ""
            made.append(f"labels: {plain(', '.join(self.labels[:SHOWN]), 200)}{more}; {self._source()}")
        channels = [v.column for v in self.columns if v.role == "channel"]
        if channels:
            more = f" and {len(channels) - MANY} more" if len(channels) > MANY else ""
            made.append(f"channels: {plain(', '.join(channels[:MANY]), 400)}{more} (columns)")
        others = [v for v in self.columns if v.role != "channel" or v.why != "numbers"]
        made += [f"column {plain(v.text, 200)} ({v.key})" for v in others[:MANY]]
        if not self.rate and kinds.of(self.kind).guesses_rate:
            made.append(f"rate: the files do not say; {GUESSED_RATE:g} Hz is a guess, so set it right (rate)")
        if self.resample:
            made.append("rates or times differ: resample = true brings them to one rate")
        return [*made, *self.remarks()]

    def remarks(self) -> list[Line]:
        """What somebody should know who wants to read nothing else."""
        return [f"note: {plain(note, 300)}" for note in self.notes]

    def _source(self) -> str:
        """Where the labels come from, and the key that overrides it."""
        table = dict(self.table)
        if "labels" in table:
            return f"from {plain(table['labels'], 80)} (labels)"
        if "sensors" in table and "label_tracks" in table:
            return f"from {plain(table['track_suffix'], 40)} beside the sensors (label_tracks)"
        if "track_file" in table:
            return f"from {plain(table['track_file'], 80)} (track_file)"
        if "label_tracks" in table:
            return "from label tracks beside the recordings (label_tracks)"
        if "label_column" in table:
            return f"from column {plain(table['label_column'], 40)} (label_column)"
        if "{label}" not in self.name and (self.name or "y_array" in table or "stream" in table):
            return f"from array {plain(table.get('y_array', 'y'), 40)} (y_array)"
        return f"from the files' names, {plain(self.name, 80)} (name)" if self.name else "(name)"

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        return {
            "kind": self.kind,
            "files": self.count,
            "name": self.name,
            "rate_hz": self.rate,
            "labels": list(self.labels),
            "groups": self.groups,
            "background": list(self.background),
            "columns": [{"column": v.column, "role": v.role, "why": v.why} for v in self.columns],
            "others": [{"suffix": suffix, "folder": folder, "files": count} for suffix, folder, count in self.others],
            "notes": list(self.notes),
            "problem": self.problem,
        }


BEATS = 3  # of a recording around one of them: itself and its neighbours
GUESSED_RATE = 50.0  # Hz, where the files do not say
# Names of labels that are no event of their own: what is heard or felt while nothing happens.
BACKGROUND = frozenset(
    ("noise", "silence", "unknown", "background", "backgroundnoise", "other", "others", "none", "nothing", "null", "negative", "ambient", "quiet",
     "silent", "rest", "garbage", "filler", "nokeyword", "nowakeword", "notkeyword", "nonkeyword", "misc", "bg", "unk")
)  # fmt: skip


def look(root: Path) -> Look:
    """What lies in `root`, a folder or a file. Raises UsageError where there is nothing that could be read."""
    base = root if root.is_dir() else root.parent
    if not root.is_dir() and not root.is_file():
        raise UsageError(f"{plain(root, 120)} is neither a file nor a folder; name the folder with the data")
    names = list(_names(root)) if root.is_dir() else [root.name]
    tables = {n for n in names if suffix(n) in TABLES}
    shared = find_shared(base, names, sorted(tables)) if root.is_dir() else None
    tables -= {shared.path} if shared else set()
    index = find_index(base, names, sorted(tables)) or find_lines(base, names, sorted(tables)) or _by_header(base, sorted(tables))
    labels = index.path if index else ""
    texts = _texts(base, names)
    stretches = _stretches(base, sorted(tables - {labels}), names)
    kind_of = {
        n: "table" if n in texts else SUFFIXES.get(suffix(n), "")
        for n in names
        if n != labels and n not in stretches and not (shared and n == shared.path)
    }
    counts = Counter(kind for kind in kind_of.values() if kind)
    sizes = Counter[str]()
    for n in kind_of if len(counts) > 1 and len(kind_of) <= SIZED else ():
        sizes[kind_of[n]] += (base / n).stat().st_size
    media = [k for k in ("audio", "image") if counts[k]]
    if not counts and stretches:
        raise UsageError(f"{plain(root, 120)}: {_of_stretches(stretches)}; name the folder that has the recordings, too")
    if not counts:
        seen = Counter(suffix(n) or "no suffix" for n in names)
        there = ", ".join(f"{count} {plain(end, 20)}" for end, count in seen.most_common(5))
        raise UsageError(
            f"{plain(root, 120)} has no file that is read here{f' (it has {there})' if there else ''}; {_way_out(seen)}; "
            f"what is read: {', '.join((*SUFFIXES, *TEXTS))}"
        )
    kind = max(media or counts, key=lambda k: (counts[k], sizes[k]))
    chosen = sorted(n for n, found in kind_of.items() if found == kind)
    suffixes = sorted({ending(n) for n in chosen})
    aside = (
        sorted({n.split("/")[0] for n in chosen if n.startswith("_") and "/" in n}) if kind == "audio" else []
    )  # _background_noise_
    others = stretched.others(n for n in names if n not in (labels, PROJECT_FILE) and kind_of.get(n) != kind)
    chosen = [n for n in chosen if n.split("/")[0] not in aside] or chosen
    common: dict[str, Any] = {"files": _patterns(chosen, names, suffixes, bool(aside)), "count": len(chosen), "others": others}
    table: list[tuple[str, Any]] = list(index.keys) if index else []
    if kind == "table" and not index and not shared and (sensed := find_sensors(base, sorted({*chosen, *stretches}))):
        return _finished({**common, **sensed}, base, names)
    if kind in insides.found():
        found = insides.found()[kind].look(base, chosen)
        if index:
            found = _with_index(found, index, base, len(chosen))
            table = _but_for(table, found)
        if not index and insides.may_be_tracked(kind, found) and (tracked := stretched.tracked(base, chosen, names)):
            common["others"] = stretched.others_of(tracked, chosen, names)
            found["table"] = (*found["table"], *tracked.pop("tracks"))
            about_names = [n for n in found.get("notes", ()) if "(name)" not in n]
            found |= tracked | {"notes": (*about_names, *tracked["notes"])}
            stretches = []
        if shared and not index and ("{label}" in found.get("name", "") or not found.get("labels")):
            found = stretched.with_shared(found, shared, chosen)
            common["others"] = stretched.others(n for n in names if n not in (*chosen, shared.path, PROJECT_FILE))
        if stretches:
            found["notes"] = (*found.get("notes", ()), f"{_of_stretches(stretches)}; {_LABELS_INSIDE}")
        return _finished({**common, **found, "table": (*found.get("table", ()), *table)}, base, names)
    named = _with_index(naming(chosen), index, base, len(chosen)) if index else naming(chosen)
    table = _but_for(table, named)
    table += [("background", tuple(f"{a}/*{s}" for a in aside for s in suffixes))] if aside else []
    lists = tuple((side, n) for side, n in LISTS if (base / n).is_file())
    inside = _audio(base, chosen) if kind == "audio" else _image(base, chosen)
    if kind == "audio" and not labels and shared:
        named = stretched.with_shared({}, shared, chosen)
        table += named.pop("table")
        inside["seconds"] = shared.seconds
        common["files"] = tuple(f"**/*{s}" for s in suffixes)
        common["others"] = stretched.others(n for n in names if n not in (*chosen, shared.path, PROJECT_FILE))
    elif kind == "audio" and not labels and (tracked := stretched.tracked(base, chosen, names)):
        common["others"] = stretched.others_of(tracked, chosen, names)
        table += tracked.pop("tracks")
        named, inside, common["files"] = {}, inside | tracked, tuple(f"**/*{s}" for s in suffixes)
    return _finished({**common, "kind": kind, "table": tuple(table), **named, **inside, "lists": lists}, base, names)


_LABELS_INSIDE = "give the recordings these labels themselves (label_column of a table, y of an .npz, one a row), or a file each"


def _stretches(base: Path, tables: Sequence[str], names: Sequence[str]) -> list[str]:
    """Tables that say where stretches of other files begin; asked of few, for where there are many tables, they are the data."""
    if len(tables) > OPENED or len(tables) == len(names) > 1:
        return []
    return [name for name in tables if is_list_of_stretches(base / name)]


def _of_stretches(stretches: Sequence[str]) -> str:
    if len(stretches) == 1:
        return f"{plain(stretches[0], 60)} says where stretches of a longer recording begin and end, and holds no signal (left alone)"
    more = f"{plain(stretches[0], 60)} and {len(stretches) - 1} more"
    return f"{more} say where stretches of longer recordings begin and end, and hold no signal (left alone)"


def _texts(base: Path, names: Sequence[str]) -> set[str]:
    """Files whose suffix may be that of a table, and which are one. Where there are many, those in a folder are alike."""
    found: set[str] = set()
    folders: dict[str, list[str]] = {}
    for name in names:
        if suffix(name) in TEXTS:
            folders.setdefault(name.rpartition("/")[0], []).append(name)
    for inside in folders.values():
        some = spread(inside, OPENED)
        good = [n for n in some if is_table(base / n)]
        found.update(good if len(some) == len(inside) else inside if len(good) > 0.9 * len(some) else ())
    return found


def _patterns(chosen: Sequence[str], names: Sequence[str], suffixes: Sequence[str], aside: bool) -> tuple[str, ...]:
    """What `files` says: a pattern a suffix; where other files have it as well, a pattern a folder, or the names."""
    mine = set(chosen)
    others = [n for n in names if n not in mine]
    ambiguous = {s for s in suffixes if s.lower() in TEXTS and any(n.endswith(s) for n in others)}
    usual = [f"{'[!_]*/' if aside else ''}**/*{s}" for s in suffixes if s not in ambiguous]
    foreign = {(n.rpartition("/")[0], ending(n)) for n in others}
    own = sorted({(n.rpartition("/")[0], ending(n)) for n in chosen if ending(n) in ambiguous})
    for folder, end in own:
        if (folder, end) not in foreign:
            usual.append(f"{_literal(folder)}/*{end}" if folder else f"*{end}")
        else:
            usual += [_literal(n) for n in chosen if n.rpartition("/")[0] == folder and ending(n) == end]
    return tuple(usual) if len(usual) <= MAX_PATTERNS else tuple(f"**/*{s}" for s in suffixes)


def _literal(path: str) -> str:
    """A path as a pattern that nothing else fits."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def _way_out(seen: Counter[str]) -> str:
    """What to do where no file is read."""
    packed = sorted(
        {end for end in seen if end.endswith(".gz")} | {".zip", ".bz2", ".xz", ".7z", ".tar", ".tgz", ".rar"} & set(seen)
    )
    if packed:
        return f"unpack the {', '.join(packed)} files, and name their folder"
    return "name the folder with the data, or rename tables to .csv"


def _finished(fields: dict[str, Any], base: Path, names: Sequence[str]) -> Look:
    """The look, with what its labels and other files give occasion to say."""
    notes = list(fields.pop("notes", ()))
    words, said_of_words = find_words(base, names, fields.get("labels", ()))
    if words:
        fields["labels"] = tuple(sorted(words[int(label)] for label in fields["labels"]))
        fields["table"] = (*fields.get("table", ()), ("label_names", words))
        notes.append(said_of_words)
    background = tuple(label for label in fields.get("labels", ()) if _is_background(label))
    if background and len(background) < len(fields.get("labels", ())):
        shown = ", ".join(plain(label, 20) for label in background)
        notes.append(f"background by its name: {shown}; nothing is ever decided for it, see [decide] background")
    else:
        background = ()
    if fields["others"]:
        count = sum(n for _, _, n in fields["others"])
        shown = ", ".join(f"{n} {suffix}{f' in {folder}' if folder else ''}" for suffix, folder, n in fields["others"][:6])
        more = f" and {len(fields['others']) - 6} more kinds" if len(fields["others"]) > 6 else ""
        notes.append(f"{count} other {'file is' if count == 1 else 'files are'} left alone: {plain(shown, 240)}{more}")
    step = fields.pop("step", 0.0)
    if why := fields.pop("unclear_rate", ""):
        notes += () if fields.get("rate") else (why,)
    elif not fields.get("rate") and kinds.of(fields["kind"]).guesses_rate:
        fields["rate"], said = rates.of_texts(base, names)
        notes += said
    if step:
        around = BEATS if fields.get("rhythm") else 1
        length = float(f"{around * step / (fields.get('rate') or GUESSED_RATE):.2g}")
        if fields.get("rhythm"):
            notes.append(
                f"they follow each other evenly, so a recording holds about {BEATS}, and beats compares the middle one with the others"
            )
        fields["table"] = (*fields["table"], ("event_s", length))
        fields["seconds"] = (length,)
    return Look(**fields, notes=tuple(notes), background=background)


def _by_header(base: Path, tables: Sequence[str]) -> Index | None:
    """A table whose header says that it lists files and labels, though the files are not there."""
    near = sorted((n for n in tables if n.count("/") < 2), key=lambda n: (n.count("/"), n))
    name = next((n for n in near if is_labels(base / n)), "")
    return Index(name, (("labels", name),)) if name else None


def _with_index(found: dict[str, Any], index: Index, base: Path, count: int) -> dict[str, Any]:
    """What was found inside the files or in their names, and what the index file says, which wins. Raises UsageError."""
    said = listing.about(index, listing.places_of(base, index))
    kept, number = dict(found), index.number
    asked, spoken = dict(index.keys).get("target_column", ""), len(found.get("labels", ()))
    torn = asked and 1 < spoken <= count / 2 and not says_so(asked)
    if torn:  # what says labels already gives labels, unless a name says otherwise
        number = asked
    if "labels" in said or (asked and not torn):  # the list says what the names would
        kept.pop("name", None)
        kept.pop("labels", None)
        if "table" in found:
            kept["table"] = tuple((k, v) for k, v in found["table"] if k not in ("label_column", "group_column"))
        else:
            kept.pop("notes", None)  # about names
    if not said["groups"] and "labels" not in said:
        said.pop("groups")
    instead = (f"{plain(number, 30)} may be the number to give, instead of a label (target_column)",) if number else ()
    notes = [n for n in index.notes if not (torn and n.endswith("(target_column)"))]
    return {**kept, **said, "notes": (*kept.get("notes", ()), *notes, *instead), "rivals": index.rivals, "number": number}


def _but_for(table: list[tuple[str, Any]], found: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The keys without the one of a number that is not to be given after all."""
    return [(k, v) for k, v in table if k != "target_column" or v != found.get("number")]


def _is_background(label: str) -> bool:
    return re.sub(r"[^a-z]", "", label.lower()) in BACKGROUND


def _names(root: Path) -> Iterator[str]:
    """Relative posix paths of files below `root`, at most MAX_NAMES, links, hidden files and bundles left out."""
    seen = 0
    for folder, inner, files in os.walk(root, followlinks=False):
        inner[:] = sorted(d for d in inner if not d.startswith(".") and not is_bundle(Path(folder) / d))
        for name in sorted(files):
            path = Path(folder) / name
            if name.startswith(".") or not _is_plain(path):
                continue
            yield path.relative_to(root).as_posix()
            seen += 1
            if seen >= MAX_NAMES:
                return


def _is_plain(path: Path) -> bool:
    """Whether it is a file: no link, and no pipe or device, which would be waited for."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _audio(base: Path, names: Sequence[str]) -> dict[str, Any]:
    """Rates and lengths, by the readers' own look at the header."""
    rates: Counter[float] = Counter()
    seconds = []
    for name in spread(names, OPENED):
        try:
            with (base / name).open("rb") as stream:
                rate, frames = audio.about(stream, os.fstat(stream.fileno()).st_size)
        except (OSError, BadFileError):
            continue
        if rate > 0:
            rates[float(rate)] += 1
            seconds.append(frames / rate)
    if not rates:
        return {}
    rate = rates.most_common(1)[0][0]
    return {"rate": rate, "resample": len(rates) > 1, "seconds": tuple(sorted(seconds))}


def _image(base: Path, names: Sequence[str]) -> dict[str, Any]:
    from PIL import Image

    for name in spread(names, OPENED):
        try:
            with (
                warnings.catch_warnings(action="ignore", category=UserWarning),
                Image.open(base / name) as picture,
            ):  # reads the header, decodes nothing
                width, height = picture.size
                return {"shape": (height, width, 1 if picture.mode in ("1", "L", "I;16") else 3), "counted": counted(names)}
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
            continue
    return {}
