"""Hostile .pt2 files: what they are mutants of. `python -m tests.support.hostile_pt2 FOLDER FIRST COUNT` is what `tests.support.hostile_archives` runs."""

from __future__ import annotations

import importlib
import io
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import nn

from tests.support import hostile_archives

OPERATORS = tuple(
    f"torch.ops.{name}"
    for name in (
        "aten.from_file.default", "aten.zeros.default", "aten.split.Tensor", "aten.add_.Tensor", "aten.max.dim", "aten.gru.input",
        "aten.as_strided.default", "aten.repeat.default", "aten.pad.default", "aten.reshape.default", "aten.conv2d.default",
        "aten.set_.source_Tensor", "aten.embedding.default", "aten.cat.default", "aten.__class__.x", "aten.sum.dim_IntList",
        "higher_order.cond", "quantized_decomposed.quantize_per_tensor.default", "aten.unbind.int", "aten.pixel_shuffle.default",
    )
)  # fmt: skip


class Mixed(nn.Module):
    """Something of everything that the reader looks at: views, lists, constants, a recurrent layer, attention."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.pool = nn.AvgPool2d(2, 2, ceil_mode=True)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.rnn = nn.LSTM(4, 3, batch_first=True, bidirectional=True)
        self.head = nn.Linear(6, 2)
        self.register_buffer("mask", torch.arange(4.0))

    def forward(self, x: Any) -> Any:
        y = fn(self.norm(self.conv(x))) * torch.tensor(0.5)
        y = torch.cat(torch.split(self.pool(y), 2, 1)[::-1], 1).flatten(2).transpose(1, 2)
        y = self.attention(y, y, y, need_weights=False)[0] + self.mask * 2
        return self.head(self.rnn(y)[0][:, -1]).softmax(-1)


def fn(x: Any) -> Any:
    return nn.functional.hardtanh(x.relu_(), 0.0, 6.0)


class Quantized(nn.Module):
    """As PT2E leaves a module: integers, and operators that say what they mean."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randint(-127, 128, (4, 3, 3), dtype=torch.int8))
        self.register_buffer("scales", torch.rand(4) * 0.01 + 0.001)
        self.register_buffer("zeros", torch.zeros(4, dtype=torch.int64))

    def forward(self, x: Any) -> Any:
        ops = torch.ops.quantized_decomposed
        about = (0.02, -3, -128, 127, torch.int8)
        w = ops.dequantize_per_channel(self.weight, self.scales, self.zeros, 0, -127, 127, torch.int8)
        x = ops.dequantize_per_tensor(ops.quantize_per_tensor(x, *about), *about)
        x = nn.functional.conv1d(x, w, None, 2).relu()
        return ops.dequantize_per_tensor(ops.quantize_per_tensor(x, *about), *about)


@cache
def seeds() -> tuple[bytes, ...]:
    """Valid files: one with many operators, one as torch decomposes it, one quantized."""
    torch.manual_seed(0)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = torch.export.export(Mixed().eval(), (torch.randn(1, 3, 6, 6),))
        small = nn.Sequential(nn.Conv1d(2, 3, 3), nn.Hardswish(), nn.Flatten(), nn.Linear(18, 4), nn.GELU()).eval()
        plain = torch.export.export(small, (torch.randn(1, 2, 8),)).run_decompositions()
        importlib.import_module("torch.ao.quantization.fx._decomposed")  # which defines the operators

        quantized = torch.export.export(Quantized(), (torch.randn(1, 3, 12),))
        for exported in (whole, plain, quantized):
            buffer = io.BytesIO()
            torch.export.save(exported, buffer)
            found.append(buffer.getvalue())
    return tuple(found)


def mutant(bases: Sequence[bytes], seed: int) -> bytes:
    return hostile_archives.mutant(bases, seed, "/model.json", OPERATORS)


if __name__ == "__main__":
    hostile_archives.serve(".pt2", mutant)
