"""Trains the demo's model and writes sandgrain/demo/digits.tflite and digits.npz. Run by `make train`.

The data are the handwritten digits that scikit-learn ships (`load_digits`: 1797 scans of 8 x 8 pixels, 0 to 16, from the
UCI repository's "Optical Recognition of Handwritten Digits", CC BY 4.0). A fixed, stratified split holds 360 images out:
they choose nothing, and the demo measures its accuracy on them. The settings below were chosen by cross-validation
inside the other 1437.

The network is trained in float, its batch norms are folded, and it is quantized afterwards: int8 weights with a scale a
channel, int8 activations with a range seen on the training images. The same versions of torch, numpy and scikit-learn
on the same kind of machine give the same bytes.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor as TorchTensor
from torch import nn

from sandgrain.formats.tflite.write import write
from sandgrain.graph.dtypes import INT8
from sandgrain.graph.interpret import run
from sandgrain.graph.ir import Attrs, Graph, Node, Tensor, attrs
from sandgrain.graph.ops.conv import windows
from sandgrain.graph.quantization import Quantization, per_tensor, quantize

DEMO = Path(__file__).resolve().parents[1] / "sandgrain" / "demo"
HELD_OUT, SEED = 360, 0
WIDTH, EPOCHS, BATCH, RATE = 24, 100, 64, 5e-3
ROTATION, SCALING, SHIFT = 0.15, 0.1, 0.1  # radians, share of the size, share of half the size
PIXEL = per_tensor(1 / 240, -128)  # pixels 0..16 are taken as 0..1 and become 15 * pixel - 128: nothing is lost
PROBABILITY = per_tensor(1 / 256, -128)  # .tflite fixes the softmax's output to this
FloatArray = npt.NDArray[np.float32]


# --- float -------------------------------------------------------------------------------------------------------


def convolution(in_c: int, out_c: int, side: int, groups: int = 1) -> list[nn.Module]:
    """Convolution (SAME), batch norm, ReLU."""
    layer = nn.Conv2d(in_c, out_c, side, padding=side // 2, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(out_c), nn.ReLU()]


def build() -> nn.Sequential:
    """[n, 1, 8, 8] in 0..1 -> [n, 10] logits."""
    wide = 2 * WIDTH
    return nn.Sequential(
        *convolution(1, WIDTH, 3),
        *convolution(WIDTH, WIDTH, 3, groups=WIDTH),
        *convolution(WIDTH, wide, 1),
        nn.MaxPool2d(2),
        *convolution(wide, wide, 3, groups=wide),
        *convolution(wide, wide, 1),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * wide, 10),
    )


def jitter(images: TorchTensor) -> TorchTensor:
    """Each image turned, scaled and moved a little, at random."""

    def draw(reach: float) -> TorchTensor:
        return (2 * torch.rand(len(images)) - 1) * reach

    angle, scale = draw(ROTATION), 1 + draw(SCALING)
    cos, sin = angle.cos() * scale, angle.sin() * scale
    rows = torch.stack([cos, -sin, draw(SHIFT), sin, cos, draw(SHIFT)], 1).reshape(-1, 2, 3)
    grid = nn.functional.affine_grid(rows, list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images, grid, align_corners=False)


def train(images: TorchTensor, labels: TorchTensor) -> nn.Sequential:
    """A trained network, in evaluation mode."""
    net, steps = build(), len(images) // BATCH
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * steps)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(images))[: steps * BATCH].reshape(steps, BATCH):
            logits = net(jitter(images[chosen]))
            loss = nn.functional.cross_entropy(logits, labels[chosen], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


# --- int8 --------------------------------------------------------------------------------------------------------


@dataclass
class Builder:
    """A graph under construction: one chain of layers."""

    shape: tuple[int, ...]
    quant: Quantization
    tensors: list[Tensor] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tensors.append(Tensor("image", self.shape, "int8", self.quant))
        self.last = 0

    def constant(self, name: str, data: npt.NDArray[np.int8] | npt.NDArray[np.int32], quant: Quantization) -> int:
        self.tensors.append(Tensor(name, data.shape, data.dtype.name, quant, data))
        return len(self.tensors) - 1

    def add(self, op: str, name: str, shape: tuple[int, ...], quant: Quantization, a: Attrs, *constants: int) -> None:
        """Append a layer that reads the last one."""
        self.tensors.append(Tensor(f"{name}_out", shape, "int8", quant))
        inputs, self.last = (self.last, *constants), len(self.tensors) - 1
        self.nodes.append(Node(op, name, inputs, (self.last,), a))
        self.shape, self.quant = shape, quant

    def weights(self, name: str, weight: FloatArray, bias: FloatArray, axis: int) -> tuple[int, int]:
        """Symmetric int8 weights with a scale for each index of `axis`, and their int32 bias."""
        rest = tuple(i for i in range(weight.ndim) if i != axis)
        scale = np.maximum(np.abs(weight).max(axis=rest), 1e-6).astype(np.float32) / np.float32(127)
        spread = scale.reshape([-1 if i == axis else 1 for i in range(weight.ndim)])
        levels = np.clip(np.rint(weight / spread), -127, 127).astype(np.int8)
        bias_scale = np.float32(self.quant.scale[0]) * scale
        zeros = (0,) * len(scale)
        weight_index = self.constant(f"{name}_weights", levels, Quantization(tuple(map(float, scale)), zeros, axis))
        bias_levels = np.rint(bias / bias_scale).astype(np.int32)
        return weight_index, self.constant(f"{name}_bias", bias_levels, Quantization(tuple(map(float, bias_scale)), zeros, 0))

    def graph(self) -> Graph:
        labels = tuple(str(digit) for digit in range(10))
        return Graph("digits", tuple(self.tensors), tuple(self.nodes), (0,), (self.last,), labels)


def fitted(values: TorchTensor) -> Quantization:
    """An asymmetric quantization whose range just holds `values` and zero."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    scale = (high - low) / 255
    return per_tensor(scale, round(-128 - low / scale))


def folded(layer: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[FloatArray, FloatArray]:
    """(weights OIHW, bias) of a convolution followed by its batch norm."""
    assert norm.running_mean is not None and norm.running_var is not None
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    bias = norm.bias - norm.running_mean * gain
    return (layer.weight * gain.reshape(-1, 1, 1, 1)).detach().numpy(), bias.detach().numpy()


def quantized(net: nn.Sequential, images: TorchTensor) -> Graph:
    """The int8 graph of `net`, its ranges taken from `images`."""
    builder, count = Builder((1, 8, 8, 1), PIXEL), 0
    layers, seen = list(net), dict(_outputs(net, images))
    for index, layer in enumerate(layers):
        if isinstance(layer, nn.Conv2d):
            count += 1
            norm = layers[index + 1]
            assert isinstance(norm, nn.BatchNorm2d)
            _add_convolution(builder, f"conv_{count}", layer, folded(layer, norm), fitted(seen[index + 2]))
        elif isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
            _add_pool(builder, "max_pool" if isinstance(layer, nn.MaxPool2d) else "average_pool")
        elif isinstance(layer, nn.Linear):
            _add_dense(builder, layer, fitted(seen[index]))
    builder.add("softmax", "softmax", (1, 10), PROBABILITY, attrs(beta=1.0))
    return builder.graph()


def _outputs(net: nn.Sequential, images: TorchTensor) -> Iterator[tuple[int, TorchTensor]]:
    """(index, output) of each layer."""
    for index, layer in enumerate(net):
        images = layer(images)
        yield index, images


def _add_convolution(
    builder: Builder, name: str, layer: nn.Conv2d, parts: tuple[FloatArray, FloatArray], out: Quantization
) -> None:
    weight, bias = parts
    depthwise = layer.groups > 1
    weight = weight.transpose(1, 2, 3, 0) if depthwise else weight.transpose(0, 2, 3, 1)
    kernel, size = (weight.shape[1], weight.shape[2]), builder.shape[1:3]
    padding = windows.explicit_padding(windows.PADDING_CODE["same"], size, kernel, (1, 1))
    constants = builder.weights(name, np.ascontiguousarray(weight), bias, 3 if depthwise else 0)
    a = attrs(stride=(1, 1), dilation=(1, 1), padding=padding, activation="relu")
    op = "depthwise_conv_2d" if depthwise else "conv_2d"
    builder.add(op, name, (*builder.shape[:3], len(bias)), out, a, *constants)


def _add_pool(builder: Builder, name: str) -> None:
    n, height, width, channels = builder.shape
    a = attrs(kernel=(2, 2), stride=(2, 2), padding=(0, 0, 0, 0), activation="none")
    builder.add(f"{name}_2d", name, (n, height // 2, width // 2, channels), builder.quant, a)


def _add_dense(builder: Builder, layer: nn.Linear, out: Quantization) -> None:
    n, height, width, channels = builder.shape
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    # torch flattens channels first, .tflite channels last.
    weight = weight.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(len(bias), -1)
    builder.add("reshape", "flatten", (n, height * width * channels), builder.quant, attrs(shape=(n, height * width * channels)))
    constants = builder.weights("dense", np.ascontiguousarray(weight), bias, 0)
    builder.add("fully_connected", "dense", (n, len(bias)), out, attrs(activation="none", keep_num_dims=False), *constants)


# --- files -------------------------------------------------------------------------------------------------------


def archive(**arrays: npt.NDArray[np.generic]) -> bytes:
    """A compressed .npz without time stamps: the same arrays give the same bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, values in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, values, allow_pickle=False)
            file.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), member.getvalue(), zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def main() -> None:
    """Train, quantize, measure on the held-out images, write."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    digits = load_digits()
    pixels, labels = (digits.images / 16).astype(np.float32), digits.target.astype(np.uint8)
    x, x_held, y, y_held = train_test_split(pixels, labels, test_size=HELD_OUT, stratify=labels, random_state=SEED)
    images = torch.tensor(x[:, None])
    net = train(images, torch.tensor(y.astype(np.int64)))
    with torch.no_grad():
        graph = quantized(net, images)
        float_guess = net(torch.tensor(x_held[:, None])).argmax(1).numpy()
    held = quantize(x_held[..., None], PIXEL, INT8)
    guess = np.array([np.argmax(run(graph, [image[None]])[0]) for image in held])
    model = write(graph)
    DEMO.mkdir(exist_ok=True)
    (DEMO / "digits.tflite").write_bytes(model)
    (DEMO / "digits.npz").write_bytes(archive(x=held, y=y_held, labels=np.array(graph.labels)))
    weights = sum(t.nbytes for t in graph.tensors if t.data is not None)
    print(f"float  {np.mean(float_guess == y_held):.2%} of {HELD_OUT} held-out images")
    print(f"int8   {np.mean(guess == y_held):.2%}, {weights} bytes of weights, file of {len(model)} bytes")


if __name__ == "__main__":
    main()
