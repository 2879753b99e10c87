"""What int8 costs, in the user's own measure: a float model and its int8 twin on samples that did not calibrate.

The measure follows from the labels and the output:

    labels                         output                  measure
    whole numbers [n], 0 to k - 1  k scores                accuracy: the largest score is the label's
    one of k marked, [n, k]        k scores                accuracy
    two values (0: normal)         one score               AUC: how often a strange sample scores above a normal one
    two values                     the input, rebuilt      AUC of the mean squared error of the rebuilt input
    numbers as the output's        any                     MAE: mean absolute error

Everything else has none: there is nothing that the labels say about the outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sandgrain.api._bring import Labelled
from sandgrain.base.text import decibels, finite
from sandgrain.bundle import on_host
from sandgrain.graph import reals
from sandgrain.graph.ir import Array, Graph
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import dequantize, quantize
from sandgrain.quantization.report import snr_db
from sandgrain.train.scores import auc

Score = Callable[[Array, Sequence[Array]], float]  # the first output and the inputs [n, ...] -> how good
CALIBRATED = 200  # samples that calibrate where no number is given
HELD_BACK = 5  # one in so many does not calibrate where there are few
FEWEST = 10  # samples of which some are held back
COMPARED = 1000  # samples at most that float and int8 are compared on, where nobody asks for more
WORK = 20e9  # multiplications of the float model that a comparison may take


@dataclass(frozen=True, slots=True)
class Comparison:
    """Float against int8 over `samples`. `held_out`: they did not calibrate.

    `measure`: "accuracy", "AUC" or "MAE", by which `float_value` and `int8_value` are how good the two are; "" and None without
    labels, or where labels say nothing about the output. Accuracies are shares, a MAE is in the output's unit. `float_value` is None
    where the model came in int8. `snr_db`: of each output, signal power over error power; inf where they are equal.
    """

    samples: int
    held_out: bool
    measure: str
    float_value: float | None
    int8_value: float | None
    snr_db: tuple[float, ...]

    @property
    def accuracy_float(self) -> float | None:
        """`float_value` where the measure is accuracy."""
        return self.float_value if self.measure == "accuracy" else None

    @property
    def accuracy_int8(self) -> float | None:
        """`int8_value` where the measure is accuracy."""
        return self.int8_value if self.measure == "accuracy" else None

    @property
    def loss(self) -> float:
        """How much worse int8 is, as a share: of the samples, of the AUC, of the float model's MAE. 0 where nothing is known."""
        if self.float_value is None or self.int8_value is None:
            return 0.0
        if self.measure == "MAE":
            return (self.int8_value - self.float_value) / max(self.float_value, 1e-12)
        return self.float_value - self.int8_value

    def shown(self, value: float | None) -> str:
        """A value of the measure for people."""
        if value is None:
            return "-"
        return (
            f"{100 * value:.2f} %" if self.measure == "accuracy" else f"{value:.3g}" if self.measure == "MAE" else f"{value:.3f}"
        )

    def lines(self) -> list[str]:
        """For people: the measure first, decibels beside it."""
        where = "that calibration did not see" if self.held_out else "of the calibration itself"
        found = []
        if self.snr_db:
            found.append(f"float against int8 on {self.samples} samples {where}")
        else:
            found.append(f"int8 on {self.samples} samples")
        if self.measure:
            values = [f"int8 {self.shown(self.int8_value)}"]
            if self.float_value is not None:
                values.insert(0, f"float {self.shown(self.float_value)}")
            found.append(f"  {self.measure:10} {', '.join(values)}")
        return [*found, *(f"  output {k}   {decibels(snr)} dB signal to noise" for k, snr in enumerate(self.snr_db))]

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        return {
            "samples": self.samples,
            "held_out": self.held_out,
            "measure": self.measure,
            "float": self.float_value,
            "int8": self.int8_value,
            "accuracy_float": self.accuracy_float,
            "accuracy_int8": self.accuracy_int8,
            "snr_db": [finite(v) for v in self.snr_db],
        }


def parted(data: Labelled, most: int = CALIBRATED) -> tuple[Labelled, Labelled | None]:
    """(samples that calibrate, samples that do not or None where there are too few), drawn without regard to their order.

    Where there are few, one in HELD_BACK is held back.
    """
    count = data.samples
    if count < FEWEST:
        return data.at(np.arange(min(count, most))), None
    order = np.random.default_rng(0).permutation(count)
    calibrating = min(most, count - count // HELD_BACK)
    return data.at(np.sort(order[:calibrating])), data.at(np.sort(order[calibrating:]))


def compare(graph: Graph, int8: Graph, data: Labelled, *, held_out: bool = False) -> Comparison:
    """`graph` (float) and `int8` on the same samples. Raises ToolchainError without a C compiler."""
    exact, rounded = reals.outputs(graph, data.inputs), int8_outputs(int8, data.inputs)
    measure, score = measure_of(graph, data)
    return Comparison(
        data.samples,
        held_out,
        measure,
        None if score is None else score(exact[0], data.inputs),
        None if score is None else score(rounded[0], data.inputs),
        tuple(snr_db(a, b) for a, b in zip(exact, rounded, strict=True)),
    )


def judge(graph: Graph, inputs: Sequence[Array], truth: Array | None) -> Comparison | None:
    """How good a model is that came in int8; None where the labels do not say. `inputs`: [n, *shape] as the graph takes them."""
    values = [_real(graph, x, index) for x, index in zip(inputs, graph.inputs, strict=True)]
    data = Labelled(tuple(values), truth)
    measure, score = measure_of(graph, data)
    if score is None:
        return None
    found = score(int8_outputs(graph, values)[0], values)
    return Comparison(data.samples, True, measure, None, found, ())


def head(graph: Graph, data: Labelled) -> Labelled:
    """As many samples as a comparison may take."""
    macs = sum(OPS[n.op].macs(graph.view(n)) for n in graph.nodes)
    most = int(min(COMPARED, max(50, WORK / max(macs, 1))))
    return data.at(np.arange(min(most, data.samples)))


def int8_outputs(graph: Graph, inputs: Sequence[Array]) -> list[Array]:
    """The outputs of an int8 graph by its C on this computer, as reals: float32 [n, *shape] each (indices int32).

    `inputs`: float32 [n, *shape]; they are quantized by the graph's inputs. Raises ToolchainError without a compiler.
    """
    host = on_host.compiled(graph)
    given = []
    for x, index in zip(inputs, graph.inputs, strict=True):
        tensor = graph.tensors[index]
        given.append(x if tensor.quant is None else quantize(x, tensor.quant, tensor.dtype))
    return [_real(graph, y, index) for y, index in zip(host.run(given), graph.outputs, strict=True)]


def _real(graph: Graph, values: Array, index: int) -> Array:
    quant = graph.tensors[index].quant
    return values if quant is None else dequantize(values, quant)


# --- measures ----------------------------------------------------------------------------------------------------------


def measure_of(graph: Graph, data: Labelled) -> tuple[str, Score | None]:
    """(the name of the measure, what computes it); ("", None) where labels say nothing about the output."""
    truth = data.truth
    if truth is None or not data.samples:
        return "", None
    out = graph.tensors[graph.outputs[0]].shape
    flat = truth.reshape(len(truth), -1)
    scores = int(np.prod(out[1:]))
    if flat.shape[1] == 1 and np.all(flat == np.round(flat)):
        return _of_labels(graph, flat[:, 0].astype(np.int64), scores)
    if flat.shape[1] != scores:
        return "", None
    if scores > 1 and np.all((flat == 0) | (flat == 1)) and np.all(flat.sum(axis=1) == 1):
        return _of_labels(graph, flat.argmax(axis=1), scores)
    return "MAE", lambda y, _: float(np.abs(y.reshape(len(y), -1) - flat).mean())


def _of_labels(graph: Graph, labels: Array, scores: int) -> tuple[str, Score | None]:
    """The measure for one whole number a sample."""
    values = set(np.unique(labels).tolist())
    out = graph.tensors[graph.outputs[0]].shape
    rebuilt = any(graph.tensors[i].shape == out for i in graph.inputs) and not _gives_shares(graph)
    places = scores > 1 and sum(n > 1 for n in out[1:]) == 1 and min(values) >= 0 and max(values) < scores
    if places and (not rebuilt or max(values) == scores - 1):
        return "accuracy", lambda y, _: float((y.reshape(len(y), -1).argmax(axis=1) == labels).mean())
    strange = labels != min(values)
    if len(values) == 2 and scores == 1:
        return "AUC", lambda y, _: auc(y.reshape(-1)[~strange], y.reshape(-1)[strange])
    if len(values) == 2 and rebuilt:
        return "AUC", lambda y, x: _auc_of_errors(graph, y, x, strange)
    if scores == 1:
        return "MAE", lambda y, _: float(np.abs(y.reshape(-1) - labels).mean())
    return "", None


def _gives_shares(graph: Graph) -> bool:
    """Whether the output is a probability, which no rebuilt input is."""
    maker = graph.producers().get(graph.outputs[0])
    return maker is not None and OPS[graph.nodes[maker].op].fixed_output is not None


def _auc_of_errors(graph: Graph, y: Array, inputs: Sequence[Array], strange: Array) -> float:
    shape = graph.tensors[graph.outputs[0]].shape
    same = next(x for x, i in zip(inputs, graph.inputs, strict=True) if graph.tensors[i].shape == shape)
    errors = ((y - same) ** 2).reshape(len(y), -1).mean(axis=1)
    return auc(errors[~strange], errors[strange])
