"""The members of the kernels' parameter structs, as the C files declare them: designators are written in that order."""

from __future__ import annotations

import re
from functools import cache

from sandgrain.kernels import headers

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_STRUCT = re.compile(r"^struct (\w+) \{\n(.*?)^\};", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"(\w+)(?:\s*\[[^\]]*\])*$")


@cache
def members(struct: str) -> dict[str, str]:
    """Member -> the struct that it is, "" for all others, in their order. Raises KeyError for a struct that no kernel declares."""
    return _all()[struct]


@cache
def _all() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for path in headers().values():
        for name, body in _STRUCT.findall(_COMMENT.sub("", path.read_text("ascii"))):
            found[name] = _members(body)
    return found


def _members(body: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for declaration in body.split(";"):
        words = declaration.split()
        inner = words[1] if len(words) > 2 and words[0] == "struct" else ""
        for declarator in declaration.split(","):
            if match := _NAME.search(declarator.strip()):
                found[match[1]] = inner
    return found
