"""The model points and rows of poses of the evaluation's tests."""

import sys
from pathlib import Path

from evaluation.conftest import points_m

sys.path.insert(0, str(Path(__file__).parents[1] / "evaluation"))

__all__ = ["points_m"]
