"""docs/guide/adding.md as steps: which files each of its sections adds or changes, and with what."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "guide" / "adding.md"
STEP = re.compile(r"^(?P<how>New file|In) `(?P<path>[^`]+)`:\n\n```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| (?P<thing>an? [^|]+?) \| +(?P<files>\d+) \|", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Step:
    """A code block: a new file, or lines that are inserted into one."""

    path: str
    new: bool
    text: str

    def apply(self, root: Path) -> None:
        """Write it below `root`. A diff's first line, or the lines that it removes, must stand in the file exactly once."""
        path = root / self.path
        if self.new:
            assert not path.exists(), f"{self.path} exists already"
            path.parent.mkdir(exist_ok=True)
            path.write_text(self.text, "utf-8")
            return
        before = "".join(line[1:] for line in self.text.splitlines(True) if line[0] in " -")
        after = "".join(line[1:] for line in self.text.splitlines(True) if line[0] in " +")
        text = path.read_text("utf-8")
        assert text.count(before) == 1, f"{self.path} has {text.count(before)} times: {before}"
        path.write_text(text.replace(before, after), "utf-8")


def steps() -> dict[str, list[Step]]:
    """The title of each section with code -> its steps. "In" names a file for all diffs that follow it."""
    page = PAGE.read_text("utf-8")
    found = {}
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        body = re.sub(r"^```\n\n```diff\n", "```\n\nIn `{}`:\n\n```diff\n", body, flags=re.MULTILINE)
        last, blocks = "", []
        for match in STEP.finditer(body):
            last = last if match["path"] == "{}" else match["path"]
            assert (match["kind"] == "diff") == (match["how"] == "In"), last
            blocks.append(Step(last, match["how"] == "New file", match["text"]))
        found[title.lower()] = blocks
    return found


def promised() -> dict[str, int]:
    """The table of the page: what is added -> how many files that takes."""
    return {match["thing"]: int(match["files"]) for match in ROW.finditer(PAGE.read_text("utf-8"))}
