"""Keras 3 models as float graphs, from `.keras` files and from live models, without Keras.

A model is its configuration and its arrays (`files.py`, `weights.py`); nothing in a file is executed. `convert.py` walks the
configuration, `layers/` has a handler a class of layer, in the words of frontends/aten where it has them. Shapes are Keras's,
channels last.
"""

from sandgrain.formats.keras.convert import SUBCLASS, convert

__all__ = ["SUBCLASS", "convert"]
