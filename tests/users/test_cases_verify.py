"""Cases 28 to 30: what `verify` proves, what it lets through, and what the C of a bundle can do to who runs it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sandgrain as api
from sandgrain.base.errors import RunError, UsageError
from sandgrain.bundle.store import load_bundle
from sandgrain.bundle.verdict import Verdict
from tests.conftest import ROOT
from tests.support.command import environment, sandgrain
from tests.support.draws import rare, turns

DIGITS = ROOT / "sandgrain" / "demo" / "digits.tflite"
IMAGES = ROOT / "sandgrain" / "demo" / "digits.npz"
LABELS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("proof") / "digits"
    api.compile(DIGITS, target="cortex-m4", out=folder, labels=LABELS, measure=False)
    return folder


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "digits"))


def replaced(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def facts(bundle: Path, **changed: Any) -> None:
    """Change what build.json says."""
    path = bundle / "proof" / "build.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


def refused(bundle: Path, *named: str) -> Verdict:
    """A bundle that is not what its proof makes: nothing of it ran, and the verdict names what differs."""
    verdict = api.verify(bundle)
    assert not verdict.identical and verdict.compared == {} and verdict.conclusion.startswith("Not proven:")
    assert len(verdict.edited) == len(named), verdict.edited
    for name, edit in zip(named, verdict.edited, strict=True):
        assert name in edit and name in verdict.conclusion
    return verdict


# --- 28: the bundle is what its proof makes ---------------------------------------------------------------------------------


def test_28_an_edited_bundle_is_exit_code_4_and_the_file_and_line_are_named(bundle: Path) -> None:
    replaced(bundle / "digits.h", "#define DIGITS_INPUT_0_SCALE ", "#define DIGITS_INPUT_0_SCALE 1.0f + ")
    done = sandgrain("verify", bundle, cwd=bundle.parent)
    assert done.code == 4 and "digits.h (line" in done.line and "--edited" in done.line


@pytest.mark.parametrize(
    "where", ["digits.c", "digits.h", "kernels/sg_math.h", "kernels/sg_run.h"]
)  # a header of comments alone, a table, a kernel
def test_28_one_byte_more_in_any_file_is_found(where: str, bundle: Path) -> None:
    path = bundle / where
    path.write_bytes(path.read_bytes() + b"\n")
    refused(bundle, where)


def test_28_a_stranger_among_the_kernels_and_a_header_that_hides_the_systems_are_found(bundle: Path) -> None:
    (bundle / "kernels" / "stdint.h").write_text("#include_next <stdint.h>\n")
    (bundle / "stdint.h").write_text("#include_next <stdint.h>\n")
    refused(bundle, "kernels/stdint.h", "stdint.h")


@rare
def test_28_files_of_ones_own_beside_the_bundle_are_no_edit_and_take_no_part(bundle: Path) -> None:
    (bundle / "main.c").write_text("#error not ours\n")
    (bundle / "stdlib.h").write_text("#error not ours\n")
    assert api.verify(bundle, limit=2, on="host").identical


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"target": "nucleo-l4r5zi"}, "target"),  # of the same core: the C is the same
        ({"build_id": "0123456789abcdef"}, "build_id"),
        ({"model": "other.tflite"}, "model"),
        ({"opt": "-O3"}, "compiler"),
        ({"parts": {}}, "parts"),
        ({"more": 1}, "more"),
    ],
)
def test_28_a_changed_fact_of_the_build_is_noticed(changed: dict[str, Any], named: str, bundle: Path) -> None:
    facts(bundle, **changed)
    verdict = api.verify(bundle)
    assert not verdict.identical and any("proof/build.json" in edit and named in edit for edit in verdict.edited), verdict.edited


def test_28_a_board_of_another_core_is_noticed(bundle: Path) -> None:
    facts(bundle, target="cortex-m0plus")
    done = sandgrain("verify", bundle, cwd=bundle.parent)
    assert done.code == 4 and "proof/build.json" in done.out


@rare
def test_28_a_switch_over_the_samples_of_an_earlier_run_fails(bundle: Path) -> None:
    """The C knows the answers to the samples of one seed, and no others."""
    cheat(bundle, seed=7)
    assert sandgrain("verify", bundle, cwd=bundle.parent).code == 4  # by its text
    honest = api.verify(bundle, on="host", edited=True)
    assert not honest.identical and honest.difference is not None
    learnt = api.verify(bundle, on="host", edited=True, seed=7)  # even of the samples that it knows, it has no layers
    assert not learnt.identical and learnt.difference is not None and learnt.difference.layer is not None


def cheat(bundle: Path, seed: int) -> None:
    """A NAME_run that tells samples apart by a sum and gives the outputs that they have."""
    from sandgrain.bundle.fresh import fresh
    from sandgrain.graph import interpret

    compiled = load_bundle(bundle).compiled
    made = fresh(compiled.imported, compiled.graph, 10, seed, compiled.source.macs).data
    cases = []
    for x in made.inputs[0]:
        (y,) = interpret.run(compiled.imported, [x])
        key = int(np.sum(x.reshape(-1).astype(np.int64) * (np.arange(x.size) + 1)))
        lines = "".join(f"        output_0[{k}] = {int(v)};\n" for k, v in enumerate(y.reshape(-1)))
        cases.append(f"    if (key == {key}) {{\n{lines}    }}\n")
    path = bundle / "digits.c"
    text = path.read_text()
    start = text.index("{\n", text.index("int digits_run("))
    sums = "    int32_t key = 0;\n    for (int32_t i = 0; i < 64; i++) {\n        key += input_0[i] * (i + 1);\n    }\n"
    end = text.index("\n}\n", start) + 1
    null = "    if (input_0 == NULL || output_0 == NULL) {\n        return DIGITS_ERROR_NULL;\n    }\n"
    path.write_text(text[: start + 2] + null + sums + "".join(cases) + "    return DIGITS_OK;\n" + text[end:])


# --- 28: fresh samples ----------------------------------------------------------------------------------------------------------


@rare
def test_28_samples_are_fresh_and_a_seed_brings_them_back(made: Path) -> None:
    first, second = (api.verify(made, limit=1, on="host", oracle=False) for _ in range(2))
    assert first.identical and first.seed != second.seed
    again = api.verify(made, limit=1, on="host", oracle=False, seed=first.seed)
    assert again.seed == first.seed


def test_28_the_samples_move_every_layer() -> None:
    from sandgrain.bundle.fresh import fresh, still
    from sandgrain.formats.text import read_any

    graph = read_any(DIGITS.read_bytes(), "digits")
    for seed in range(3):
        found = fresh(graph, graph, 6, seed)
        assert still(graph, found.values) == [] and found.data.samples == 6
        again = fresh(graph, graph, 6, seed)
        assert np.array_equal(found.data.inputs[0], again.data.inputs[0])


def test_28_every_layer_is_compared_not_only_the_last(bundle: Path) -> None:
    """A byte is wrong when a layer is done, and right again before the next one reads it: the output does not show it."""
    (place,) = (y.reads[0][1] for y in load_bundle(bundle).compiled.source.layers if y.index == 2)
    flip = f"    arena[{place}] ^= 1u;\n"
    replaced(bundle / "digits.c", "    SG_TRACE(2);\n", f"{flip}    SG_TRACE(2);\n{flip}")
    verdict = api.verify(bundle, limit=3, on="host", edited=True)
    assert not verdict.identical and verdict.difference is not None
    assert (verdict.difference.layer, verdict.difference.element) == (2, 0)


# --- 28: helpers, labels, status codes ------------------------------------------------------------------------------------------


CHANGED_HELPERS = [
    (change, on)
    for change in (
        ("digits.h", "#define DIGITS_INPUT_0_SCALE ", "#define DIGITS_INPUT_0_SCALE 1.0f + ", "DIGITS_INPUT_0_SCALE"),
        ("digits.h", "#define DIGITS_OUTPUT_0_SIZE 10", "#define DIGITS_OUTPUT_0_SIZE 11", "DIGITS_OUTPUT_0_SIZE"),
        ("kernels/sg_ports.h", "fraction >= 0.5f", "fraction > 0.5f", "digits_quantize_input_0"),
        ("kernels/sg_ports.h", "value - zero_point", "value + zero_point", "digits_dequantize_output_0"),
        ("digits.c", '"seven"', '"sevem"', "digits_labels"),
        ("digits.c", "return DIGITS_ERROR_NULL;", "return DIGITS_OK;", "the status of digits_run"),
        ("digits.h", "#define DIGITS_OK 0", "#define DIGITS_OK (1 - 1)", ""),
    )
    for on in ("host", "emulator")
]


def test_28_every_change_of_a_helper_is_one_of_todays_c(made: Path) -> None:
    """Also of the changes whose turn it is not."""
    for (file, before, after, _), _on in CHANGED_HELPERS:
        text = (made / file).read_text()
        assert text.count(before) == 1 and before != after, (file, before)


@pytest.mark.parametrize(("change", "on"), turns(CHANGED_HELPERS, 3, same=lambda pair: pair[1]))
def test_28_helpers_macros_labels_and_status_codes_are_run(change: tuple[str, str, str, str], on: str, bundle: Path) -> None:
    file, before, after, named = change
    replaced(bundle / file, before, after)
    verdict = api.verify(bundle, limit=1, on=on, edited=True)
    if not named:  # the same value in other words
        assert verdict.identical
    else:
        assert not verdict.identical and verdict.difference is not None and verdict.difference.name == named


# --- 28: what was proven ----------------------------------------------------------------------------------------------------------


@rare
def test_28_one_sentence_says_what_was_proven_against_what(made: Path) -> None:
    done = sandgrain("verify", made, "--limit", "2", "--json", "--seed", "5", cwd=made.parent)
    assert done.code == 0 and done.json["seed"] == 5 and done.json["compared"]["host"] == 2
    said = done.json["conclusion"]
    for word in ("Proven", "what proof/ makes", "layers on 2 samples", "emulated cortex-m4", "this computer"):
        assert word in said
    assert ("TensorFlow Lite Micro" in said) == ("tflm" in done.json["compared"])
    last = " ".join(sandgrain("verify", made, "--limit", "2", "--seed", "5", cwd=made.parent).out.split())
    assert last.endswith(said)


@rare
def test_28_without_an_oracle_the_sentence_says_so(made: Path) -> None:
    verdict = api.verify(made, limit=1, on="host", oracle=False)
    assert "no other implementation was asked" in verdict.conclusion and verdict.oracle.startswith("none")


# --- 29: a child with limits ------------------------------------------------------------------------------------------------------

START = "int digits_run("


def body(bundle: Path, code: str) -> None:
    """Statements at the start of digits_run, on this computer alone."""
    path = bundle / "digits.c"
    text = path.read_text()
    at = text.index("{\n", text.index(START)) + 2
    path.write_text(text[:at] + f"#ifndef __arm__\n{code}\n#endif\n" + text[at:])


def test_29_a_segfault_is_one_line_and_exit_code_5(bundle: Path) -> None:
    body(bundle, "    *(volatile int *)(uintptr_t)64 = 1;")
    done = sandgrain("verify", bundle, "--edited", "--on", "host", cwd=bundle.parent)
    assert done.code == 5 and "digits.c crashed (SIGSEGV)" in done.line


@rare
def test_29_an_abort_and_an_exit_are_one_line_each(bundle: Path) -> None:
    clean = (bundle / "digits.c").read_text()
    for code, said in (("    __builtin_trap();", "crashed"), ("    extern void _exit(int);\n    _exit(0);", "ended")):
        (bundle / "digits.c").write_text(clean)
        body(bundle, code)
        with pytest.raises(RunError, match=rf"digits\.c {said}"):
            api.verify(bundle, limit=1, edited=True, on="host")


@rare
def test_29_an_endless_loop_is_ended_by_sigterm(bundle: Path) -> None:
    body(bundle, "    for (volatile int i = 0;; i = 1) {\n    }")
    command = [sys.executable, "-m", "sandgrain", "verify", str(bundle), "--edited", "--on", "host", "--limit", "1"]
    process = subprocess.Popen(command, env=environment(bundle.parent), stderr=subprocess.DEVNULL, start_new_session=True)
    end = time.monotonic() + 60
    while not children(process.pid) and time.monotonic() < end:
        time.sleep(0.05)
    below = children(process.pid)
    assert below and process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) != 0
    time.sleep(0.2)
    assert not any(Path(f"/proc/{child}").exists() for child in below)


def children(pid: int) -> list[int]:
    """The host builds that run below a process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rsplit(")", 1)[1].split()
            if int(words[1]) == pid and b"host_child" in (path.parent / "cmdline").read_bytes():
                found.append(int(path.parent.name))
        except (OSError, IndexError):
            continue
    return found


@rare
def test_29_what_never_ends_is_ended(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sandgrain.device.run import host_process

    monkeypatch.setattr(host_process, "BASE", 1)
    body(bundle, "    for (volatile int i = 0;; i = 1) {\n    }")
    with pytest.raises(RunError, match=r"were not done in \d+ s"):
        api.verify(bundle, limit=1, edited=True, on="host")


@rare
def test_29_the_child_has_a_limit_of_memory_and_none_of_our_environment(bundle: Path) -> None:
    lines = """
    extern void *malloc(unsigned long);
    extern char *getenv(const char *);
    extern void _exit(int);
    void *volatile large = malloc(3ul << 30); /* volatile: compilers take it that an unused malloc succeeds */
    if (getenv("SANDGRAIN_SECRET") != 0 || large != 0) {
        _exit(3);
    }"""
    body(bundle, lines)
    os.environ["SANDGRAIN_SECRET"] = "1"
    try:
        assert api.verify(bundle, limit=1, edited=True, on="host").identical
    finally:
        del os.environ["SANDGRAIN_SECRET"]


def constructor(bundle: Path, sign: Path) -> None:
    """C that runs when it is loaded."""
    path = bundle / "digits.c"
    code = f"""
#ifndef __arm__
extern int creat(const char *, unsigned);
__attribute__((constructor)) static void hello(void)
{{
    creat("{sign}", 0600);
}}
#endif
"""
    path.write_text(path.read_text() + code)


@rare
def test_29_on_the_emulator_nothing_runs_natively(bundle: Path) -> None:
    sign = bundle.parent / "ran"
    constructor(bundle, sign)
    verdict = api.verify(bundle, limit=1, edited=True, on="emulator")
    assert verdict.identical and not sign.exists() and "host" not in verdict.compared
    assert api.verify(bundle, limit=1, edited=True, on="host").identical and sign.exists()  # there it does, which the docs say


def test_29_c_that_was_edited_is_not_run_unasked(bundle: Path) -> None:
    sign = bundle.parent / "ran"
    constructor(bundle, sign)
    for on in ("host", "both", "emulator"):
        assert not api.verify(bundle, limit=1, on=on).identical
    assert not sign.exists()


def test_29_the_docs_say_what_it_means_to_verify_a_strangers_bundle() -> None:
    page = (ROOT / "docs" / "guide" / "verify.md").read_text()
    for word in ("--on emulator", "--edited", "your rights", "limits"):
        assert word in page


# --- 30: text from a bundle -------------------------------------------------------------------------------------------------------

ESCAPE = "\x1b[31m\x1b]0;owned\x07\u202egnp.\r\n"


@rare
@pytest.mark.parametrize(
    "key", ["model", "target", "compiler", "opt", "name", "arena", "section", "build_id", "labels", "choice"]
)
def test_30_no_text_of_a_bundle_is_printed_raw(key: str, bundle: Path) -> None:
    given: Any = {"labels": [ESCAPE] * 10, "choice": {"kernels": {"0": ESCAPE}, "shared": [], "strips": None}}.get(key, ESCAPE)
    facts(bundle, **{key: given})
    for arguments in (["verify", "--on", "host", "--limit", "1", "--edited"], ["verify"], ["profile"]):
        done = sandgrain(arguments[0], bundle, *arguments[1:], cwd=bundle.parent)
        for text in (done.out, done.err):
            assert not set(text) & {"\x1b", "\x07", "\u202e", "\r"}, text


@rare
def test_30_a_model_file_of_such_a_name_is_compiled_under_a_plain_one(tmp_path: Path) -> None:
    shutil.copy(DIGITS, tmp_path / "a\x1b[31mb.tflite")
    done = sandgrain("compile", "a\x1b[31mb.tflite", "-o", "out", "-t", "cortex-m4", "--no-measure", cwd=tmp_path)
    assert done.code == 0 and "\x1b" not in done.out
    assert "\\u001b" not in (tmp_path / "out" / "proof" / "build.json").read_text()
    assert api.verify(tmp_path / "out", limit=1, on="host").identical


# --- friction -----------------------------------------------------------------------------------------------------------------------


@rare
def test_verify_of_a_project_takes_its_out_folder(bundle: Path) -> None:
    project = bundle.parent / "project"
    project.mkdir()
    (project / "sandgrain.toml").write_text("")
    with pytest.raises(UsageError, match="sandgrain build"):
        api.verify(project)
    shutil.copytree(bundle, project / "out")
    assert api.verify(project, limit=1, on="host").identical


@rare
def test_verify_takes_arrays_as_well_as_paths(made: Path) -> None:
    held = np.load(IMAGES)
    verdict = api.verify(made, data=held["x"][:4], labels=held["y"][:4], on="host")
    assert verdict.identical and verdict.samples == 4 and verdict.accuracy is not None


@pytest.mark.parametrize("ask", [api.verify, api.profile, api.load, lambda place: api.export(place, place / "net.tflite")])
def test_28_a_project_stands_for_its_bundle_wherever_one_is_needed(ask: Any, made: Path, tmp_path: Path) -> None:
    (tmp_path / "sandgrain.toml").write_text("")
    with pytest.raises(UsageError, match=r"is a project without a bundle in out/; make it first: sandgrain build"):
        ask(tmp_path)
    shutil.copytree(made, tmp_path / "out")
    if ask is not api.verify:  # which is tried above
        assert ask(tmp_path) is not None
