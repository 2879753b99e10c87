"""CSV and its relatives; see `tables`."""

from __future__ import annotations

from sandgrain.project.file.tables import look_table

READERS = ("csv",)
look = look_table
