"""Compares the emitted C with its frozen hashes (tests/golden), or freezes it anew.

    python tools/golden_c.py --check [NAME ...]          what changed, by name; exit code 1 where anything did
    python tools/golden_c.py --write [NAME ...]          freeze what is emitted now
    python tools/golden_c.py --dump FOLDER [NAME ...]    the C of what changed: FOLDER/now, and of git's HEAD: FOLDER/before

NAME: models, ops and bundles with optional parts, by a part of their names; all of them when none is given. --all: also the bundles
whose kernels were chosen by measuring on the emulated core, which takes many minutes the first time; --measured: those alone.
--base REV: with --dump, another commit than HEAD.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.golden import emitted  # noqa: E402 - the tree that this file lies in comes first
from tests.golden.emitted import BUNDLES, MEASURED, OPS_GOLDEN, PARTS, Files, Golden  # noqa: E402
from tests.support.shared_files import MODELS  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true")
    action.add_argument("--write", action="store_true")
    action.add_argument("--dump", type=Path, metavar="FOLDER")
    action.add_argument("--dump-only", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)  # what --dump calls in the other tree
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--measured", action="store_true")
    parser.add_argument("--base", default="HEAD", metavar="REV")
    parser.add_argument("names", nargs="*", metavar="NAME")
    args = parser.parse_args()
    quick = (PARTS, BUNDLES, OPS_GOLDEN)
    goldens = (*quick, MEASURED) if args.all else (MEASURED,) if args.measured else quick
    if args.dump_only:
        dump(goldens, set(args.names), args.dump_only)
        return 0
    changed = [name for golden in goldens for name in compare(golden, args.names, write=args.write)]
    if args.dump and changed:
        dump(goldens, set(changed), args.dump / "now")
        which = ["--all"] if args.all else ["--measured"] if args.measured else []
        dump_before(args.base, [*which, *changed], args.dump / "before")
        print(f"git diff --no-index {args.dump / 'before'} {args.dump / 'now'}")
    print(f"{len(changed)} of the models and ops changed" if changed else "nothing changed")
    return 1 if args.check and changed else 0


def compare(golden: Golden, wanted: list[str], *, write: bool) -> list[str]:
    """The names whose C is not the frozen one, each told with what changed; frozen anew with `write`."""
    frozen, changed = golden.read(), []
    available = golden.names()
    for name in sorted(frozen.keys() | set(available)):
        if wanted and not any(part in name for part in wanted):
            continue
        if name not in available:
            print(f"{name}: not here, left out")
            continue
        new = golden.hashes(name)
        lines = emitted.changes(golden, name, frozen[name], new) if name in frozen else [f"{name}: new"]
        if lines:
            changed.append(name)
            print("\n".join(lines), flush=True)
        if write:
            frozen[name] = new
            golden.write(frozen)
    return changed


def bundles(golden: Golden, name: str) -> Iterator[tuple[str, Files]]:
    """(folder, files) of everything that the hashes of `name` are made from."""
    if golden is OPS_GOLDEN:
        for core in emitted.OP_CORES:
            yield from ((f"{name}/{core}/{case}", files) for case, files in emitted.op_bundles(name, core, range(emitted.SEEDS)))
        return
    if golden is PARTS:
        yield name, emitted.part_files(name)
        return
    graphs = emitted.graphs_of(emitted.model_bytes(name))
    if graphs is not None:
        for core in emitted.cores_of(name, measure=golden is MEASURED):
            made = emitted.bundles_of(graphs, core, measure=golden is MEASURED)
            yield from ((f"{name}/{core}/{setting}", files) for setting, files in made)


def dump(goldens: tuple[Golden, ...], names: set[str], folder: Path) -> None:
    for golden in goldens:
        for name in sorted(names & set(golden.names())):
            for place, files in bundles(golden, name):
                write_files(folder / golden.file.stem / place, files)


def write_files(folder: Path, files: Files) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "ascii")


def dump_before(revision: str, arguments: list[str], folder: Path) -> None:
    """The same C as another commit emits it, by that commit's own copy of this tool."""
    with tempfile.TemporaryDirectory() as work:
        tree = Path(work) / "tree"
        subprocess.run(["git", "-C", str(ROOT), "worktree", "add", "--quiet", "--detach", str(tree), revision], check=True)
        try:
            command = [sys.executable, str(tree / "tools" / "golden_c.py"), "--dump-only", str(folder.resolve()), *arguments]
            env = {**os.environ, "PYTHONPATH": str(tree), "SANDGRAIN_MODELS": str(MODELS.resolve())}
            subprocess.run(command, check=True, env=env)
        finally:
            subprocess.run(["git", "-C", str(ROOT), "worktree", "remove", "--force", str(tree)], check=True)


if __name__ == "__main__":
    sys.exit(main())
