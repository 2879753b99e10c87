"""The benchmark of streams: whole recordings with their truth beside them, through `sandgrain score`, and the same count made by hand.

    python bench/streams.py [--bundle FOLDER]

`kws_stream` is two streams of words over noise (17 keywords among 42 words; 32 words that are none). The bundle is built from
`speech_commands12`, whose clips are none of the stream's, by the project file below; that takes minutes, and what was built is kept in
out/streams. bench/streams.json holds the last figures. Exits with 1 where the tool's count is not the one made by hand.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import sandgrain
from sandgrain.bundle import store
from sandgrain.bundle.listening import Listener

HERE = Path(__file__).parent
ROOT = HERE.parent
WORK = ROOT / "out" / "streams"
PATH = HERE / "streams.json"
DATA = Path(os.environ.get("SANDGRAIN_DATA", ROOT.parent / "shared" / "data"))
STREAMS = ("stream_a", "stream_b")
BAR = "16 of 17, at most 2 false accepts"

PROJECT = """\
[data]
path = "{data}/speech_commands12"
kind = "audio"
labels = "index.csv"
group_column = "speaker"
rate = 16000
window_s = 1.0
background = ["../noise/*.wav"]

[data.split]
by = "group"
validation = 0.12
test = 0.12

[[features]]
block = "log-mel"
bands = 32
hop_ms = 20
window_ms = 32

[[augment]]
kind = "background"

[model]
name = "cnn1d"
width = 48

[train]
epochs = 16

[decide]
background = ["silence", "unknown"]
false_alarms_per_hour = 30
smoothing_s = 0.25
hold_s = 1.0
minutes = 4

[target]
board = "arduino-nano-33-ble-sense"
"""

console = Console(highlight=False)


def samples(path: Path) -> np.ndarray:
    """int16 [n, 1] of a wav with one channel."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2), f"{path} is no mono int16 sound"
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")[:, np.newaxis]


def by_hand(bundle: store.Bundle, listener: Listener, sound: np.ndarray, words: Sequence[tuple[float, float, str]]) -> list[int]:
    """[found, repeated, false] without the tool's counting: a decision belongs to a word of its label that what the C has heard for it
    (its window and the results before it that are added up) overlaps, and each word has one."""
    front, rule = bundle.origin.front, bundle.compiled.source.options.rule
    assert front is not None
    signal, labels, heard = front.pipeline.signal, bundle.compiled.graph.labels, listener.hear(sound)
    reach = (signal.shape[0] + (rule.smoothing - 1) * listener.spacing) / signal.rate
    taken: set[int] = set()
    count = [0, 0, 0]
    for end, said in zip(heard["samples"] / signal.rate, heard["decisions"], strict=True):
        if said < 0:
            continue
        near = [k for k, (a, b, word) in enumerate(words) if word == labels[said] and b >= end - reach and a <= end]
        free = [k for k in near if k not in taken]
        taken |= set(free[:1])
        count[0 if free else 1 if near else 2] += 1
    return count


def truth(path: Path) -> list[tuple[float, float, str]]:
    """(start, end, word) of each word of a stream."""
    with path.open(newline="", encoding="utf-8") as file:
        return [(float(r["start_s"]), float(r["end_s"]), r["label"]) for r in csv.DictReader(file)]


def built() -> Path:
    """The bundle of the project above."""
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / "sandgrain.toml").write_text(PROJECT.format(data=DATA.as_posix()), "utf-8")
    sandgrain.build(WORK, out=WORK / "c", verify=20, progress=True)
    return WORK / "c"


def run(folder: Path) -> dict[str, Any]:
    """The figures of one bundle."""
    source = DATA / "kws_stream"
    found = sandgrain.score(folder, [source / f"{name}.wav" for name in STREAMS]).to_json()
    bundle = store.load_bundle(folder)
    listener = Listener(bundle)
    hands = [by_hand(bundle, listener, samples(source / f"{name}.wav"), truth(source / f"{name}.csv")) for name in STREAMS]
    events = [e for e in found["events"] if e["label"] != "unknown"]
    delays = [e["delay_s"] for e in events if e["delay_s"] is not None]
    return {
        "set": "kws_stream",
        "keywords": sum(e["events"] for e in events),
        "found": sum(e["hits"] for e in events),
        "repeated": sum(e["repeats"] for e in events),
        "false_accepts": found["false_alarms"],
        "false_accepts_per_hour": round(found["false_alarms_per_hour"], 1),
        "at_most_per_hour": round(found["false_alarms_per_hour_at_most"], 1),
        "seconds": found["seconds"],
        "delay_s": round(float(np.median(delays)), 2) if delays else None,
        "windows_right": round(100 * found["windows"]["accuracy"], 1) if found["windows"] else None,
        "rule": found["rule"],
        "by_hand": dict(zip(("found", "repeated", "false"), (int(sum(h[k] for h in hands)) for k in range(3)), strict=True)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, help="a bundle with the words of the streams, instead of building one")
    given = parser.parse_args().bundle
    if not (DATA / "kws_stream").is_dir():
        console.print("kws_stream: not there; set SANDGRAIN_DATA to the folder that has the sets")
        return 0
    row = run(given or built())
    PATH.write_text(json.dumps([row], indent=1) + "\n", "utf-8")
    hand = row["by_hand"]
    same = [row["found"], row["repeated"], row["false_accepts"]] == list(hand.values())
    console.print(
        f"{row['found']} of {row['keywords']} keywords, {row['false_accepts']} false accepts in {row['seconds']:.0f} s:"
    )
    console.print(f"{row['false_accepts_per_hour']} per hour, below {row['at_most_per_hour']} with 95 % confidence (bar: {BAR})")
    console.print(f"by hand: {hand}: {'the same' if same else 'NOT the same'}")
    return 0 if same else 1


if __name__ == "__main__":
    raise SystemExit(main())
