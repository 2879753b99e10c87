"""The words of a .pt2 file's JSON: numbers for kinds, and arguments that say what they are ({"as_int": 3}).

They are those of torch._export.serde.schema, version 8, which PyTorch has written since 2.5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from sandgrain.base.errors import ModelError, UnsupportedError, printable

SCHEMA = 8  # the major version of model.json that is read
AGAIN = "save it again with torch.export.save of PyTorch 2.8 or newer"

DTYPES = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16, 7: torch.float32,
    8: torch.float64, 12: torch.bool, 13: torch.bfloat16,
}  # fmt: skip
STRIDED = 7  # the layout of every plain tensor
MEMORY = {1: torch.contiguous_format, 2: torch.channels_last, 4: torch.preserve_format}
FLOATS = {"Infinity": float("inf"), "-Infinity": float("-inf"), "NaN": float("nan")}  # which JSON has no numbers for
BIG = 1 << 63


def argument(arg: Mapping[str, Any], node: Callable[[str], Any]) -> Any:
    """An operator's argument; `node` gives the value of a name. Raises ValueError for what is not as it says."""
    ((kind, value),) = arg.items()
    if kind in SCALARS:
        return SCALARS[kind](value)
    if kind.endswith("s") and kind[:-1] in SCALARS:
        return [SCALARS[kind[:-1]](v) for v in value]
    if kind == "as_tensor":
        return node(value["name"])
    if kind == "as_tensors":
        return [node(v["name"]) for v in value]
    if kind == "as_optional_tensor":
        return None if "as_none" in value else node(value["as_tensor"]["name"])
    if kind == "as_optional_tensors":
        return [None if "as_none" in v else node(v["as_tensor"]["name"]) for v in value]
    raise UnsupportedError(f"an argument of kind {printable(kind)}; build the layer from others")


def _int(value: Any) -> int:
    if type(value) is not int or not -BIG <= value < BIG:
        raise ValueError(f"{value} is no integer")
    return value


def _float(value: Any) -> float:
    if type(value) is str:
        return FLOATS[value]
    if type(value) not in (int, float):
        raise ValueError(f"{value} is no number")
    return float(value)


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError(f"{value} is neither true nor false")
    return value


def _string(value: Any) -> str:
    if type(value) is not str or len(value) > 100:
        raise ValueError(f"{value} is no word")
    return value


SCALARS: dict[str, Callable[[Any], Any]] = {
    "as_none": lambda value: None, "as_int": _int, "as_float": _float, "as_bool": _bool, "as_string": _string,
    "as_sym_int": lambda value: _int(value["as_int"]), "as_sym_float": lambda value: _float(value["as_float"]),
    "as_sym_bool": lambda value: _bool(value["as_bool"]), "as_scalar_type": lambda value: DTYPES[value],
    "as_memory_format": lambda value: MEMORY[value], "as_layout": lambda value: {STRIDED: torch.strided}[value],
    "as_device": lambda value: torch.device("cpu"),
}  # fmt: skip


def whole(value: Any) -> int:
    """A size, stride or offset: {"as_int": 3}."""
    number = value["as_int"]
    if type(number) is not int or not 0 <= number < 1 << 40:
        raise ValueError(f"size {number}")
    return number


@contextmanager
def as_written(place: str) -> Iterator[None]:
    """What is not as torch.export writes it becomes one line."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RecursionError, RuntimeError, TypeError, ValueError) as error:
        fact = printable(f"{type(error).__name__} {' '.join(str(error).split())}")
        raise ModelError(f"{place} is not as torch.export writes it ({fact}); {AGAIN}") from None
    except ModelError as error:
        raise type(error)(f"{place}: {error}") from None
