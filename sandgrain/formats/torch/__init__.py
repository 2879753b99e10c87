"""Torch modules and programs to graphs. PyTorch is needed only here and in `sandgrain.train`."""

from __future__ import annotations

import importlib.util

from sandgrain.base.errors import UsageError

if importlib.util.find_spec("torch") is None:
    raise UsageError("PyTorch is not installed; pip install 'sandgrain[train]'")

from sandgrain.formats.torch.convert import convert, convert_exported, convert_file

__all__ = ["convert", "convert_exported", "convert_file"]
