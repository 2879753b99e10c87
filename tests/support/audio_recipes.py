"""The audio recipes that the fixed-point ops are held against, in float64 and straight from their definitions.

Log-mel and MFCC as TensorFlow computes them (documentation of `tf.signal.stft`, `hann_window`,
`linear_to_mel_weight_matrix` and `mfccs_from_log_mel_spectrograms`), with the settings and the order of steps of MLPerf
Tiny's keyword task (mlcommons/tiny, benchmark/training/keyword_spotting/get_dataset.py, feature type "mfcc").
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]

RATE, SAMPLES, WINDOW, HOP, FFT = 16000, 16000, 480, 320, 512
BANDS, LOW, HIGH, FLOOR, COEFFICIENTS = 40, 20.0, 4000.0, 1e-6, 10


def frames(x: Real, window: int = WINDOW, hop: int = HOP) -> Real:
    """[1 + (samples - window) // hop, window]: whole frames only, as `stft` with pad_end=False."""
    count = 1 + (len(x) - window) // hop
    return np.stack([x[i * hop : i * hop + window] for i in range(count)])


def hann(window: int = WINDOW) -> Real:
    """The periodic Hann window: its period is `window`, so its last value is not 0."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)


def spectrum(x: Real, window: int = WINDOW, hop: int = HOP, fft: int = FFT) -> Real:
    """Magnitudes [frames, fft / 2 + 1]; a frame is padded with zeros behind its end."""
    return np.abs(np.fft.rfft(frames(x, window, hop) * hann(window), fft))


def mel(hertz: npt.ArrayLike) -> Real:
    """HTK's mel scale."""
    return 1127.0 * np.log1p(np.asarray(hertz, np.float64) / 700.0)


def mel_weights(bands: int = BANDS, fft: int = FFT, rate: float = RATE, low: float = LOW, high: float = HIGH) -> Real:
    """[fft / 2 + 1, bands]: triangles that are straight in mel, 1 at their centre; the bin of 0 Hz counts nowhere."""
    edges = np.linspace(mel(low), mel(high), bands + 2)
    bins = mel(np.arange(fft // 2 + 1) * rate / fft)[:, np.newaxis]
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    weights = np.maximum(0.0, np.minimum(rise, fall))
    weights[0] = 0.0
    return weights


def log_mel(x: Real, power: int = 1, floor: float = FLOOR, high: float = HIGH) -> Real:
    """Natural logarithm of mel + floor, [frames, 40], of samples whose full scale is 1."""
    return np.log(spectrum(x) ** power @ mel_weights(high=high) + floor)


def dct(logs: Real) -> Real:
    """DCT-II over the last axis, every coefficient scaled by sqrt(2 / bands)."""
    bands = logs.shape[-1]
    angles = np.pi / bands * (np.arange(bands)[:, np.newaxis] + 0.5) * np.arange(bands)
    return logs @ np.cos(angles) * np.sqrt(2 / bands)


def prepare(recording: npt.ArrayLike, peak: bool = True) -> Real:
    """One second: divided by the largest sample (or by 2^15), then cut or padded with zeros."""
    x = np.asarray(recording, np.float64)
    x = x / (np.max(x) if peak else 2.0**15)
    return np.concatenate([x[:SAMPLES], np.zeros(max(0, SAMPLES - len(x)))])


def keyword_mfcc(recording: npt.ArrayLike, peak: bool = True) -> Real:
    """[49, 10]: the input of MLPerf Tiny's keyword model before its quantization, of one int16 recording at 16 kHz."""
    return dct(log_mel(prepare(recording, peak)))[:, :COEFFICIENTS]


def wake_word_features(samples: npt.ArrayLike, fft: int = 1024, hop: int = 512, rate: int = RATE) -> Real:
    """[frames, 40]: the input of MLPerf Tiny's streaming wake word before its quantization, of int16 samples from the stream's start.

    Its recipe in float64: samples over 2^15, each less 31/32 of the one before, a symmetric Hamming taper, powers over the length of a
    frame, TensorFlow's mel bands up to half the rate, decibels, +52 and over 64, clipped to 0 to 1.
    """
    x = np.asarray(samples, np.float64) / 2**15
    x = x - (1 - 2**-5) * np.concatenate([[0.0], x[:-1]])
    power = np.abs(np.fft.rfft(frames(x, fft, hop) * np.hamming(fft))) ** 2 / fft
    bands = power @ mel_weights(fft=fft, rate=rate, low=0.0, high=rate / 2)
    return np.clip((10 * np.log10(np.maximum(bands, 1e-30)) + 52) / 64, 0, 1)
