"""One file per part of the generated interface; `codegen/part.py` says what a part is."""
