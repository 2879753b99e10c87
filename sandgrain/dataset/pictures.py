"""Small pictures of recordings, as text that an HTML page holds: SVG for curves, PNG for spectra and photographs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.dataset import charts

WIDTH, HEIGHT = 150, 56  # of a curve, pixels
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#997700", "#bbbbbb")  # Paul Tol's bright scheme
RANGE_DB = 60.0  # of a spectrogram


def _svg(inner: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">{inner}</svg>'


def wave(x: Array) -> str:
    """The envelope, scaled to its own peak: what lies between the smallest and the largest sample of each column."""
    edges = np.unique(np.linspace(0, len(x), min(len(x), WIDTH) + 1).astype(int))[:-1]
    low, high = np.minimum.reduceat(x, edges).astype(float), np.maximum.reduceat(x, edges).astype(float)
    scale = max(1.0, float(np.abs(x.astype(np.int32)).max()))
    at = np.linspace(0, WIDTH, len(edges))
    middle = HEIGHT / 2
    top = [f"{a:.1f},{middle - 0.94 * middle * v / scale:.1f}" for a, v in zip(at, high, strict=True)]
    bottom = [f"{a:.1f},{middle - 0.94 * middle * v / scale + 0.5:.1f}" for a, v in zip(at, low, strict=True)]
    return _svg(f'<polygon points="{" ".join(top + bottom[::-1])}" fill="{COLOURS[0]}"/>')


def curves(samples: Array) -> str:
    """Each channel as a line without its mean, all on one scale."""
    x = samples[:, : len(COLOURS)].astype(np.float64)
    steps = np.unique(np.linspace(0, len(x) - 1, min(len(x), WIDTH)).astype(int))
    x = x[steps] - x.mean(axis=0)
    scale = max(1.0, float(np.abs(x).max()))
    at = np.linspace(0, WIDTH, len(x)) if len(x) > 1 else np.array([WIDTH / 2])
    lines = []
    for k in range(x.shape[1]):
        points = " ".join(f"{a:.1f},{HEIGHT / 2 * (1 - 0.94 * v / scale):.1f}" for a, v in zip(at, x[:, k], strict=True))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[k]}" stroke-width="1.2"/>')
    return _svg("".join(lines))


def spectrogram(x: Array, rate: float) -> str:
    """Power over time and frequency, RANGE_DB below the loudest."""
    from matplotlib import colormaps

    size = int(np.clip(2 ** round(np.log2(max(rate, 1.0) * 0.032)), 16, 1024))
    wave = np.pad(x.astype(np.float32), (0, max(0, size - len(x))))
    starts = np.linspace(0, len(wave) - size, min(WIDTH, max(1, 2 * len(wave) // size))).astype(int)
    frames = np.lib.stride_tricks.sliding_window_view(wave, size)[starts] * np.hanning(size).astype(np.float32)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    level = 10 * np.log10(power / max(float(power.max()), 1e-9) + 1e-12)
    shade = np.clip(1 + level / RANGE_DB, 0, 1).T[::-1]
    return photo((colormaps["magma"](shade)[:, :, :3] * 255).astype(np.uint8), "spectrum")


def photo(pixels: Array, name: str = "photo") -> str:
    from PIL import Image

    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((256, 256))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return f'<img class="{name}" alt="" src="data:image/png;base64,{base64.b64encode(stream.getvalue()).decode("ascii")}">'


def histogram(values: Array, unit: str) -> str:
    """How often values that are not all alike occur: an <svg>."""
    made = charts.figure(5.6, 2.0)
    axes = made.add_subplot()
    low, high = float(values.min()), float(values.max())
    axes.hist(
        values,
        bins=min(40, max(8, int(np.sqrt(len(values))))),
        range=(low, high),
        color=COLOURS[0],
        edgecolor="white",
        linewidth=0.6,
    )
    axes.set_xlabel(unit)
    axes.set_ylabel("recordings")
    return charts.svg(made)


def colours(count: int) -> tuple[str, ...]:
    """`count` colours that can be told apart: a fixed scheme for a few, around the circle for many."""
    few = (
        "#4477aa",
        "#ee6677",
        "#228833",
        "#ccbb44",
        "#66ccee",
        "#aa3377",
        "#555555",
        "#ee7733",
        "#009988",
        "#8855cc",
        "#994455",
        "#222288",
    )
    if count <= len(few):
        return few[:count]
    return tuple(f"hsl({360 * k / count:.0f} {65 + 20 * (k % 2)}% {38 + 14 * (k % 3)}%)" for k in range(count))


def scatter(points: Array, classes: Sequence[int], titles: Sequence[str], palette: Sequence[str]) -> list[dict[str, object]]:
    """Circles of a 560 x 420 map: place, class, colour and title of each."""
    low, high = np.quantile(points, 0.005, axis=0), np.quantile(points, 0.995, axis=0)
    spread = np.where(high - low > 1e-9, high - low, 1.0)
    place = np.clip((points - low) / spread, -0.015, 1.015) * (520, -380) + (20, 400)
    return [
        {"x": f"{x:.1f}", "y": f"{y:.1f}", "c": c, "colour": palette[c], "title": t}
        for (x, y), c, t in zip(place.tolist(), classes, titles, strict=True)
    ]
