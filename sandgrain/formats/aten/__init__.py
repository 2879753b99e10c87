"""PyTorch's operators as parts of a float graph: the vocabulary that models of every framework are put into words of.

`ops/` has a handler an operator, `builder.py` the graph that they add to, `layout.py` where a value's elements lie. Nothing here
imports PyTorch: a handler gets arrays and values. Shapes are those of PyTorch, channels at axis 1; graphs have them last.
"""
