"""The type of numpy's arrays, for rooms that know nothing of graphs."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]
