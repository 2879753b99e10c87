"""Pools and reductions: many elements make one."""
