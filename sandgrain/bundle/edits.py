"""What of a bundle on disk is not what its proof makes: files that were edited, facts of build.json that do not fit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandgrain.base.text import printable
from sandgrain.kernels import headers

SLACK = 2  # times the size of the text, up to which a file is read: line ends may be longer than ours


def edited_files(folder: Path, wanted: Mapping[str, str], *, whole: bool = True) -> list[str]:
    """Which files differ from the text they should hold, each with the line where; and headers that are not of the bundle.

    Raises FileNotFoundError for a file that is missing, if the bundle is to be `whole`.
    """
    found = []
    for name, text in wanted.items():
        path = folder / name
        if not path.is_file():  # a pipe would be waited for
            if whole:
                raise FileNotFoundError(f"{name} is missing")
            found.append(f"{name} (missing)")
            continue
        given = path.read_text("utf-8", "replace") if path.stat().st_size <= SLACK * len(text) else ""
        if given != text:
            found.append(f"{name} (line {_line(given, text)})")
    return found + [f"{name} (not of this bundle)" for name in _strangers(folder, wanted)]


def _line(given: str, text: str) -> int:
    """The number of the first line that differs."""
    ours, theirs = text.split("\n"), given.split("\n")
    same = (k for k, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b)
    return next(same, min(len(ours), len(theirs))) + 1


def _strangers(folder: Path, wanted: Mapping[str, str]) -> list[str]:
    """Files in kernels/ that the C does not have, and headers beside NAME.c that a compiler would take for the C library's."""
    others = [p for p in sorted((folder / "kernels").glob("*")) if f"kernels/{p.name}" not in wanted]
    known = headers()  # several models may share a folder, and so the kernels of each
    kernels = [f"kernels/{p.name}" for p in others if not (p.name in known and edited_files(p.parent, _text_of(p.name)) == [])]
    hiding = [p.name for p in (folder / "stdint.h",) if p.exists()]
    return [printable(name) for name in [*kernels, *hiding]]


def _text_of(kernel: str) -> dict[str, str]:
    return {kernel: headers()[kernel].read_text("ascii")}


def edited_facts(facts: Mapping[str, Any], wanted: Mapping[str, Any], command: tuple[str, ...]) -> list[str]:
    """Which facts of build.json are not what the bundle's model and options give. `command`: each that may have made the bundle."""
    plain, figures = json.loads(json.dumps(wanted)), facts["figures"]
    names = [name for name in plain if name != "figures" and facts.get(name) != plain[name]]
    names += [printable(name) for name in facts if name not in plain]
    if isinstance(figures, dict):
        same = {"model": plain["model"], "target": plain["target"], "compiler": f"{plain['compiler']} {plain['opt']}"}
        names += [f"figures.{name}" for name, value in same.items() if figures.get(name) != value]
        names += [] if figures.get("command") in command else ["figures.command"]
    return [f"proof/build.json ({name})" for name in names]
