"""bench/results.json: sorted, and the same bytes for the same figures. No dates, no host names, no times."""

from __future__ import annotations

import json
from pathlib import Path

from jobs import LAYER, Row

import sandgrain

PATH = Path(__file__).parent / "results.json"
ORDER = ("core", "model", "compiler", "optimize")


def ordered(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: [row[name] for name in ORDER])


def text(
    rows: list[Row],
    max_ram: Row | None,
    peers: list[Row],
    skipped: list[str],
    fronts: list[Row] | None = None,
    torch_peers: list[Row] | None = None,
) -> str:
    """The file: a line for each row's figures, and one for each of its layers."""
    parts = [
        f'"sandgrain": {json.dumps(sandgrain.__version__)}',
        f'"layer_fields": {json.dumps(LAYER)}',
        f'"skipped": {json.dumps(sorted(skipped))}',
        f'"max_ram": {_row(max_ram) if max_ram else "null"}',
        f'"peers": {_lines([json.dumps(peer) for peer in peers])}',
        f'"fronts": {_lines([json.dumps(front) for front in fronts or []])}',
        f'"torch_peers": {_lines([json.dumps(peer) for peer in torch_peers or []])}',
        f'"rows": {_lines([_row(row) for row in ordered(rows)])}',
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def write(
    rows: list[Row],
    max_ram: Row | None,
    peers: list[Row],
    skipped: list[str],
    fronts: list[Row] | None = None,
    torch_peers: list[Row] | None = None,
) -> None:
    PATH.write_text(text(rows, max_ram, peers, skipped, fronts, torch_peers), "utf-8")


def _row(row: Row) -> str:
    """Layers go with the rows for speed only: the file stays small."""
    figures = json.dumps({k: v for k, v in row.items() if k != "layers"})
    if row["optimize"] != "speed":
        return figures
    return figures[:-1] + f', "layers": {_lines([json.dumps(layer) for layer in row["layers"]])}}}'


def _lines(items: list[str]) -> str:
    return "[\n" + ",\n".join(items) + "\n]" if items else "[]"
