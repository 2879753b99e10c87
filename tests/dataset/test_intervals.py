"""Labels of stretches of a recording, in the files that tools write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandgrain.base.errors import UsageError
from sandgrain.dataset.intervals import beside, read
from sandgrain.dataset.tracks import Stretch

EXPECTED = (Stretch(0.5, 1.0, "yes"), Stretch(62.25, 63.0, "no"))
ELAN = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT><TIME_ORDER><TIME_SLOT TIME_SLOT_ID="a" TIME_VALUE="500"/><TIME_SLOT TIME_SLOT_ID="b" TIME_VALUE="1000"/>
<TIME_SLOT TIME_SLOT_ID="c" TIME_VALUE="62250"/><TIME_SLOT TIME_SLOT_ID="d" TIME_VALUE="63000"/></TIME_ORDER>
<TIER TIER_ID="words"><ANNOTATION><ALIGNABLE_ANNOTATION TIME_SLOT_REF1="a" TIME_SLOT_REF2="b"><ANNOTATION_VALUE>yes</ANNOTATION_VALUE>
</ALIGNABLE_ANNOTATION></ANNOTATION><ANNOTATION><ALIGNABLE_ANNOTATION TIME_SLOT_REF1="c" TIME_SLOT_REF2="d">
<ANNOTATION_VALUE>no</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER></ANNOTATION_DOCUMENT>
"""
SAME = {
    "x.txt": "0.5\t1.0\tyes\n62,25\t63\tno\n",
    "x.csv": "start_s,end_s,label,clip\n62.25,63,no,b.wav\n0.5,1,yes,a.wav\n",
    "semicolon.csv": "\ufeffBegin;Duration;Event\r\n0,5;0,5;yes\r\n1:02.25;0.75;no\r\n",
    "tab.csv": "onset\toffset\tannotation\n0.5\t1\tyes\n62.25\t63\tno\n",
    "x.json": json.dumps([{"start": 0.5, "end": 1, "label": "yes"}, {"from": "62.25", "to": "00:01:03", "name": "no"}]),
    "object.json": json.dumps(
        {"file": "x.wav", "events": [{"t0": 0.5, "t1": 1, "tag": "yes"}, {"t0": 62.25, "t1": 63, "tag": "no"}]}
    ),
    "x.eaf": ELAN,
}


@pytest.mark.parametrize("name", SAME)
def test_every_way_of_writing_it_is_the_same(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(SAME[name], "utf-8")
    assert read(tmp_path / name) == EXPECTED


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("x.csv", "a,b\n1,2\n", "line 2 has no start, end .or duration. and label; it has a,b"),
        ("x.csv", "start,end,label\n2,1,yes\n", "line 2 goes from 2 s to 1 s"),
        ("x.csv", "start,end,label\nnoon,1,yes\n", "line 2: noon is no time in seconds"),
        ("x.csv", "start,end,label\ninf,inf,yes\n", "is no time in seconds"),
        ("x.csv", "start,end,label\n", "labels nothing"),
        ("x.json", "{}", "holds no list of objects"),
        ("x.json", "[1]", "holds no list of objects"),
        ("x.json", "[" * 100_000, "is no JSON"),
        ("x.json", '[{"start": true, "end": 1, "label": "x"}]', "is no time in seconds"),
        ("x.eaf", "<a", "is no XML"),
        ("x.eaf", '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><a>&c;</a>', "declares entities"),
        ("x.eaf", "<a/>", "labels nothing"),
        ("x.txt", "one two\n", "line 1 of its label track"),
        ("x.csv", "start,end,label\n0,1,a\u202eb\n", "cannot be seen"),
    ],
)
def test_what_is_no_truth_is_one_line(name: str, text: str, why: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(UsageError, match=why) as error:
        read(tmp_path / name)
    assert "\n" not in str(error.value) and str(error.value).startswith(name)


def test_the_file_beside_is_found_and_the_recording_is_not_taken_for_it(tmp_path: Path) -> None:
    for name in ("a.wav", "a.csv", "walk.csv", "walk.labels.csv", "lone.csv"):
        (tmp_path / name).touch()
    assert beside(tmp_path / "a.wav") == tmp_path / "a.csv"
    assert beside(tmp_path / "walk.csv") == tmp_path / "walk.labels.csv"
    assert beside(tmp_path / "lone.csv") is None
