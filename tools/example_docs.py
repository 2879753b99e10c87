"""Brings the examples' READMEs up to date: what `sandgrain data` and `sandgrain build` print there is what they print now.

    python tools/example_docs.py [EXAMPLE ...]

Runs each command as the README writes it, in 80 columns, and puts its output into the block behind "What `sandgrain X` prints".
Data are looked for in SANDGRAIN_DATA, or in ../shared/data; an example without its data keeps its README. A build takes minutes
unless its stages are in the example's .sandgrain folder.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
DATA = Path(os.environ.get("SANDGRAIN_DATA", ROOT.parent / "shared" / "data"))
BLOCK = re.compile(r"(What `sandgrain (?P<name>data|build)` prints:.*?\n```text\n)(?P<text>.*?)(```\n)", re.DOTALL)


def printed(line: str) -> str:
    """What a README's command line prints, without spaces at the ends of lines. The page that it writes is removed."""
    arguments = shlex.split(line)
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "80", "SANDGRAIN_DATA": str(DATA)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if "--html" in arguments:
        (ROOT / arguments[arguments.index("--html") + 1]).unlink(missing_ok=True)
    if done.returncode:
        raise SystemExit(f"{line}: exit code {done.returncode}")
    return "".join(f"{x.rstrip()}\n" for x in done.stdout.splitlines())


def refreshed(text: str) -> str:
    """A README with each block's output as its command gives it now."""

    def replaced(match: re.Match[str]) -> str:
        [line] = re.findall(rf"^sandgrain {match['name']} .*$", text, re.MULTILINE)
        return f"{match[1]}{printed(line)}{match[4]}"

    return BLOCK.sub(replaced, text)


def main() -> None:
    for name in sys.argv[1:] or sorted(p.name for p in EXAMPLES.iterdir() if (p / "README.md").is_file()):
        path = EXAMPLES / name / "README.md"
        text = path.read_text("utf-8")
        if not BLOCK.search(text):
            print(f"{name}: shows no output")
            continue
        try:
            path.write_text(refreshed(text), "utf-8")
            print(f"{name}: up to date")
        except SystemExit as error:
            print(f"{name}: left as it is: {error}")


if __name__ == "__main__":
    main()
