"""The ops: every module of this package, and of those inside it, that defines an `Op` is found here, by looking."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

from sandgrain.graph.ops.base import Foreign, Op


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

__all__ = ["FOREIGN", "OPS", "Foreign", "Op"]
