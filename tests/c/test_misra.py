"""The C breaks no rule of MISRA C:2012 that cppcheck checks, but for those that docs/explanation/misra.md lists with a reason."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support import misra

needs_cppcheck = pytest.mark.skipif(shutil.which("cppcheck") is None, reason="cppcheck is not installed")
PLANTED = """\
int planted(int a);
int planted(int a)
{
    if (a == 010) {
        goto out;
    }
out:
    return a;
}
"""


@needs_cppcheck
def test_three_bundles_break_the_listed_rules_and_no_other(tmp_path: Path) -> None:
    listed, broken = misra.deviations(misra.PAGE.read_text("utf-8")), set[str]()
    for source in misra.bundles():
        folder = tmp_path / source.options.name
        misra.write(source, folder)
        found = misra.findings(folder)
        assert [f for f in found if f.rule not in listed] == []
        broken |= {f.rule for f in found}
    assert listed.keys() - broken == set(), "these are on the list and broken nowhere: take them off"


@needs_cppcheck
def test_a_planted_violation_is_found(tmp_path: Path) -> None:
    (tmp_path / "planted.c").write_text(PLANTED)
    found = {(f.rule, f.text) for f in misra.findings(tmp_path)}
    assert {("7.1", "if (a == 010) {"), ("15.1", "goto out;")} <= found
    assert {"7.1", "15.1"}.isdisjoint(misra.deviations(misra.PAGE.read_text("utf-8")))


@needs_cppcheck
def test_a_comma_operator_is_told_from_the_comma_of_a_declaration(tmp_path: Path) -> None:
    lines = ["int f(int a);", "int f(int a)", "{", "    int b = a, c = 1;", "    b = 2, c = 3;", "    return b + c;", "}", ""]
    (tmp_path / "commas.c").write_text("\n".join(lines))
    assert [f.text for f in misra.findings(tmp_path) if f.rule == "12.3"] == ["b = 2, c = 3;"]


def test_the_list_is_short_and_gives_reasons() -> None:
    page = misra.PAGE.read_text("utf-8")
    listed = misra.deviations(page)
    assert 0 < len(listed) <= 10 and page.count("\n| ") - 1 == len(listed)  # each row of the table was read
    assert all(len(reason) > 40 for reason in listed.values())
    numbers = [tuple(map(int, rule.split("."))) for rule in listed]
    assert numbers == sorted(numbers)


def test_tables_are_shortened_and_nothing_else() -> None:
    text = (
        "static const int8_t t[5] = {\n    1, 2, 3,\n    4, 5,\n};\n\nstatic const struct s p = {\n    .a = 1,\n    .b = 2,\n};\n"
    )
    assert misra.shortened(text) == text.replace("[5]", "[3]").replace("    4, 5,\n", "")
