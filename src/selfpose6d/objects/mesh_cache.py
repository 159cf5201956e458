"""What is slow to compute of a mesh, kept in the user's cache directory by the mesh's content."""

import hashlib
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from selfpose6d.files import read_whole, user_cache, write_whole
from selfpose6d.meshes.mesh import Mesh

VERSION = 4
"""Of the arrays that are kept; another one makes them anew."""


def default_cache_dir() -> Path:
    """Where constants of meshes are kept between runs, in the user's cache directory."""
    return user_cache() / "objects"


def cached_arrays(
    mesh: Mesh,
    what: str,
    names: Sequence[str],
    compute: Callable[[], Mapping[str, Tensor]],
    cache_dir: Path | None,
) -> dict[str, Tensor]:
    """The arrays of these names that `compute` makes of the mesh; from `cache_dir`, or computed and kept there.

    `what` names the computation with all its parameters. A folder that cannot be written costs time, nothing else.
    """
    if cache_dir is None:
        return dict(compute())
    key = hashlib.sha256(f"{VERSION} {what} {mesh.content_hash}".encode()).hexdigest()[:24]
    path = cache_dir / f"{key}.npz"
    try:
        with np.load(io.BytesIO(read_whole(path))) as stored:
            return {name: torch.from_numpy(stored[name]) for name in names}
    except Exception:  # numpy and zipfile raise many kinds for a broken file: it is written anew
        arrays = dict(compute())
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **{name: value.numpy() for name, value in arrays.items()})
    try:
        write_whole(path, content.getvalue())
    except OSError as error:
        warnings.warn(
            f"meshes are prepared anew each time: {cache_dir} cannot be written ({error})", stacklevel=2
        )
    return arrays
