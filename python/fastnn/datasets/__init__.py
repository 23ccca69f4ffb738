"""Real data found in installed packages, as NumPy arrays and text. Nothing is downloaded and nothing is bundled:
where a package is absent, DatasetNotFound names the command that installs it.

Images come as a Split (x_train, y_train, x_test, y_test): x float32 (N, 1, H, W) in [0, 1], y int64 (N,).
Texts come as str.
"""

from fastnn.datasets.files import DatasetNotFound
from fastnn.datasets.images import Split, load_digits, load_fashion_mnist, load_mnist5k
from fastnn.datasets.texts import load_shakespeare, load_stdlib_code

__all__ = [
    "DatasetNotFound",
    "Split",
    "load_digits",
    "load_fashion_mnist",
    "load_mnist5k",
    "load_shakespeare",
    "load_stdlib_code",
]
