"""The catalogue of models, each sized by one width. Every module of this folder that has a FAMILY is found, by looking."""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from sandgrain.base.errors import UsageError, printable
from sandgrain.train.models.base import Family, Shape
from sandgrain.train.models.user import load_user_module

__all__ = ["CATALOGUE", "Description", "Family", "build", "describe", "load_user_module"]

MAX_WIDTH = 4096
MAX_VALUES = 1 << 22  # of a feature shape


def _discover() -> dict[str, Family]:
    modules = (importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    found = (m.FAMILY for m in modules if hasattr(m, "FAMILY"))
    return {f.name: f for f in sorted(found, key=lambda f: f.name)}


CATALOGUE: dict[str, Family] = _discover()


def build(name: str, shape: Shape, classes: int, width: int | None = None, **options: Any) -> nn.Module:
    """A model for features of `shape` (without batch) and `classes` classes, or one output that is a number; `width` None is the family's
    own.

    Its weights are random: seed torch before. Raises UsageError for a name, shape, width or option that does not fit.
    """
    family = _family(name)
    _check(family, shape, classes, width)
    known = {p.name: p.default for p in inspect.signature(family.make).parameters.values() if p.kind is p.KEYWORD_ONLY}
    for key, value in options.items():
        if key not in known:
            raise UsageError(f"{name} has no option {printable(key)}; it has {', '.join(sorted(known))}")
        kind = type(known[key])
        if kind is str and isinstance(value, str):
            continue  # the family says what it takes
        if kind is str:
            raise UsageError(f"{key} = {printable(str(value))} of {name}; give a word, such as {known[key]}")
        if (
            isinstance(value, bool)
            or not isinstance(value, kind | int)
            or value < 0
            or (kind is int and key != "last" and value < 1)
        ):
            raise UsageError(f"{key} = {printable(str(value))} of {name}; give a {'whole ' if kind is int else ''}number above 0")
    try:
        return family.make(tuple(shape), classes, family.width if width is None else width, **options)
    except (ValueError, RuntimeError, ZeroDivisionError) as error:
        raise UsageError(
            f"{name} cannot be built for features of {tuple(shape)} ({printable(str(error), 120)}); change its options"
        ) from error


def for_numbers(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """A model's options where its output is a number: without batch norm if the family can do without, and the user does not say."""
    family = next((f for known, f in CATALOGUE.items() if known == name), None)
    can = family is not None and "norm" in inspect.signature(family.make).parameters
    return {**({"norm": "none"} if can else {}), **options}


def _family(name: str) -> Family:
    if name not in CATALOGUE:
        raise UsageError(f"no model is called {printable(name)}; choose {', '.join(CATALOGUE)}, or package.module:Class")
    return CATALOGUE[name]


def _check(family: Family, shape: Shape, classes: int, width: int | None) -> None:
    ranks = " or ".join(str(r) for r in family.ranks)
    if len(shape) not in family.ranks or any(type(n) is not int or n < 1 for n in shape) or math.prod(shape) > MAX_VALUES:
        raise UsageError(
            f"{family.name} takes features of {ranks} axes, not {printable(str(tuple(shape)))}; change the features or the model"
        )
    if classes < 1:
        raise UsageError(f"{classes} outputs; {family.name} needs one for a number, or one a class")
    if width is not None and not 1 <= width <= MAX_WIDTH:
        raise UsageError(f"a width of {width}; choose 1 to {MAX_WIDTH}")


@dataclass(frozen=True, slots=True)
class Description:
    """What a model costs before it is compiled: trainable parameters, multiply-accumulates per inference, and bytes of int8
    weights with int32 biases once batch norm is folded."""

    name: str
    width: int
    parameters: int
    macs: int
    weight_bytes: int


def describe(name: str, shape: Shape, classes: int, width: int | None = None, **options: Any) -> Description:
    """Counted on a model without memory for its weights. Raises what `build` raises."""
    with torch.device("meta"):
        model = build(name, shape, classes, width, **options).eval()
        x = torch.empty(1, *shape)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    biases = sum(_bias_bytes(m) for m in model.modules())
    return Description(
        name,
        CATALOGUE[name].width if width is None else width,
        sum(p.numel() for p in model.parameters()),
        counter.get_total_flops() // 2,  # a multiply and an addition each
        sum(p.numel() for p in model.parameters() if p.dim() > 1) + biases,
    )


def _bias_bytes(module: nn.Module) -> int:
    """Of int32 biases, and of a layer norm's int16 factors."""
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
        return 4 * len(module.weight)
    if isinstance(module, nn.LayerNorm):
        return (4 + 2) * math.prod(module.normalized_shape)
    if isinstance(module, nn.GRU | nn.LSTM):
        rows = 2 * 3 if isinstance(module, nn.GRU) else 4  # torch's second bias of an LSTM is added to its first
        return 4 * rows * module.hidden_size * module.num_layers
    return 0
