"""Values of a layer's configuration: what comes out of a file is of the kind and size that it must be, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandgrain.base.errors import ModelError, UnsupportedError, printable
from sandgrain.base.reading import is_number
from sandgrain.base.text import ascii_line

MOST = 1 << 20  # of any size
FLOATS = ("float32", "float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16")


class Config:
    """`values`: a layer's configuration as JSON has it. All methods raise ModelError for values of another kind."""

    def __init__(self, values: Any) -> None:
        if not isinstance(values, Mapping):
            raise _bad("config", values)
        self.values: Mapping[str, Any] = values

    def has(self, name: str) -> bool:
        """Whether there is a value that is not None."""
        return self.values.get(name) is not None

    def whole(self, name: str, default: int | None = None, low: int = 0) -> int:
        return checked_whole(name, self.values.get(name, default), low)

    def sizes(self, name: str, count: int, default: int | None = None, low: int = 1) -> tuple[int, ...]:
        """One size, or a list of `count`."""
        found = self.values.get(name)
        found = default if found is None else found
        found = [found] * count if isinstance(found, int) else found
        if not isinstance(found, list | tuple) or len(found) != count:
            raise _bad(name, found)
        return tuple(checked_whole(name, n, low) for n in found)

    def real(self, name: str, default: float | None = None) -> float:
        found = self.values.get(name, default)
        if not is_number(found):
            raise _bad(name, found)
        return float(found)

    def flag(self, name: str, default: bool = False) -> bool:
        found = self.values.get(name, default)
        if not isinstance(found, bool):
            raise _bad(name, found)
        return found

    def word(self, name: str, *choices: str) -> str:
        """One of `choices`, the first where it is absent."""
        found = self.values.get(name) or choices[0]
        if found not in choices:
            raise UnsupportedError(f"{name} {_shown(found)}; use {' or '.join(choices)}")
        return str(found)

    def check_all(self) -> None:
        """What any layer may have: images with their channels last, numbers that are floats."""
        if self.values.get("data_format") == "channels_first":
            raise UnsupportedError("data_format channels_first; build the model with channels_last, its weights stay the same")
        policy = self.values.get("dtype")
        if isinstance(policy, Mapping):
            inner = policy.get("config")
            policy = (
                inner.get("name") if isinstance(inner, Mapping) and policy.get("class_name") == "DTypePolicy" else "quantized"
            )
        if isinstance(policy, str) and policy.startswith(("int8", "int4", "float8", "quantized", "gptq", "awq")):
            raise UnsupportedError("its weights are quantized by Keras; save the model before quantize()")


def checked_whole(name: str, value: Any, low: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= MOST:
        raise _bad(name, value)
    return value


def _bad(name: str, value: Any) -> ModelError:
    return ModelError(f"{printable(name)} is {_shown(value)}; save the model again")


def _shown(value: Any) -> str:
    return ascii_line(str(value)[:100], 40)
