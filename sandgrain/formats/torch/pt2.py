"""Saved programs of torch.export (.pt2), read without PyTorch's own loader.

A .pt2 file is a ZIP archive of JSON and of raw bytes:

    NAME/archive_format, NAME/archive_version            "pt2", "0"
    NAME/models/model.json                               operators, shapes, the signature
    NAME/data/weights/model_weights_config.json          parameter or buffer -> member, dtype, sizes, strides, offset
    NAME/data/weights/weight_0 ...                       a storage's bytes
    NAME/data/constants/...                              the same for constants
    NAME/data/sample_inputs/model.pt                     a pickle

`torch.export.load` unpickles: tensors of subclasses through `torch.load`, objects among the constants through
`pickle.loads`, and it runs guards and hooks that come with a program. Here pickles are refused (sample inputs are not even
looked at), members are read within limits, and `pt2_graph` takes operators by name from PyTorch's own, no code from the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sandgrain.base.errors import ModelError, UnsupportedError, printable
from sandgrain.formats.archive import Archive
from sandgrain.formats.sources.base import contents
from sandgrain.formats.torch import pt2_graph
from sandgrain.formats.torch.program import Program, check_inputs
from sandgrain.formats.torch.pt2_schema import AGAIN, DTYPES, SCHEMA, STRIDED, as_written, whole

MAX_FILE = 32 << 20  # bytes: eight million parameters
MAX_JSON = 4 << 20  # bytes of each description: some 2,500 operators
MAX_WEIGHTS = 1 << 24  # elements of all parameters, buffers and constants


def read(path: Path) -> Program:
    """The program of a .pt2 file. Raises ModelError for a damaged file, UnsupportedError for what is not read."""
    program = parse(contents(path, MAX_FILE))
    check_inputs(program)
    return program


def parse(data: bytes) -> Program:
    """The program of a .pt2 file's bytes."""
    archive = Archive(data, 2 * MAX_FILE)
    root = _root(archive)
    models = [n for n in archive.names if n.startswith(f"{root}models/") and n.endswith(".json")]
    if len(models) != 1:
        raise ModelError(f"it holds {len(models)} exported programs; save one with torch.export.save")
    with as_written("the program"):
        exported = _json(archive, models[0])
        if exported["schema_version"]["major"] != SCHEMA:
            raise UnsupportedError(f"its format is not version {SCHEMA}; {AGAIN}")
        graph, signature = exported["graph_module"]["graph"], exported["graph_module"]["signature"]
    model = models[0].removeprefix(f"{root}models/").removesuffix(".json")
    tensors = _Tensors(archive, root, model)
    with as_written("the program"):
        return pt2_graph.build(graph, signature, tensors.get)


def _root(archive: Archive) -> str:
    """The folder in front of all names, with its slash. Raises ModelError for other archives than PyTorch's."""
    if "serialized_exported_program.json" in archive.names:
        raise ModelError(f"it was saved by an old PyTorch, whose weights are pickles; {AGAIN}")
    found = [n for n in archive.names if n.endswith("/archive_format") and n.count("/") == 1]
    if len(found) != 1 or archive.read(found[0], 8) != b"pt2":
        raise ModelError("it is no program of torch.export; save one with torch.export.save")
    root = found[0].removesuffix("archive_format")
    order = f"{root}byteorder"
    if order in archive.names and archive.read(order, 8) != b"little":
        raise UnsupportedError("its weights are stored big end first; save it on another computer")
    return root


class _Tensors:
    """Parameters, buffers and constants by their names in the module."""

    def __init__(self, archive: Archive, root: str, model: str) -> None:
        self._archive, self._left = archive, MAX_WEIGHTS
        self._payloads: dict[str, bytearray] = {}
        self._known: dict[str, Any] = {}
        self._meta: dict[str, tuple[str, Any]] = {}
        for kind in ("weights", "constants"):
            folder = f"{root}data/{kind}/"
            with as_written(f"the list of {kind}"):
                config = _json(archive, f"{folder}{model}_{kind}_config.json")["config"]
                self._meta.update({str(name): (folder, meta) for name, meta in config.items()})

    def get(self, name: str) -> Any:
        """The tensor, a view of the archive's bytes. Raises ModelError or UnsupportedError."""
        if name not in self._known:
            with as_written(printable(name)):
                self._known[name] = self._read(*self._meta[name])
        return self._known[name]

    def _read(self, folder: str, meta: Any) -> Any:
        if meta["use_pickle"] is not False or not isinstance(meta["tensor_meta"], dict):
            raise UnsupportedError("it is stored as a pickle, which is not opened; keep plain tensors in the module")
        about = meta["tensor_meta"]
        if about["dtype"] not in DTYPES or about["layout"] != STRIDED:
            raise UnsupportedError("it is no plain tensor of a known type; keep plain tensors in the module")
        dtype = DTYPES[about["dtype"]]
        sizes, strides = ([whole(n) for n in about[what]] for what in ("sizes", "strides"))
        offset, count = whole(about["storage_offset"]), math.prod(sizes)
        self._left -= count
        if self._left < 0:
            raise UnsupportedError(f"the weights hold over {MAX_WEIGHTS} numbers; use a smaller model")
        if count == 0:
            return torch.zeros(sizes, dtype=dtype)
        payload = self._payload(folder, meta["path_name"])
        held = len(payload) // dtype.itemsize
        last = offset + sum((n - 1) * step for n, step in zip(sizes, strides, strict=True))
        if last >= held:
            raise ModelError(f"it needs {last + 1} numbers of a member that holds {held}; save the program again")
        if dtype == torch.bool:
            stored = torch.frombuffer(payload, dtype=torch.uint8) != 0
        else:
            stored = torch.frombuffer(payload, dtype=dtype, count=held)
        return stored.as_strided(sizes, strides, offset)

    def _payload(self, folder: str, name: Any) -> bytearray:
        path = f"{folder}{name}"
        if path not in self._payloads:
            self._payloads[path] = bytearray(self._archive.read(path))
        return self._payloads[path]


def _json(archive: Archive, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(archive.read(name, MAX_JSON))
    return found
