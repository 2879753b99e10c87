"""What a verb needs beyond `pip install sandgrain`, and what to install where it is missing."""

from __future__ import annotations

import importlib.util

from sandgrain.base.errors import UsageError

PROJECT = ("pydantic",)
PAGES = ("jinja2", "matplotlib", "sklearn", "PIL")
TRAIN = ("torch", "jinja2", "matplotlib", "PIL")


def require(*packages: str, who: str = "this", extra: str = "data") -> None:
    """Raises UsageError, naming what to install, for the first of `packages` that is missing."""
    for name in packages:
        if importlib.util.find_spec(name) is None:
            raise UsageError(f"{who} needs the package {name}; pip install 'sandgrain[{extra}]'")
