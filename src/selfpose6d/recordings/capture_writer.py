"""A capture folder that appears when it is complete: written aside, then renamed."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from selfpose6d.errors import UsageError
from selfpose6d.files import write_json
from selfpose6d.meshes.units import METRES_PER_MM

RECORD_NAME = "recording.json"
"""Where each frame came from."""


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write into that becomes `out` when the block ends well; else nothing is left.

    Raises:
        UsageError: `out` is there and not empty, or a mount point.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is not empty. Choose another OUT, or remove it first.")
    if os.path.ismount(out):
        raise UsageError(
            f"{out} is a mount point, which no finished folder can replace. Choose a folder inside it."
        )
    out = out.resolve()  # the folder beside it is on the same disk, also where `out` is a link or "."
    aside = out.with_name(f".{out.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        if out.is_dir():
            out.rmdir()
        os.replace(aside, out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_image(folder: Path, name: str, content: bytes) -> None:
    """One image's file, and its folder."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)


def write_camera(folder: Path, K: Float[np.ndarray, "3 3"], size: tuple[int, int], unit_m: float) -> None:
    """`camera.json`, as capture folders and BOP have it."""
    scale = round(unit_m / METRES_PER_MM, 9)
    write_json(
        folder / "camera.json",
        {"cam_K": K.ravel().tolist(), "depth_scale": scale, "width": size[0], "height": size[1]},
    )


def write_record(folder: Path, source: dict[str, Any], frames: dict[str, dict[str, Any]]) -> None:
    """`recording.json`: of the whole, and one line a frame, by its images' name without suffix."""
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(frames.items()))
    head = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in source.items())
    (folder / RECORD_NAME).write_text(f'{{\n{head},\n"frames": {{\n{lines}\n}}\n}}\n', encoding="utf-8")
