"""`verify` finds what it is there to find: C that no longer does what the model says, down to the layer."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import sandgrain as api
from sandgrain.base.errors import RunError
from sandgrain.bundle.samples import fit
from sandgrain.bundle.store import load_bundle
from sandgrain.compiler.emit.bundle import files as bundle_files
from sandgrain.device import targets
from sandgrain.device.toolchain import zig
from sandgrain.graph import interpret
from tests.conftest import ROOT
from tests.support.command import sandgrain
from tests.support.draws import rare, turns

DIGITS = ROOT / "sandgrain" / "demo" / "digits.tflite"
IMAGES = ROOT / "sandgrain" / "demo" / "digits.npz"
BOARD = targets.load("cortex-m3")  # a core for which every layer has a table of its own
BOARDS = ("cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55", "riscv32")
STRAY = "0x60000000"  # no memory there
END = f"{BOARD.ram_base + BOARD.ram_bytes:#010x}"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify") / "digits"
    api.compile(DIGITS, target=BOARD.name, out=folder, measure=False)
    return folder


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "digits"))


def layers(bundle: Path) -> list[tuple[int, str]]:
    """(index, op) of every layer in digits.c."""
    return [(int(k), op) for k, op in re.findall(r"^/\* Layer (\d+): (\w+)", (bundle / "digits.c").read_text(), re.MULTILINE)]


def change_weights(bundle: Path, index: int, change: int) -> None:
    """Add `change` to every number of a layer's weight table in digits.c, where an int8 allows it."""
    path = bundle / "digits.c"
    text = path.read_text()
    match = re.search(rf"\bdigits_\w*weights\w*_{index}\[\d+\] = {{\n(.*?)\n}};", text, re.DOTALL)
    assert match is not None, f"layer {index} has no weights of its own"
    numbers = [int(v) for v in match[1].replace("\n", " ").split(",") if v.strip()]
    new = ", ".join(str(v + change if abs(v + change) < 128 else v) for v in numbers)
    path.write_text(text[: match.start(1)] + new + text[match.end(1) :])


def changed_line(bundle: Path) -> int:
    """The first line of digits.c that is not what it was made as."""
    made = bundle_files(load_bundle(bundle).compiled.source)["digits.c"].splitlines()
    return next(
        k for k, (a, b) in enumerate(zip(made, (bundle / "digits.c").read_text().splitlines(), strict=False), 1) if a != b
    )


def put_in_layer(bundle: Path, index: int, code: str, before: str = "", where: str = "__arm__") -> None:
    """`code` at the start of a layer's function, on the device alone; `before` in front of the function. `where`: a macro that is defined
    there; SG_ZONE is in the host build alone."""
    path = bundle / "digits.c"
    head = f"static SG_NOINLINE void digits_layer_{index}(uint8_t *arena)\n{{\n"
    text = path.read_text()
    assert text.count(head) == 1
    path.write_text(text.replace(head, f"{before}\n{head}#ifdef {where}\n{code}\n#endif\n"))


def test_an_untouched_bundle_is_identical_everywhere(bundle: Path) -> None:
    verdict = api.verify(bundle, IMAGES, limit=30)
    assert verdict.identical and verdict.difference is None
    assert set(verdict.compared) >= {"host", "emulator"} and set(verdict.compared.values()) == {30}
    assert verdict.accuracy is not None and verdict.accuracy > 0.95


@rare
@pytest.mark.parametrize(
    ("index", "on"), turns([(k, on) for k in (0, 2, 4, 8) for on in ("host", "emulator")], 2, same=lambda pair: pair[1])
)
def test_a_changed_constant_is_traced_to_its_layer(index: int, on: str, bundle: Path) -> None:
    change_weights(bundle, index, 3)
    verdict = api.verify(bundle, IMAGES, limit=5, on=on, edited=True)
    assert not verdict.identical and verdict.difference is not None
    assert (verdict.difference.layer, verdict.difference.op) == (index, dict(layers(bundle))[index])
    assert verdict.difference.runner == on
    assert verdict.edited == (f"digits.c (line {changed_line(bundle)})",) and "digits.c (line" in verdict.conclusion
    if "tflm" in verdict.compared:
        assert verdict.compared["tflm"] == 5  # the model itself is as it was


@rare
@pytest.mark.parametrize("on", ["host", "emulator"])
def test_a_changed_kernel_is_traced_to_the_first_layer_that_uses_it(on: str, bundle: Path) -> None:
    path = bundle / "kernels" / "max_pool_2d_s8.h"
    text = path.read_text()
    assert ">" in text
    head = re.search(r"static inline void sg_max_pool_2d_s8\(.*?\)\n{\n", text, re.DOTALL)
    assert head is not None
    path.write_text(text.replace(head[0], head[0] + "    out[0] = 0;\n    if (out[0] == 0) {\n        return;\n    }\n"))
    verdict = api.verify(bundle, IMAGES, limit=2, on=on, edited=True)
    assert verdict.difference is not None and verdict.difference.op == "max_pool_2d"


@rare
def test_a_difference_on_the_device_alone_is_found_there(bundle: Path) -> None:
    put_in_layer(bundle, 5, "    for (uint32_t i = 0; i < DIGITS_ARENA_BYTES; i++) {\n        arena[i] ^= 0x40;\n    }")
    verdict = api.verify(bundle, IMAGES, limit=3, edited=True)
    assert verdict.compared["host"] == 3 and verdict.compared["emulator"] < 3
    assert verdict.difference is not None and verdict.difference.runner == "emulator" and verdict.difference.layer == 5


@rare
def test_the_difference_names_sample_element_and_both_values(bundle: Path) -> None:
    path = bundle / "digits.c"
    text = path.read_text().replace(
        "    digits_layer_0(arena);", "    const int lit = input_0[27] > 0;\n    digits_layer_0(arena);"
    )
    path.write_text(text.replace("    return DIGITS_OK;", "    output_0[3] ^= (int8_t)lit;\n    return DIGITS_OK;"))
    images = np.load(IMAGES)["x"][:40]
    np.savez(bundle.parent / "x.npz", x=images)
    lit = [k for k, image in enumerate(images) if image.reshape(-1)[27] > 0]
    verdict = api.verify(bundle, bundle.parent / "x.npz", on="host", edited=True)
    difference = verdict.difference
    assert difference is not None and verdict.compared["host"] == 40 - len(lit)
    assert (difference.sample, difference.element, difference.layer) == (lit[0], 3, None)
    assert abs(difference.actual - difference.expected) == 1


@rare
@pytest.mark.parametrize("index", [0, 2, 8])
def test_a_write_outside_memory_is_reported_by_function_and_layer(index: int, bundle: Path) -> None:
    put_in_layer(bundle, index, f"    *(volatile uint8_t *)(uintptr_t){STRAY}u = 1;")
    with pytest.raises(RunError, match=rf"digits_layer_{index}\b.*write to {STRAY}, which is outside the memory of {BOARD.name}"):
        api.verify(bundle, IMAGES, limit=1, edited=True)


@rare
def test_a_stray_write_in_a_helper_names_the_layer_that_called_it(bundle: Path) -> None:
    helper = f"static SG_NOINLINE void helper(void);\nstatic SG_NOINLINE void helper(void) {{ *(volatile uint8_t *)(uintptr_t){STRAY}u = 1; }}"
    put_in_layer(bundle, 3, "    helper();", before=f"#ifdef __arm__\n{helper}\n#endif")
    with pytest.raises(RunError, match=rf"helper.*layer 3.*write to {STRAY}"):
        api.verify(bundle, IMAGES, limit=1, edited=True)


def test_a_read_past_the_end_of_memory_is_reported(bundle: Path) -> None:
    put_in_layer(bundle, 4, "    for (uint32_t i = 0; ; i += 64) {\n        arena[0] ^= ((volatile uint8_t *)arena)[i];\n    }")
    with pytest.raises(RunError, match=rf"digits_layer_4\b.*read of {END}, which is outside the memory"):
        api.verify(bundle, IMAGES, limit=1, edited=True)


@rare
def test_a_write_to_flash_is_reported(bundle: Path) -> None:
    put_in_layer(bundle, 2, "    *(volatile uint8_t *)(uintptr_t)&digits_p2 = 1;")
    with pytest.raises(RunError, match=rf"digits_layer_2\b.*write to .*flash of {BOARD.name}"):
        api.verify(bundle, IMAGES, limit=1, edited=True)


def test_a_fault_exits_with_5_and_a_difference_with_4(bundle: Path) -> None:
    change_weights(bundle, 2, 3)
    done = sandgrain("verify", bundle, "--limit", "1", "--on", "host", "--edited", cwd=bundle.parent)
    assert done.code == 4 and "layer 2 (conv_2d" in done.line
    put_in_layer(bundle, 2, f"    *(volatile uint8_t *)(uintptr_t){STRAY}u = 1;")
    done = sandgrain("verify", bundle, "--limit", "1", "--edited", cwd=bundle.parent)
    assert done.code == 5 and "digits_layer_2" in done.line
    assert sandgrain("profile", bundle, cwd=bundle.parent).code == 5


# --- whose bytes are whose --------------------------------------------------------------------------------------------------


def beside(bundle: Path, index: int) -> int:
    """A byte of the arena that means nothing while a layer runs, and that is not the layer's."""
    plan = load_bundle(bundle).compiled.source.plan
    used = {k for block, at in plan.blocks if block.first <= index <= block.last for k in range(at, at + block.size)}
    return next(k for k in range(plan.arena_bytes) if k not in used)


WRITES = (
    ("DIGITS_ARENA_BYTES", "byte 1 behind the arena"),
    ("-1", "byte 1 before the arena"),
    ("{beside}", "byte {beside} of the arena"),
)


@pytest.mark.parametrize(("place", "said"), WRITES)
@pytest.mark.parametrize("compiler", turns(["zig", "cc"]))
def test_a_write_that_harms_no_answer_here_is_found_on_the_host(
    compiler: str, place: str, said: str, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = beside(bundle, 4)
    put_in_layer(bundle, 4, f"    (arena + {place.format(beside=at)})[0] ^= 1u;", where="SG_ZONE")
    if compiler == "cc":
        monkeypatch.setattr(zig, "host_command", list)
    with pytest.raises(RunError, match=rf"on the host: layer 4 \(\w+\) writes to {said.format(beside=at)}"):
        api.verify(bundle, IMAGES, limit=1, on="host", edited=True)


@pytest.mark.parametrize("place", ["DIGITS_ARENA_BYTES", "{beside}"])
def test_a_write_that_harms_no_answer_here_is_found_on_the_core(place: str, bundle: Path) -> None:
    put_in_layer(bundle, 4, f"    (arena + {place.format(beside=beside(bundle, 4))})[0] ^= 1u;")
    stack = "the stack ran into static memory"  # which begins behind the arena here
    with pytest.raises(RunError, match=rf"digits_layer_4\b.* writes to 0x20\w+, which is not its own|{stack}"):
        api.verify(bundle, IMAGES, limit=1, on="emulator", edited=True)


@pytest.mark.parametrize(("on", "where"), [("host", "SG_ZONE"), ("emulator", "__arm__")])
def test_a_read_of_bytes_that_mean_nothing_changes_the_answer(on: str, where: str, bundle: Path) -> None:
    code = f"    if (arena[{beside(bundle, 4)}] & 1u) {{\n        return;\n    }}"
    put_in_layer(bundle, 4, code, where=where)
    verdict = api.verify(bundle, IMAGES, limit=1, on=on, edited=True)
    assert verdict.difference is not None and verdict.difference.layer == 4


def test_a_bug_of_the_device_for_values_that_no_sample_has_is_found(bundle: Path) -> None:
    """Each layer is called by itself, on inputs of its own."""
    plan, sample = load_bundle(bundle).compiled.source.plan, np.load(IMAGES)["x"][:1]
    graph, read = plan.graph, plan.graph.nodes[2].inputs[0]
    values = np.asarray(interpret.trace(graph, [fit(sample, graph.tensors[graph.inputs[0]], "x")[0]])[read]).reshape(-1)
    k = int(np.argmax(values))
    byte = f"arena[{plan.offsets[read] + k}]"
    put_in_layer(bundle, 2, f"    if ((int8_t){byte} < {values[k]}) {{\n        {byte} ^= 64u;\n    }}")
    verdict = api.verify(bundle, sample, on="emulator", edited=True)
    assert verdict.difference is not None and verdict.difference.layer == 2
    assert "given inputs of its own" in verdict.reason


@pytest.mark.parametrize("name", turns([board for board in BOARDS if board != BOARD.name]))
def test_layers_called_by_themselves_are_right_on_every_core(name: str, tmp_path: Path) -> None:
    api.compile(DIGITS, target=name, out=tmp_path / "digits", measure=False)
    verdict = api.verify(tmp_path / "digits", IMAGES, limit=1, on="emulator")
    assert verdict.identical and verdict.alone >= 5
