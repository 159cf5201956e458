"""Which split a command means when none is said."""

from pathlib import Path

CAPTURE_SPLIT = "all"


def resolve_split(dataset: Path, split: str | None, default: str) -> str:
    """The split that was said, else a capture folder's only one, else the default."""
    if split is not None:
        return split
    return CAPTURE_SPLIT if (dataset / "camera.json").is_file() and (dataset / "rgb").is_dir() else default
