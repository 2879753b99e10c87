"""The training loop: seeded, stopped early, and resumed after any kill with the very same weights.

An epoch depends on nothing but the state at its start and (seed, epoch), so a checkpoint at every epoch's end is enough: what
a killed epoch had done is done again, bit for bit. While one epoch trains, the next one's data are made in another thread.
"""

from __future__ import annotations

import copy
import io
import math
import os
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from sandgrain.base import files, sealed
from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Progress, silent
from sandgrain.train import length, rate

HUBER = 1.0  # of a standardized target: beyond it an error counts by its size, not its square
THREADS = 2  # of PyTorch, where nobody says: a constant, since sums depend on how they are split between threads


@dataclass(frozen=True, slots=True)
class Options:
    """How to train; the same keys as `[train]` in a project file.

    `loss`: "cross-entropy" for classes, "mse" for outputs that shall equal targets (an autoencoder's are its inputs), "huber" for
    targets with outliers: squares up to HUBER, absolute errors beyond it (Huber 1964); targets have a deviation of about 1.
    """

    epochs: int = 60
    batch: int = 64
    lr: float = 2e-3  # 0: by a short test, see rate.py
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    weight_decay: float = 1e-4
    patience: int = 15
    label_smoothing: float = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    seed: int = 0
    loss: Literal["cross-entropy", "mse", "huber"] = "cross-entropy"
    threads: int = 0  # of PyTorch, 0: THREADS; trained weights depend on it


class Data(Protocol):
    """Where samples come from. Arrays are float32 [n, *shape]; labels int64 [n], or float32 targets for the other losses."""

    def train(self, epoch: int) -> tuple[Array, Array]:
        """The samples of one epoch, the same for the same epoch."""
        ...

    def validation(self) -> tuple[Array, Array]: ...


@dataclass(slots=True)
class History:
    """A figure an epoch."""

    train_loss: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)  # on the validation samples
    accuracy: list[float] = field(default_factory=list)  # there too; of classes only


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """`best`: the epoch whose weights the module has now, the one of least validation loss. `epochs`: those that ran."""

    history: History
    best: int
    epochs: int
    lr: float  # at its peak


def train(
    module: nn.Module,
    data: Data,
    options: Options,
    checkpoint: Path | None = None,
    progress: Progress = silent,
    teacher: nn.Module | None = None,
) -> Trained:
    """Train `module` in place; with `checkpoint`, go on from there and keep it up to date.

    `teacher`: whose outputs the module learns instead of the targets, which still say what epoch is the best. It stays as it is.

    A checkpoint of other options or another module is not used. Raises UsageError where the loss is no longer a number.
    """
    prepare(options.seed, options.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    module.to(device)
    if teacher is not None:
        teacher.to(device).eval()
    state = _State.new(module, options, teacher is not None)
    name = "training" if teacher is None else "training in int8"  # an int8 twin is what has a teacher
    if checkpoint is not None:
        state.load(checkpoint)
    inputs, targets = data.validation()
    weights = _class_weights(data, options, device)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(data.train, state.epoch)
        steps = length.steps_of(len(coming.result()[0]), options.batch)  # of every epoch
        state.lr = state.lr or options.lr or _tested(module, coming.result(), options, weights, device)
        while state.epoch < options.epochs and not state.stopped(options.patience, steps):
            samples = coming.result()
            if state.epoch + 1 < options.epochs:
                coming = pool.submit(data.train, state.epoch + 1)
            seed(options.seed, state.epoch)
            state.history.train_loss.append(_epoch(module, state, samples, options, weights, device, teacher))
            state.judge(module, *_validate(module, inputs, targets, options, weights, device))
            state.epoch += 1
            if checkpoint is not None:
                state.save(checkpoint)
            progress(f"{name} ({_last(state.history)})", state.epoch, options.epochs)
    module.load_state_dict(state.best_weights)
    for one in (module, teacher) if teacher is not None else (module,):
        one.to("cpu").eval()
    return Trained(state.history, state.best, state.epoch, state.lr)


def prepare(value: int, threads: int = 0) -> None:
    """Everything that makes two runs alike, before a module is made. `threads`: of PyTorch, 0: THREADS."""
    torch.set_num_threads(min(threads or THREADS, most_threads()))
    torch.use_deterministic_algorithms(True, warn_only=True)
    seed(value, 0)


def most_threads() -> int:
    """What the environment allows. With OMP_THREAD_LIMIT below what PyTorch was told, parts of a tensor are never computed."""
    limit = os.environ.get("OMP_THREAD_LIMIT", "")
    return max(int(limit), 1) if limit.isascii() and limit.isdigit() else 1 << 16


def seed(value: int, epoch: int) -> None:
    """Seed all generators for an epoch."""
    mixed = int(np.random.SeedSequence([value, epoch]).generate_state(1)[0])
    random.seed(mixed)
    np.random.seed(mixed)  # user modules may use it
    torch.manual_seed(mixed)


def predict(module: nn.Module, inputs: Array, batch: int = 256) -> Array:
    """Outputs of the module in evaluation mode, float32 [n, ...]."""
    module.eval()
    with torch.no_grad():
        parts = [module(torch.from_numpy(inputs[k : k + batch])).numpy() for k in range(0, len(inputs), batch)]
    return np.concatenate(parts)


# --- one epoch --------------------------------------------------------------------------------------------------------


def _epoch(
    module: nn.Module,
    state: _State,
    samples: tuple[Array, Array],
    options: Options,
    weights: Tensor | None,
    device: torch.device,
    teacher: nn.Module | None,
) -> float:
    inputs, targets = (torch.from_numpy(np.ascontiguousarray(a)) for a in samples)
    order = torch.randperm(len(inputs))
    steps = math.ceil(len(inputs) / options.batch)
    module.train()
    total = torch.zeros((), device=device)
    for step in range(steps):
        chosen = order[step * options.batch : (step + 1) * options.batch]
        if len(chosen) < 2 and step:
            continue  # batch norm needs two
        lr = state.lr * _share((state.epoch + step / steps) / options.epochs, options.schedule)
        for group in state.optimizer.param_groups:
            group["lr"] = lr
        x, y = inputs[chosen].to(device), targets[chosen].to(device)
        state.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, enabled=device.type == "cuda"):
            outputs = module(x)
            if teacher is None:
                loss = _loss(outputs, y, options, weights, options.label_smoothing)
            else:
                loss = _distance(outputs, x, teacher, options)
        state.scaler.scale(loss).backward()
        state.scaler.step(state.optimizer)
        state.scaler.update()
        total += loss.detach()
    mean = float(total) / steps
    if not math.isfinite(mean):
        raise UsageError(f"[train]: the loss is no longer a number in epoch {state.epoch + 1}; lower `lr` (it is {state.lr:g})")
    return mean


def _tested(
    module: nn.Module, samples: tuple[Array, Array], options: Options, weights: Tensor | None, device: torch.device
) -> float:
    """The learning rate that a short test on these samples finds."""
    seed(options.seed, 0)
    x, y = (torch.from_numpy(np.ascontiguousarray(a)).to(device) for a in samples)

    def loss(module: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        return _loss(module(x), y, options, weights, options.label_smoothing)

    return rate.tested(module, x, y, options.batch, options.weight_decay, loss).rate


def _share(done: float, schedule: str) -> float:
    """The learning rate's share of its peak when `done` of all epochs are over: a short warm-up, then the schedule."""
    if done < 0.03:
        return max(done / 0.03, 0.05)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return (1.0 if done < 0.5 else 0.1 if done < 0.8 else 0.01) if schedule == "step" else 1.0


def _loss(outputs: Tensor, targets: Tensor, options: Options, weights: Tensor | None, smoothing: float) -> Tensor:
    if options.loss == "mse":
        return nn.functional.mse_loss(outputs, targets)
    if options.loss == "huber":
        return nn.functional.huber_loss(outputs, targets, delta=HUBER)
    return nn.functional.cross_entropy(outputs, targets, weight=weights, label_smoothing=smoothing)


def _distance(outputs: Tensor, x: Tensor, teacher: nn.Module, options: Options) -> Tensor:
    """Of the outputs from a teacher's: cross entropy of the two distributions over the classes (Hinton et al. 2015), or squares."""
    with torch.no_grad():
        wanted = teacher(x)
    if options.loss != "cross-entropy":
        return nn.functional.mse_loss(outputs, wanted)
    return nn.functional.cross_entropy(outputs, wanted.softmax(1))


def _class_weights(data: Data, options: Options, device: torch.device) -> Tensor | None:
    """Inverse frequencies with mean 1 over the samples."""
    if options.class_weights == "none" or options.loss != "cross-entropy":
        return None
    targets = data.train(0)[1]
    counts = np.maximum(np.bincount(targets), 1)
    return torch.tensor(len(targets) / (len(counts) * counts), dtype=torch.float32, device=device)


def _validate(
    module: nn.Module, inputs: Array, targets: Array, options: Options, weights: Tensor | None, device: torch.device
) -> tuple[float, float | None]:
    module.eval()
    loss, right = 0.0, 0
    with torch.no_grad():
        for k in range(0, len(inputs), 256):
            x, y = torch.from_numpy(inputs[k : k + 256]).to(device), torch.from_numpy(targets[k : k + 256]).to(device)
            out = module(x)
            loss += float(_loss(out, y, options, weights, 0.0)) * len(x)
            right += int((out.argmax(1) == y).sum()) if options.loss == "cross-entropy" else 0
    count = max(len(inputs), 1)
    return loss / count, right / count if options.loss == "cross-entropy" else None


def _last(history: History) -> str:
    """The figures of the last epoch, for people."""
    accuracy = f", accuracy {history.accuracy[-1]:.3f}" if history.accuracy else ""
    return f"loss {history.loss[-1]:.3f}{accuracy}"


# --- what a checkpoint holds -------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class _State:
    module: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    identity: str
    history: History
    best_weights: dict[str, Tensor]
    best: int = -1
    epoch: int = 0
    lr: float = 0.0  # at its peak; 0 until it is known

    @classmethod
    def new(cls, module: nn.Module, options: Options, taught: bool) -> _State:
        decayed = [p for p in module.parameters() if p.requires_grad and p.ndim > 1]
        plain = [p for p in module.parameters() if p.requires_grad and p.ndim <= 1]  # biases and norms are not decayed
        groups = [{"params": decayed, "weight_decay": options.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=options.lr or 1.0)  # each step sets its own
        scaler = torch.amp.GradScaler(enabled=torch.cuda.is_available())
        shapes = {k: list(v.shape) for k, v in module.state_dict().items()}
        return cls(module, optimizer, scaler, repr((asdict(options), shapes, taught)), History(), _copy(module))

    def judge(self, module: nn.Module, loss: float, accuracy: float | None) -> None:
        """Take the epoch's figures; keep its weights when the loss is the least so far."""
        if not self.history.loss or loss < min(self.history.loss):
            self.best, self.best_weights = self.epoch, _copy(module)
        self.history.loss.append(loss)
        if accuracy is not None:
            self.history.accuracy.append(accuracy)

    def stopped(self, patience: int, steps: int) -> bool:
        """After so many epochs, of so many steps each, without a better one."""
        waited = self.epoch - 1 - self.best
        return patience > 0 and waited >= patience and waited * steps >= length.PATIENCE_STEPS

    def save(self, path: Path) -> None:
        """Write the checkpoint beside its place and move it there: a kill leaves the old one or the new one."""
        facts = {
            "identity": self.identity,
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "history": asdict(self.history),
            "best": self.best,
            "best_weights": self.best_weights,
            "epoch": self.epoch,
            "lr": self.lr,
        }
        with files.atomic(path) as file:
            sealed.write(file, lambda inner: torch.save(facts, inner))
            os.fsync(file.fileno())

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same training; any other file is left alone."""
        try:
            with sealed.opened(path) as stream:
                content = io.BytesIO(stream.read())
            facts: dict[str, Any] = torch.load(content, weights_only=True)  # tensors and plain values: nothing is unpickled
        except Exception:  # none, or damaged in any of many ways: begin anew
            return
        if facts.get("identity") != self.identity:
            return
        self.module.load_state_dict(facts["module"])
        self.optimizer.load_state_dict(facts["optimizer"])
        self.scaler.load_state_dict(facts["scaler"])
        self.history, self.best, self.epoch = History(**facts["history"]), facts["best"], facts["epoch"]
        self.best_weights, self.lr = facts["best_weights"], facts["lr"]


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return copy.deepcopy({k: v.detach().cpu() for k, v in module.state_dict().items()})
