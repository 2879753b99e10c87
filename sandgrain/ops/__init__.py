"""The ops: every module of this package, and of those inside it, that defines an `Op` is found here, by looking."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Collection

from sandgrain.errors import UnsupportedError
from sandgrain.ir import View
from sandgrain.ops.base import Foreign, Kernel, Op


def _discover() -> dict[str, Op]:
    found: dict[str, Op] = {}
    for info in pkgutil.walk_packages(__path__, f"{__name__}."):
        module = importlib.import_module(info.name)
        for _, cls in inspect.getmembers(module, inspect.isclass):
            if issubclass(cls, Op) and not inspect.isabstract(cls) and cls.__module__ == module.__name__:
                assert cls.name not in found, f"two ops are called {cls.name}"
                found[cls.name] = cls()
    return dict(sorted(found.items()))


OPS: dict[str, Op] = _discover()
FOREIGN: dict[int, tuple[Op, Foreign]] = {f.code: (op, f) for op in OPS.values() for f in op.foreign}


def fitting(view: View, features: Collection[str], *, compact: bool = False) -> list[Kernel]:
    """The kernels that can run a node on a core with `features`, most specific first. `compact`: those of least code as well."""
    kernels = OPS[view.node.op].kernels
    return [k for k in kernels if (compact or not k.compact) and k.needs <= set(features) and k.accepts(view)]


def pick(view: View, features: Collection[str], wanted: str | None = None) -> Kernel:
    """The kernel called `wanted` where it fits, otherwise the first that does; one of least code only when nothing else fits.

    Raises UnsupportedError when no kernel fits.
    """
    kernels = fitting(view, features, compact=True)
    if not kernels:
        raise UnsupportedError(f"{view.node.name}: no {view.node.op} kernel fits this layer; change its shape or split it")
    plain = [k for k in kernels if not k.compact]
    return next((k for k in kernels if k.name == wanted), (plain or kernels)[0])


__all__ = ["FOREIGN", "OPS", "Foreign", "Kernel", "Op", "fitting", "pick"]
