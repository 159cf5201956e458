"""Model points that are easy to reckon with."""

import numpy as np
import pytest


@pytest.fixture
def points_m() -> dict[int, np.ndarray]:
    """Two objects: a long line of points (1) and a ring-like square (2)."""
    line = np.stack([np.linspace(-0.1, 0.1, 5), np.zeros(5), np.zeros(5)], axis=1)
    square = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]]) * 0.05
    return {1: line, 2: square}
