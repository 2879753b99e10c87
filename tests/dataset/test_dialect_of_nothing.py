"""Tables that hold no row: one line says so, whatever else they hold."""

from __future__ import annotations

import pytest

from sandgrain.base.errors import SandgrainError
from sandgrain.dataset.dialect import find

NOTHING = [b"# a\n# b\n", b"#\n", b"\xef\xbb\xbf# a", b"# a;b\n\n# c\n", b"sep=;\n", b"sep=;\n# x\n"]


@pytest.mark.parametrize("head", NOTHING)
@pytest.mark.parametrize("whole", [True, False])
def test_comments_and_a_separator_alone_hold_no_samples(head: bytes, whole: bool) -> None:
    with pytest.raises(SandgrainError, match="it holds no samples"):
        find(head, whole)
