"""Writes data/digits.npz beside this file: scikit-learn's 1,797 handwritten digits as uint8 images [n, 8, 8, 1] and labels.

The images are those of the UCI set "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, 1998, CC BY 4.0),
which scikit-learn installs with itself; nothing is downloaded. Their 17 levels, 0 to 16, become 0 to 240.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits


def main() -> None:
    digits = load_digits()
    folder = Path(__file__).parent / "data"
    folder.mkdir(exist_ok=True)
    images = (digits.images * 15).astype(np.uint8)[..., None]
    np.savez_compressed(folder / "digits.npz", x=images, y=digits.target.astype(np.uint8))
    print(f"{len(images)} images in data/digits.npz")


if __name__ == "__main__":
    main()
