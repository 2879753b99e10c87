"""The user's own module, by import path."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from sandgrain.base.errors import UsageError, printable
from sandgrain.train.models.base import Net, Shape

Fed = Literal["channels_first", "channels_last", "image"]
PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class ChannelsFirst(Net):
    """A module that has its channels at axis 1, fed [n, *shape] with channels last. Images that come out are turned back.

    `image`: [n, height, width] becomes an image of one channel instead.
    """

    def __init__(self, body: nn.Module, image: bool = False) -> None:
        super().__init__()
        self.body, self.image = body, image

    def forward(self, x: Tensor) -> Tensor:
        if self.image:
            y = self.body(x.unsqueeze(1))
            return y.squeeze(1) if y.dim() == x.dim() + 1 and y.shape[1] == 1 else y
        y = self.body(x.movedim(-1, 1))
        return y.movedim(1, -1) if y.dim() > 2 else y


def load_user_module(
    path: str, shape: Shape, classes: int, *, fed: Fed = "channels_first", root: Path | None = None, **options: Any
) -> nn.Module:
    """The module that `path`, "package.module:Class" (or a function that returns one), makes.

    It is called with `options`, and with `shape` and `classes` where it has arguments of these names. `root`: a folder to
    import from, first of all. `fed`: how it takes its input: "channels_first" (features of (samples, channels) as
    [n, channels, samples], of (height, width, channels) as [n, channels, height, width]), "channels_last" ([n, *shape], as it
    is), or "image" (features of (frames, bands) as [n, 1, frames, bands]). Raises UsageError.
    """
    shown = printable(path, 100)
    if not PATH.fullmatch(path):
        raise UsageError(f"{shown}: is no import path; write package.module:Class")
    made = _call(_find(path, shown, root), shown, {"shape": tuple(shape), "classes": classes}, options)
    if not isinstance(made, nn.Module):
        raise UsageError(f"{shown}: gives {type(made).__name__}, not a torch.nn.Module; name a class or function that makes one")
    if fed == "channels_last" or getattr(made, "channels_last", False):
        made.channels_last = True
        return made
    if fed == "image" and len(shape) != 2:
        raise UsageError(f'{shown}: fed = "image" needs features of (frames, bands), not {tuple(shape)}; use "channels_first"')
    return ChannelsFirst(made, fed == "image")


def _find(path: str, shown: str, root: Path | None) -> Any:
    module, _, name = path.partition(":")
    with _importing(root):
        try:
            found: Any = importlib.import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
        except Exception as error:  # the user's module may raise anything
            raise UsageError(f"{shown}: {_one_line(error)}; check the path and the folder it is imported from") from error
    return found


@contextmanager
def _importing(root: Path | None) -> Iterator[None]:
    if root is None:
        yield
        return
    sys.path.insert(0, str(root))
    try:
        yield
    finally:
        sys.path.remove(str(root))


def _call(make: Any, shown: str, offered: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    try:
        named = inspect.signature(make).parameters
        return make(**{k: v for k, v in offered.items() if k in named}, **options)
    except Exception as error:  # the user's code may raise anything
        raise UsageError(f"{shown}: {_one_line(error)}; check its arguments") from error


def _one_line(error: Exception) -> str:
    return printable(" ".join(f"{type(error).__name__} {error}".split()), 200)
