"""The command line's start: `sandgrain` and `python -m sandgrain`. It can be interrupted from its first line on.

Until the command line is imported there is nothing to tidy, so Ctrl-C ends the process on the spot; then `sandgrain.cli` takes over.
"""

import os
import signal


def _end(number: int, frame: object) -> None:
    os.write(2, b"error: interrupted\n")
    os._exit(128 + number)


signal.signal(signal.SIGINT, _end)


def main() -> None:
    """Import the command line and run it."""
    from sandgrain.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
