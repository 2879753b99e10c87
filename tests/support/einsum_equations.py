"""Equations of einsum for the tests of every frontend that has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

MOST = 4**5  # elements of an operand
# On [1, 4, 8] -> why they are no matrix product.
NO_PRODUCTS = {
    "bij->bi": "a sum by the equation",
    "bij,bkl->bik": "a sum over one operand",
    "bij,bij->bij": "no sum in the equation",
    "bij,bij,bij->b": "3 operands; multiply two at a time",
}
ELLIPSES = [
    ("...ij,...kj->...ik", (2, 3, 4)),
    ("...i->...i", (3, 4)),
    ("b...i->bi...", (3, 2, 4)),
    ("...ij,...ik", (3, 4)),
    ("bij,bkj", (3, 4)),
]


@st.composite
def products(draw: Callable[..., Any]) -> tuple[str, list[list[int]]]:
    """(a matrix product up to permutations, the shapes of its operands)."""
    letters = list(draw(st.permutations("abcdefZ")))
    batch, rows, columns = ("".join(letters.pop() for _ in range(draw(st.integers(0, most)))) for most in (1, 2, 2))
    summed = "".join(letters.pop() for _ in range(draw(st.integers(1, 2))))
    first, second, out = (
        "".join(draw(st.permutations(t))) for t in (batch + rows + summed, batch + summed + columns, batch + rows + columns)
    )
    sizes = {c: draw(st.sampled_from((1, 2, 3, 4))) for c in batch + rows + columns + summed}
    implied = (
        not batch and out == "".join(sorted(out)) and "Z" not in out and draw(st.booleans())
    )  # ONNX Runtime refuses an implied Z
    return f"{first},{second}" + ("" if implied else f"->{out}"), [[sizes[c] for c in term] for term in (first, second)]
