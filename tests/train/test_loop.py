"""The training loop: two runs are alike, a killed one ends like one left alone, the best epoch's weights are kept."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Progress
from sandgrain.train import length, loop
from tests.conftest import ROOT
from tests.support.draws import rare

OPTIONS = loop.Options(epochs=6, batch=8, lr=1e-2, patience=0)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """So small sums are not worth a second thread, and tests run beside each other."""
    monkeypatch.setattr(loop, "THREADS", 1)


class Killed(BaseException):
    """What a test raises where a kill would come; nothing in the loop may catch it."""


class Blobs:
    """Two clouds in the plane; every epoch moves the training samples a little, as augmentation does."""

    def __init__(self, samples: int = 48, shift: float = 2.0, noise: float = 0.1, bad: bool = False) -> None:
        rng = np.random.default_rng(7)
        self.y = np.arange(samples) % 2
        self.x = (rng.normal(size=(samples, 2)) + shift * self.y[:, np.newaxis]).astype(np.float32)
        self.noise, self.bad = noise, bad

    def train(self, epoch: int) -> tuple[Any, Any]:
        rng = np.random.default_rng([3, epoch])
        x = self.x + rng.normal(size=self.x.shape).astype(np.float32) * np.float32(self.noise)
        return x * np.float32(np.nan if self.bad and epoch == 2 else 1), self.y

    def validation(self) -> tuple[Any, Any]:
        return self.x, self.y


def module(seed: int = 0) -> nn.Module:
    """With dropout and batch norm: both have state that a resumed run must have, too."""
    loop.prepare(seed)
    return nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2))


def weights(net: nn.Module) -> dict[str, bytes]:
    return {k: v.numpy().tobytes() for k, v in net.state_dict().items()}


def trained(options: loop.Options = OPTIONS, **how: Any) -> tuple[nn.Module, loop.Trained]:
    net = module(options.seed)
    return net, loop.train(net, how.pop("data", Blobs()), options, **how)


def killed_after(epochs: int) -> Progress:
    def progress(what: str, done: int, total: int, /) -> None:
        if done == epochs:
            raise Killed

    return progress


def test_two_runs_give_the_same_weights_and_history() -> None:
    (a, one), (b, two) = trained(), trained()
    assert weights(a) == weights(b) and one.history == two.history
    assert len(one.history.loss) == len(one.history.train_loss) == len(one.history.accuracy) == one.epochs == 6


def test_another_seed_gives_other_weights() -> None:
    assert weights(trained()[0]) != weights(trained(replace(OPTIONS, seed=1))[0])


@pytest.mark.parametrize("schedule", ["cosine", "step", "constant"])
def test_a_killed_run_goes_on_to_the_same_weights(schedule: Any, tmp_path: Path) -> None:
    options, checkpoint = replace(OPTIONS, schedule=schedule, class_weights="balanced", label_smoothing=0.1), tmp_path / "a.pt"
    alone, whole = trained(options)
    for epochs in (1, 2, 5):
        with pytest.raises(Killed):
            trained(options, checkpoint=checkpoint, progress=killed_after(epochs))
    net, resumed = trained(options, checkpoint=checkpoint)
    assert weights(net) == weights(alone) and resumed.history == whole.history and resumed.best == whole.best


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    net, _ = trained(checkpoint=tmp_path / "a.pt")
    again, _ = trained(checkpoint=tmp_path / "a.pt", progress=killed_after(6))
    assert weights(net) == weights(again)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"\x80\x04."])
def test_a_damaged_checkpoint_is_begun_anew(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(damage)
    assert weights(trained(checkpoint=tmp_path / "a.pt")[0]) == weights(trained()[0])


def test_a_checkpoint_of_other_options_is_not_used(tmp_path: Path) -> None:
    trained(replace(OPTIONS, lr=0.5), checkpoint=tmp_path / "a.pt")
    assert weights(trained(checkpoint=tmp_path / "a.pt")[0]) == weights(trained()[0])


def test_training_stops_when_the_loss_no_longer_falls_and_keeps_the_best_weights() -> None:
    data = Blobs(shift=0.0, noise=3.0)  # nothing to learn: the validation loss rises sooner or later
    net, found = trained(replace(OPTIONS, epochs=200, patience=3, lr=0.05), data=data)
    loss = found.history.loss
    waited = -(-length.PATIENCE_STEPS // length.steps_of(len(data.train(0)[0]), OPTIONS.batch))  # more than three epochs
    assert found.epochs < 200 and found.best == int(np.argmin(loss)) and len(loss) == found.epochs == found.best + 1 + waited
    with torch.no_grad():
        x, y = (torch.from_numpy(a) for a in data.validation())
        assert float(nn.functional.cross_entropy(net(x), y)) == pytest.approx(min(loss), rel=1e-5)


def test_a_loss_that_is_no_number_names_the_epoch_and_the_way_out() -> None:
    with pytest.raises(UsageError, match=r"no longer a number in epoch 3; lower `lr` \(it is 0.01\)"):
        trained(data=Blobs(bad=True))


class Wrong(Blobs):
    """Labels that are the opposite of what they should be, in training and in validation."""

    def __init__(self) -> None:
        super().__init__(shift=4.0)
        self.y = 1 - self.y


def test_a_pupil_learns_its_teacher_and_not_the_labels() -> None:
    teacher, _ = trained(replace(OPTIONS, epochs=20), data=Blobs(shift=4.0))
    before = weights(teacher)
    pupil = module(5)
    loop.train(pupil, Wrong(), replace(OPTIONS, epochs=1, batch=4, lr=0.02), teacher=teacher)
    assert weights(teacher) == before and not teacher.training
    x = torch.from_numpy(Blobs(shift=4.0).x)
    with torch.no_grad():
        assert (pupil(x).argmax(1) == teacher(x).argmax(1)).float().mean() > 0.9


def test_a_killed_pupil_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    teacher, _ = trained()
    alone, _ = trained(teacher=teacher)
    with pytest.raises(Killed):
        trained(teacher=teacher, checkpoint=tmp_path / "a.pt", progress=killed_after(2))
    assert weights(trained(checkpoint=tmp_path / "a.pt")[0]) == weights(trained()[0])  # without a teacher: not its checkpoint
    with pytest.raises(Killed):
        trained(teacher=teacher, checkpoint=tmp_path / "b.pt", progress=killed_after(2))
    net, _ = trained(teacher=teacher, checkpoint=tmp_path / "b.pt")
    assert weights(net) == weights(alone) != weights(trained()[0])


def test_an_autoencoder_learns_its_inputs() -> None:
    class Same:
        x = np.random.default_rng(0).normal(size=(32, 2)).astype(np.float32)

        def train(self, epoch: int) -> tuple[Any, Any]:
            return self.x, self.x

        def validation(self) -> tuple[Any, Any]:
            return self.x, self.x

    _, found = trained(replace(OPTIONS, loss="mse", epochs=20), data=Same())
    assert found.history.accuracy == [] and found.history.loss[-1] < found.history.loss[0]


def test_balanced_weights_count_each_class_alike() -> None:
    class Rare(Blobs):
        def train(self, epoch: int) -> tuple[Any, Any]:
            return self.x[:9], np.array([0] * 6 + [1] * 3)

    found = loop._class_weights(Rare(), replace(OPTIONS, class_weights="balanced"), torch.device("cpu"))
    assert found is not None and found.tolist() == pytest.approx([0.75, 1.5])


def test_the_last_batch_may_hold_one_sample() -> None:
    trained(data=Blobs(samples=9))  # batch norm in training mode refuses a batch of one


@rare
def test_a_limit_on_threads_in_the_environment_is_kept() -> None:
    """PyTorch, told of two threads where OpenMP may have one, left half of each tensor as it was: the loss was no number."""
    code = (
        "import numpy as np, torch\nfrom torch import nn\nfrom sandgrain.train import loop\n"
        "class Data:\n"
        "    def train(self, epoch):\n        rng = np.random.default_rng(0)\n"
        "        y = np.arange(512) % 2\n"
        "        return (rng.normal(size=(512, 3, 64, 64)) + y[:, None, None, None]).astype(np.float32), y\n"
        "    validation = lambda self: self.train(0)\n"
        "loop.prepare(0)\n"
        "net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 62 * 62, 2))\n"
        "print(torch.get_num_threads(), loop.train(net, Data(), loop.Options(epochs=2, batch=64)).history.accuracy[-1] > 0.9)\n"
    )
    env = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=ROOT, timeout=300)
    assert done.stdout.split() == ["1", "True"], done.stderr


@pytest.mark.parametrize(
    ("windows", "batch", "epochs"),
    [(1, 8, 300), (72, 8, 167), (500, 16, 60), (1000, 32, 60), (3000, 64, 60), (100_000, 64, 60), (20, 8, 300)],
)
def test_small_sets_get_small_batches_and_enough_steps(windows: int, batch: int, epochs: int) -> None:
    assert (length.batch_of(windows), length.epochs_of(windows, batch)) == (batch, epochs)
    assert windows < 40 or length.steps_of(windows, batch) >= 20 or batch == length.LEAST_BATCH
