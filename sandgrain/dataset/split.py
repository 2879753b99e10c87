"""Which recordings train, which are watched, which nothing but the last figure sees: deterministic, stable, without leaks.

Recordings that must stay together (copies of one content; with `by = "group"` also everything of a speaker, subject or device)
form a unit. Units are drawn in the order of a hash of their key and the seed, test from the low end and validation from the
high end, so that the draw is the same on every machine and new files move only the few that lie at a border.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sandgrain.base.errors import UsageError
from sandgrain.base.text import plain
from sandgrain.dataset.records import SPLITS, Record

MIN_GROUPS = 2  # of a split: one to train with, one to test
By = Literal["stratified", "file", "group", "given"]
DRAWS = 64  # orders of the groups that are tried, until one comes close
CLOSE = 0.25  # of a side's share: how far off a draw by group may be to be taken at once
HELD_OUT = ("test", "validation")
SHOWN = 3  # names in a sentence
RANGE = re.compile(r"(?=.*[0-9])([-+0-9.eE]*?)\.\.([-+0-9.eE]*)")  # of numbers, see `_rule`


@dataclass(frozen=True, slots=True)
class Unit:
    """Recordings that stay together. `name`: the smallest group when drawn by group, otherwise the smallest key."""

    name: str
    records: tuple[Record, ...]
    labels: Counter[str]  # label -> weight

    @property
    def size(self) -> int:
        """What it weighs: windows, or recordings."""
        return self.labels.total()


@dataclass(frozen=True, slots=True)
class Draw:
    """How recordings are given to train, validation and test."""

    by: By = "stratified"  # "file", "group", "given", or "stratified": by file, label by label
    stratify: bool = True  # draw files label by label
    validation: float = 0.15  # share of the recordings that are drawn from; 0: none
    test: float = 0.15  # as `validation`
    seed: int = 0
    choose: Mapping[str, Mapping[str, Sequence[str]]] | None = (
        None  # side -> {field of a record: its values, or ranges of numbers}
    )


def assign(records: Sequence[Record], draw: Draw = Draw(), weights: Mapping[str, int] | None = None) -> dict[str, str]:
    """The side ("train", "validation" or "test") of every record's key.

    By "file" single recordings are drawn. By "group" whole groups are, the mix of labels as close as can be. "given" takes
    `Record.split`; a side that no record names is drawn from what is not held out. A recording that `choose` describes (all of
    a side's fields) goes to that side, whatever `by` is; if `choose` fills a side, nothing else is drawn into it. Copies and,
    by group, the rest of the group go with it; test comes before validation before train.

    `weights`: key -> what a recording counts towards the shares, such as its windows; without it all count alike.

    Raises UsageError if the recordings do not allow what is asked for.
    """
    by, stratify, validation, test = draw.by, draw.stratify, draw.validation, draw.test
    seed, choose = draw.seed, draw.choose
    _check_shares(validation, test)
    if by not in ("stratified", "file", "group", "given"):
        raise UsageError(f"split by {plain(by)}; choose stratified, file, group or given")
    if not records:
        raise UsageError("there is nothing to split; add recordings")
    if by == "group":
        _need_groups(records)
    fixed = _fixed(records, by, choose or {})
    units = _units(records, by == "group", weights)
    sides: dict[str, str] = {}
    free: list[Unit] = []
    for unit in units:
        given = {fixed[r.key] for r in unit.records if r.key in fixed}
        side = next((s for s in (*HELD_OUT, "train") if s in given), None)
        if side is None:
            free.append(unit)
        else:
            sides |= {r.key: side for r in unit.records}
    if by == "given":  # train as the data gives it is what an ungiven side is drawn from
        chosen_train = {k for k, s in _chosen(records, choose or {}).items() if s == "train"}
        free += [u for u in units if sides.get(u.records[0].key) == "train" and not any(r.key in chosen_train for r in u.records)]
    shares = {"test": test, "validation": validation}
    shares = {s: share for s, share in shares.items() if share > 0 and s not in sides.values()}
    if shares and free:
        drawn = _draw_groups(free, shares, seed) if by == "group" else _draw_files(free, shares, seed, stratify)
        sides |= {r.key: drawn.get(u.name, "train") for u in free for r in u.records}
    else:
        sides = {r.key: "train" for u in free for r in u.records} | sides
    if "train" not in sides.values():
        raise UsageError("the split leaves nothing to train with; choose fewer recordings for validation and test")
    return {r.key: sides[r.key] for r in records}


def leave_one_group_out(
    records: Sequence[Record], *, validation: float = 0.0, seed: int = 0
) -> Iterator[tuple[str, dict[str, str]]]:
    """(group, assignment) for every group in turn as the test side, in the order of their names.

    Groups that share a copy of a recording go together; what has no group is never left out. Validation is drawn from the other groups by recording.
    """
    _check_shares(validation, 0.0)
    _need_groups(records)
    units = [u for u in _units(records, True) if any(r.group for r in u.records)]
    if len(units) < 2:
        raise UsageError(_few_groups([r for r in records if r.group], units, 2))
    for unit in sorted(units, key=lambda u: u.name):
        out = {r.key for r in unit.records}
        rest = [r for r in records if r.key not in out]
        inner = assign(rest, Draw(validation=validation, test=0.0, seed=seed))
        yield unit.name, {r.key: "test" if r.key in out else inner[r.key] for r in records}


def folds(
    records: Sequence[Record], count: int, draw: Draw, *, grouped: bool, weights: Mapping[str, int] | None = None
) -> Iterator[tuple[str, dict[str, str]]]:
    """(name, assignment) for each of `count` folds as the test side: every recording is tested once.

    Copies stay together, and groups where `grouped`. Folds get the same mix of labels as far as what stays together allows.
    `draw`: its `validation` is the share of what a fold does not test. Raises UsageError for fewer groups or recordings than folds.
    """
    _check_shares(draw.validation, 0.0)
    units = _units(records, grouped, weights)
    if count < 2 or len(units) < count:
        what = "groups" if grouped else "different recordings"
        raise UsageError(f"{count} folds of {len(units)} {what}; choose 2 to {len(units)}")
    totals: Counter[str] = sum((u.labels for u in units), Counter())
    filled: list[Counter[str]] = [Counter() for _ in range(count)]
    home: dict[str, int] = {}
    for unit in sorted(_order(units, draw.seed), key=lambda u: -u.size):  # the largest first: the small ones even it out
        cost = [sum(n * (2 * have[label] + n) / totals[label] ** 2 for label, n in unit.labels.items()) for have in filled]
        best = min(range(count), key=lambda k: (cost[k], k))
        filled[best].update(unit.labels)
        home |= {r.key: best for r in unit.records}
    for k in range(count):
        rest = [r for r in records if home[r.key] != k]
        inner = watched(rest, draw, grouped=grouped, weights=weights)
        yield f"fold {k + 1}", {r.key: "test" if home[r.key] == k else inner[r.key] for r in records}


def watched(records: Sequence[Record], draw: Draw, *, grouped: bool, weights: Mapping[str, int] | None = None) -> dict[str, str]:
    """Train and validation of these records, nothing for test: by group where that can be. `draw`: its `validation` is the share."""
    if not draw.validation:
        return {r.key: "train" for r in records}
    for by in ("group", "stratified", "file") if grouped else ("stratified", "file"):
        try:
            inner = Draw(by, by != "file", draw.validation, 0.0, draw.seed)
            return assign(records, inner, weights)
        except UsageError:
            continue
    return {r.key: "train" for r in records}


def leaks(records: Sequence[Record], split: Mapping[str, str]) -> list[str]:
    """A sentence for everything that lies on both sides of a split: copies, groups, recordings cut from one file.

    Copies are always a fault. What has a group is judged by its group, however many of them a file holds. Groups and files are one where new speakers, subjects, devices or sessions are what the model
    will meet; nothing that `assign` draws by group has such a group.
    """
    by_content = _crossing(records, split, lambda r: r.sha256)
    said = [
        f"{_names([r.key for r in members])} have the same content and are on {_sides(members, split)}"
        for members in list(by_content.values())[: 2 * SHOWN]
    ]
    if len(by_content) > 2 * SHOWN:
        said.append(f"{len(by_content) - 2 * SHOWN} more contents are on two sides; drop the copies or split again")
    groups = _crossing(records, split, lambda r: r.group)
    if groups:
        count = len({r.group for r in records if r.group})
        way = 'split by = "group"' if count >= MIN_GROUPS else "record more of them, and split by group,"
        said.append(
            f"{len(groups)} of {count} groups are on more than one side ({_names(groups)}); {way} where new ones are what the "
            "model will meet"
        )
    files = _crossing([r for r in records if not r.group], split, lambda r: r.key.rpartition("#")[0])
    if files:
        said.append(
            f"recordings cut from one file are on more than one side ({_names(files)}); neighbours in time may be alike, "
            'so give them a group and split by = "group", or by = "block"'
        )
    return said


# --- what is given -----------------------------------------------------------------------------------------------------


def _check_shares(validation: float, test: float) -> None:
    if not (validation >= 0 and test >= 0 and validation + test < 1):
        raise UsageError(
            f"shares of {validation:g} for validation and {test:g} for test; give shares from 0 up, together below 1"
        )


def _need_groups(records: Sequence[Record]) -> None:
    missing = [r.key for r in records if not r.group]
    if len(missing) == len(records):
        raise UsageError(
            f"{len(missing)} of {len(records)} recordings have no group ({_names(missing)}); put {{group}} into `name`, name a "
            'group column, or split by = "file"'
        )


def _value(record: Record, name: str) -> str | None:
    own = {"label": record.label, "group": record.group, "key": record.key, "split": record.split}
    return own[name] if name in own else record.fields.get(name)


def _rule(values: Sequence[str]) -> Callable[[str | None], bool]:
    """Whether a value is one of these, or a number in one of their ranges, such as 60..100, 60.. or ..40 (the ends belong to it)."""
    words, ranges = set(values), [_ends(found) for found in map(RANGE.fullmatch, values) if found]

    def fits(value: str | None) -> bool:
        if value is None or value in words:
            return value is not None
        number = _number(value) if ranges else None
        return number is not None and any(low <= number <= high for low, high in ranges)

    return fits


def _ends(found: re.Match[str]) -> tuple[float, float]:
    low, high = (_number(text) if text else None for text in found.groups())
    return -math.inf if low is None else low, math.inf if high is None else high


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _chosen(records: Sequence[Record], choose: Mapping[str, Mapping[str, Sequence[str]]]) -> dict[str, str]:
    """Key -> side for what `choose` names. Raises UsageError where it names nothing, or one recording twice."""
    found: dict[str, str] = {}
    for side, wanted in choose.items():
        if side not in SPLITS:
            raise UsageError(f"choose.{plain(side)}: there is no such side; use {', '.join(SPLITS)}")
        if not wanted:
            continue
        for name in wanted:
            if all(_value(r, name) is None for r in records):
                known = sorted({"label", "group", *(f for r in records for f in r.fields)})
                raise UsageError(f"choose.{side}: no recording has a {plain(name)}; choose by {plain(', '.join(known), 120)}")
        rules = {name: _rule(values) for name, values in wanted.items()}
        taken = [r.key for r in records if all(fits(_value(r, name)) for name, fits in rules.items())]
        if not taken:
            raise UsageError(f"choose.{side}: no recording has {plain(dict(wanted), 120)}; look at the values in use")
        for key in taken:
            if key in found:
                raise UsageError(f"{plain(key)} is chosen for {found[key]} and for {side}; choose it once")
            found[key] = side
    return found


def _fixed(records: Sequence[Record], by: By, choose: Mapping[str, Mapping[str, Sequence[str]]]) -> dict[str, str]:
    """Key -> side of every record whose side is given."""
    found: dict[str, str] = {}
    if by == "given":
        for r in records:
            if r.split is not None:
                if r.split not in SPLITS:
                    raise UsageError(f"{plain(r.key)} is given to {plain(r.split)}; there are {', '.join(SPLITS)}")
                found[r.key] = r.split
    found |= _chosen(records, choose)
    if by == "given" and not found:
        raise UsageError(
            'split by = "given", but the data gives no side; put {split} into `name`, add a split column or `choose`, or split '
            'by = "file"'
        )
    return found


# --- units and draws ---------------------------------------------------------------------------------------------------


def _units(records: Sequence[Record], grouped: bool, weights: Mapping[str, int] | None = None) -> list[Unit]:
    """Recordings joined by equal content, and by group where `grouped`, in the order of their first record."""
    home = list(range(len(records)))

    def root(k: int) -> int:
        while home[k] != k:
            home[k] = home[home[k]]
            k = home[k]
        return k

    first: dict[tuple[str, str], int] = {}
    for k, r in enumerate(records):
        for mark in [("content", r.sha256)] + [("group", r.group)] * (grouped and bool(r.group)):
            other = root(first.setdefault(mark, k))
            mine = root(k)
            home[max(other, mine)] = min(other, mine)
    members: dict[int, list[Record]] = defaultdict(list)
    for k, r in enumerate(records):
        members[root(k)].append(r)
    found = []
    for part in members.values():
        labels: Counter[str] = Counter()
        for r in part:
            labels[r.label] += 1 if weights is None else weights[r.key]
        found.append(Unit(min(_own(r) if grouped else r.key for r in part), tuple(part), labels))
    return found


def _own(record: Record) -> str:
    """The record's group; one without is a group of its own, of a name that no other has."""
    return record.group or f"{record.key} (no group)"


def _order(units: Sequence[Unit], seed: int, draw: int = 0) -> list[Unit]:
    """By a hash of seed, draw and name: no other unit has a say in it."""

    def place(unit: Unit) -> bytes:
        return hashlib.blake2b(f"{seed}/{draw}/{unit.name}".encode("utf-8", "surrogatepass"), digest_size=16).digest()

    return sorted(units, key=lambda u: (place(u), u.name))


def _draw_files(units: Sequence[Unit], shares: Mapping[str, float], seed: int, stratify: bool) -> dict[str, str]:
    """Unit name -> held-out side, for those that are held out."""
    strata: dict[str, list[Unit]] = defaultdict(list)
    for unit in units:
        strata[min(unit.labels) if stratify else ""].append(unit)
    found: dict[str, str] = {}
    for label, members in sorted(strata.items()):
        if len(members) <= len(shares):
            what = f"label {plain(label)} has" if stratify and label else "there are" if len(members) > 1 else "there is"
            count = f"{len(members)} different recording{'s' if len(members) > 1 else ''}"
            raise UsageError(
                f"{what} {count}, and {' and '.join(shares)} and train need one each; record more"
                + (", leave the label out, or split with stratify = false" if stratify and label else "")
            )
        found |= _fill(_order(members, seed), shares)
    return found


def _draw_groups(units: Sequence[Unit], shares: Mapping[str, float], seed: int) -> dict[str, str]:
    """The first draw that is close to the shares with every label in training, or the best of DRAWS."""
    if len(units) <= len(shares):
        raise UsageError(_few_groups([r for u in units for r in u.records], units, len(shares) + 1))
    labels = sum((u.labels for u in units), Counter[str]())
    best: tuple[tuple[int, int, float], dict[str, str]] | None = None
    for draw in range(DRAWS):
        found = _fill(_order(units, seed, draw), shares)
        cost, close = _cost(units, found, shares, labels)
        if best is None or cost < best[0]:
            best = (cost, found)
        if close:
            break
    assert best is not None
    if best[0][0]:
        trained = {label for u in units if u.name not in best[1] for label in u.labels}
        lost = sorted(set(labels) - trained)
        raise UsageError(
            f"split by group: {_names(lost)} would be missing from training, because too few groups have it; record it with more "
            'of them, or split by = "file"'
        )
    return best[1]


def _fill(ordered: Sequence[Unit], shares: Mapping[str, float]) -> dict[str, str]:
    """Test from the front, validation from the back: each unit that brings the side nearer to its share.

    A side gets one unit at least, and train keeps one; there are more units than shares.
    """
    total = sum(u.size for u in ordered)
    found: dict[str, str] = {}
    for n, (side, share) in enumerate(shares.items()):
        turn = list(ordered if side == "test" else reversed(ordered))
        taken, wanted = 0, share * total
        for unit in turn:
            if len(ordered) - len(found) <= len(shares) - n:  # one for train and for each side to come
                break
            if unit.name not in found and abs(taken + unit.size - wanted) < abs(taken - wanted):
                found[unit.name] = side
                taken += unit.size
        if not taken:
            smallest = min((u for u in turn if u.name not in found), key=lambda u: u.size)
            found[smallest.name] = side
    return found


def _cost(
    units: Sequence[Unit], found: Mapping[str, str], shares: Mapping[str, float], labels: Counter[str]
) -> tuple[tuple[int, int, float], bool]:
    """((labels missing from training, labels missing from a held-out side, squared distance from the shares), close)."""
    total = sum(labels.values())
    counts: dict[str, Counter[str]] = {side: Counter() for side in (*shares, "train")}
    for unit in units:
        counts[found.get(unit.name, "train")].update(unit.labels)
    untrained = sum(not counts["train"][label] for label in labels)
    unseen = sum(not counts[side][label] for side in shares for label in labels)
    distance, close = 0.0, untrained == 0 and unseen == 0
    for side, share in shares.items():
        off = sum(counts[side].values()) / total - share
        mix = math.fsum((counts[side][label] / n - share) ** 2 for label, n in labels.items()) / len(labels)
        distance += off**2 + mix
        close = close and abs(off) <= CLOSE * share
    return (untrained, unseen, distance), close


# --- sentences ---------------------------------------------------------------------------------------------------------


def _few_groups(records: Sequence[Record], units: Sequence[Unit], needed: int) -> str:
    groups = sorted({_own(r) for r in records})
    if len(groups) >= needed:
        tied = max(units, key=lambda u: len({_own(r) for r in u.records}))
        return f"copies of recordings tie the groups {_names(sorted({_own(r) for r in tied.records}))} together; drop the copies"
    have = f"there is only one group ({plain(groups[0])})" if len(groups) == 1 else f"there are {len(groups)} groups"
    return f'{have}, a split by group needs {needed}; record more of them, hold out less, or split by = "file"'


def _crossing(records: Sequence[Record], split: Mapping[str, str], mark: Callable[[Record], str]) -> dict[str, list[Record]]:
    """Mark -> its records, for every mark but "" that lies on more than one side."""
    found: dict[str, list[Record]] = defaultdict(list)
    for r in records:
        if r.key in split and mark(r):
            found[mark(r)].append(r)
    return {name: part for name, part in found.items() if len({split[r.key] for r in part}) > 1}


def _sides(records: Sequence[Record], split: Mapping[str, str]) -> str:
    present = {split[r.key] for r in records}
    return " and ".join(s for s in SPLITS if s in present)


def _names(names: Sequence[str] | Mapping[str, object]) -> str:
    listed = list(names)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(plain(n) for n in listed[:SHOWN]) + more
