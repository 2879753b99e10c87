"""From a graph to C: passes, kernel selection, the plan of memory, the text."""
