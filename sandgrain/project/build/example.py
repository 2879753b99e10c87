"""A program beside the bundle that shows its use, with a recorded window in it; and what it prints on the emulated board."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandgrain.base.arrays import Array
from sandgrain.base.errors import ToolchainError
from sandgrain.base.scratch import scratch
from sandgrain.compiler.emit import ctext
from sandgrain.device.run import emulator_missing, open_emulator
from sandgrain.device.targets import Board
from sandgrain.device.toolchain import Toolchain, build_firmware
from sandgrain.project.build.firmware import Firmware
from sandgrain.project.build.stages import Run
from sandgrain.project.build.store import digest

if TYPE_CHECKING:
    from sandgrain.project.tasks.base import Task

HERE = Path(__file__).parent
CHUNKS = 10  # that a window is pushed in
PLACE = Path("example") / "main.c"


@dataclass(frozen=True, slots=True)
class Interface:
    """What the example's C calls."""

    name: str  # prefix of every symbol
    stream: bool  # samples are pushed as they come; else whole windows go in
    caller: bool  # the caller owns the working memory
    decides: bool = False  # the header has NAME_decide
    scaled: bool = False  # the header takes readings to samples


def made(run: Run, task: Task[Any], firmware: Firmware, at: int) -> str | None:
    """Write the example around test window `at`; what it prints on the emulated board, None if that cannot be known."""
    raw, labels = run.samples.raw("test", [at])
    options = firmware.bundle.compiled.source.options
    interface = Interface(
        options.name,
        run.samples.front.stride > 0,
        options.arena == "caller",
        firmware.decides,
        scaled=bool(options.channels and options.channels[0].full_scale),
    )
    main = text(task, interface, raw[0], task.recorded(run, at, run.found.labels[int(labels[0])]))
    write(run.out, main)

    def printed() -> list[str]:
        try:
            text = emulated(run.out, interface.name, run.board, run.project.target.compiler)
        except ToolchainError:  # the window does not fit beside the model
            return []
        return [] if text is None else [text]

    lines = run.store.json("example", digest("example", firmware.report.build_id, main), printed)
    return str(lines[0]) if lines else None


def text(task: Task[Any], interface: Interface, window: Array, label: str) -> str:
    """main.c for a bundle. `window`: [1, *signal shape] as the sensor gives it."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([task.folder, HERE]),
        undefined=StrictUndefined,
        trim_blocks=True,
        autoescape=False,  # C, not HTML: every word from outside is made printable first
        keep_trailing_newline=True,
    )
    shape = window.shape[1:]
    picture = len(shape) == 3
    says = f"{' x '.join(map(str, shape))} {'pixels and channels' if picture else 'samples and channels'}, recorded"
    return environment.get_template(f"{task.name}.c.j2").render(
        name=interface.name,
        upper=interface.name.upper(),
        label=ctext.printable(label),
        says=says,
        stream=interface.stream,
        caller=interface.caller,
        decides=interface.decides,
        scaled=interface.scaled,
        samples=shape[0] * (shape[1] if picture else 1),
        channels=shape[-1],
        chunk=max(shape[0] // CHUNKS, 1),
        table=ctext.table("window", window.reshape(-1)),
    )


def write(folder: Path, main: str) -> None:
    """Put main.c into the bundle's folder."""
    path = folder / PLACE
    path.parent.mkdir(exist_ok=True)
    path.write_text(main, "ascii")


def emulated(folder: Path, name: str, board: Board, compiler: str) -> str | None:
    """What the example of the bundle with prefix `name` prints on the emulated board; None if its core cannot be emulated here.

    Raises ToolchainError if it does not fit the board: the recorded window takes flash that a product has for itself.
    """
    if not board.core.runs_firmware or emulator_missing(board):
        return None
    with scratch() as work:
        (work / "stdio.h").write_text("int printf(const char *format, ...);\n", "ascii")
        sources = [folder / f"{name}.c", HERE / "printf.c"]
        elf = build_firmware(sources, [work, folder], board, work / "example.elf", Toolchain(compiler))
        (printed,) = open_emulator(elf, board).infer([b"\0"])
    return printed.rstrip(b"\0").decode("utf-8", "replace")
