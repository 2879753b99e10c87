"""The learning rate by a short test: which one it takes, what it leaves alone, and that a resumed training goes on with it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sandgrain.base.arrays import Array
from sandgrain.train import loop, rate

OPTIONS = loop.Options(epochs=3, batch=8, lr=0, patience=0)


class Lines:
    """Two classes on either side of a line; some lie on the wrong one."""

    def __init__(self, count: int = 64, seed: int = 0) -> None:
        draw = np.random.default_rng(seed)
        self.x = draw.normal(size=(count, 3)).astype(np.float32)
        self.y = (self.x @ np.array([1.0, -2.0, 0.5]) + draw.normal(0, 0.3, count) > 0).astype(np.int64)

    def train(self, epoch: int) -> tuple[Array, Array]:
        return self.x, self.y

    validation = lambda self: (self.x, self.y)  # noqa: E731


def linear() -> nn.Module:
    loop.prepare(1)
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))


@pytest.mark.parametrize(
    ("losses", "wanted"),
    [
        ([0.9, 0.5, 0.495, 0.52, 0.9], 2e-3),  # as good as the best, and lower
        ([0.9, 0.8, 0.7, 0.4, math.inf], 8e-3),
        ([0.3, 0.8, 0.9, 1.0, 2.0], 1e-3),
        ([0.998, 0.99, 0.98, 0.96, 0.93], 1.6e-2),  # near each other, for none has come far
        ([math.inf] * 5, 4e-3),
        ([1.1, 1.2, 1.3, 1.4, 1.5], 4e-3),
    ],
)
def test_the_lowest_of_the_good_rates_is_taken(losses: list[float], wanted: float) -> None:
    assert rate._lowest(losses, 1.0) == wanted


def test_inputs_that_are_small_want_a_higher_rate_than_large_ones() -> None:
    data = Lines()

    def found(scale: float) -> rate.Tested:
        loop.prepare(0)
        x, y = torch.from_numpy(data.x * np.float32(scale)), torch.from_numpy(data.y)
        return rate.tested(nn.Linear(3, 2), x, y, 8, 0.0, lambda net, x, y: nn.functional.cross_entropy(net(x), y))

    small, large = found(0.01), found(100.0)
    assert small.rate == rate.RATES[-1] > large.rate and len(small.losses) == len(rate.RATES)


def test_the_test_leaves_the_network_alone_and_comes_out_alike() -> None:
    one, other = linear(), linear()
    before = [p.detach().clone() for p in one.parameters()]
    first, second = (loop.train(net, Lines(), replace(OPTIONS, epochs=1, lr=0)) for net in (one, other))
    assert first.lr == second.lr and first.lr in rate.RATES
    given = linear()
    assert all(torch.equal(a, b) for a, b in zip(before, given.parameters(), strict=True))
    assert loop.train(given, Lines(), replace(OPTIONS, epochs=1, lr=first.lr)).lr == first.lr
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), given.parameters(), strict=True))  # as if it had been given


def test_a_resumed_training_keeps_its_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = loop.train(net := linear(), Lines(), OPTIONS)
    told: list[str] = []

    def killed(text: str, done: int, total: int, /) -> None:
        told.append(text)
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.train(linear(), Lines(), OPTIONS, tmp_path / "c.pt", killed)
    monkeypatch.setattr(rate, "tested", None)  # it is not asked again
    again = loop.train(resumed := linear(), Lines(), OPTIONS, tmp_path / "c.pt")
    assert again.lr == whole.lr and again.history.train_loss == whole.history.train_loss
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), resumed.parameters(), strict=True))
