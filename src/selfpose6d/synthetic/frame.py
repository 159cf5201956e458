"""A rendered image and what is true about it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int16, UInt8, UInt16

from selfpose6d.datasets.bop.entries import Silhouette
from selfpose6d.synthetic.compose import Placed, Surfaces
from selfpose6d.synthetic.depth_sensor import SensorKind
from selfpose6d.synthetic.mask_noise import MaskKind, degrade_mask, draw_mask_kind
from selfpose6d.synthetic.scene_assets import SceneAssets
from selfpose6d.synthetic.sensor import DEPTH_UNITS_PER_M


@dataclass(frozen=True)
class TrueInstance:
    """An object with at least one visible pixel, its pose and its outlines.

    `visible` is true; `mask` is what a detector makes of it, by `mask_kind` (None: nobody asked for one, it is exact).
    """

    obj_id: int
    T_cam_obj: Float[np.ndarray, "4 4"]
    visible: Bool[np.ndarray, "height width"]
    silhouette: Silhouette
    mask: Bool[np.ndarray, "height width"]
    mask_kind: MaskKind | None = None

    @property
    def visible_fraction(self) -> float:
        """Visible pixels of all that the object would cover alone, those off the image counted."""
        return int(self.visible.sum()) / int(self.silhouette.mask.sum())


@dataclass(frozen=True)
class RenderedFrame:
    """One image as a sensor gives it, with what is true about it. Depth in `depth_units_per_m`, 0 unknown.

    `owner` numbers the objects that are in front, -1 where there is none.
    """

    rgb: UInt8[np.ndarray, "height width 3"]
    depth: UInt16[np.ndarray, "height width"]
    K: Float[np.ndarray, "3 3"]
    T_cam_world: Float[np.ndarray, "4 4"]
    instances: tuple[TrueInstance, ...]
    owner: Int16[np.ndarray, "height width"]
    sensor: SensorKind = "simple"
    depth_units_per_m: int = DEPTH_UNITS_PER_M

    @property
    def depth_m(self) -> Float[np.ndarray, "height width"]:
        """Measured z, 0 unknown."""
        return self.depth.astype(np.float32) / np.float32(self.depth_units_per_m)


def true_instances(
    assets: SceneAssets,
    labelled: tuple[Placed, ...],
    T_cam_world: Float[np.ndarray, "4 4"],
    surfaces: Surfaces,
    mask_kinds: tuple[MaskKind, ...],
    generator: np.random.Generator,
) -> tuple[TrueInstance, ...]:
    """The first objects of the composed image that are visible; each with a mask of one of the kinds (none: exact)."""
    instances = []
    for index, item in enumerate(labelled):
        visible = surfaces.owner == index
        if not visible.any():
            continue
        kind = draw_mask_kind(mask_kinds, generator) if mask_kinds else None
        mask = visible if kind is None else degrade_mask(visible, kind, surfaces.owner, generator)
        obj_id, T_cam_obj = assets.object_ids[item.mesh_index], T_cam_world @ item.T_world_obj
        instances.append(TrueInstance(obj_id, T_cam_obj, visible, surfaces.silhouettes[index], mask, kind))
    return tuple(instances)
