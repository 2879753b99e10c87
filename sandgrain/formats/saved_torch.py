"""What PyTorch files of other kinds than .pt2 hold, told from their names and opcodes alone: nothing is unpickled or run."""

from __future__ import annotations

import pickletools
import zipfile
import zlib
from pathlib import Path

MAX_PICKLE = 4 << 20  # bytes of a pickle that are looked through
SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
EXPORT = "torch.export.save(torch.export.export(module.eval(), (example,)), 'model.pt2')"
STATE = (
    "holds a state dict: weights without their network; make the module, module.load_state_dict(torch.load(FILE, weights_only=True)),"
    f" and give the module in Python, or its program: {EXPORT}"
)
MODULE = (
    f"holds a pickled module, which is never unpickled here: it could run anything; load it where you trust it, then {EXPORT}"
)
SCRIPT = f"holds TorchScript, which is not read; export the module that it was made from: {EXPORT}"
PROGRAM = "holds an exported program; rename it to .pt2"
OTHER = f"is no model that can be read; export the module: {EXPORT}"
WEIGHTS = (
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "torch._tensor _rebuild",
)


def refusal(path: Path) -> str | None:
    """What a file with one of SUFFIXES holds, and the way out; None for other files."""
    if path.suffix.lower() not in SUFFIXES:
        return None
    if path.suffix.lower() == ".safetensors":
        return STATE
    try:
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                return _pickle(file.read(MAX_PICKLE))
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if any("serialized_exported_program" in n or n.endswith("archive_format") for n in names):
                return PROGRAM
            if any("/code/" in n or n.endswith("constants.pkl") for n in names):
                return SCRIPT
            data = next((n for n in names if n.endswith("data.pkl")), None)
            if data is None:
                return OTHER
            with archive.open(data) as stream:
                return _pickle(stream.read(MAX_PICKLE))
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError):
        return OTHER


def _pickle(data: bytes) -> str:
    """By the names that a pickle would import."""
    found: list[str] = []
    texts: list[str] = []
    try:
        for opcode, value, _ in pickletools.genops(data):
            if opcode.name == "GLOBAL":
                found.append(str(value))
            elif opcode.name == "STACK_GLOBAL":
                found.append(" ".join(texts[-2:]))
            elif isinstance(value, str):
                texts = [*texts[-1:], value]
    except Exception:  # whatever a damaged pickle makes of the reader
        if not found:
            return OTHER
    foreign = [n for n in found if not n.startswith(WEIGHTS) and not n.startswith("torch ")]
    return MODULE if foreign else STATE
