"""What Python is offered: one file per command of the command line, each with a function of its own name.

`sandgrain/__init__.py` finds them by their names; files that begin with `_` are what they share.
"""
