"""`sandgrain.docs`: the documentation that came with the package."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandgrain.api._verb import verb
from sandgrain.base.errors import UsageError, printable
from sandgrain.base.tables import Line, Row, Shown, Table

PACKAGE = Path(__file__).resolve().parents[1]
INDEX = "README"  # a folder's page


@dataclass(frozen=True, slots=True)
class Page:
    """One page. `name`: what `sandgrain docs` calls it, such as "guide/import"; `title`: its first heading."""

    name: str
    title: str
    path: Path

    @property
    def text(self) -> str:
        """The page, as Markdown."""
        return self.path.read_text("utf-8")


@dataclass(frozen=True, slots=True, repr=False)
class Docs(Shown):
    """The pages. `folder`: where they lie."""

    folder: Path
    pages: tuple[Page, ...]

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        return {"folder": str(self.folder), "pages": self.rows()}

    def rows(self) -> list[Row]:
        """The pages."""
        return [{"name": page.name, "title": page.title, "path": str(page.path)} for page in self.pages]

    def lines(self) -> list[Line]:
        """The list of pages."""
        return [Table(["page", "what it is about"], [[page.name, page.title] for page in self.pages]), f"in {self.folder}"]


@verb
def docs(page: str = "") -> Docs:
    """The documentation, or one page of it.

    `page`: a name of the list, or the last part of one ("tutorial", "guide/import", "import"). Raises UsageError where there is no
    such page, or several.
    """
    folder = _folder()
    known = tuple(sorted((_page(folder, path) for path in folder.rglob("*.md")), key=_order))
    if not page:
        return Docs(folder, known)
    wanted = page.strip("/").removesuffix(".md").casefold()
    found = [p for p in known if p.name == wanted] or [p for p in known if p.name.rpartition("/")[2] == wanted]
    if len(found) == 1:
        return Docs(folder, (found[0],))
    names = [p.name for p in found] or difflib.get_close_matches(wanted, [p.name for p in known], 3, 0.4)
    near = f"; did you mean {' or '.join(names)}?" if names else "; see: sandgrain docs"
    raise UsageError(f"{'several pages are' if found else 'no page is'} called {printable(page, 40)}{near}")


def _folder() -> Path:
    """Beside the package's rooms where it is installed, beside the package in a checkout."""
    places = (PACKAGE / "docs", PACKAGE.parent / "docs")
    found = next((place for place in places if (place / f"{INDEX}.md").is_file()), None)
    if found is None:
        raise UsageError(
            "the documentation did not come with this package; reinstall it: pip install --force-reinstall sandgrain"
        )
    return found


def _page(folder: Path, path: Path) -> Page:
    inside = path.relative_to(folder).with_suffix("")
    name = (inside.parent if inside.name == INDEX else inside).as_posix()
    first = next((line for line in path.read_text("utf-8").splitlines() if line.startswith("# ")), f"# {name}")
    return Page("index" if name == "." else name, first[2:].strip(), path)


def _order(page: Page) -> tuple[bool, bool, str]:
    """The index first, then tutorials, then by name."""
    return page.name != "index", not page.name.startswith("tutorial"), page.name
