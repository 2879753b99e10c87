"""A program beside the bundle that shows its use, with a recorded window in it; and what it prints on the emulated board."""

from __future__ import annotations

from pathlib import Path

from sandgrain.codegen import ctext
from sandgrain.ir import Array
from sandgrain.run import emulator_missing, open_emulator
from sandgrain.scratch import scratch
from sandgrain.targets import Board
from sandgrain.toolchain import build_firmware

HERE = Path(__file__).parent
CHUNKS = 10  # that a window is pushed in
PLACE = Path("example") / "main.c"


def text(
    name: str, window: Array, label: str, *, stream: bool, caller: bool, decides: bool = False, template: str = "example.c.j2"
) -> str:
    """main.c for the bundle with prefix `name`. `window`: [1, *signal shape] as the sensor gives it. `decides`: the header has
    NAME_decide. `template`: a file of this folder."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE), undefined=StrictUndefined, trim_blocks=True, autoescape=False, keep_trailing_newline=True
    )  # C, not HTML: every word from outside is made printable first
    shape = window.shape[1:]
    picture = len(shape) == 3
    says = f"{' x '.join(map(str, shape))} {'pixels and channels' if picture else 'samples and channels'}, recorded"
    return environment.get_template(template).render(
        name=name, upper=name.upper(), label=ctext.printable(label), says=says, stream=stream, caller=caller, decides=decides,
        samples=shape[0] * (shape[1] if picture else 1), channels=shape[-1], chunk=max(shape[0] // CHUNKS, 1),
        table=ctext.table("window", window.reshape(-1)),
    )  # fmt: skip


def write(folder: Path, main: str) -> None:
    """Put main.c into the bundle's folder."""
    path = folder / PLACE
    path.parent.mkdir(exist_ok=True)
    path.write_text(main, "ascii")


def emulated(folder: Path, name: str, board: Board, compiler: str) -> str | None:
    """What the example of the bundle with prefix `name` prints on the emulated board; None where its core cannot be emulated here.

    Raises ToolchainError where it does not fit the board: the recorded window takes flash that a product has for itself.
    """
    if not board.core.runs_firmware or emulator_missing(board):
        return None
    with scratch() as work:
        (work / "stdio.h").write_text("int printf(const char *format, ...);\n", "ascii")
        sources = [folder / f"{name}.c", HERE / "printf.c"]
        elf = build_firmware(sources, [work, folder], board, work / "example.elf", compiler=compiler)
        (printed,) = open_emulator(elf, board).infer([b"\0"])
    return printed.rstrip(b"\0").decode("utf-8", "replace")
