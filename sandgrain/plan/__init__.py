"""Everything about memory and order that the host decides: kernels, execution order, lifetimes, arena offsets."""

from sandgrain.plan.planner import Plan, plan

__all__ = ["Plan", "plan"]
