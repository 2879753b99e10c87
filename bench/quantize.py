"""Float models of others quantized by Sandgrain, beside the int8 files that came with them.

    python bench/quantize.py [--json]

Each model is calibrated on 100 samples (keywords: 120) and compared on others: the signal-to-noise ratio of the outputs against
the float model's. `theirs` is the shared int8 file, on the same samples; it was calibrated on its authors' data, which is not
at hand, except for the keywords. Samples:

    kws       kws01.npz, int8 features read by the int8 file's input scale; the first 120 calibrate, the other 880 test
    resnet    CIFAR-10 photographs, the set that the model was trained on
    vww       CIFAR-10 photographs enlarged to 96 x 96, pixels / 255
    ad01      five frames of 128 log-mel energies of spoken digits at 8 kHz, cut to the range of the int8 file's input
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sandgrain.api import _quality as quality
from sandgrain.base.arrays import Array
from sandgrain.formats.tflite import read
from sandgrain.graph import reals
from sandgrain.graph.quantization import Quantization, dequantize
from sandgrain.quantization import METHODS, Calibration, Options, quantize
from sandgrain.quantization.report import snr_db
from sandgrain.quantization.scales import limits

ROOT = Path(__file__).resolve().parents[1]
MODELS = Path(os.environ.get("SANDGRAIN_MODELS", ROOT.parent / "shared" / "models"))
DATA = Path(os.environ.get("SANDGRAIN_DATA", ROOT.parent / "shared" / "data"))
COUNT = 100
RECIPES: dict[str, Options] = {
    **{method: Options(Calibration(method)) for method in METHODS},
    "default": Options(Calibration("percentile"), bias_correction=True),
    "equalized": Options(Calibration("percentile"), "activations", bias_correction=True),
}
PAIRS = {
    "kws": ("kws_ref_model_float32", "kws_ref_model"),
    "resnet": ("pretrainedResnet", "pretrainedResnet_quant"),
    "vww": ("vww_96_float", "vww_96_int8"),
    "ad01": ("ad01_fp32", "ad01_int8"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One way to quantize one model. `accuracy` and `accuracy_float`: on the test samples, None without labels."""

    model: str
    recipe: str
    snr_db: float
    accuracy: float | None
    accuracy_float: float | None


def samples(model: str, given: Quantization) -> tuple[Array, Array, Array | None]:
    """(calibration, test, labels of test): float32 [n, *shape]. `given`: the int8 file's input quantization."""
    if model == "kws":
        with np.load(DATA / "kws01.npz") as data:
            x, y = dequantize(data["x"], given)[:, None], data["y"].astype(np.int64)
        return x[:120], x[120:], y[120:]
    if model == "ad01":
        low, high = limits(given)
        return np.clip(sounds(False), low, high), np.clip(sounds(True), low, high), None
    size, scale = (32, 1) if model == "resnet" else (96, 255)
    return photographs("train", size) / scale, photographs("test", size) / scale, None


def photographs(split: str, size: int) -> Array:
    """COUNT CIFAR-10 photographs, chosen by a seed, float32 [n, 1, size, size, 3] from 0 to 255."""
    from PIL import Image

    files = sorted((DATA / "cifar10" / split).glob("*/*.jp*g"))
    chosen = np.random.default_rng(1 if split == "train" else 2).choice(len(files), COUNT, replace=False)
    found = []
    for k in chosen:
        with Image.open(files[k]) as picture:
            found.append(np.asarray(picture.convert("RGB").resize((size, size), Image.Resampling.BILINEAR), np.float32))
    return np.stack(found)[:, None]


def sounds(test: bool) -> Array:
    """COUNT spoken digits (the set's own split), float32 [n, 1, 640]: five frames of log-mel energies in dB."""
    import librosa
    import soundfile

    files = [f for f in sorted((DATA / "fsdd").rglob("*.wav")) if (int(f.stem.split("_")[2]) < 5) == test]
    order = np.random.default_rng(3).permutation(len(files))[:COUNT]
    found = []
    for k in order:
        wave, rate = soundfile.read(files[k], dtype="float32")
        wave = np.pad(wave, (0, max(0, 2560 - len(wave))))
        mel = librosa.feature.melspectrogram(y=wave, sr=rate, n_fft=1024, hop_length=512, n_mels=128)
        found.append(10 * np.log10(mel[:, :5].T + np.finfo(np.float32).eps).reshape(-1))
    return np.stack(found).astype(np.float32)[:, None]


def accuracy(scores: Array, labels: Array | None) -> float | None:
    """Share of samples whose highest score is that of their label; None without labels."""
    return None if labels is None else float((scores.reshape(len(labels), -1).argmax(1) == labels).mean())


def rows(model: str, recipes: dict[str, Options] = RECIPES) -> Iterator[Row]:
    """The int8 file of others, then every recipe."""
    float_name, int8_name = PAIRS[model]
    graph = read.read_float((MODELS / f"{float_name}.tflite").read_bytes(), float_name)
    theirs = read.read((MODELS / f"{int8_name}.tflite").read_bytes(), int8_name)
    given = theirs.tensors[theirs.inputs[0]].quant
    assert given is not None
    seen, test, labels = samples(model, given)
    exact = reals.outputs(graph, test)[0]
    best = accuracy(exact, labels)
    made = {"theirs": theirs}
    made |= {name: quantize(graph, [seen], how, {graph.inputs[0]: given}).graph for name, how in recipes.items()}
    for name, int8 in made.items():
        found = quality.int8_outputs(int8, [test])[0]
        yield Row(model, name, snr_db(exact, found), accuracy(found, labels), best)


def main() -> None:
    found = {model: list(rows(model)) for model in PAIRS}
    if "--json" in sys.argv:
        print(json.dumps([asdict(row) for group in found.values() for row in group], indent=2))
        return
    names = ["theirs", *RECIPES]
    print("signal-to-noise ratio of the output against the float model, dB")
    print(f"{'':8}" + "".join(f"{name:>11}" for name in names))
    for model, group in found.items():
        print(f"{model:8}" + "".join(f"{row.snr_db:11.1f}" for row in group))
    kws = found["kws"]
    print(f"\nkws accuracy on the 880 samples that did not calibrate; float {100 * (kws[0].accuracy_float or 0):.2f} %")
    print(f"{'':8}" + "".join(f"{100 * (row.accuracy or 0):11.2f}" for row in kws))


if __name__ == "__main__":
    main()
