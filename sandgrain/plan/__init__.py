"""Everything about memory and order that the host decides: kernels, execution order, lifetimes, arena offsets."""

from sandgrain.plan.choice import Choice, Selected, candidates
from sandgrain.plan.planner import Plan, plan

__all__ = ["Choice", "Plan", "Selected", "candidates", "plan"]
