"""What a renderer renders: one mesh an image, at a pose, before a camera."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.checks import require_equal_lengths, require_indices
from selfpose6d.renderer.packed import PackedMeshes


@dataclass(frozen=True)
class PosedMeshes:
    """A batch of images to render; image i shows mesh `mesh_index[i]` of `meshes` and nothing else.

    Raises:
        UsageError: the lengths differ, or there is no such mesh: the same on every device and back end.
    """

    meshes: PackedMeshes
    mesh_index: Int[Tensor, " images"]
    T_cam_obj: Float[Tensor, "images 4 4"]
    K: Float[Tensor, "images 3 3"]
    height: int
    width: int

    def __post_init__(self) -> None:
        require_equal_lengths(mesh_index=self.mesh_index, T_cam_obj=self.T_cam_obj, K=self.K)
        require_indices(self.mesh_index, len(self.meshes), "mesh_index")

    def __len__(self) -> int:
        return len(self.mesh_index)

    @classmethod
    def of_one(
        cls,
        meshes: PackedMeshes,
        mesh_index: int,
        T_cam_obj: Float[Tensor, "images 4 4"],
        K: Float[Tensor, "3 3"],
        shape: tuple[int, int],
    ) -> "PosedMeshes":
        """One mesh at many poses before one camera; `shape` is (height, width)."""
        count, device = len(T_cam_obj), T_cam_obj.device
        index = torch.full((count,), mesh_index, device=device)
        return cls(meshes, index, T_cam_obj, K.expand(count, 3, 3), *shape)

    def samples(self, s: int) -> "PosedMeshes":
        """The same images with s x s samples a pixel, without gradient."""
        K = self.K.detach().clone()
        K[:, :2] *= s
        K[:, :2, 2] += (s - 1) / 2
        T_cam_obj = self.T_cam_obj.detach()
        return replace(self, T_cam_obj=T_cam_obj, K=K, height=self.height * s, width=self.width * s)
