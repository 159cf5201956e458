"""The units of mesh files and other files in millimetres; inside there are metres only."""

from pathlib import Path
from typing import Literal, get_args

Unit = Literal["mm", "cm", "m", "inch"]
METRES_PER_UNIT: dict[str, float] = {"mm": 1e-3, "cm": 1e-2, "m": 1.0, "inch": 0.0254}
METRES_PER_MM = METRES_PER_UNIT["mm"]
UNITS = "|".join(get_args(Unit))
"""All of them, for messages."""
GLTF_SUFFIXES = (".glb", ".gltf")
"""Of the format that is in metres by its specification."""
STEP_SUFFIXES = (".step", ".stp")
"""Of the format whose files say their unit; it is read into metres."""


def unit_of_file(path: Path, unit: Unit | None) -> Unit | None:
    """The unit of a mesh file's numbers once they are read: `unit` as the user says, else as the format says.

    None where neither does. glTF is in metres unless the user says otherwise; STEP files say their unit themselves.
    """
    suffix = path.suffix.lower()
    if suffix in STEP_SUFFIXES:
        return "m"
    return unit or ("m" if suffix in GLTF_SUFFIXES else None)
