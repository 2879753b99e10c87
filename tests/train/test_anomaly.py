"""Detectors of anomalies: what the integers compute is what was fitted, and thresholds come from normal data."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandgrain.base.errors import SandgrainError, UsageError
from sandgrain.graph import interpret, rules
from sandgrain.graph.ir import Array, Graph, Node, Tensor, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.detect.least import correction
from sandgrain.graph.ops.detect.squared_error import unit
from sandgrain.graph.quantization import INT32_MAX, per_tensor
from sandgrain.train import scores
from tests.support.draws import rare

sklearn_metrics = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn: pip install 'sandgrain[train]'")
from sandgrain.train.anomaly import Detector, Options, detect_by_reconstruction, fit, layout, over_rows, rows_of  # noqa: E402
from sandgrain.train.detector_graphs import Rows  # noqa: E402

QUANT = per_tensor(8 / 255, 3)
FRAMES, BANDS = 6, 10


def windows(count: int, seed: int, shift: float = 0.0, shape: tuple[int, ...] = (FRAMES, BANDS)) -> Array:
    """int8 [count, *shape] of two correlated clusters; `shift`: how far each value lies off."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(7).normal(size=(shape[-1], shape[-1])) * 0.25 + np.eye(shape[-1]) * 0.3
    centre = np.where(rng.random((count, *(1 for _ in shape))) < 0.4, 1.0, -0.6)
    real = centre + rng.normal(size=(count, *shape)) @ mix + shift * rng.choice((-1, 1), size=(count, *shape))
    return np.clip(np.rint(real / QUANT.scale[0] + QUANT.zero_point[0]), -128, 127).astype(np.int8)


NORMAL, TEST, STRANGE = windows(150, 0), windows(60, 1), windows(60, 2, 0.35)
KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("kmeans", {"components": 4}),
    ("kmeans", {"components": 3, "standardize": True, "context": 2}),
    ("gmm", {"components": 3}),
    ("gmm", {"components": 2, "covariance": "full"}),
    ("gmm", {"components": 4, "view": "window"}),
    ("gmm", {"components": 1, "covariance": "full", "reduce": "max"}),
    ("mahalanobis", {}),
    ("mahalanobis", {"covariance": "empirical", "view": "mean"}),
    ("mahalanobis", {"view": "window"}),
    ("kmeans", {"view": "mean", "reduce": "max"}),
)


@rare
@pytest.mark.parametrize(("kind", "options"), KINDS, ids=lambda v: v if isinstance(v, str) else "-".join(map(str, v.values())))
def test_integer_scores_are_the_fitted_model(kind: str, options: dict[str, Any]) -> None:
    found = fit(kind, NORMAL, QUANT, **options)
    assert found.real is not None
    for x in (TEST, STRANGE):
        real = found.real(x)
        whole = found.scores(x).astype(np.float64) * found.unit + found.offset
        assert np.abs(whole - real).max() < 0.002 * (1 + np.abs(real - found.offset).max())
    low, high = found.scores(TEST), found.scores(STRANGE)
    assert abs(scores.auc(low, high) - scores.auc(found.real(TEST), found.real(STRANGE))) < 0.0005
    assert scores.auc(low, high) > 0.6


@rare
@pytest.mark.parametrize(("kind", "options"), KINDS[:5:2], ids=["kmeans", "gmm", "gmm window"])
def test_the_c_gives_what_the_reference_gives(kind: str, options: dict[str, Any]) -> None:
    found = fit(kind, NORMAL, QUANT, **options)
    expected = [interpret.run(found.graph, [x[None]])[0][0] for x in STRANGE[:10]]
    assert found.scores(STRANGE[:10]).tolist() == expected


@rare
def test_a_mixture_agrees_with_scikit_learn() -> None:
    """One row a window, so that the score is one log-likelihood."""
    from sklearn.mixture import GaussianMixture

    for covariance in ("diag", "full"):
        x = NORMAL[:, 0]
        found = fit("gmm", x, QUANT, held_out=TEST[:, 0], components=3, covariance=covariance)
        step = QUANT.scale[0]
        theirs = GaussianMixture(3, covariance_type=covariance, reg_covar=step**2 / 12, random_state=0, max_iter=200)
        theirs.fit((x - 3.0) * step)
        assert found.real is not None
        expected = -theirs.score_samples((TEST[:, 0] - 3.0) * step)
        assert np.allclose(found.real(TEST[:, 0]), expected)
        assert np.abs(found.scores(TEST[:, 0]) * found.unit + found.offset - expected).max() < 0.02


def test_mahalanobis_agrees_with_scikit_learn() -> None:
    from sklearn.covariance import MinCovDet

    x = NORMAL[:, 0]
    found = fit("mahalanobis", x, QUANT, held_out=TEST[:, 0], covariance="robust")
    step = QUANT.scale[0]
    theirs = MinCovDet(random_state=0).fit((x - 3.0) * step)
    precision = np.linalg.inv(theirs.covariance_ + np.eye(BANDS) * step**2 / 12)  # rounding has a variance of its own
    y = (TEST[:, 0] - 3.0) * step - theirs.location_
    expected = ((y @ precision) * y).sum(axis=1)
    assert np.abs(found.scores(TEST[:, 0]) * found.unit / expected - 1).max() < 0.002


@rare
def test_columns_that_never_vary_do_no_harm() -> None:
    x = NORMAL.copy()
    x[:, :, 4] = 17
    for kind, options in (("gmm", {"components": 2}), ("gmm", {"components": 2, "covariance": "full"}), ("mahalanobis", {})):
        found = fit(kind, x, QUANT, **options)  # type: ignore[arg-type]
        assert found.real is not None
        real, whole = found.real(x[:40]), found.scores(x[:40]) * found.unit + found.offset
        assert np.abs(whole - real).max() < 0.01 * (1 + np.abs(real).max())
        moved = x[:20].copy()
        moved[:, :, 4] = 40
        assert found.scores(moved).min() > found.scores(x[:20]).max()


def test_a_score_far_beyond_all_saturates() -> None:
    found = fit("gmm", NORMAL // 8, QUANT, components=2, covariance="full")
    far = np.where(np.arange(BANDS) % 2, 127, -128).astype(np.int8)
    score = found.scores(np.broadcast_to(far, (1, FRAMES, BANDS)))[0]
    assert 0 < found.threshold < score <= INT32_MAX


@rare
def test_the_threshold_keeps_the_false_alarms_asked_for() -> None:
    for share in (0.0, 0.02, 0.1, 0.5):
        found = fit("kmeans", NORMAL, QUANT, held_out=TEST, components=3, false_alarms=share)
        assert found.facts["held_out"] == 60
        assert (found.scores(TEST) > found.threshold).sum() == int(share * 60)
        assert found.alarms(TEST).sum() == int(share * 60)


def test_the_same_fit_twice_is_the_same() -> None:
    first, second = (fit("gmm", NORMAL, QUANT, components=2).to_json() for _ in range(2))
    assert json.dumps(first) == json.dumps(second)


def test_a_detector_survives_json() -> None:
    found = fit("mahalanobis", NORMAL, QUANT)
    again = Detector.from_json(json.loads(json.dumps(found.to_json())))
    assert (again.threshold, again.unit, again.offset, again.facts) == (found.threshold, found.unit, found.offset, found.facts)
    assert again.scores(TEST).tolist() == found.scores(TEST).tolist()


def test_rows_are_what_the_board_reads() -> None:
    x = np.arange(2 * 4 * 3, dtype=np.int8).reshape(2, 4, 3)
    whole = layout(x, QUANT, Options(view="window"))
    assert rows_of(x, QUANT, whole).tolist() == x.reshape(2, 1, 12).tolist()
    pairs = layout(x, QUANT, Options(view="frames", context=2))
    assert (pairs.count, pairs.depth) == (3, 6)
    assert rows_of(x, QUANT, pairs)[1].tolist() == [[*range(12, 18)], [*range(15, 21)], [*range(18, 24)]]
    mean = layout(NORMAL, QUANT, Options(view="mean"))
    rows = rows_of(NORMAL, QUANT, mean)
    real = (rows[:, 0].astype(float) - mean.quant.zero_point[0]) * mean.quant.scale[0]
    assert np.abs(real - (NORMAL.astype(float) - 3).mean(axis=1) * QUANT.scale[0]).max() < mean.quant.scale[0]


@pytest.mark.parametrize(
    ("kind", "options", "says"),
    [
        ("forest", {}, "choose kmeans, gmm, mahalanobis, autoencoder"),
        ("kmeans", {"clusters": 3}, "no option clusters"),
        ("kmeans", {"components": 0}, "1 to 64 components"),
        ("kmeans", {"components": 65}, "1 to 64 components"),
        ("kmeans", {"view": "rows"}, "choose auto, frames, window, mean"),
        ("kmeans", {"context": 7}, "choose fewer"),
        ("kmeans", {"false_alarms": 1.0}, "shares below 1"),
        ("gmm", {"covariance": "robust"}, "choose diag or full"),
        ("mahalanobis", {"covariance": "diag"}, "choose shrunk, robust or empirical"),
    ],
)
def test_what_cannot_be_fitted_is_said(kind: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        fit(kind, NORMAL, QUANT, **options)


def test_features_that_cannot_be_used_are_said() -> None:
    with pytest.raises(UsageError, match="needs int8"):
        fit("kmeans", NORMAL.astype(np.float32), QUANT)
    with pytest.raises(UsageError, match="without frames"):
        fit("kmeans", NORMAL.reshape(150, -1), QUANT, view="frames")
    with pytest.raises(UsageError, match="up to 256"):
        fit("mahalanobis", windows(40, 1, shape=(30, 10)), QUANT, view="window")
    with pytest.raises(UsageError, match="rows of normal features"):
        fit("kmeans", NORMAL[:4], QUANT, view="window")


# --- the ops ---------------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 1 << 21), st.integers(4, 16))
def test_the_correction_is_the_logarithm(difference: int, fraction: int) -> None:
    real = np.log1p(np.exp(-difference / 2**fraction))
    assert abs(int(correction(np.array(difference), fraction)) / 2**fraction - real) < 0.0006 + 2.0**-fraction


def test_the_soft_least_is_a_log_sum_of_exponentials() -> None:
    rng = np.random.default_rng(3)
    for components in (1, 2, 8, 64):
        real = rng.uniform(0, 6, (5, components))
        x = Tensor("x", real.shape, "int32")
        a = attrs(fraction=16, reduce="sum", shift=0)
        graph = Graph("least", (x, Tensor("y", (1,), "int32")), (Node("least", "y", (0,), (1,), a),), (0,), (1,))
        rules.check(graph)
        got = interpret.run(graph, [np.rint(real * 65536).astype(np.int32)])[0][0] / 65536
        assert abs(got - -np.log(np.exp(-real).sum(axis=1)).sum()) < 0.002 * np.log2(components + 1)


def test_the_squared_error_is_real() -> None:
    rng = np.random.default_rng(5)
    for second in (per_tensor(0.05, -4), per_tensor(0.031, 9)):
        a, b = Tensor("a", (1, 40), "int8", per_tensor(0.05, 10)), Tensor("b", (40,), "int8", second)
        graph = Graph("e", (a, b, Tensor("y", (1,), "int32")), (Node("squared_error", "y", (0, 1), (2,)),), (0, 1), (2,))
        rules.check(graph)
        x, y = rng.integers(-128, 128, (1, 40)).astype(np.int8), rng.integers(-128, 128, 40).astype(np.int8)
        real = (((x[0] - 10.0) * 0.05 - (y - float(second.zero_point[0])) * second.scale[0]) ** 2).sum()
        assert abs(interpret.run(graph, [x, y])[0][0] * unit(a, b) / real - 1) < 0.001


def test_sums_that_could_overflow_are_refused() -> None:
    x = Tensor("x", (1, 300), "int8", QUANT)
    depth = 256
    tables = [
        np.full((1, depth * (depth + 1) // 2), 32767, np.int16),
        np.full((1, depth), 2**31 - 1, np.int32),
        np.zeros((1, depth), np.int8),
        np.zeros(1, np.int32),
    ]
    tensors = (x, *(Tensor(f"t{k}", t.shape, t.dtype.name, data=t) for k, t in enumerate(tables)), Tensor("y", (1, 1), "int32"))
    node = Node("whitened_distance", "y", (0, 1, 2, 3, 4), (5,), attrs(depth=depth, step=depth, shift=0))
    with pytest.raises(SandgrainError, match="can exceed 32 bits"):
        rules.check(Graph("w", tensors, (node,), (0,), (5,)))


# --- autoencoders ------------------------------------------------------------------------------------------------------


def identity() -> Graph:
    """A poor int8 autoencoder for one frame: positive values pass, others become 0."""
    x, y = Tensor("x", (1, BANDS), "int8", QUANT), Tensor("y", (1, BANDS), "int8", QUANT)
    return Graph("relu", (x, y), (Node("relu", "relu", (0,), (1,)),), (0,), (1,))


def test_a_net_for_one_frame_runs_on_all_of_a_window() -> None:
    rows = Rows((FRAMES, BANDS), BANDS, BANDS, QUANT)
    found = detect_by_reconstruction(over_rows(identity(), rows), TEST)
    real = (np.minimum(TEST.astype(float) - 3, 0) * QUANT.scale[0]) ** 2
    assert np.allclose(found.scores(TEST) * found.unit, real.reshape(60, -1).mean(axis=1), rtol=0.001)
    assert found.threshold == found.scores(TEST).max()


def test_only_layers_that_keep_rows_apart_run_on_all_of_them() -> None:
    a = attrs(axes=(1,), keep_dims=True)
    x, y = Tensor("x", (1, BANDS), "int8", QUANT), Tensor("y", (1, 1), "int8", QUANT)
    graph = Graph("mean", (x, y), (Node("mean", "mean", (0,), (1,), a),), (0,), (1,))
    with pytest.raises(UsageError, match="cannot run on single frames"):
        over_rows(graph, Rows((FRAMES, BANDS), BANDS, BANDS, QUANT))
    assert "mean" in OPS


@rare
@pytest.mark.parametrize("view", ["frames", "window"])
def test_an_autoencoder_is_trained_and_quantized(view: str) -> None:
    pytest.importorskip("torch", reason="needs PyTorch: pip install 'sandgrain[train]'")
    found = fit("autoencoder", NORMAL[:80], QUANT, view=view, width=12, epochs=2)
    assert found.real is not None
    real, whole = found.real(TEST), found.scores(TEST) * found.unit
    assert np.corrcoef(real, whole)[0, 1] > 0.99
    assert np.median(np.abs(whole / real - 1)) < 0.1


# --- scores ------------------------------------------------------------------------------------------------------------


@rare
@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=40), st.lists(st.integers(0, 25), min_size=1, max_size=40))
def test_areas_are_those_of_scikit_learn(normal: list[int], faulty: list[int]) -> None:
    truth = [0] * len(normal) + [1] * len(faulty)
    assert scores.auc(normal, faulty) == pytest.approx(sklearn_metrics.roc_auc_score(truth, normal + faulty))
    for share in (0.1, 0.5, 1.0):
        theirs = sklearn_metrics.roc_auc_score(truth, normal + faulty, max_fpr=share)
        assert scores.pauc(normal, faulty, share) == pytest.approx(theirs)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-100, 100), min_size=1, max_size=60), st.floats(0, 0.99))
def test_a_threshold_is_the_least_that_keeps_the_share(normal: list[int], share: float) -> None:
    limit = scores.threshold(normal, share)
    above = [sum(v > t for v in normal) for t in (limit, limit - 1)]
    assert above[0] <= share * len(normal) + 1e-6 < above[1] or limit == min(normal)


def test_scores_that_say_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="give at least one"):
        scores.auc([], [1])
    with pytest.raises(UsageError, match="not a number"):
        scores.auc([1.0], [float("nan")])
    with pytest.raises(UsageError, match="false positive rate"):
        scores.pauc([1], [2], 0.0)
    assert scores.rates([1, 2, 3, 4], [4, 5], 3) == scores.Rates(0.25, 1.0)
