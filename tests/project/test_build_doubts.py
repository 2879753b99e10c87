"""100 % on the test is told with what in the data may have made it so."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sandgrain.dataset.records import Record
from sandgrain.project.build.doubts import too_good


def found(records: list[tuple[str, str, str]], leaks: int = 0) -> Any:
    """(key, group, side) of each recording."""
    made = [Record(key, "a", group, "motion", (10, 1), 50.0, key) for key, group, _ in records]
    return SimpleNamespace(records=tuple(made), sides={key: side for key, _, side in records}, leaks=("x",) * leaks)


def grouped(tested: int, trained: int, shared: int = 0) -> list[tuple[str, str, str]]:
    rows = [(f"t{k}.csv", f"g{k}", "test") for k in range(tested)]
    return rows + [(f"n{k}.csv", f"g{tested - shared + k}", "train") for k in range(trained)]


@pytest.mark.parametrize(
    ("records", "leaks", "windows", "said"),
    [
        ([("a.csv", "", "train"), ("b.csv", "", "test")], 0, 500, "no speaker, subject or device is known"),
        (grouped(5, 9, shared=2), 0, 500, "2 of 5 groups that are tested are trained with, too"),
        (grouped(2, 9), 0, 500, "2 groups are tested"),
        (grouped(1, 9), 0, 500, "1 group is tested"),
        (grouped(5, 9), 3, 500, "3 copies or near-copies are on two sides of the split"),
        (grouped(5, 9), 0, 20, "20 test windows are few: 15 % wrong would often show none"),
        ([*grouped(5, 9), ("l.csv#1", "g0", "test"), ("l.csv#2", "h", "train")], 0, 500, "1 file was cut into training and test"),
    ],
)
def test_a_hundred_percent_names_what_to_check(records: list[tuple[str, str, str]], leaks: int, windows: int, said: str) -> None:
    (note,) = too_good([found(records, leaks)], 1.0, windows, "an accuracy")
    assert note.startswith("an accuracy of 100 % is too good to be believed as it is: ") and said in note
    assert too_good([found(records, leaks)], 0.99, windows, "an accuracy") == ()


def test_a_hundred_percent_of_many_new_groups_is_believed() -> None:
    assert too_good([found(grouped(8, 20))], 1.0, 500, "an accuracy") == ()
