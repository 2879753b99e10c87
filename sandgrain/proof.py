"""What a bundle keeps so that it can be verified later: the model it was made from, and how.

A bundle is `model.c`, `model.h`, `kernels/` and `proof/` (`model.tflite` or `model.txt`, `features.json` or both, and
`build.json`). It is written to a folder
beside its place and moved there whole, so that a killed or refused compile leaves nothing half-written.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import sandgrain
from sandgrain.base import files
from sandgrain.base.text import printable
from sandgrain.codegen import bundle
from sandgrain.codegen.model import Options
from sandgrain.decide import Rule
from sandgrain.errors import UsageError
from sandgrain.features.frontend import FrontEnd
from sandgrain.frontends import text
from sandgrain.pipeline import Compiled, compile_bytes
from sandgrain.plan import Choice
from sandgrain.targets import Board, load

OWN = ("model.c", "model.h", "kernels", "proof")  # what a bundle consists of, and a new compile replaces
MAX_JSON = 1 << 20
TFLITE, TEXT = "model.tflite", "model.txt"


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """What a bundle is made of: a model's bytes (.tflite, or a graph's text), the front end that feeds it, or both."""

    model: bytes | None
    front: FrontEnd | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A bundle on disk, with its model compiled again from its proof. `edited`: its C differs from what we generate."""

    folder: Path
    compiled: Compiled
    board: Board
    compiler: str
    opt: str
    model: str
    edited: bool
    origin: Origin


def save(compiled: Compiled, origin: Origin, board: Board, compiler: str, opt: str, title: str, out: Path,
         measure: Callable[[Path], None]) -> None:  # fmt: skip
    """Write the bundle of `compiled` to `out`, once `measure(folder)` has accepted what was written.

    `out` may be missing, empty, or a bundle (which is replaced). Raises UsageError when it is something else, and
    whatever `measure` raises; `out` is then as it was.
    """
    files.check_output_folder(out, is_bundle)
    try:
        _save(compiled, origin, board, compiler, opt, title, out, measure)
    except OSError as error:
        raise UsageError(
            f"-o {printable(str(out))} cannot be written ({error.strerror or type(error).__name__}); name another folder"
        ) from None


def _save(compiled: Compiled, origin: Origin, board: Board, compiler: str, opt: str, title: str, out: Path,
          measure: Callable[[Path], None]) -> None:  # fmt: skip
    beside = next(p for p in out.absolute().parents if p.is_dir())  # parents that are missing are made at the end
    work = beside / f".{out.name}.{secrets.token_hex(4)}"
    try:  # the folder is made inside, so that an interrupt at any point removes it
        work.mkdir()
        bundle.write(compiled.source, work)
        proof = work / "proof"
        proof.mkdir()
        if origin.model is not None:
            (proof / (TEXT if text.is_text(origin.model) else TFLITE)).write_bytes(origin.model)
        if origin.front is not None:
            (proof / "features.json").write_text(json.dumps(origin.front.to_json(), indent=2) + "\n", "utf-8")
        options = compiled.source.options
        facts = {
            "sandgrain": sandgrain.__version__, "model": title, "target": board.name, "compiler": compiler, "opt": opt,
            "name": options.name, "arena": options.arena, "section": options.section,
            "labels": list(compiled.imported.labels), "build_id": compiled.source.build_id,
            "choice": _choice_facts(compiled.choice), "threshold": options.threshold, "rule": asdict(options.rule),
            "channels_first": compiled.imported.channels_first,
        }  # fmt: skip
        (proof / "build.json").write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
        measure(work)
        out.mkdir(parents=True, exist_ok=True)
        for name in OWN:
            _remove(out / name)
            (work / name).rename(out / name)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle and compile its model again. Raises UsageError when `folder` is not a bundle of this version."""
    facts = _facts(folder)
    try:
        options = Options(
            _text(facts, "name"), _text(facts, "arena"), facts["section"], rule=_rule(facts), threshold=_threshold(facts)
        )
        board, labels = load(_text(facts, "target")), tuple(str(v) for v in facts["labels"])
        choice = _choice(facts["choice"])
        origin = _origin(folder / "proof")
        compiled = compile_bytes(origin.model, board, options, labels, choice, origin.front)
        compiled = replace(compiled, imported=replace(compiled.imported, channels_first=facts["channels_first"] is True))
        fresh = bundle.files(compiled.source)
        edited = any((folder / name).read_text("utf-8", "replace") != wanted for name, wanted in fresh.items())
        return Bundle(
            folder, compiled, board, _text(facts, "compiler"), _text(facts, "opt"), _text(facts, "model"), edited, origin
        )
    except (LookupError, TypeError, ValueError, OSError, ArithmeticError, AssertionError) as error:
        raise UsageError(
            f"{folder} is not a complete bundle ({type(error).__name__}: {str(error)[:60]}); compile the model again"
        ) from None


def _origin(proof: Path) -> Origin:
    """Raises OSError, KeyError, TypeError or ValueError where the bundle's proof is not whole."""
    model, features = proof / TFLITE, proof / "features.json"
    if (proof / TEXT).is_file():
        model = proof / TEXT
        if model.stat().st_size > text.MAX_TEXT:
            raise ValueError(f"{TEXT} is too large")
    if features.is_file():
        if features.stat().st_size > MAX_JSON:
            raise ValueError("features.json is too large")
        front = FrontEnd.from_json(json.loads(features.read_text("utf-8")))
        return Origin(model.read_bytes() if model.is_file() else None, front)
    return Origin(model.read_bytes())


def _choice_facts(choice: Choice) -> dict[str, Any]:
    kernels = {str(tensor): kernel for tensor, kernel in sorted(choice.kernels.items())}
    return {"kernels": kernels, "shared": sorted(choice.shared), "strips": choice.strips}


def _choice(facts: dict[str, Any]) -> Choice:
    """The inverse of `_choice_facts`. Raises KeyError, TypeError or ValueError for anything else."""
    kernels = {int(tensor): str(kernel) for tensor, kernel in facts["kernels"].items()}
    strips = facts["strips"]
    if strips is not None:
        length, height = (int(v) for v in strips)
        if length < 1 or height < 1:
            raise ValueError("strips")
        strips = (length, height)
    return Choice(kernels, frozenset(int(t) for t in facts["shared"]), strips)


def _facts(folder: Path) -> dict[str, Any]:
    path = folder / "proof" / "build.json"
    if not path.is_file():
        raise UsageError(
            f"{folder} is not a Sandgrain bundle (no proof/build.json); make one with: sandgrain compile MODEL -o {folder}"
        )
    try:
        if path.stat().st_size > MAX_JSON:
            raise ValueError("too large")
        facts = json.loads(path.read_text("utf-8"))
        if not isinstance(facts, dict):
            raise ValueError("not an object")
    except (ValueError, OSError, RecursionError):
        raise UsageError(f"{path} cannot be read; compile the model again") from None
    if facts.get("sandgrain") != sandgrain.__version__:
        raise UsageError(f"{folder} was made by another version of Sandgrain; compile the model again")
    return facts


def _text(facts: dict[str, Any], key: str) -> str:
    value = facts[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} is not text")
    return value


def _threshold(facts: dict[str, Any]) -> int | None:
    value = facts["threshold"]
    if value is not None and type(value) is not int:
        raise TypeError("threshold is not a whole number")
    return value


def _rule(facts: dict[str, Any]) -> Rule:
    """Raises KeyError, TypeError or ValueError where it is none, UsageError where it cannot be kept."""
    given = facts["rule"]
    rule = {**given, "background": tuple(given["background"])}
    if any(type(v) is not int for k, v in rule.items() if k != "background") or any(
        type(v) is not int for v in rule["background"]
    ):
        raise TypeError("a rule is not of whole numbers")
    return Rule(**rule)


def is_bundle(folder: Path) -> bool:
    """Whether a whole bundle lies in `folder`, which a new one may replace."""
    return (folder / "proof" / "build.json").is_file()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
