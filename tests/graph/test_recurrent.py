"""GRU and LSTM: gates in fixed point, the same numbers as PyTorch, and from a module to the core."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'sandgrain[train]'")
from torch import nn  # noqa: E402

from sandgrain.base.errors import ModelError, UnsupportedError  # noqa: E402
from sandgrain.compiler import passes  # noqa: E402
from sandgrain.formats import text  # noqa: E402
from sandgrain.formats.tflite import read as reader  # noqa: E402
from sandgrain.formats.tflite import write as writer  # noqa: E402
from sandgrain.formats.torch import convert  # noqa: E402
from sandgrain.graph import (  # noqa: E402
    interpret,
    reals,
    rules,
)
from sandgrain.graph import text as printer  # noqa: E402
from sandgrain.graph.ir import Array, Graph  # noqa: E402
from sandgrain.graph.ops import OPS  # noqa: E402
from sandgrain.graph.ops.recurrent import gates  # noqa: E402
from sandgrain.graph.quantization import dequantize  # noqa: E402
from sandgrain.quantization import calibrate, quantize  # noqa: E402
from sandgrain.train.models import build  # noqa: E402
from sandgrain.train.qat import Twin  # noqa: E402
from tests.support.draws import SeededDraw, rare, turns  # noqa: E402
from tests.support.feature_windows import check_everywhere  # noqa: E402
from tests.support.integers import to_int8  # noqa: E402
from tests.support.tflm_oracle import needs_tflm, tflm_run  # noqa: E402

torch.set_num_threads(1)
KINDS = {"gru": nn.GRU, "lstm": nn.LSTM}
PICKS = {
    "sequence": lambda y: y[0],
    "last step": lambda y: y[0][:, -1],
    "state": lambda y: (y[1][0] if isinstance(y[1], tuple) else y[1])[-1],
    "mean": lambda y: y[0].mean(1),
}


class Reader(nn.Module):
    """A recurrent layer, of whose result `pick` takes a part; a product follows, so that no layer's own output comes out."""

    channels_last = True

    def __init__(self, kind: str, pick: str, features: int = 7, units: int = 5, **options: Any) -> None:
        super().__init__()
        self.layer = KINDS[kind](features, units, batch_first=True, **options)
        self.pick = pick

    def forward(self, x: Any) -> Any:
        return PICKS[self.pick](self.layer(x)) * 1.5


def random_model(kind: str, steps: int = 30, features: int = 12, units: int = 16) -> tuple[Any, Array]:
    """A model with weights as large as training makes them, and float samples [24, 1, steps, features]."""
    torch.manual_seed(3)
    model = build(kind, (steps, features), 6, units).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1.5)
    return model, np.random.default_rng(3).standard_normal((24, 1, steps, features)).astype(np.float32)


def int8_of(model: Any, x: Array) -> tuple[Graph, Graph, Array]:
    """(float graph, int8 graph, int8 samples)."""
    graph = convert(model, torch.from_numpy(x[0]), "m")
    int8 = quantize(graph, [x]).graph
    quant = int8.tensors[int8.inputs[0]].quant
    assert quant is not None
    return graph, int8, to_int8(x, quant)


def snr(real: Array, noisy: Array) -> float:
    """In dB."""
    return float(10 * np.log10((real**2).sum() / ((noisy - real) ** 2).sum()))


# --- fixed point -----------------------------------------------------------------------------------------------------


def test_gates_are_close_to_the_real_functions() -> None:
    x = np.arange(-(2**15), 2**15)
    assert np.abs(gates.logistic16(x) / 2**15 - 1 / (1 + np.exp(-x / 2**12))).max() < 2**-12
    for bits in (9, 11, 12, 13, 15):
        assert np.abs(gates.tanh16(x, bits) / 2**15 - np.tanh(x / 2.0**bits)).max() < 2**-12


def test_the_table_is_that_of_tensorflow_lite() -> None:
    known = {0: 32768, 1: 33451, 4: 35493, 28: 49975, 48: 57724, 66: 61599, 135: 65301, 254: 65534, 255: 65535}
    assert {k: int(gates.LOGISTIC[k]) for k in known} == known
    assert (np.diff(gates.LOGISTIC.astype(int)) >= 0).all()


# --- PyTorch ---------------------------------------------------------------------------------------------------------


LAYERS: tuple[dict[str, Any], ...] = (
    {},
    {"bias": False},
    {"bidirectional": True},
    {"num_layers": 2},
    {"num_layers": 2, "bidirectional": True},
)
READERS = [  # "last step" and "mean" have no part of their own in the larger layers
    (kind, pick, options)
    for kind in KINDS
    for pick in PICKS
    for options in LAYERS
    if not options or pick not in ("last step", "mean")
]


@rare
@pytest.mark.parametrize(("kind", "pick", "options"), turns(READERS, 5, same=lambda reader: reader[0]))
def test_the_graph_computes_what_torch_computes(kind: str, pick: str, options: dict[str, Any]) -> None:
    torch.manual_seed(1)
    model, x = Reader(kind, pick, **options).eval(), torch.randn(3, 9, 7)
    graph = convert(model, x[:1], "m")
    wanted = model(x).detach().numpy() if pick != "state" else np.stack([model(s[None]).detach().numpy() for s in x])
    got = reals.outputs(graph, x.numpy()[:, None])[0].reshape(wanted.shape)
    assert np.abs(got - wanted).max() <= 1e-4 * np.abs(wanted).max()


@rare
@pytest.mark.parametrize("pick", ["sequence", "state"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{"bidirectional": True}, {"num_layers": 2}])
def test_an_activation_stays_behind_what_several_layers_give(kind: str, pick: str, options: dict[str, Any]) -> None:
    """No node in front of it can take it in: the directions and the states are joined by moves."""

    class Cut(nn.Module):
        channels_last = True

        def __init__(self) -> None:
            super().__init__()
            self.layer = KINDS[kind](7, 5, batch_first=True, **options)

        def forward(self, x: Any) -> Any:
            first, last = self.layer(x)
            whole = last[0] if isinstance(last, tuple) else last
            return torch.relu(first if pick == "sequence" else whole.transpose(0, 1).flatten(1))

    torch.manual_seed(1)
    model, x = Cut().eval(), torch.randn(1, 9, 7)
    graph, wanted = convert(model, x, "m"), model(x).detach().numpy()
    assert np.abs(reals.outputs(graph, x.numpy()[:, None])[0].reshape(wanted.shape) - wanted).max() <= 1e-5


@rare
@pytest.mark.parametrize(
    ("make", "fact"),
    [
        (lambda: nn.GRU(4, 4), "set batch_first"),
        (lambda: nn.LSTM(4, 4, batch_first=True, proj_size=2), "a projection"),
        (lambda: nn.RNN(4, 4, batch_first=True), "use nn.GRU or nn.LSTM"),
    ],
)
def test_what_is_not_converted_says_why(make: Any, fact: str) -> None:
    class Last(nn.Module):
        channels_last = True

        def __init__(self) -> None:
            super().__init__()
            self.layer = make()

        def forward(self, x: Any) -> Any:
            return self.layer(x)[0] * 2.0

    with pytest.raises(UnsupportedError, match=fact):
        convert(Last(), torch.randn(1, 3, 4), "m")


# --- int8 ------------------------------------------------------------------------------------------------------------


@rare
@pytest.mark.parametrize("kind", KINDS)
def test_an_int8_model_is_close_to_float_and_the_same_on_the_core(kind: str) -> None:
    model, x = random_model(kind)
    graph, int8, samples = int8_of(model, x)
    out = int8.tensors[int8.outputs[0]].quant
    assert out is not None
    got = dequantize(np.stack([interpret.run(int8, [s])[0] for s in samples]), out)
    assert snr(reals.outputs(graph, x)[0], got) > 30
    optimized = passes.optimize(int8)
    layer = optimized.nodes[0]
    assert layer.op == kind and layer.attrs["last"] and optimized.tensors[layer.outputs[0]].shape == (1, 16)
    assert [interpret.run(optimized, [s])[0].tobytes() for s in samples] == [
        interpret.run(int8, [s])[0].tobytes() for s in samples
    ]
    check_everywhere(optimized, list(samples), cores=("cortex-m4",), emulate=2)


@rare
def test_small_changes_of_a_grus_state_add_up() -> None:
    """An update gate almost shut: each of 150 steps moves the state by less than an int8 step."""
    model = nn.Sequential(nn.GRU(1, 4, batch_first=True), _First()).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.fill_(0.0)
            if name == "0.bias_ih_l0":
                p[4:8], p[8:] = 5.0, 1.0
    x = np.zeros((2, 1, 150, 1), np.float32)
    x[1] = 1.0
    steps, int8, samples = int8_of(model, x)
    out = int8.tensors[int8.outputs[0]].quant
    assert out is not None
    real = reals.outputs(steps, x)[0]
    assert 0.3 < real.max() < 0.5 and np.diff(real[0, 0, :, 0]).max() < 1 / 128
    got = dequantize(interpret.run(int8, [samples[0]])[0], out)
    assert np.abs(got - real[0]).max() <= 1 / 128 + 0.5 * out.scale[0]


class _First(nn.Module):
    def forward(self, y: Any) -> Any:
        return y[0] * 1.0


@rare
def test_a_step_that_is_not_the_last_stays_a_slice() -> None:
    class Middle(nn.Module):
        channels_last = True

        def __init__(self, step: int) -> None:
            super().__init__()
            self.layer, self.step = nn.GRU(3, 4, batch_first=True, bidirectional=True), step

        def forward(self, x: Any) -> Any:
            y = self.layer(x)[0]
            return y[:, self.step, :4] + y[:, 0, 4:]

    x = np.random.default_rng(0).standard_normal((8, 1, 6, 3)).astype(np.float32)
    for step in (-1, 2):
        _, int8, samples = int8_of(Middle(step).eval(), x)
        optimized = passes.optimize(int8)
        assert interpret.run(optimized, [samples[0]])[0].tobytes() == interpret.run(int8, [samples[0]])[0].tobytes()
        assert not any(n.attrs["last"] for n in optimized.nodes if n.op == "gru")


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["last", "reverse", "reset_first"])
@pytest.mark.parametrize("value", ['"x"', "5", None])
def test_a_text_without_a_flag_is_refused(flag: str, value: str | None) -> None:
    whole = printer.dump(OPS["gru"].sample(SeededDraw(3)), data=True)
    changed = re.sub(f'"{flag}": (true|false)', f'"{flag if value else flag.upper()}": {value or 1}', whole)
    assert changed != whole
    with pytest.raises(ModelError, match=f"attribute {flag}"):
        text.read(changed.encode(), "m")


@rare
@needs_tflm
def test_an_lstm_is_exported_and_tflm_gives_the_same_bytes() -> None:
    model, x = random_model("lstm")
    _, int8, samples = int8_of(model, x)
    data = writer.write(int8)
    again = reader.read(data, "again")
    theirs = tflm_run(data, [[s] for s in samples])
    for sample, row in zip(samples, theirs, strict=True):
        assert interpret.run(int8, [sample])[0].tobytes() == row[0].tobytes() == interpret.run(again, [sample])[0].tobytes()


@rare
def test_a_gru_has_no_file_format_but_comes_back_from_its_text() -> None:
    model, x = random_model("gru")
    _, int8, samples = int8_of(model, x)
    with pytest.raises(UnsupportedError, match=r"\.tflite has no gru; train an LSTM"):
        writer.write(int8)
    optimized = passes.optimize(int8)
    again = printer.parse(printer.dump(optimized, data=True))
    rules.check(again, "optimized")
    assert interpret.run(again, [samples[0]])[0].tobytes() == interpret.run(optimized, [samples[0]])[0].tobytes()


def test_a_scale_a_row_cannot_go_into_a_file() -> None:
    draw = SeededDraw(2)
    graph = OPS["gru"].sample(draw)
    assert graph.nodes[0].op == "gru"
    with pytest.raises(UnsupportedError):
        writer.write(graph)


# --- training --------------------------------------------------------------------------------------------------------


@rare
@pytest.mark.parametrize("kind", KINDS)
def test_the_twin_learns_and_is_the_firmware(kind: str) -> None:
    model, x = random_model(kind, steps=6, features=4, units=8)
    graph = convert(model, torch.from_numpy(x[0]), "m")
    twin = Twin(graph, calibrate(graph, [x]))
    inputs, labels = torch.from_numpy(x[:, 0]), torch.arange(len(x)) % 2
    optimizer = torch.optim.Adam(twin.parameters(), 0.02)
    losses = []
    for _ in range(8):
        loss = nn.functional.cross_entropy(twin(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        assert all(p.grad is not None for p in twin.parameters())
    assert losses[-1] < 0.8 * losses[0]
    with torch.no_grad():
        real = twin.eval()(inputs).numpy()
    int8 = twin.finish().graph
    source, out = int8.tensors[int8.inputs[0]].quant, int8.tensors[int8.outputs[0]].quant
    assert source is not None and out is not None
    whole = np.stack([interpret.run(int8, [s])[0] for s in to_int8(x, source)])
    assert np.array_equal(dequantize(whole, out).reshape(real.shape), real)
