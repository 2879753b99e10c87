"""What a program costs: cycles and energy (estimated), stack (a bound), from its instructions.

Every figure here is computed from a firmware image and, for cycles, from how often its blocks ran. Nothing is measured
on silicon: the core's cycle table says where its figures come from (`Core.cycles_source`).
"""

from __future__ import annotations

from sandgrain.device.cost.cycles import Cost, Edge, count
from sandgrain.device.cost.decode import Decoder, Instruction
from sandgrain.device.cost.energy import energy_uj, milliseconds
from sandgrain.device.cost.image import Function, Image
from sandgrain.device.cost.stack import Reach, StackBound, reach, stack_bound

__all__: list[str] = [
    "Cost",
    "Decoder",
    "Edge",
    "Function",
    "Image",
    "Instruction",
    "Reach",
    "StackBound",
    "count",
    "energy_uj",
    "milliseconds",
    "reach",
    "stack_bound",
]
