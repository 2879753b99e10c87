"""Projects whose windows are measured against the start of their recording, of their person, or what was just before."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sandgrain
from sandgrain.base.arrays import Array
from sandgrain.base.errors import SandgrainError
from sandgrain.dataset.names import split_key
from sandgrain.project import features, first_look, inspection, sample
from sandgrain.project.build.samples import Samples
from sandgrain.project.build.store import Store
from sandgrain.project.file.load import load
from tests.support.draws import rare

RATE, LEAD, WINDOW, STRIDE = 10, 50, 20, 7
TAKES = 2  # of each person

PROJECT = """\
[data]
path = "."
kind = "motion"
files = ["*.csv"]
name = "{{group}}_{{take}}"
label_column = "y"
stream = true
rate = 10
window_s = 2.0
stride_s = 0.7
purity = {purity}
pad = "none"

[data.split]
by = "{by}"
validation = 0.2
test = 0.25

[[features]]
block = "settle"
seconds = 5
of = "{of}"

[[features]]
block = "statistics"
which = ["mean", "std"]

[model]
name = "mlp"
width = 8

[train]
epochs = 12
batch = 16
lr = 0.03
qat = false

[target]
board = "arduino-nano-33-ble-sense"
"""


def _recordings() -> dict[str, tuple[Array, Array]]:
    """x int16 [n, 2], y [n]: people of very different levels, who rest first; what tells the labels apart is how far they rise."""
    rng, found = np.random.default_rng(5), {}
    for person in range(8):
        level, size = rng.uniform(-15000, 15000, 2), rng.uniform(100, 400)
        for take in range(TAKES):
            lengths = [int(rng.integers(70, 110)) for _ in range(6)]
            y = np.concatenate([np.full(n, k % 2) for k, n in enumerate(lengths)])
            x = level + size * (rng.normal(0, 1, (len(y), 2)) + 6 * y[:, np.newaxis])
            found[f"p{person}_{take}"] = np.rint(x).astype(np.int16), y
    return found


RECORDINGS = _recordings()


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recordings, and what was read of them: each test writes the project file that it wants."""
    folder = tmp_path_factory.mktemp("people")
    for name, (x, y) in RECORDINGS.items():
        rows = [f"{a},{b},{label}" for (a, b), label in zip(x.tolist(), np.array(["calm", "tense"])[y], strict=True)]
        (folder / f"{name}.csv").write_text("a,b,y\n" + "\n".join(rows) + "\n")
    return folder


def project(people: Path, of: str = "start", by: str = "group", purity: float = 0.6) -> Path:
    (people / "sandgrain.toml").write_text(PROJECT.format(of=of, by=by, purity=purity))
    return people


def place(x: Array, part: Array) -> int:
    """Where `part` lies in `x`: once, for no two stretches are alike."""
    row, (at,) = x.shape[1] * 2, [m.start() for m in re.finditer(re.escape(part.tobytes()), x.tobytes())]
    assert at % row == 0
    return int(at // row)


@pytest.mark.parametrize("of", ["start", "group", "before"])
@pytest.mark.parametrize("by", ["group", "time"])
@pytest.mark.parametrize("purity", [0.6, 0.0])
def test_a_window_has_its_own_lead_in_front(people: Path, tmp_path: Path, of: str, by: str, purity: float) -> None:
    found = inspection.inspect(load(project(people, of, by, purity)))
    samples = Samples(found, Store(tmp_path / "store"))
    seen = set()
    for side in ("train", "validation", "test"):
        cuts = list(samples.windows(side))
        assert len(cuts) == samples.count(side) == len(samples.keys(side)) == sum(n[side] for n in found.windows.values()) > 0
        for cut in cuts:
            whole = cut.record.part[0] if cut.record.part else cut.record
            name = split_key(whole.key)[0].removesuffix(".csv")
            x, y = RECORDINGS[name]
            at = place(x, cut.x[LEAD:])
            first = x if of != "group" else RECORDINGS[f"{name[:-1]}0"][0]
            lead = x[at - LEAD : at] if of == "before" else first[:LEAD]
            assert np.array_equal(cut.x[:LEAD], lead)
            assert at >= LEAD or (of == "group" and not name.endswith("0"))
            own = (y[at : at + WINDOW] == (cut.record.label == "tense")).mean()
            assert own == 1 if purity == 0 else own >= purity
            seen.add((name, at))
    if purity and by == "group" and of != "group":  # none is missing
        wanted = {
            (name, s) for name, (x, y) in RECORDINGS.items() for s in range(LEAD, len(x) - WINDOW + 1, STRIDE) if pure(y, s)
        }
        assert seen == wanted


def pure(y: Array, start: int) -> bool:
    share = y[start : start + WINDOW].mean()
    return bool(max(share, 1 - share) >= 0.6)


@pytest.mark.parametrize("of", ["start", "before"])
def test_a_sample_of_the_windows_has_leads_too(people: Path, tmp_path: Path, of: str) -> None:
    found = inspection.inspect(load(project(people, of)))
    all_of_them = {
        c.x.tobytes() for side in ("train", "validation", "test") for c in Samples(found, Store(tmp_path / "s")).windows(side)
    }
    some = sample.sampled(found, found.records, 100)
    assert some is not None and {x.tobytes() for x in some.x} <= all_of_them
    look = first_look.look(found)
    assert look is not None and look.told_apart > (0.95 if of == "start" else 0.7)
    shown = features.vectors(found, 10)
    assert shown is not None and shown[1].shape[1] == 4


@pytest.fixture(scope="module")
def built(people: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    out = tmp_path_factory.mktemp("built") / "p"
    made = sandgrain.build(project(people), out=out, verify=6).to_json()
    return out, made


@rare
def test_people_of_other_levels_are_told_and_streams_too(people: Path, built: tuple[Path, Any]) -> None:
    """The C of the firmware hears whole recordings: its first result comes behind the lead and a window, and it is right."""
    out, made = built
    assert made["accuracy_int8_host"] > 0.9
    header = next(out.glob("*.h")).read_text()
    assert re.search(r"#define \w+_LEAD_SAMPLES 50\b", header) and re.search(r"#define \w+_WINDOW_SAMPLES 70\b", header)
    assert "no result before 7 s" in header
    scored = sandgrain.score(out, people / "p3_0.csv", label_column="y").to_json()
    assert scored["results"] == (len(RECORDINGS["p3_0"][0]) - LEAD - WINDOW) // STRIDE + 1
    assert scored["pure"]["accuracy"] > 0.9


def test_a_recording_without_room_for_lead_and_window_is_told(people: Path, tmp_path: Path) -> None:
    folder = project(people, purity=0.0)
    file = folder / "sandgrain.toml"
    file.write_text(file.read_text().replace("seconds = 5", "seconds = 500"))
    with pytest.raises(SandgrainError, match="as the seconds of settle and a window; make one of them shorter"):
        sandgrain.build(folder, out=tmp_path / "out")
    file.write_text(file.read_text().replace("window_s = 2.0\n", "").replace("stride_s = 0.7\n", ""))
    with pytest.raises(SandgrainError, match="settle needs windows that begin behind its seconds; set window_s"):
        sandgrain.build(folder, out=tmp_path / "out")
