"""What a task adds to the page of text that `sandgrain build` prints: lines and tables, as values."""

from __future__ import annotations

from sandgrain.base.tables import Line as Line
from sandgrain.base.tables import Table as Table
