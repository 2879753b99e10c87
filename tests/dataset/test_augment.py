"""Augmentation: seeded by what it is applied to, saturating, and doing what its name says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.dataset import augment
from sandgrain.dataset.augment import STEPS, Augmentation, Step, from_tables, power
from tests.support.draws import rare

RNG = np.random.default_rng


def tone(samples: int = 8000, level: float = 8000.0, channels: int = 1) -> Array:
    t = np.arange(samples)[:, None] * (1 + np.arange(channels))
    return np.rint(level * np.sin(t * 0.1)).astype(np.int16)


def loud(shape: tuple[int, ...], dtype: str, seed: int) -> Array:
    """Values at both ends of the scale, where a sum wraps around if it can."""
    info = np.iinfo(dtype)
    return RNG(seed).choice(np.array([info.min, info.max], dtype), shape)


def made(name: str) -> Step:
    return STEPS[name](recordings=(tone(500),)) if name == "background" else STEPS[name]()  # type: ignore[call-arg]


def example(step: Step, seed: int = 0) -> Array:
    if step.kinds == augment.IMAGE:
        return loud((12, 10, 3), "uint8", seed)
    return loud((49, 10), "int8", seed) if step.domain == "features" else loud((64, 7), "int16", seed)


@rare
@pytest.mark.parametrize("name", STEPS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_step_keeps_shape_dtype_and_what_it_was_given(name: str, seed: int) -> None:
    step = made(name)
    x = example(step, seed)
    before = x.copy()
    first, again = step.apply(x, RNG(seed)), step.apply(x, RNG(seed))
    assert first.shape == x.shape and first.dtype == x.dtype
    assert np.array_equal(first, again)
    assert np.array_equal(x, before)
    assert not np.shares_memory(first, x)


@pytest.mark.parametrize("name", STEPS)
def test_a_step_changes_something(name: str) -> None:
    step = made(name)
    x = RNG(0).integers(0, 100, example(step).shape).astype(example(step).dtype)
    assert any(not np.array_equal(step.apply(x, RNG(seed)), x) for seed in range(20))


@pytest.mark.parametrize(
    ("step", "dtype"),
    [
        (augment.Gain(db=(20, 20)), "int16"),
        (augment.Scaling(factor=(3, 3)), "int16"),
        (augment.Brightness(share=1.0), "uint8"),
        (augment.Contrast(factor=(5, 5)), "uint8"),
    ],
)
def test_what_is_too_large_saturates_and_keeps_its_sign(step: Step, dtype: str) -> None:
    info = np.iinfo(dtype)
    middle = (info.min + info.max + 1) // 2
    x = loud((40, 6) if dtype == "int16" else (10, 10, 3), dtype, 1)
    for seed in range(10):
        y = step.apply(x, RNG(seed))
        if not isinstance(step, augment.Brightness):
            assert np.array_equal(y >= middle, x >= middle)
            assert set(np.unique(y)) == {info.min, info.max}
        assert (y[x == info.max] >= y[x == info.min].max()).all()


def test_noise_on_full_scale_does_not_wrap() -> None:
    x = loud((4000, 1), "int16", 0)
    y = augment.Noise(snr_db=(20, 20)).apply(x, RNG(0))
    assert np.array_equal(y > 0, x > 0)


# --- each does what it says ----------------------------------------------------------------------------------------------


@given(db=st.floats(-20, 3))
def test_gain_is_in_decibels(db: float) -> None:
    y = augment.Gain(db=(db, db)).apply(tone(), RNG(0))
    assert 10 * math.log10(power(y) / power(tone())) == pytest.approx(db, abs=0.01)


@pytest.mark.parametrize("colour", ["white", "pink"])
@pytest.mark.parametrize("snr", [0.0, 10.0, 25.0])
def test_noise_has_the_ratio(colour: str, snr: float) -> None:
    x = tone(20_000)
    y = augment.Noise(snr_db=(snr, snr), colour=colour).apply(x, RNG(3))  # type: ignore[arg-type]
    assert 10 * math.log10(power(x) / power(y.astype(float) - x)) == pytest.approx(snr, abs=0.1)


def test_pink_noise_has_as_much_power_in_every_octave() -> None:
    x = tone(1 << 15, 3000.0)
    noise = augment.Noise(snr_db=(0, 0), colour="pink").apply(x, RNG(1)).astype(float) - x
    spectrum = np.abs(np.fft.rfft(noise[:, 0])) ** 2
    octaves = [spectrum[1 << k : 2 << k].sum() for k in range(6, 13)]
    assert max(octaves) / min(octaves) < 2


def test_background_has_the_ratio_and_a_short_one_is_repeated() -> None:
    x, hum = tone(5000), tone(300, 500.0)
    y = augment.Background(recordings=(hum,), snr_db=(6, 6)).apply(x, RNG(0))
    assert 10 * math.log10(power(x) / power(y.astype(float) - x)) == pytest.approx(6, abs=0.1)


def test_silence_gets_no_noise() -> None:
    x = np.full((100, 1), 77, np.int16)
    assert np.array_equal(augment.Noise().apply(x, RNG(0)), x)
    assert np.array_equal(augment.Background(recordings=(x,)).apply(tone(100), RNG(0)), tone(100))


@pytest.mark.parametrize("fill", ["zero", "edge"])
def test_a_shift_moves_and_fills(fill: str) -> None:
    x = np.arange(1, 21, dtype=np.int16)[:, None]
    seen = set()
    for seed in range(60):
        y = augment.TimeShift(share=0.25, fill=fill).apply(x, RNG(seed))[:, 0]  # type: ignore[arg-type]
        by = next(k for k in range(-5, 6) if y[10] == x[10 - k, 0])
        seen.add(by)
        expected = [x[min(max(k - by, 0), 19), 0] if 0 <= k - by < 20 or fill == "edge" else 0 for k in range(20)]
        assert y.tolist() == expected
    assert seen == set(range(-5, 6))


def test_speed_changes_the_pitch() -> None:
    y = augment.Speed(factor=(1.25, 1.25)).apply(tone(8000), RNG(0))[:, 0]
    spectrum = np.abs(np.fft.rfft(y * np.hanning(8000)))
    assert np.argmax(spectrum) == pytest.approx(8000 * 0.1 / (2 * math.pi) * 1.25, abs=1)
    assert np.array_equal(augment.Speed(factor=(1, 1)).apply(tone(100), RNG(0)), tone(100))


def test_a_rotation_keeps_lengths_and_turns_all_sensors_alike() -> None:
    x = RNG(0).integers(-9000, 9000, (50, 3)).astype(np.int16)
    both = np.concatenate([x, x // 2 * 2, np.full((50, 1), 5)], axis=1).astype(np.int16)
    y = augment.Rotation(degrees=90).apply(both, RNG(4)).astype(float)
    assert np.allclose(np.linalg.norm(y[:, :3], axis=1), np.linalg.norm(x.astype(float), axis=1), atol=1)
    assert np.allclose(y[:, :3], y[:, 3:6], atol=2)
    assert (y[:, 6] == 5).all()
    about_z = augment.Rotation(degrees=180, axis=2).apply(both, RNG(1))
    assert np.array_equal(about_z[:, 2], both[:, 2]) and not np.array_equal(about_z[:, 0], both[:, 0])
    matrix = augment.rotation(np.array([1.0, -2.0, 0.5]), 0.7)
    assert np.allclose(matrix @ matrix.T, np.eye(3)) and np.linalg.det(matrix) == pytest.approx(1)


def test_a_mask_hides_a_stretch_by_the_mean() -> None:
    x = RNG(0).integers(-100, 100, (50, 20)).astype(np.int8)
    mean = round(float(x.mean()))
    for seed in range(20):
        for step, axis in ((augment.TimeMask(share=0.3), 0), (augment.FrequencyMask(share=0.3), 1)):
            y = step.apply(x, RNG(seed))
            changed = np.flatnonzero((y != x).any(axis=1 - axis))
            assert len(changed) <= 0.3 * x.shape[axis]
            if len(changed):
                stretch = y.take(range(changed[0], changed[-1] + 1), axis=axis)
                assert (stretch == mean).all()
    floats = x.astype(np.float32)
    assert augment.TimeMask().apply(floats, RNG(0)).dtype == np.float32


def test_a_flip_mirrors_half_of_the_images() -> None:
    x = RNG(0).integers(0, 255, (4, 6, 3)).astype(np.uint8)
    flipped = [np.array_equal(augment.Flip().apply(x, RNG(seed)), x[:, ::-1]) for seed in range(200)]
    assert 70 < sum(flipped) < 130
    ways = {augment.Flip(vertical=True).apply(x, RNG(seed)).tobytes() for seed in range(50)}
    assert ways == {np.ascontiguousarray(x[::a, ::b]).tobytes() for a in (1, -1) for b in (1, -1)}


def test_a_crop_moves_the_image() -> None:
    x = RNG(0).integers(0, 255, (16, 16, 1)).astype(np.uint8)
    places = set()
    for seed in range(200):
        y = augment.Crop(share=0.125).apply(x, RNG(seed))
        places |= {
            (a, b) for a in range(-2, 3) for b in range(-2, 3) if np.array_equal(y[4:12, 4:12], x[4 + a : 12 + a, 4 + b : 12 + b])
        }
    assert len(places) == 25


# --- a list of steps -----------------------------------------------------------------------------------------------------


ALL = Augmentation((augment.Gain(), augment.Noise(probability=0.5), augment.TimeShift()))


def test_a_resumed_run_sees_what_it_would_have_seen() -> None:
    x = tone(400)
    whole = {(epoch, key): ALL.apply(x, key, epoch, 7) for epoch in range(3) for key in ("a", "b")}
    assert np.array_equal(ALL.apply(x, "b", 2, 7), whole[2, "b"])
    assert len({y.tobytes() for y in whole.values()}) == 6
    assert not np.array_equal(ALL.apply(x, "b", 2, 8), whole[2, "b"])


def test_a_step_does_not_depend_on_what_the_others_draw() -> None:
    x = tone(400)
    quiet = Augmentation((augment.Gain(db=(0, 0)), augment.TimeShift()))
    other = Augmentation((augment.Speed(factor=(1, 1)), augment.TimeShift()))
    assert np.array_equal(quiet.apply(x, "a", 0, 0), other.apply(x, "a", 0, 0))


def test_probability_is_how_often() -> None:
    x = tone(50)
    sometimes = Augmentation((augment.Gain(db=(3, 3), probability=0.3),))
    assert 60 < sum(not np.array_equal(sometimes.apply(x, f"{k}", 0, 0), x) for k in range(300)) < 120
    assert Augmentation().apply(x, "a", 0, 0) is x


def test_signal_and_feature_steps_are_told_apart() -> None:
    steps = from_tables([{"kind": "gain"}, {"kind": "time-mask"}, {"kind": "noise", "snr_db": [3, 9]}], "audio")
    assert [type(s).__name__ for s in steps.on("signal").steps] == ["Gain", "Noise"]
    assert steps.on("features").steps == (augment.TimeMask(),)
    assert steps.steps[2] == augment.Noise(snr_db=(3.0, 9.0))


def test_every_step_can_be_named_in_a_table() -> None:
    for name, cls in STEPS.items():
        kind = sorted(cls.kinds)[0]
        [step] = from_tables([{"kind": name, "probability": 0.5}], kind, [tone(100)]).steps
        assert type(step) is cls and step.probability == 0.5


@pytest.mark.parametrize(
    ("table", "kind", "says"),
    [
        ({"kind": "gian"}, "audio", "did you mean gain"),
        ({}, "audio", "not known"),
        ({"kind": 3}, "audio", "not known"),
        ({"kind": "flip"}, "audio", "flip is not for audio data; choose from gain, noise"),
        ({"kind": "gain", "dB": [1, 2]}, "audio", "did you mean db"),
        ({"kind": "gain", "db": 3}, "audio", "a range such as"),
        ({"kind": "gain", "db": [3, 1]}, "audio", "not a range"),
        ({"kind": "gain", "db": [1, float("nan")]}, "audio", "a range such as"),
        ({"kind": "gain", "probability": 2}, "audio", "not from 0 to 1"),
        ({"kind": "noise", "colour": "blue"}, "audio", "white or pink"),
        ({"kind": "noise", "colour": 1}, "audio", 'a value such as "white"'),
        ({"kind": "flip", "vertical": 1}, "image", "a value such as false"),
        ({"kind": "rotation", "axis": 3}, "motion", "use 0, 1, 2"),
        ({"kind": "scaling", "factor": [-1, 1]}, "motion", "above 0"),
        ({"kind": "background", "recordings": [1]}, "audio", "recordings is not known"),
    ],
)
def test_a_wrong_table_is_refused(table: dict[str, object], kind: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        from_tables([table], kind)  # type: ignore[arg-type]


def test_a_background_needs_recordings() -> None:
    with pytest.raises(UsageError, match="name a folder"):
        augment.Background().apply(tone(10), RNG(0))
    with pytest.raises(UsageError, match="empty"):
        augment.Background(recordings=(np.zeros((0, 1), np.int16),))


def test_a_rotation_needs_three_channels() -> None:
    with pytest.raises(UsageError, match="groups of three"):
        augment.Rotation().apply(tone(10, channels=2), RNG(0))
