"""STEP files, through `cascadio`: triangulated into a GLB, which is in metres whatever the file's unit."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from selfpose6d.errors import MeshError, UsageError
from selfpose6d.extras import install_command

DEVIATION_MM = 0.1
"""Of the triangles from the surface, at most: below any depth camera's noise."""
ANGLE_RAD = 0.2
"""Between neighbouring triangles, at most: 31 of them around a cylinder."""


@contextmanager
def as_glb(path: Path) -> Iterator[Path]:
    """A GLB of the STEP file while the block runs.

    Raises:
        UsageError: `cascadio` is not installed.
        MeshError: the file cannot be read.
    """
    try:
        import cascadio
    except ImportError:
        raise UsageError(
            f"{path}: STEP files need cascadio. Install the step extra: {install_command('step', 'cascadio')}, "
            "or export the model as STL, OBJ or GLB."
        ) from None
    with TemporaryDirectory() as folder:
        glb = Path(folder) / "model.glb"
        status = cascadio.step_to_glb(str(path), str(glb), DEVIATION_MM, ANGLE_RAD, use_parallel=False)
        if status or not glb.is_file():
            raise MeshError(f"{path}: unreadable STEP file. Export it again (AP203, AP214 or AP242).")
        yield glb
