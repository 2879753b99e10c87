"""Names: shown in plain ASCII, matched in linear time, never taken for anything but names."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandgrain.dataset import names
from sandgrain.dataset.names import clean, compile_pattern, escape, make_key, split_key, split_of, wanted
from sandgrain.dataset.readers.base import BadFileError
from sandgrain.dataset.records import Layout, Manifest, Record
from sandgrain.dataset.walk import open_inside
from tests.support import effort

ANY = st.text(st.characters(codec=None), max_size=40)


@given(ANY)
def test_what_is_shown_is_one_line_of_ascii_and_tells_names_apart(text: str) -> None:
    shown = escape(text)
    assert shown.isascii() and (not shown or shown.isprintable())
    if len(shown) < 200:
        assert shown.encode().decode("unicode_escape") == text


def test_long_names_lose_their_middle() -> None:
    assert len(escape("a" * 9000)) <= 200 and escape("a" * 200 + ".wav").endswith("a.wav")
    assert escape("a\nb\x1b[31m\u202e\udcff\\") == r"a\nb\x1b[31m\u202e\udcff\\"


@given(ANY.filter(bool), st.integers(0, 131072))
def test_a_key_gives_back_path_and_index(path: str, index: int) -> None:
    if not names.problem(path):
        assert split_key(make_key(path, index)) == (path, index)


@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        ("{label}_{group}_{index}", "9_jackson_14.wav", {"label": "9", "group": "jackson", "index": "14"}),
        ("{label}_{group}", "a_b_c.wav", {"label": "a", "group": "b_c"}),
        ("{split}/{label}/{index}", "train/cat/1.jpg", {"split": "train", "label": "cat", "index": "1"}),
        ("{label}", "flex.csv", {"label": "flex"}),
        ("s{group}/x-{label}.v2", "s1/x-up.v2.csv", {"group": "1", "label": "up"}),
        ("{label}_{group}", "sub/a_b.wav", None),
        ("{label}_{group}", "_b.wav", None),
        ("{label}_{group}", "a_.wav", None),
        ("x{label}x", "xx.wav", None),
        ("fixed", "fixed.wav", {}),
    ],
)
def test_placeholders_are_as_short_as_they_can_be(pattern: str, path: str, found: dict[str, str] | None) -> None:
    assert compile_pattern(pattern).match(path) == found


def test_hostile_names_are_matched_in_linear_time() -> None:
    pattern = compile_pattern("_".join(f"{{p{k}}}" for k in range(40)) + "!")
    layout = Layout("audio", files=("**/" * 20 + "*a*a*a*a*a*a*b",))

    def tried() -> None:
        for _ in range(20):
            assert pattern.match("_" * 250) is None
            assert not wanted("/".join(["a" * 250] * 16), layout, ())

    assert effort.seconds(tried, enough=2) < 2


@pytest.mark.parametrize(
    ("files", "path", "taken"),
    [
        ((), "a/B.WAV", True), ((), "a/b.txt", False), ((), "a/b.wav\n", True), ((), "wav", False),
        (("*.wav",), "a.wav", True), (("*.wav",), "x/a.wav", False), (("**/*.wav",), "a.wav", True),
        (("**/*.wav",), "x/y/a.wav", True), (("x/**/a.*",), "x/1/2/a.wav", True), (("x/**",), "x/1/2", False),
        (("x/**/*",), "x/1/2", True), (("[ab].wav",), "b.wav", True), (("?.wav",), "b.wav", True), (("q/*",), "r/b.wav", False),
    ],
)  # fmt: skip
def test_patterns_choose_files(files: tuple[str, ...], path: str, taken: bool) -> None:
    assert wanted(path, Layout("audio", files=files), (".wav", ".flac")) is taken


@pytest.mark.parametrize(
    "name", ["a\nb", "a\x00b", "a\x7fb", "a\u200bb", "a\u202eb", "a\udc80b", "a\u2028b", "a\ue000b", "a.npz#3"]
)
def test_names_that_cannot_be_seen_are_no_names(name: str) -> None:
    assert names.problem(name) and names.problem(f"{name}/x.wav" if "#" not in name else name)


@pytest.mark.parametrize(
    "name", ["-rf", "--help", "$(id)", "`id`", "a b", "\u00fcbung", "\u97f3", "a" * 255, "a#b", "a#03", "%2e%2e", "..."]
)
def test_names_that_only_look_dangerous_are_names(name: str) -> None:
    assert names.problem(name) == ""


def test_labels_are_composed_and_short() -> None:
    assert clean(" cafe\u0301 ", "label") == "caf\u00e9"
    for text in ("a\x07", "\u202e", "\udcff"):
        with pytest.raises(BadFileError, match="cannot be seen"):
            clean(text, "label")
    with pytest.raises(BadFileError, match="longer than 100"):
        clean("x" * 101, "group")


def test_splits_have_many_names() -> None:
    assert [split_of(t) for t in ("Train", "VAL", "dev", "testing", "validation")] == [
        "train",
        "validation",
        "validation",
        "test",
        "validation",
    ]
    with pytest.raises(BadFileError, match=r"none of train, validation, test"):
        split_of("te\nst")


def test_labels_that_look_like_digits_are_sorted_without_fault() -> None:
    made = [Record(f"{k}", label, "", "audio", (1, 1), 0.0, "") for k, label in enumerate(["10", "9", "\u00b2", "\u0663", "a"])]
    assert Manifest(Path(), Layout("audio"), tuple(made), (), "").labels == ("\u0663", "9", "10", "a", "\u00b2")


@pytest.mark.parametrize("path", ["", "/", "/etc/passwd", "..", "../x", "a/../../x", "a//b", "a\0b", "./../x"])
def test_paths_that_climb_are_not_opened(path: str, tmp_path: Path) -> None:
    (tmp_path / "root" / "a").mkdir(parents=True)
    (tmp_path / "x").write_text("secret")
    with pytest.raises(BadFileError):
        open_inside(tmp_path / "root", path)
