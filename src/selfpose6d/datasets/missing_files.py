"""Why a file is not there: what lies beside it says what is probably wrong."""

import re
from pathlib import Path

MAX_LISTED = 20_000
"""Names that are looked at in a folder: enough for a scene, bounded for a folder of a million."""


def why_missing(path: Path) -> tuple[str, str]:
    """Reason and remedy of a file that cannot be opened because there is none."""
    if path.is_symlink():
        return (
            f"missing file: a link to {path.readlink()}, which does not exist",
            "Restore what it points to.",
        )
    if not path.parent.is_dir():
        return f"missing file: there is no folder {path.parent.name}/", "Restore it."
    names = _names(path.parent)
    same_stem = sorted(name for name in names if name.rsplit(".", 1)[0] == path.stem)
    if same_stem:
        suffix = Path(same_stem[0]).suffix
        return (
            f"no file of this name; there is {same_stem[0]}, and {suffix or 'a file without suffix'} is not read",
            "Convert it to PNG (depth: 16 bits) or TIFF.",
        )
    numbers = _numbers(path.name)
    same_number = [name for name in names if numbers and _numbers(name) == numbers]
    if len(same_number) == 1:  # of several kinds in one folder another one says nothing
        return (
            f"no file of this name; there is {same_number[0]}",
            "Give the images of a frame one name in all folders.",
        )
    return "missing file", "Restore it, or leave the frame out with --frames."


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry, _ in zip(folder.iterdir(), range(MAX_LISTED), strict=False)]
    except OSError:
        return []


def _numbers(name: str) -> tuple[int, ...]:
    """The numbers in a name without its suffix, as they count."""
    return tuple(int(digits) for digits in re.findall(r"[0-9]+", name.rsplit(".", 1)[0]))
