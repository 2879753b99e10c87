"""Messages of errors: what a terminal would obey is written out, whatever name it came from."""

from __future__ import annotations

import pickle

import pytest

from sandgrain.base import errors
from sandgrain.base.errors import SandgrainError, UnsupportedError, UsageError
from sandgrain.dataset.readers.base import MAX_REASON, BadFileError
from sandgrain.device import targets

KINDS = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, SandgrainError)]


@pytest.mark.parametrize("kind", [*KINDS, BadFileError])
def test_control_and_direction_characters_are_written_out(kind: type[SandgrainError]) -> None:
    said = str(kind("no file passw\u202ed\x1b[2J\a; give another"))
    assert said == "no file passw\\u202ed\\x1b[2J\\x07; give another"
    assert str(kind("Grüße, 温度")) == "Grüße, 温度"
    assert str(pickle.loads(pickle.dumps(kind("a\x00b")))) == "a\\x00b"


def test_a_bad_file_is_one_line_of_bounded_length() -> None:
    assert str(BadFileError("a\nb")) == "a\\nb"
    long = str(BadFileError("cause " + "x" * 5000 + " way out"))
    assert len(long) == MAX_REASON and long.startswith("cause x") and long.endswith("x way out")


def test_a_way_out_that_repeats_a_name_from_outside_is_harmless() -> None:
    with pytest.raises(UsageError) as caught:
        targets.load("../../etc/passw\u202ed.toml")
    assert str(caught.value).isprintable()
    assert UnsupportedError("a", ["b"]).faults == ("b",)
