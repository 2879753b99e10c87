"""Everything about memory and order that the host decides: kernels, execution order, lifetimes, arena offsets."""

from sandgrain.compiler.plan.planner import Plan, plan
from sandgrain.compiler.select import Choice, Selected, candidates

__all__ = ["Choice", "Plan", "Selected", "candidates", "plan"]
