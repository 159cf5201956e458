"""Rendered scenes and what annotating one instance of each came to: the evidence, and whether the pose was right."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float

from selfpose6d.geometry.symmetry import SymmetryGroup
from selfpose6d.labeling.annotate import AnnotateOptions, find_pose
from selfpose6d.labeling.certificate import may_certify
from selfpose6d.labeling.observation import ObservedFrame
from selfpose6d.labeling.terms import TERM_NAMES
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.metrics.pose_errors import least_add
from selfpose6d.objects.mesh_cache import default_cache_dir
from selfpose6d.objects.object_model import ObjectModel, build_object_model
from selfpose6d.objects.variants import colourless_model, scaled_model
from selfpose6d.synthetic.frame import RenderedFrame, TrueInstance
from selfpose6d.synthetic.mesh_variation import mismatched, scaled
from selfpose6d.synthetic.scene_assets import SceneAssets, make_scene_assets
from selfpose6d.synthetic.single_frames import SceneVariation, render_single
from selfpose6d.types import Frame, Instance, InstanceKey, LabeledPose, MaskQuality

SCENES_PER_SET = 10
"""That share their objects' size and imperfections: making meshes ready costs as much as three scenes."""
OBJECTS_PER_SET = 6
"""Of which a scene shows some."""
SIZES = (1.0, 1.0, 1.0, 0.25, 0.5, 2.0, 4.0)
"""Factors on the models' size, drawn with equal chance: half a palm to a washing machine, for household objects."""
COLOURLESS = 0.35
"""Fraction of the instances that are annotated without their mesh's colours: CAD models often have none."""
EXACT_MASKS = 0.45
"""Fraction of the scenes whose masks are exact, as data sets have them; the others' are of every kind."""
MIN_VISIBLE_PX = 64
"""Instances that show less are not asked for."""
SYMMETRY_STEPS = 72
"""Of a continuous symmetry: to 2.5 degrees, which moves a point by 2 % of the diameter at most."""
ADD_POINTS = 500
"""Vertices that a pose's error is measured on."""


@dataclass(frozen=True)
class CalibrationObject:
    """One of the objects that the scenes show."""

    obj_id: int
    mesh: Mesh
    declared: SymmetryGroup | None


@dataclass(frozen=True)
class SceneResult:
    """One scene: one instance, annotated. `add_m` is infinite where there was no pose."""

    scene: int
    obj_id: int
    size: float
    coloured: bool
    mask_kind: str
    sensor: str
    diameter_m: float
    add_m: float
    may_certify: bool
    """Neither ambiguous nor outside the image: only the score decides."""
    quality: MaskQuality | None
    terms: dict[str, float]
    time_s: float

    @property
    def right(self) -> bool:
        """ADD (least over the declared symmetries) below a tenth of the diameter."""
        return self.add_m < 0.1 * self.diameter_m

    def vector(self) -> Float[np.ndarray, " terms"]:
        """The terms in the order of `TERM_NAMES`."""
        return np.array([self.terms[name] for name in TERM_NAMES], np.float64)

    def to_json(self) -> dict[str, Any]:
        """One line of the journal."""
        return asdict(self) | {"add_m": None if math.isinf(self.add_m) else self.add_m}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "SceneResult":
        """What `to_json` made, read from a file: JSON has no infinities."""
        fields = dict(row)
        fields["add_m"] = math.inf if row["add_m"] is None else float(row["add_m"])
        terms = row["terms"].items()
        fields["terms"] = {name: -math.inf if value is None else float(value) for name, value in terms}
        return cls(**fields)


def scene_annotator(
    objects: tuple[CalibrationObject, ...], options: AnnotateOptions, seed: int
) -> Callable[[int], SceneResult | None]:
    """What renders and annotates a scene, by its index; the result follows `seed` and the index alone. None: nothing to
    see in it.
    """
    chosen = {one.obj_id: one for one in objects}

    @lru_cache(maxsize=1)
    def scene_set(index: int) -> tuple[float, SceneAssets]:
        generator = np.random.default_rng([seed, 0x5E7, index])
        size = float(generator.choice(SIZES))
        count = min(OBJECTS_PER_SET, len(objects))
        ids = sorted(generator.choice(sorted(chosen), count, replace=False).tolist())
        meshes = {i: mismatched(scaled(chosen[i].mesh, size), generator) for i in ids}
        return size, make_scene_assets(meshes, int(generator.integers(2**31)))

    @cache
    def studied(obj_id: int) -> ObjectModel:
        one = chosen[obj_id]
        return build_object_model(one.mesh, one.declared, default_cache_dir())

    @lru_cache(maxsize=16)
    def model(obj_id: int, size: float, coloured: bool) -> ObjectModel:
        one = chosen[obj_id]
        whole = studied(obj_id)
        return scaled_model(whole if coloured else colourless_model(whole, one.declared), size)

    def annotate_scene(index: int) -> SceneResult | None:
        size, assets = scene_set(index // SCENES_PER_SET)
        generator = np.random.default_rng([seed, 0x5CE, index])
        exact = generator.random() < EXACT_MASKS
        variation = SceneVariation(masks=()) if exact else SceneVariation()
        rendered = render_single(assets, variation, generator)
        seen = [one for one in rendered.instances if one.visible.sum() >= MIN_VISIBLE_PX and one.mask.any()]
        if not seen:
            return None
        truth = seen[int(generator.integers(len(seen)))]
        coloured = chosen[truth.obj_id].mesh.has_colour and generator.random() >= COLOURLESS
        declared = _scaled_symmetry(chosen[truth.obj_id].declared, size)
        return _annotate(index, rendered, truth, model(truth.obj_id, size, coloured), declared, size, options)

    return annotate_scene


def _annotate(
    index: int,
    rendered: RenderedFrame,
    truth: TrueInstance,
    model: ObjectModel,
    declared: SymmetryGroup | None,
    size: float,
    options: AnnotateOptions,
) -> SceneResult:
    key = InstanceKey("calibration", index, 0, truth.obj_id, 0)
    instance = Instance(key, truth.mask, region=truth.mask_kind == "box")
    frame = Frame("calibration", index, 0, rendered.rgb, rendered.depth_m, rendered.K, (instance,))
    start_s = time.perf_counter()
    found = find_pose(ObservedFrame.of(frame), instance, model, options)
    spent_s = time.perf_counter() - start_s
    result = SceneResult(
        scene=index,
        obj_id=truth.obj_id,
        size=size,
        coloured=model.has_colour,
        mask_kind=truth.mask_kind or "exact",
        sensor=rendered.sensor,
        diameter_m=model.diameter_m,
        add_m=math.inf,
        may_certify=False,
        quality=None,
        terms={},
        time_s=spent_s,
    )
    if isinstance(found, LabeledPose) or found.terms is None:
        return result
    certificate, terms = found.certificate, found.terms
    points_m = model.mesh.vertices_m[:: max(1, len(model.mesh.vertices_m) // ADD_POINTS)]
    allowed = np.eye(4)[None] if declared is None else declared.expand(SYMMETRY_STEPS)
    add_m = least_add(found.T_cam_obj.double().numpy()[None], truth.T_cam_obj[None], points_m, allowed)[0]
    return replace(
        result,
        add_m=float(add_m),
        may_certify=may_certify(terms, options.certificate),
        quality=certificate.mask_quality,
        terms={name: float(value) for name, value in zip(TERM_NAMES, terms.vector(), strict=True)},
    )


def _scaled_symmetry(group: SymmetryGroup | None, factor: float) -> SymmetryGroup | None:
    if group is None:
        return None
    discrete = group.discrete.copy()
    discrete[:, :3, 3] *= factor
    return SymmetryGroup(
        discrete, tuple(replace(axis, offset_m=factor * axis.offset_m) for axis in group.continuous)
    )
