"""Candidate poses of one object before one crop, and their renderings there."""

from dataclasses import dataclass, replace
from functools import cached_property

from jaxtyping import Bool, Float, Int
from torch import Tensor

from selfpose6d.labeling.detail import high_pass
from selfpose6d.labeling.observation import ObservedCrop
from selfpose6d.objects.object_model import ObjectModel
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize import rasterize
from selfpose6d.renderer.shade import shade
from selfpose6d.types import Rasterization


@dataclass(frozen=True)
class Candidates:
    """Poses of an object, one of which may be what the crop shows."""

    model: ObjectModel
    crop: ObservedCrop
    T_cam_obj: Float[Tensor, "poses 4 4"]

    def __len__(self) -> int:
        return len(self.T_cam_obj)

    @cached_property
    def centre_cam_m(self) -> Float[Tensor, "poses 3"]:
        """Where each pose puts the object's centre."""
        return self.model.centre_at(self.T_cam_obj)

    @cached_property
    def posed(self) -> PosedMeshes:
        """One image a pose, as the crop's camera sees it."""
        crop = self.crop
        return PosedMeshes.of_one(self.model.packed, crop.mesh_index, self.T_cam_obj, crop.K, crop.shape)

    def at(self, T_cam_obj: Float[Tensor, "poses 4 4"]) -> "Candidates":
        """Other poses of the same object before the same crop."""
        return replace(self, T_cam_obj=T_cam_obj)

    def take(self, which: Tensor) -> "Candidates":
        """Some of the poses, by index or mask."""
        return self.at(self.T_cam_obj[which])


@dataclass(frozen=True)
class RenderedCandidates:
    """Visible faces (-1: none), camera z and high-pass LAB (0 off the object) of each candidate.

    `detail` None: colour is not compared.
    """

    candidates: Candidates
    face_id: Int[Tensor, "poses size size"]
    covered: Bool[Tensor, "poses size size"]
    depth_m: Float[Tensor, "poses size size"]
    detail: Float[Tensor, "poses 3 size size"] | None

    @property
    def crop(self) -> ObservedCrop:
        """The crop that they are compared with."""
        return self.candidates.crop

    def take(self, which: Tensor) -> "RenderedCandidates":
        """Some of the candidates, by index or mask."""
        return RenderedCandidates(
            self.candidates.take(which),
            self.face_id[which],
            self.covered[which],
            self.depth_m[which],
            None if self.detail is None else self.detail[which],
        )


def render_candidates(candidates: Candidates) -> RenderedCandidates:
    """Render candidates into the crop, with colour where the mesh has any."""
    return shade_candidates(candidates, rasterize(candidates.posed))


def shade_candidates(
    candidates: Candidates, raster: Rasterization, with_colour: bool = True
) -> RenderedCandidates:
    """What rasterised candidates show at each pixel."""
    covered, detail = raster.face_id >= 0, None
    if with_colour and candidates.model.has_colour:
        detail = high_pass(shade(candidates.posed, raster), covered)
    return RenderedCandidates(candidates, raster.face_id, covered, raster.depth_m, detail)
