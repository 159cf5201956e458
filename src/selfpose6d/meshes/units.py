"""The units of mesh files and other files in millimetres; inside there are metres only."""

from typing import Literal

Unit = Literal["mm", "m"]
METRES_PER_UNIT: dict[str, float] = {"mm": 1e-3, "m": 1.0}
METRES_PER_MM = METRES_PER_UNIT["mm"]
