"""A look into Parquet files: rows from all over them, judged as those of CSV are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sandgrain.dataset.readers import parquet
from sandgrain.dataset.readers.base import BadFileError, one_line
from sandgrain.project.file.column import Column
from sandgrain.project.file.tables import MAX_FILES, MAX_ROWS, PIECES, alike_of, described, looked_into, spread

READERS = ("parquet",)
MAX_COLUMNS = 1000


def look(base: Path, names: Sequence[str]) -> dict[str, Any]:
    """Parquet files; those that have the columns of most of them tell what the columns are. Raises UsageError."""
    some = spread(names, MAX_FILES)
    seen, bad = looked_into(base, some, lambda path: _parquet(path, max(200, MAX_ROWS // len(some))))
    alike, notes = alike_of({name: titles for name, (titles, _) in seen.items()}, bad, len(some))
    stretches = [stretch for name in alike for stretch in seen[name][1]]
    titles = seen[alike[0]][0]
    return described(names, [Column(title, [s[k] for s in stretches]) for k, title in enumerate(titles)], notes=notes)


def _parquet(path: Path, rows: int) -> tuple[tuple[str, ...], list[list[list[str]]]]:
    """The names of a file's columns, and the cells of some of its rows from all over it: stretches of columns. Raises BadFileError or OSError."""
    try:
        from pyarrow import ArrowException

        with path.open("rb") as stream:
            table = parquet.open_table(stream, path.stat().st_size)
            titles = tuple(str(name) for name in table.schema_arrow.names[:MAX_COLUMNS])
            groups = spread(range(table.metadata.num_row_groups), PIECES)
            stretches = []
            for group in groups:
                batch = next(table.iter_batches(-(-rows // len(groups)), [group], list(titles), use_threads=False), None)
                if batch is not None:
                    stretches.append([_texts(batch.column(k)) for k in range(len(titles))])
    except ImportError:
        raise BadFileError("reading Parquet needs pyarrow; pip install 'sandgrain[data]'") from None
    except (ArrowException, ValueError, KeyError, TypeError) as error:
        raise BadFileError(f"cannot be read as Parquet ({one_line(error)})") from None
    return titles, stretches


def _texts(column: Any) -> list[str]:
    """The cells of a column of Arrow as text, "" where there is none."""
    from pyarrow import types

    if types.is_timestamp(column.type):
        column = column.cast("timestamp[us]", safe=False)  # Python's times have no nanoseconds
    return ["" if value is None or value != value else str(value) for value in column.to_pylist()]
