"""One file per part of the generated interface; `compiler/emit/part.py` says what a part is."""
