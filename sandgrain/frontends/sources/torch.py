"""PyTorch: live modules."""

from __future__ import annotations

from typing import Any

from sandgrain.errors import UsageError
from sandgrain.frontends.sources.base import is_made_of, require
from sandgrain.ir import Graph

TITLE = "PyTorch"
SUFFIXES = (".pt2",)


def owns(model: object) -> bool:
    return is_made_of(model, "torch.nn.modules.module.Module")


def load(model: Any, name: str, example_input: Any = None) -> Graph:
    """The float graph of a module. `example_input`: a tensor of batch 1, or a tuple of them."""
    require("torch", "train", "PyTorch")
    if example_input is None:
        raise UsageError("a PyTorch module does not say its input's shape; give example_input=torch.zeros(1, ...)")
    from sandgrain.frontends.torch import convert

    return convert(model, example_input, name)
