"""What a project's model is for: one file per task, found by looking into this folder. `base.Task` says what a file offers."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, cast

from sandgrain.base.errors import UsageError
from sandgrain.project.file.schema import Project
from sandgrain.project.tasks.base import Task


def tasks() -> tuple[Task[Any], ...]:
    """Every task, in the order of their names."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "base")
    return tuple(cast(Task[Any], importlib.import_module(f"{__name__}.{name}").TASK) for name in names)


def task_of(project: Project) -> Task[Any]:
    """The task of a project: the one that knows its model, or the one that takes every other. Raises UsageError."""
    found = sorted((t for t in tasks() if t.takes(project)), key=lambda t: t.takes_any)
    if not found:
        raise UsageError(f"[model] name: no task has the model {project.model.name!r}")
    if len(found) > 1 and not found[1].takes_any:
        raise UsageError(
            f"[model] name {project.model.name!r} is for {found[0].name}, and the data asks for {found[1].name} (target_column and the "
            "like); choose another model, or take the target away"
        )
    return found[0]
