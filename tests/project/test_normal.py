"""Which label is normal, by its name: what a detector learns from where nobody says it, and what `init` offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from sandgrain.base.errors import UsageError
from sandgrain.project import normal
from sandgrain.project.build.normal_side import normal_of, sides
from sandgrain.project.file.init import render
from sandgrain.project.file.look import Look


@dataclass(frozen=True)
class Rec:
    key: str
    label: str


@dataclass(frozen=True)
class Found:
    records: tuple[Rec, ...]
    sides: dict[str, str]


def found(*labels: str) -> Any:
    """Two recordings of each label: one trains, one tests."""
    records = tuple(Rec(f"{label}{k}", label) for label in labels for k in range(2))
    return Found(records, {r.key: "test" if r.key.endswith("1") else "train" for r in records})


@pytest.mark.parametrize(
    ("labels", "quiet"),
    [
        (("False", "True"), "False"),
        (("0", "1"), "0"),
        (("yes", "no"), "no"),
        (("worn", "ok", "broken"), "ok"),
        (("Healthy", "cracked"), "Healthy"),
        (("leak", "No_Fault"), "No_Fault"),
        (("normal", "ok", "worn"), "normal"),
    ],
)
def test_a_detector_finds_what_is_normal_by_its_name_and_says_so(labels: tuple[str, ...], quiet: str) -> None:
    sorted_, notes = sides(found(*labels), None)
    assert normal_of(sorted_) == quiet and {sorted_.sides[f"{label}0"] for label in labels if label != quiet} == {"test"}
    assert notes[1] == f"{quiet} is normal by its name; options.normal in [model] names another"
    other = next(label for label in labels if label != quiet)
    chosen, told = sides(found(*labels), other)
    assert normal_of(chosen) == other and len(told) == 1


def test_the_only_label_that_trains_needs_no_name() -> None:
    assert sides(found("hum"), None)[1] == ()


@pytest.mark.parametrize(
    ("labels", "named", "said"),
    [
        (("a", "b"), None, r"no label of the training side says that it is normal \(a, b\)"),
        (("ok", "good", "bad"), None, r"several labels of the training side say that they are normal \(bad, good, ok\)"),
        (("ok", "bad"), "fine", r"fine is no label of the training side \(bad, ok\)"),
    ],
)
def test_a_detector_that_cannot_know_what_is_normal_is_told_the_key(
    labels: tuple[str, ...], named: str | None, said: str
) -> None:
    with pytest.raises(UsageError, match=said + r"; name the normal one: options\.normal = "):
        sides(found(*labels), named)


@pytest.mark.parametrize(
    ("labels", "quiet"),
    [
        (("worn", "ok"), "ok"),
        (("0", "1"), "0"),
        (("yes", "no"), "no"),
        (("yes", "no", "up"), ""),
        (("0", "1", "2"), ""),
        (("ok", "good"), ""),
        (("ok",), ""),
    ],
)
def test_init_offers_a_detector_where_a_label_is_plainly_normal(labels: tuple[str, ...], quiet: str) -> None:
    assert normal.speaking(labels) == quiet
    text = render(Look("motion", ("*.csv",), 12, "{label}_{index}", labels=labels, rate=50.0), ".", "cortex-m4")
    assert (f'it learns from "{quiet}" alone, normal by its name (else options.normal = ' in text) == bool(quiet)
    assert ("mahalanobis" in text) == bool(quiet)
