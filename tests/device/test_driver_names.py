"""The C that runners put beside a model has no name that the prefix of somebody's model could make, such as kept_arena of "kept"."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

DRIVERS = ("device/run/host.py", "device/run/host_process.py", "device/run/host_kept.py", "bundle/listening.c.j2")
TOP = re.compile(
    r"^(?:static |extern |const |volatile )*(?:struct \w+|union \w+|u?int\d+_t|int|void|char|float|double)[ *]+(?:const )?\*?(\w+)\s*[\[=;(,]",
    re.MULTILINE,
)


@pytest.mark.parametrize("name", DRIVERS)
def test_names_at_the_top_level_have_our_prefix_or_are_one_word(name: str) -> None:
    found = TOP.findall((ROOT / "sandgrain" / name).read_text("utf-8"))
    assert [word for word in found if "_" in word and not word.startswith("sg_")] == []


def test_the_pattern_sees_what_it_looks_for() -> None:
    text = "static uint8_t kept_arena[4];\nstatic uint8_t *low_end, *high;\nint sg_infer(void);\nextern void *const their_inputs[];\n"
    assert TOP.findall(text) == ["kept_arena", "low_end", "sg_infer", "their_inputs"]
