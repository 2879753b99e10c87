"""Splits: no leak ever, shares as asked, the same everywhere, and stable when data is added."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandgrain.base.errors import UsageError
from sandgrain.dataset.records import Record
from sandgrain.dataset.split import Draw, assign, leaks, leave_one_group_out
from sandgrain.dataset.split_in_blocks import grouped
from tests.support import effort
from tests.support.draws import rare


def record(key: str, label: str = "a", group: str = "", content: str = "", split: str | None = None, **fields: str) -> Record:
    return Record(key, label, group, "audio", (8000, 1), 8000.0, content or f"content of {key}", fields, split)


def digits(speakers: Sequence[str] = ("anna", "ben", "cleo", "dan", "eva"), takes: int = 10) -> list[Record]:
    """Like fsdd: ten labels, a group a speaker."""
    return [
        record(f"{label}_{who}_{take}.wav", str(label), who, index=str(take))
        for label in range(10)
        for who in speakers
        for take in range(takes)
    ]


def sizes(split: dict[str, str]) -> Counter[str]:
    return Counter(split.values())


def sides_of(records: Sequence[Record], split: dict[str, str], mark: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for r in records:
        found.setdefault(getattr(r, mark), set()).add(split[r.key])
    return found


@st.composite
def datasets(draw: st.DrawFn) -> list[Record]:
    """Recordings of a few labels and groups, some of them copies of others."""
    labels, groups = draw(st.integers(1, 4)), draw(st.integers(3, 9))
    rng = random.Random(draw(st.integers(0, 2**32)))
    made = [
        record(f"{g}/{k}.wav", f"l{label}", f"g{g}")
        for g in range(groups)
        for label in range(labels)
        for k in range(4 * label, 4 * label + rng.randint(1, 4))
    ]
    for k in range(draw(st.integers(0, 6))):
        twin = rng.choice(made)
        where = twin.group if draw(st.booleans()) else rng.choice(made).group
        made.append(replace(twin, key=f"copy{k}.wav", group=where))
    rng.shuffle(made)
    return made


# --- no leak ---------------------------------------------------------------------------------------------------------


@given(records=datasets(), seed=st.integers(0, 5), by=st.sampled_from(["stratified", "file", "group"]))
@settings(max_examples=150, deadline=None)
def test_nothing_is_ever_on_two_sides(records: list[Record], seed: int, by: str) -> None:
    try:
        split = assign(records, Draw(by=by, stratify=by == "stratified", seed=seed))  # type: ignore[arg-type]
    except UsageError:
        return
    assert list(split) == [r.key for r in records]
    assert all(len(sides) == 1 for sides in sides_of(records, split, "sha256").values())
    assert set(split.values()) == {"train", "validation", "test"}
    if by == "group":
        assert all(len(sides) == 1 for sides in sides_of(records, split, "group").values())
        assert leaks(records, split) == []
        trained = {r.label for r in records if split[r.key] == "train"}
        assert trained == {r.label for r in records}


@given(records=datasets(), seed=st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_the_order_of_the_records_does_not_matter(records: list[Record], seed: int) -> None:
    mixed = records[:]
    random.Random(1).shuffle(mixed)
    for by in ("stratified", "group"):
        results = []
        for some in (records, mixed):
            try:
                results.append(assign(some, Draw(by=by, seed=seed)))  # type: ignore[arg-type]
            except UsageError as error:
                results.append({"error": str(error)[:20]})
        assert results[0] == results[1]


def test_a_leak_is_seen() -> None:
    records = [record("a.wav", group="x", content="c"), record("b.wav", group="y", content="c"), record("c.wav", group="y")]
    said = leaks(records, {"a.wav": "train", "b.wav": "test", "c.wav": "test"})
    assert said == ["a.wav, b.wav have the same content and are on train and test"]
    said = leaks(records, {"a.wav": "train", "b.wav": "train", "c.wav": "test"})
    assert (
        len(said) == 1 and said[0].startswith("1 of 2 groups are on more than one side (y)") and 'split by = "group"' in said[0]
    )
    (said,) = leaks(records[1:], {"b.wav": "train", "c.wav": "test"})
    assert "record more of them, and split by group" in said


def test_pieces_of_one_file_on_two_sides_are_a_warning() -> None:
    records = [record(f"long.wav#{k}") for k in range(4)]
    assert leaks(records, {r.key: "train" for r in records}) == []
    [said] = leaks(records, {r.key: "test" if r.key.endswith("0") else "train" for r in records})
    assert said.startswith("recordings cut from one file are on more than one side (long.wav)")
    grouped = [record(f"all.csv#{k}", group="ab"[k % 2]) for k in range(4)]  # a file of several people, split by person
    assert leaks(grouped, {r.key: "test" if r.group == "a" else "train" for r in grouped}) == []


# --- shares ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_stratified_split_has_each_labels_share(seed: int) -> None:
    records = digits()
    split = assign(records, Draw(validation=0.1, test=0.2, seed=seed))
    for label in {r.label for r in records}:
        assert Counter(split[r.key] for r in records if r.label == label) == {"train": 35, "validation": 5, "test": 10}


def test_a_split_by_file_alone_has_the_share_of_all() -> None:
    records = [record(f"{k}", "rare" if k < 2 else "usual") for k in range(200)]
    split = assign(records, Draw(by="file", stratify=False, validation=0.15, test=0.15))
    assert sizes(split) == {"train": 140, "validation": 30, "test": 30}


@pytest.mark.parametrize("seed", range(8))
def test_a_split_by_group_comes_close_to_the_shares(seed: int) -> None:
    rng = random.Random(seed)
    records = [
        record(f"{g}/{label}/{k}", label, f"g{g}") for g in range(60) for label in "abcd" for k in range(rng.randint(0, 12))
    ]
    split = assign(records, Draw(by="group", validation=0.15, test=0.2, seed=seed))
    counts = sizes(split)
    assert abs(counts["test"] / len(records) - 0.2) <= 0.05
    assert abs(counts["validation"] / len(records) - 0.15) <= 0.04
    assert all(len(sides) == 1 for sides in sides_of(records, split, "group").values())


def test_five_speakers_give_one_each_to_validation_and_test() -> None:
    split = assign(digits(), Draw(by="group", validation=0.2, test=0.2))
    assert sizes(split) == {"train": 300, "validation": 100, "test": 100}


def test_a_side_of_share_0_stays_empty() -> None:
    assert sizes(assign(digits(), Draw(validation=0.0, test=0.2))) == {"train": 400, "test": 100}
    assert sizes(assign(digits(), Draw(validation=0.0, test=0.0))) == {"train": 500}


def test_copies_count_for_their_number() -> None:
    """A cluster of copies does not end up on a side that it would fill many times over."""
    records = [record(f"{k}") for k in range(100)] + [record(f"copy{k}", content="silence") for k in range(100)]
    for seed in range(10):
        split = assign(records, Draw(seed=seed))
        assert sizes(split) == {"train": 140, "validation": 30, "test": 30}
        assert len({split[f"copy{k}"] for k in range(100)}) == 1


# --- stable ------------------------------------------------------------------------------------------------------------


def test_another_seed_is_another_draw() -> None:
    assert len({tuple(assign(digits(), Draw(seed=s)).values()) for s in range(5)}) == 5
    assert len({tuple(assign(digits(), Draw(by="group", seed=s)).values()) for s in range(8)}) > 3


def test_the_draw_is_the_same_on_every_machine() -> None:
    split = assign([record(f"{k}.wav") for k in range(12)], Draw(validation=0.25, test=0.25, seed=3))
    assert [k for k, side in split.items() if side == "test"] == ["3.wav", "6.wav", "8.wav"]
    assert [k for k, side in split.items() if side == "validation"] == ["5.wav", "7.wav", "10.wav"]


def test_new_recordings_move_few_old_ones() -> None:
    old = digits(takes=20)
    more = old + [record(f"{label}_new_{k}.wav", str(label), "new") for label in range(10) for k in range(10)]
    before, after = assign(old), assign(more)
    assert sum(before[k] != after[k] for k in before) <= 0.03 * len(old)


# --- given -------------------------------------------------------------------------------------------------------------


def test_what_is_given_for_test_stays_and_validation_is_drawn_from_the_rest() -> None:
    records = [record(f"{k}", "ab"[k % 2], split="test" if k < 20 else "train") for k in range(120)]
    split = assign(records, Draw(by="given", validation=0.1, test=0.3))
    assert {k for k, s in split.items() if s == "test"} == {f"{k}" for k in range(20)}
    assert sizes(split) == {"train": 90, "validation": 10, "test": 20}


def test_given_sides_are_taken_as_they_are() -> None:
    given = ["train", "test", "validation"] * 10
    records = [record(f"{k}", split=side) for k, side in enumerate(given)]
    assert list(assign(records, Draw(by="given")).values()) == given


def test_a_side_can_be_chosen_by_a_field() -> None:
    records = digits()
    split = assign(records, Draw(by="given", validation=0.2, choose={"test": {"index": ["0", "1"]}}))
    assert {r.fields["index"] for r in records if split[r.key] == "test"} == {"0", "1"}
    assert sizes(split) == {"train": 320, "validation": 80, "test": 100}
    by_group = assign(
        records, Draw(by="group", validation=0.25, choose={"test": {"group": ["eva"]}, "train": {"group": ["anna"]}})
    )
    assert {r.group for r in records if by_group[r.key] == "test"} == {"eva"}
    assert sizes(by_group)["validation"] == 100
    assert all(by_group[r.key] == "train" for r in records if r.group == "anna")


def test_a_side_can_be_chosen_by_a_range_of_numbers() -> None:
    speeds = ["20", "40", "60.0", "8e1", "100", "idle", "1..2"]
    records = [record(f"{speed}_{k}", group=speed) for speed in speeds for k in range(2)]

    def tested(*values: str) -> set[str]:
        split = assign(records, Draw(by="group", validation=0, choose={"test": {"group": values}}))
        return {r.group for r in records if split[r.key] == "test"}

    assert tested("40..80") == {"40", "60.0", "8e1"}
    assert tested("..40") == {"20", "40"} and tested("80..") == {"8e1", "100"}
    assert tested("20", "99.5..1e2") == {"20", "100"}
    assert tested("1..2") == {"1..2"}  # a name that looks like a range is itself, too
    with pytest.raises(UsageError, match="no recording has"):
        tested("41..59")
    with pytest.raises(UsageError, match="no recording has"):
        tested("..")


def test_a_copy_of_a_test_recording_goes_to_test() -> None:
    records = [record("t", content="c", split="test"), record("u", content="c", split="train")]
    records += [record(f"{k}", split="train") for k in range(9)]
    split = assign(records, Draw(by="given", validation=0.2))
    assert split["u"] == "test" and sizes(split)["validation"] == 2


# --- one group out -----------------------------------------------------------------------------------------------------


def test_every_group_is_left_out_once() -> None:
    records = digits(takes=3)
    folds = list(leave_one_group_out(records, validation=0.1))
    assert [group for group, _ in folds] == ["anna", "ben", "cleo", "dan", "eva"]
    for group, split in folds:
        assert {r.key for r in records if r.group == group} == {k for k, s in split.items() if s == "test"}
        assert sizes(split)["validation"] == 10


# --- what cannot be done -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("records", "options", "says"),
    [
        ([], {}, "add recordings"),
        ([record("1"), record("2")], {}, "label a has 2 different recordings, and test and validation and train need one each"),
        ([record("1"), record("2", "b"), record("3", "b")], {"validation": 0.0}, "label a has 1"),
        ([record("1"), record("2"), record("3", content="content of 2")], {}, "record more"),
        (digits(("anna",)), {"by": "group"}, r"only one group \(anna\), a split by group needs 3; .* by = \"file\""),
        (digits(("anna", "ben")), {"by": "group"}, "there are 2 groups"),
        ([record("1"), record("2")], {"by": "group"}, "2 of 2 recordings have no group"),
        ([record(f"{g}{k}", g, g) for g in "abcd" for k in range(3)], {"by": "group"}, "would be missing from training"),
        ([record(f"{g}{k}", "l", g, content=f"{k}") for g in "abcd" for k in range(3)], {"by": "group"}, "drop the copies"),
        ([record("1")], {"by": "given"}, "the data gives no side"),
        ([record("1", split="dev")], {"by": "given"}, "is given to dev"),
        ([record("1", split="test")], {"by": "given"}, "nothing to train with"),
        ([record("1")], {"validation": 0.5, "test": 0.5}, "together below 1"),
        ([record("1")], {"by": "speaker"}, "choose stratified"),
        (digits(), {"choose": {"test": {"indx": ["0"]}}}, "no recording has a indx; choose by group, index, label"),
        (digits(), {"choose": {"test": {"index": ["77"]}}}, "no recording has"),
        (digits(), {"choose": {"tset": {"index": ["0"]}}}, "no such side; use train, validation, test"),
        (digits(), {"choose": {"test": {"index": ["0"]}, "train": {"group": ["ben"]}}}, "choose it once"),
        (digits(), {"by": "group", "choose": {"test": {"index": ["0"]}}}, "nothing to train with"),
    ],
)
def test_what_cannot_be_split_is_said_with_a_way_out(records: list[Record], options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says) as error:
        assign(records, Draw(**options))  # type: ignore[arg-type]
    assert ";" in str(error.value)


def test_hostile_names_are_made_printable() -> None:
    records = [record("\x1b[2J\n" + "x" * 500, group="g\u202e")] * 1
    with pytest.raises(UsageError) as error:
        assign(records, Draw(by="group"))
    assert str(error.value).isprintable() and len(str(error.value)) < 300


@rare
def test_a_hundred_thousand_recordings_are_split_in_seconds() -> None:
    records = [record(f"{k % 35}/{k}.wav", str(k % 35), f"s{k % 2000}") for k in range(100_000)]

    def both() -> None:
        assign(records)
        assert leaks(records, assign(records, Draw(by="group"))) == []

    assert effort.seconds(both, enough=20) < 20


def test_numbered_files_of_a_folder_are_blocks_of_neighbours() -> None:
    records = [record(f"{label}/img_{k}.jpg", label=label) for label in ("a", "b") for k in range(1, 41)]
    made = {r.key: r.group for r in grouped(records)}
    assert len(set(made.values())) == 20
    for label in ("a", "b"):  # as people count, not as text sorts
        assert len({made[f"{label}/img_{k}.jpg"] for k in (1, 2, 3, 4)}) == 1
        assert made[f"{label}/img_4.jpg"] != made[f"{label}/img_5.jpg"] != made[f"{label}/img_40.jpg"]
