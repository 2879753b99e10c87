"""What `inspect` says of a model: layers and costs before anything is compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sandgrain
from sandgrain.api import inspect
from sandgrain.base.errors import UnsupportedError, UsageError
from sandgrain.compiler.emit.model import Options
from sandgrain.compiler.pipeline import compile_bytes
from sandgrain.device import targets
from sandgrain.formats.tflite import read
from tests.support.command import sandgrain as command
from tests.support.draws import rare
from tests.support.shared_files import shared_model

DIGITS = Path(sandgrain.__file__).parent / "demo" / "digits.tflite"


def test_an_int8_model_needs_what_its_plan_says() -> None:
    found = sandgrain.inspect(DIGITS)
    board = targets.load("arduino-nano-33-ble-sense")
    source = compile_bytes(DIGITS.read_bytes(), board, Options("m")).source
    graph = read.load(DIGITS)
    assert found.quantized and [x.op for x in found.layers] == [n.op for n in graph.nodes]
    assert found.arena_bytes == source.plan.arena_bytes == max(s.ram_bytes for s in found.steps)
    assert found.weight_bytes == source.weight_bytes and found.macs == source.macs
    assert {f.board for f in found.fits} == set(targets.boards())
    assert {f.board for f in found.fits if f.verdict == "no"} == {"ch32v003f4"}  # 2 KiB of RAM
    assert sum(f.verdict == "yes" for f in found.fits) > 35
    quant = graph.tensors[graph.inputs[0]].quant
    assert quant is not None and (found.inputs[0].scale, found.inputs[0].zero_point) == (quant.scale[0], quant.zero_point[0])


def test_a_board_without_room_is_no_and_one_without_room_for_code_is_tight(monkeypatch: pytest.MonkeyPatch) -> None:
    known = targets.boards
    monkeypatch.setattr(targets, "boards", lambda: tuple(n for n in known() if targets.load(n).ram_bytes > 1 << 16))
    ram = min(f.ram_bytes - f.ram_needed for f in sandgrain.inspect(DIGITS).fits)
    monkeypatch.setattr(inspect, "AMPLE_RAM", ram + 1)
    verdicts = {f.board: f.verdict for f in sandgrain.inspect(DIGITS).fits}
    assert set(verdicts.values()) == {"yes", "tight"}
    boards = {n: targets.load(n) for n in targets.boards()}
    small = min(boards.values(), key=lambda b: b.usable_ram)
    assert verdicts[small.name] == "tight"
    monkeypatch.setattr(targets, "boards", lambda: (small.name,))
    from dataclasses import replace

    monkeypatch.setattr(targets, "load", lambda name: replace(small, flash_bytes=1000))
    assert [f.verdict for f in sandgrain.inspect(DIGITS).fits] == ["no"]


@rare
def test_a_float_model_is_planned_as_if_it_were_int8(tmp_path: Path) -> None:
    for name in ("kws_ref_model_float32", "kws_ref_model"):
        (tmp_path / name).with_suffix(".tflite").write_bytes(shared_model(name))
    floats, int8 = (sandgrain.inspect(tmp_path / f"{name}.tflite") for name in ("kws_ref_model_float32", "kws_ref_model"))
    assert not floats.quantized and floats.macs == int8.macs
    assert floats.arena_bytes == int8.arena_bytes and {x.dtype for x in floats.layers} == {"float32"}


def test_a_live_module_says_its_own_shape_and_all_that_is_unsupported() -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'sandgrain[train]'")
    nn = torch.nn
    good = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    found = sandgrain.inspect(good, example_input=torch.zeros(1, 3, 8, 10))
    assert found.inputs[0].own == (1, 3, 8, 10) and found.inputs[0].shape == (1, 8, 10, 3)
    assert found.outputs[0].own == (1, 4, 6, 8) and found.macs == 6 * 8 * 4 * 27
    with pytest.raises(UsageError, match="example_input"):
        sandgrain.inspect(good)

    class Bad(nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return torch.sinh(torch.cumsum(x, dim=1))

    with pytest.raises(UnsupportedError) as error:
        sandgrain.inspect(Bad(), example_input=torch.zeros(1, 6))
    assert len(error.value.faults) == 2
    for fault, op in zip(error.value.faults, ("cumsum", "sinh"), strict=True):
        assert op in fault and "test_inspect.py:" in fault


def test_the_command_fits_80_columns_and_its_json_is_the_object(tmp_path: Path) -> None:
    done = command("inspect", DIGITS, "--all-boards", cwd=tmp_path)
    assert done.code == 0 and "conv_2d" in done.out and all(name in done.out for name in targets.boards())
    assert max(map(len, done.out.splitlines())) <= 80
    assert command("inspect", DIGITS, "--json", cwd=tmp_path).json == _plain(sandgrain.inspect(DIGITS).to_json())
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.keras").write_bytes(b"no archive")
    done = command("inspect", "broken.keras", cwd=tmp_path)
    assert done.code == 2 and done.out == "" and done.line.startswith("broken.keras: ")


def _plain(value: Any) -> Any:
    """Tuples as JSON has them."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


@rare
def test_compiled_outputs_come_in_the_layout_of_the_framework(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'sandgrain[train]'")
    nn = torch.nn
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1)).eval()
    x = np.random.default_rng(0).standard_normal((40, 2, 8, 6)).astype(np.float32)
    with pytest.raises(UsageError, match=r"calibration samples to quantize it \(\[n, 2, 8, 6\]\)"):
        sandgrain.compile(module, out=tmp_path / "c", example_input=torch.zeros(1, 2, 8, 6), measure=False)
    made = sandgrain.compile(
        module, out=tmp_path / "c", example_input=torch.zeros(1, 2, 8, 6), calibration=x, measure=False, optimize="size"
    )
    wanted = module(torch.from_numpy(x)).detach().numpy()
    got = made.predict(x)
    assert got.shape == wanted.shape == (40, 3, 4, 3)
    assert made.snr_db is not None and made.snr_db[0] > 30
    assert 10 * np.log10((wanted**2).sum() / ((got - wanted) ** 2).sum()) > 30
    np.savez(tmp_path / "x.npz", x=x[:3])
    assert made.verify(x[:3]).identical and sandgrain.verify(tmp_path / "c", tmp_path / "x.npz", on="host").identical
    with pytest.raises(UsageError, match="the model takes samples of"):
        made.predict(x[:, :1])
