"""Images at their place: copied, or linked to the data set that they come from."""

import shutil
from collections.abc import Callable
from pathlib import Path

from selfpose6d.export.frames import ImageFile

ImagePlacer = Callable[[ImageFile, Path], None]
"""Puts an image where it belongs."""


def copy_image(image: ImageFile, path: Path) -> None:
    """Write it; what was there is replaced."""
    path.unlink(missing_ok=True)
    if image.source is None:
        path.write_bytes(image.content)
    else:
        shutil.copyfile(image.source, path)


def link_image(image: ImageFile, path: Path) -> None:
    """Link to its file, by a path that holds wherever the command is called from; one without a file is written."""
    if image.source is None:
        copy_image(image, path)
    else:
        path.unlink(missing_ok=True)
        path.symlink_to(image.source.resolve())
