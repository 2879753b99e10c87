"""What every verb does: errors speak the caller's words."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from sandgrain.base.words import in_callers_words

P = ParamSpec("P")
R = TypeVar("R")


def verb(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, its errors in the words of the caller: `optimize=` in Python, `--optimize` on the command line."""

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        with in_callers_words():
            return function(*args, **kwargs)

    return called
