"""The declared symmetries of a data set's objects as tensors, in the order of the network's channels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from selfpose6d.datasets.declared_symmetries import require_declared_symmetries
from selfpose6d.datasets.symmetries import read_symmetries
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.objects.object_model import SYMMETRY_STEPS


@dataclass(frozen=True)
class Symmetries:
    """Motions under which each object is unchanged; padded, `allowed` marks those in use."""

    T_obj_sym: Float[Tensor, "objects symmetries 4 4"]
    allowed: Bool[Tensor, "objects symmetries"]

    def to(self, device: torch.device) -> "Symmetries":
        """The same on another device."""
        return Symmetries(self.T_obj_sym.to(device), self.allowed.to(device))


def load_symmetries(
    models_folder: Path, obj_ids: Sequence[int], load_mesh: Callable[[int], Mesh]
) -> Symmetries:
    """What `models_info.json` declares, continuous ones in steps of 10 degrees; else the identity.

    The meshes of objects with declared symmetries are loaded to check them.

    Raises:
        DataError: the file is not BOP's, or declared symmetries do not map the mesh onto itself.
        MeshError: a mesh is unreadable.
    """
    declared = read_symmetries(models_folder)
    for obj_id in obj_ids:
        if obj_id in declared and len(declared[obj_id].expand(2)) > 1:
            require_declared_symmetries(load_mesh(obj_id), declared[obj_id], f"object {obj_id}")
    groups = [
        declared[obj_id].expand(SYMMETRY_STEPS) if obj_id in declared else np.eye(4)[None]
        for obj_id in obj_ids
    ]
    most = max(map(len, groups))
    padded = np.stack(
        [np.concatenate([group, np.tile(np.eye(4), (most - len(group), 1, 1))]) for group in groups]
    )
    allowed = np.arange(most) < np.array([len(group) for group in groups])[:, None]
    return Symmetries(torch.from_numpy(padded).float(), torch.from_numpy(allowed))
