"""The learning rate by a short test: some steps at each of a few rates, from the same weights over the same windows.

What is compared is the loss on the training windows at the end of those steps. A rate that is too low has not come far by then, one that
is too high jumps about; of rates that come equally far the lower one is taken. The test is a fifth of a short training, and each
training of a build makes its own, so that folds choose by what they may see.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

RATES = (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2)  # of AdamW; a factor of two between them makes little difference
STEPS = 60  # at each
WARM = 15  # of them, over which the rate rises
JUDGED = 20  # the last of them, whose losses count
NEAR = 1.03  # times the least loss, or a share of the longest way from the first one: as good

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Tested:
    """`losses`: what each of RATES came to, infinite where it was no longer a number."""

    rate: float
    losses: tuple[float, ...]


def tested(module: nn.Module, inputs: Tensor, targets: Tensor, batch: int, weight_decay: float, loss: Loss) -> Tested:
    """The rate for a module that stays as it is. `inputs`, `targets`: [n, ...], drawn from with the generators as they are."""
    drawn = [torch.randint(len(inputs), (min(batch, len(inputs)),)) for _ in range(STEPS)]
    batches = [(inputs[b], targets[b]) for b in drawn]
    kept = torch.get_rng_state()  # what drops out is the same at each rate
    losses = []
    for rate in RATES:
        torch.set_rng_state(kept)
        losses.append(_after(copy.deepcopy(module), rate, batches, weight_decay, loss))
    still = copy.deepcopy(module).train()
    with torch.no_grad():
        before = float(np.mean([float(loss(still, x, y)) for x, y in batches[-JUDGED:]]))
    return Tested(_lowest(losses, before), tuple(losses))


def _lowest(losses: list[float], before: float) -> float:
    """The lowest rate whose loss, and whose way from the loss `before`, are as good as the best; the middle one where none is any good."""
    least = min(losses)
    if not least < before:
        return RATES[len(RATES) // 2]
    good = [loss <= least * NEAR and (before - loss) * NEAR >= before - least for loss in losses]
    return RATES[good.index(True)]


def _after(module: nn.Module, rate: float, batches: list[tuple[Tensor, Tensor]], weight_decay: float, loss: Loss) -> float:
    """The mean loss of the last steps."""
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=rate, weight_decay=weight_decay)
    module.train()
    found: list[float] = []
    for step, (x, y) in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = rate * min((step + 1) / WARM, 1.0)
        optimizer.zero_grad(set_to_none=True)
        now = loss(module, x, y)
        now.backward()
        optimizer.step()
        found.append(float(now.detach()))
    mean = float(np.mean(found[-JUDGED:]))
    return mean if math.isfinite(mean) else math.inf
