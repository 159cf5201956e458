"""Every object's mesh as the joint loss renders it, in the order of the network's channels."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from selfpose6d.meshes.decimate import decimate
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.renderer.packed import PackedMeshes, in_lab, pack_meshes

FACES = 6_000
"""Meshes are rendered with at most this many faces: a crop has about as many pixels."""


@dataclass(frozen=True)
class RenderedObjects:
    """Every object's mesh in LAB colours, in the order of the network's channels."""

    meshes: PackedMeshes
    has_colour: Bool[Tensor, " objects"]


def build_rendered_objects(meshes: Sequence[Mesh], device: torch.device | str) -> RenderedObjects:
    """Simplify and pack the meshes."""
    packed = in_lab(pack_meshes([decimate(mesh, FACES) for mesh in meshes])).to(device)
    return RenderedObjects(packed, torch.tensor(packed.has_colour, device=device))
