"""A model as C++ source: compiles without a warning, holds the model's bytes, is the same on every run."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sandgrain.api.export import export
from sandgrain.formats import text
from sandgrain.formats.tflite import write
from sandgrain.graph.ops import OPS
from tests.support.draws import SeededDraw

COMPILERS = [c for c in ("g++", "clang++") if shutil.which(c)]


@pytest.fixture
def source(tmp_path: Path) -> tuple[Path, bytes]:
    """An exported source, and the .tflite that it holds."""
    graph = OPS["conv_2d"].sample(SeededDraw(2))
    (tmp_path / "model.txt").write_bytes(text.write(graph))
    report = export(tmp_path / "model.txt", tmp_path / "model data.cc")
    assert [f.name for f in report.files] == ["model data.cc", "model data.h"]
    graph = text.read((tmp_path / "model.txt").read_bytes(), "model")
    return tmp_path / "model data.cc", write.write(graph)


def test_it_holds_the_model(source: tuple[Path, bytes]) -> None:
    path, model = source
    found = re.findall(r"0x([0-9a-f]{2}),", path.read_text())
    assert bytes(int(v, 16) for v in found) == model
    assert f"{len(model)} bytes" in path.with_suffix(".h").read_text()


@pytest.mark.skipif(not COMPILERS, reason="neither g++ nor clang++ is installed")
def test_it_compiles_clean_and_is_aligned(source: tuple[Path, bytes], tmp_path: Path) -> None:
    path, model = source
    (tmp_path / "main.cc").write_text(
        f'#include "{path.stem}.h"\n#include <cstdint>\n#include <cstdio>\nint main() {{\n'
        "  std::fwrite(g_model_data, 1, g_model_data_size, stdout);\n"
        "  return static_cast<int>(reinterpret_cast<std::uintptr_t>(g_model_data) % 16);\n}\n"
    )
    flags = ["-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    for compiler in COMPILERS:
        subprocess.run(
            [compiler, *flags, str(path), str(tmp_path / "main.cc"), "-o", str(tmp_path / "a")], check=True, timeout=60
        )
        done = subprocess.run([str(tmp_path / "a")], capture_output=True, check=False, timeout=10)
        assert (done.returncode, done.stdout) == (0, model), compiler


def test_the_same_model_gives_the_same_source(source: tuple[Path, bytes], tmp_path: Path) -> None:
    path, _ = source
    first = path.read_bytes(), path.with_suffix(".h").read_bytes()
    export(tmp_path / "model.txt", path)
    assert first == (path.read_bytes(), path.with_suffix(".h").read_bytes())
