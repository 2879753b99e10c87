"""PyTorch: live modules, live programs of torch.export, and saved ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandgrain.base.errors import UsageError
from sandgrain.formats import saved_torch
from sandgrain.formats.sources.base import is_made_of, require
from sandgrain.graph.ir import Graph

TITLE = "PyTorch"
SUFFIXES = (".pt2",)
EXPORTED = "torch.export.exported_program.ExportedProgram"


def owns(model: object) -> bool:
    return is_made_of(model, "torch.nn.modules.module.Module", EXPORTED)


def refusal(path: Path) -> str | None:
    """What a file of PyTorch holds that is no program, and the way out."""
    return saved_torch.refusal(path)


def of_floats(model: object) -> bool:
    return not is_made_of(model, EXPORTED)


def load(model: Any, name: str, example_input: Any = None) -> Graph:
    """The graph of a .pt2 file, an ExportedProgram or a module; with its scales where the program was quantized by PT2E.

    `example_input`: of a module, a tensor of batch 1, or a tuple of them; the others know their shapes.
    """
    require("torch", "train", "PyTorch")
    from sandgrain.formats import torch

    if isinstance(model, Path):
        return torch.convert_file(model, name)
    if is_made_of(model, EXPORTED):
        return torch.convert_exported(model, name)
    if example_input is None:
        raise UsageError("a PyTorch module does not say its input's shape; give example_input=torch.zeros(1, ...)")
    return torch.convert(model, example_input, name)
