"""Image ops on real pictures: the C of every core is the numpy meaning, and that agrees with Pillow and torch."""

from __future__ import annotations

import numpy as np
import pytest

from sandgrain.base.errors import ModelError
from sandgrain.graph import interpret, rules
from sandgrain.graph.ir import Array, Graph, Node, Tensor, attrs
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.signal.crop import centred, squared
from sandgrain.graph.ops.signal.image import MAX_DIVISOR, WHITE, reciprocal
from sandgrain.graph.ops.signal.resize import Area, Bilinear
from sandgrain.graph.quantization import Quantization, per_tensor
from tests.support.draws import rare, turns
from tests.support.feature_windows import check_everywhere, images

SIZES = [(16, 16), (24, 20), (48, 48), (13, 29), (32, 7), (64, 40)]
SHRINKING = [size for size in SIZES if max(size) <= 32]
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def chain(
    *steps: tuple[str, dict[str, object]], shape: tuple[int, ...] = (32, 32, 3), quant: Quantization | None = None
) -> Graph:
    """A graph of image ops, one after another; with `quant` the last one writes int8."""
    tensors, nodes = [Tensor("x", (1, *shape), "uint8")], []
    for k, (op, values) in enumerate(steps):
        options = attrs(**values)
        last = quant is not None and k == len(steps) - 1
        made = OPS[op].shapes((tensors[-1],), options)[0]
        nodes.append(Node(op, f"{op}_{k}", (k,), (k + 1,), options))
        tensors.append(Tensor(f"y{k}", made, "int8" if last else "uint8", quant if last else None))
    graph = Graph("image", tuple(tensors), tuple(nodes), (0,), (len(tensors) - 1,))
    rules.check(graph)
    return graph


def run(graph: Graph, x: Array) -> Array:
    return interpret.run(graph, [np.ascontiguousarray(x)])[0][0]


def resize(size: tuple[int, int], method: str, shape: tuple[int, ...] = (32, 32, 3)) -> Graph:
    return chain(("resize_image", {"size": size, "method": method}), shape=shape)


# --- on every core -----------------------------------------------------------------------------------------------------

CHAINS = {
    "box": (("resize_image", {"size": (16, 16), "method": "area"}),),
    "bilinear down": (("resize_image", {"size": (24, 20), "method": "bilinear"}),),
    "bilinear up": (("resize_image", {"size": (37, 40), "method": "bilinear"}),),
    "area": (("resize_image", {"size": (13, 29), "method": "area"}),),
    "crop": (("crop_image", {"box": (3, 5, 24, 21)}),),
    "grey": (("grey", {"order": "rgb"}),),
    "bgr": (("channel_order", {"convert": "swap"}), ("grey", {"order": "bgr"})),
    "to a model": (
        ("crop_image", {"box": centred((32, 32), (28, 28))}),
        ("resize_image", {"size": (14, 14), "method": "area"}),
        ("image_normalize", {"mean": (0.0,) * 3, "std": (1.0,) * 3}),
    ),
    "normalized by channel": (("image_normalize", IMAGENET),),
    "grey to a model": (("grey", {"order": "rgb"}), ("image_normalize", {"mean": (0.5,), "std": (0.5,)})),
}
QUANTS = {
    "to a model": per_tensor(1 / 255, -128),
    "normalized by channel": per_tensor(0.0187, -14),
    "grey to a model": per_tensor(1 / 127, 3),
}


@rare
@pytest.mark.parametrize("name", turns(list(CHAINS), 3))
def test_every_core_gives_the_reference_on_real_images(name: str) -> None:
    check_everywhere(chain(*CHAINS[name], quant=QUANTS.get(name)), list(images()), emulate=20)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHAINS)
def test_every_core_gives_the_reference_on_a_thousand_images(name: str) -> None:
    check_everywhere(chain(*CHAINS[name], quant=QUANTS.get(name)), list(images()), emulate=1000)


@rare
@pytest.mark.parametrize("convert", ["rgb565_le", "rgb565_be"])
def test_every_rgb565_pixel_becomes_the_nearest_colour_on_every_core(convert: str) -> None:
    words = np.arange(1 << 16, dtype="<u2" if convert == "rgb565_le" else ">u2").reshape(1, 256, 256)
    graph = chain(("channel_order", {"convert": convert}), shape=(256, 256, 2))
    pixels = words.view(np.uint8).reshape(1, 256, 256, 2)
    check_everywhere(graph, [pixels])
    value = np.arange(1 << 16).reshape(256, 256)
    real = np.stack([(value >> 11) / 31, (value >> 5 & 63) / 63, (value & 31) / 31], axis=-1)
    assert np.array_equal(run(graph, pixels), np.round(real * 255))


def test_a_bilinear_image_of_an_odd_ratio_needs_64_bits_and_gets_them() -> None:
    graph = resize((73, 61), "bilinear", (97, 89, 1))
    down, across = Bilinear.of(97, 73), Bilinear.of(89, 61)
    assert reciprocal(down.total * across.total, WHITE * down.total * across.total)[2] == 1
    rng = np.random.default_rng(0)
    extremes = [np.full((1, 97, 89, 1), v, np.uint8) for v in (0, 255)]
    noise = [rng.integers(0, 256, (1, 97, 89, 1)).astype(np.uint8) for _ in range(3)]
    check_everywhere(graph, [*extremes, *noise, *(np.where(n > 127, 255, 0).astype(np.uint8) for n in noise)])


# --- independent implementations ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_bilinear_is_torch_rounded_once(size: tuple[int, int]) -> None:
    import torch

    x = images(40)[:, 0]
    ours = np.stack([run(resize(size, "bilinear"), one[None]) for one in x])
    wide = torch.from_numpy(x.astype(np.float64)).permute(0, 3, 1, 2)
    theirs = torch.nn.functional.interpolate(wide, size, mode="bilinear", align_corners=False).permute(0, 2, 3, 1).numpy()
    assert np.abs(ours - theirs).max() <= 0.5 + 1e-9
    assert np.array_equal(ours, np.floor(theirs + 0.5 + 1e-9))


@rare
@pytest.mark.parametrize("size", SHRINKING)
def test_area_is_what_pillow_makes_of_a_finer_image_within_a_level(size: tuple[int, int]) -> None:
    """Every pixel repeated so that the boxes hold whole ones; Pillow's own BOX takes or leaves whole pixels at other ratios."""
    from PIL import Image

    for x in images(20)[:, 0]:
        fine = Image.fromarray(x).resize((32 * size[1], 32 * size[0]), Image.Resampling.NEAREST)
        difference = run(resize(size, "area"), x[None]).astype(int) - np.asarray(fine.reduce(32)).astype(int)
        assert np.abs(difference).max() <= 1
        assert np.mean(difference != 0) < 0.01


def test_area_by_whole_factors_is_pillows_reduce() -> None:
    from PIL import Image

    for factors in ((2, 2), (4, 2), (8, 16)):
        for x in images(50)[:, 0]:
            theirs = np.asarray(Image.fromarray(x).reduce(factors))
            ours = run(resize((32 // factors[1], 32 // factors[0]), "area"), x[None])
            assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= (1 if factors == (8, 16) else 0)


@rare
@pytest.mark.parametrize("size", SHRINKING)
def test_area_is_the_exact_mean_rounded_once(size: tuple[int, int]) -> None:
    """The mean of the image repeated `size` times along each side, where every output pixel covers whole pixels."""
    for x in images(20)[:, 0]:
        repeated = np.repeat(np.repeat(x.astype(np.int64), size[0], axis=0), size[1], axis=1)
        sums = repeated.reshape(size[0], 32, size[1], 32, 3).sum(axis=(1, 3))
        assert np.array_equal(run(resize(size, "area"), x[None]), (2 * sums + 1024) // 2048)


def test_grey_is_pillows_to_the_bit() -> None:
    from PIL import Image

    rgb, bgr = chain(("grey", {"order": "rgb"})), chain(("grey", {"order": "bgr"}))
    for x in images(200)[:, 0]:
        theirs = np.asarray(Image.fromarray(x).convert("L"))[..., None]
        assert np.array_equal(run(rgb, x[None]), theirs)
        assert np.array_equal(run(bgr, x[None, ..., ::-1]), theirs)


def test_a_centre_crop_is_a_slice() -> None:
    x = images(1)[0]
    box = centred((32, 32), (20, 27))
    assert box == (6, 2, 20, 27)
    assert np.array_equal(run(chain(("crop_image", {"box": box})), x), x[0, 6:26, 2:29])
    assert squared((120, 160, 3)) == (0, 20, 120, 120)


@pytest.mark.parametrize("quant", [per_tensor(0.0187, -14), per_tensor(0.004, 5), per_tensor(0.1, 100)])
def test_normalization_is_the_real_formula_rounded(quant: Quantization) -> None:
    x = images(40)[:, 0]
    graph = chain(("image_normalize", IMAGENET), quant=quant)
    real = (x / 255 - np.array(IMAGENET["mean"])) / np.array(IMAGENET["std"])
    level = np.clip(real / quant.scale[0] + quant.zero_point[0], -128, 127)
    ours = np.stack([run(graph, one[None]) for one in x])
    assert np.abs(ours - level).max() <= 0.5 + 2**-12


@pytest.mark.parametrize(
    ("scale", "zero_point", "mean", "std"),
    [(1 / 255, -128, 0.0, 1.0), (2 / 255, 0, 128 / 255, 0.5), (2 / 255, -1, 0.5, 0.5)],
)
def test_the_usual_quantizations_are_x_minus_128(scale: float, zero_point: int, mean: float, std: float) -> None:
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    options = {"mean": (mean,), "std": (std,)}
    graph = chain(("image_normalize", options), shape=(16, 16, 1), quant=per_tensor(scale, zero_point))
    ours = run(graph, values).reshape(-1).astype(int)
    assert np.abs(ours - (np.arange(256) - 128)).max() <= (0 if mean != 0.5 else 1)


# --- properties ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["bilinear", "area"])
@pytest.mark.parametrize("value", [0, 1, 127, 254, 255])
def test_a_constant_image_stays_constant(method: str, value: int) -> None:
    for size in ((1, 1), (5, 9), (17, 3)):
        assert set(run(resize(size, method, (17, 9, 1)), np.full((1, 17, 9, 1), value, np.uint8)).reshape(-1)) == {value}


@pytest.mark.parametrize("method", ["bilinear", "area"])
def test_a_resize_to_the_same_size_changes_nothing(method: str) -> None:
    x = images(1)[0]
    assert np.array_equal(run(resize((32, 32), method), x), x[0])


@pytest.mark.parametrize("make", [Bilinear.of, Area.of])
def test_the_weights_of_a_side_sum_up_to_its_total(make: type) -> None:
    for size in range(1, 40):
        for out in range(1, (size if make == Area.of else 40) + 1):
            side = make(size, out)
            matrix = side.matrix(size)
            assert matrix.min() >= 0
            assert (matrix.sum(axis=1) == side.total).all()
            if make == Area.of:
                tables = np.zeros_like(matrix)
                for i in range(out):
                    at, between = side.first[i], side.between[i]
                    tables[i, at] += side.head[i]
                    tables[i, at + 1 : at + 1 + between] += side.whole
                    if side.tail[i]:
                        tables[i, at + 1 + between] += side.tail[i]
                assert np.array_equal(tables, matrix)


def test_a_reciprocal_divides_exactly() -> None:
    rng = np.random.default_rng(1)
    for divisor in [*range(1, 300), *map(int, rng.integers(300, MAX_DIVISOR, 300)), MAX_DIVISOR - 1]:
        largest = WHITE * divisor + divisor // 2
        multiplier, shift, _ = reciprocal(divisor, largest)
        borders = np.arange(1, 256) * divisor
        for n in map(int, [*borders, *(borders - 1), largest]):
            assert n * multiplier >> shift == n // divisor


@pytest.mark.parametrize(
    ("op", "values", "shape", "says"),
    [
        ("crop_image", {"box": (0, 20, 16, 16)}, (32, 32, 3), "leaves an image of 32 x 32"),
        ("crop_image", {"box": (-1, 0, 4, 4)}, (32, 32, 3), "leaves"),
        ("resize_image", {"size": (0, 4), "method": "area"}, (32, 32, 3), "a new size"),
        ("resize_image", {"size": (64, 4), "method": "area"}, (32, 32, 3), "use bilinear"),
        ("resize_image", {"size": (4, 4), "method": "cubic"}, (32, 32, 3), "bilinear or area"),
        ("resize_image", {"size": (2039, 2029), "method": "area"}, (2048, 2048, 1), "simpler ratio"),
        ("grey", {"order": "rgb"}, (8, 8, 1), "needs 3"),
        ("channel_order", {"convert": "swap"}, (8, 8, 2), "needs 3"),
        ("channel_order", {"convert": "yuv"}, (8, 8, 2), "rgb565_le"),
    ],
)
def test_what_cannot_be_done_is_said(op: str, values: dict[str, object], shape: tuple[int, ...], says: str) -> None:
    with pytest.raises(ModelError, match=says):
        chain((op, values), shape=shape)


def test_a_crop_larger_than_the_image_is_refused() -> None:
    with pytest.raises(ModelError, match="resize first"):
        centred((20, 20, 3), (32, 10))
