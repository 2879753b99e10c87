"""Entry 5 of shared/CASES.md: what int8 costs is said in the user's own measure, and a collapse is not silent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sandgrain
from sandgrain.graph.ir import Graph, Node, Tensor, attrs
from tests.conftest import ROOT
from tests.support.command import sandgrain as command
from tests.support.draws import rare

Array = Any
DIGITS = ROOT / "sandgrain" / "demo" / "digits.tflite"


def dense(weights: Array, bias: Array, activation: str = "none", name: str = "net") -> Graph:
    """A float layer: y = x @ weights.T + bias."""
    return chain([(weights, bias, activation)], name)


def chain(layers: Sequence[tuple[Array, Array, str]], name: str = "net") -> Graph:
    """Float layers one after another."""
    tensors = [Tensor("x", (1, np.shape(layers[0][0])[1]), "float32")]
    nodes = []
    for k, (weights, bias, activation) in enumerate(layers):
        w, b = np.asarray(weights, np.float32), np.asarray(bias, np.float32)
        first = len(tensors)
        tensors += [
            Tensor(f"w{k}", w.shape, "float32", None, w),
            Tensor(f"b{k}", b.shape, "float32", None, b),
            Tensor(f"y{k}", (1, len(w)), "float32"),
        ]
        how = attrs(activation=activation, keep_num_dims=False)
        nodes.append(Node("fully_connected", f"dense{k}", (first - 1, first, first + 1), (first + 2,), how))
    return Graph(name, tuple(tensors), tuple(nodes), (0,), (len(tensors) - 1,))


def weather(samples: int, seed: int = 0) -> tuple[Array, Array]:
    """hPa, degrees, relative humidity; rain above 0.5 of the last."""
    rng = np.random.default_rng(seed)
    x = np.stack([rng.normal(1000, 30, samples), rng.normal(15, 8, samples), rng.random(samples)], 1).astype(np.float32)
    return x, (x[:, 2] > 0.5).astype(np.int64)


RAIN = dense([[0, 0, -100], [0, 0, 100]], [50, -50])
HOST: dict[str, Any] = {"target": "host", "measure": False}


def said(result: Any) -> str:
    return " ".join(str(result).split())


@rare
def test_05_inputs_of_different_scales_are_warned_about_with_tried_advice() -> None:
    """hPa beside a share: accuracy falls from 1.00 to chance."""
    made = sandgrain.compile(RAIN, calibration=weather(400), **HOST)
    found = made.compared
    assert found is not None and (found.measure, found.samples, found.held_out) == ("accuracy", 200, True)
    assert found.float_value == 1.0 and found.int8_value is not None and found.int8_value < 0.7
    assert found.accuracy_float == 1.0 and found.accuracy_int8 == found.int8_value
    columns, other = made.warnings
    assert "columns 2" in columns or "columns 1, 2" in columns
    assert "(x - mean) / deviation" in columns and "100.00 % with steps of each column's own" in columns
    assert "int8 loses much" in other and "no other way to calibrate is better" in other and "method='mse'" in other
    assert "warning: input 0" in said(made) and "accuracy float 100.00 %, int8" in said(made)
    assert made.to_dict()["warnings"] == list(made.warnings)


def test_05_the_advice_helps() -> None:
    """The same network on columns of like ranges: nothing is lost, nothing is warned about."""
    (x, y), (mean, deviation) = weather(400), (np.array([1000, 15, 0.5]), np.array([30, 8, 0.3]))
    net = dense(np.array([[0, 0, -100], [0, 0, 100]]) * deviation, np.array([50, -50]) + [[0, 0, -100], [0, 0, 100]] @ mean)
    made = sandgrain.compile(net, calibration=(((x - mean) / deviation).astype(np.float32), y), **HOST)
    assert made.compared is not None and made.compared.int8_value is not None and made.compared.int8_value > 0.97
    assert made.warnings == ()


@rare
def test_05_a_better_calibration_is_named_where_there_is_one() -> None:
    """One wild value in the calibration takes the levels of all others with the method that keeps everything."""
    rng = np.random.default_rng(1)
    x = rng.normal(0, 1, (400, 4)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    x[:, 3] = 0
    x[[7, 11, 200, 201], 3] = [600, -600, 500, -500]
    net = dense([[-1, 0, 0, 0], [1, 0, 0, 0]], [0, 0])
    made = sandgrain.compile(net, calibration=(x, y), **HOST)
    (advice,) = made.warnings
    assert made.compared is not None and made.compared.loss > 0.3 and advice.endswith("Use method='average'")
    again = sandgrain.compile(net, calibration=(x, y), method="average", **HOST)
    assert again.compared is not None and again.compared.loss < made.compared.loss - 0.3
    assert f"method='average' accuracy {again.compared.shown(again.compared.int8_value)}" in advice


@rare
@pytest.mark.parametrize(
    ("x", "fact"),
    [
        (np.zeros((50, 3), np.float32), "all zeros"),
        (np.tile(weather(1)[0], (50, 1)), "all the same"),
        (weather(1)[0], "calibrated on 1 sample:"),
        (weather(6)[0], "calibrated on 6 samples"),
    ],
)
def test_05_calibration_that_says_nothing_is_warned_about(x: Array, fact: str) -> None:
    made = sandgrain.compile(RAIN, calibration=x, **HOST)
    assert fact in " ".join(made.warnings)
    if len(x) < 10:
        assert "no sample was held out" in " ".join(made.warnings) and "of the calibration itself" in said(made)


def test_05_the_figures_are_of_samples_that_did_not_calibrate() -> None:
    """Two halves that have nothing to do with each other: ranges of one do not hold the other, however they are ordered."""
    x = np.linspace(-1, 1, 50, dtype=np.float32).reshape(50, 1)
    made = sandgrain.compile(dense([[1.0]], [0.0]), calibration=x, **HOST)
    assert made.compared is not None and (made.compared.samples, made.compared.held_out) == (10, True)
    assert "on 10 samples that calibration did not see" in said(made)


def test_05_a_detector_gets_auc_and_an_autoencoder_no_accuracy() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (200, 4)).astype(np.float32)
    y = (np.arange(200) % 4 == 0).astype(np.int64)
    x[y == 1] += 3
    detector = sandgrain.compile(dense(np.ones((1, 4)), [0.0]), calibration=(x, y), **HOST).compared
    assert detector is not None and detector.measure == "AUC" and detector.float_value is not None and detector.float_value > 0.95
    assert detector.accuracy_float is None
    keep = np.diag([1, 1, 0, 0]).astype(np.float32)  # rebuilds half of what it sees
    rebuilt = sandgrain.compile(dense(keep, np.zeros(4)), calibration=(x, y), **HOST)
    assert rebuilt.compared is not None and rebuilt.compared.measure == "AUC" and "accuracy" not in said(rebuilt)
    many = sandgrain.compile(dense(keep, np.zeros(4)), calibration=(x, np.arange(200) % 3), **HOST)
    assert many.compared is not None and many.compared.measure == "" and "accuracy" not in said(many)


def test_05_a_regression_gets_its_mean_absolute_error() -> None:
    x, _ = weather(60)
    x = (x - x.mean(0)) / x.std(0)
    weights = np.array([[0.5, -1.0, 0.25]])
    y = (x @ weights.T + 0.1).astype(np.float32)
    found = sandgrain.compile(dense(weights, [0.0]), calibration=(x, y), **HOST).compared
    assert found is not None and found.measure == "MAE"
    assert found.float_value == pytest.approx(0.1, abs=1e-5) and found.int8_value == pytest.approx(0.1, abs=0.05)


@rare
def test_05_one_hot_labels_are_labels() -> None:
    x, y = weather(60)
    found = sandgrain.compile(RAIN, calibration=(x, np.eye(2)[y]), **HOST).compared
    assert found is not None and (found.measure, found.float_value) == ("accuracy", 1.0)


@rare
def test_05_labels_that_count_from_one_get_no_accuracy() -> None:
    x, y = weather(60)
    made = sandgrain.compile(RAIN, calibration=(x, y + 1), **HOST)
    assert made.compared is not None and made.compared.measure == "" and "labels count from 0" in " ".join(made.warnings)


def test_05_every_command_says_it(tmp_path: Path) -> None:
    x, y = weather(400)
    np.savez(tmp_path / "w.npz", x=x, y=y)
    report = sandgrain.quantize(RAIN, tmp_path / "w.npz", tmp_path / "w.tflite")
    assert report.compared.measure == "accuracy" and any("(x - mean) / deviation" in w for w in report.warnings)
    survey = sandgrain.inspect(RAIN, calibration=(x, y))
    assert survey.compared is not None and survey.compared.float_value == 1.0 and survey.warnings
    done = command("inspect", DIGITS, "-c", DIGITS.with_suffix(".npz"), cwd=tmp_path)
    assert done.code == 0 and "int8 on 360 samples" in done.out and "accuracy" in done.out
    done = command("compile", "w.tflite", "-t", "host", "--no-measure", "-c", "w.npz", "--json", cwd=tmp_path)
    assert done.json["compared"]["measure"] == "accuracy" and done.json["compared"]["float"] is None
