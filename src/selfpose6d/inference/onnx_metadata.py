"""What an exported network carries with it: all that a program needs around it, from crop to pose."""

from collections.abc import Mapping
from typing import Any

from selfpose6d.crops.batch import MIN_NEAR
from selfpose6d.crops.crop import DEPTH_STEPS, MARGIN
from selfpose6d.datasets.model_files import ModelFiles
from selfpose6d.geometry.symmetric_poses import Symmetries, point_moment
from selfpose6d.inference.clustering import KEPT_FRACTION, RADIUS
from selfpose6d.inference.corrections import LEAST_ROTATION_RAD, LEAST_SHIFT, MAX_BEHIND
from selfpose6d.inference.options import NETWORK_STEPS, PredictOptions, default_steps
from selfpose6d.network.comparison import LEAST_AGREEMENT, READING_WEIGHT
from selfpose6d.network.confidence import Confidence
from selfpose6d.network.fragment_poses import FIT_ERROR
from selfpose6d.network.fragment_poses_numba import TOLD
from selfpose6d.network.pose_network import PoseNetwork
from selfpose6d.objects.shapes import ObjectShapes
from selfpose6d.types import MIN_POINTS
from selfpose6d.version import __version__

FORMAT = 1
"""Of the metadata."""
METADATA_KEY = "selfpose6d"
"""Of the files' metadata; the value is JSON."""
CONVENTIONS = (
    "OpenCV camera (+x right, +y down, +z forward), pixel centres at integers; metres; T_<to>_<from>"
)


def network_metadata(
    network: PoseNetwork,
    stored: Mapping[str, Any],
    files: ModelFiles | None,
    shapes: ObjectShapes | None,
    symmetries: Symmetries | None,
) -> dict[str, Any]:
    """All that a program needs to know around the network."""
    config, steps = network.config, default_steps(network.compares) if network.refiner.trained else 0
    objects = [
        {"id": obj_id, "diameter_m": diameter_m, "centre_m": centre_m}
        for obj_id, diameter_m, centre_m in zip(*vars(network.objects).values(), strict=True)
    ]
    for index, entry in enumerate(objects):
        if files is not None and entry["id"] in files.files:
            entry["name"] = files.find(entry["id"]).name
        if shapes is not None and symmetries is not None:
            entry |= _symmetry(symmetries, shapes, index)
    confidence = Confidence.from_json(stored.get("confidence")) if network.compares else None
    return {
        "format": FORMAT,
        "version": __version__,
        "architecture": config.architecture,
        "conventions": CONVENTIONS,
        "crop_px": config.crop_px,
        "crop_margin": MARGIN,
        "depth_steps": DEPTH_STEPS,
        "num_points": config.num_points,
        "min_points": MIN_POINTS,
        "min_near_points": MIN_NEAR,
        "hypotheses": PredictOptions().hypotheses,
        "same_pose_diameters": RADIUS,
        "kept_fraction": KEPT_FRACTION,
        "refine_steps": steps,
        "refine_steps_of_all": min(steps, NETWORK_STEPS),
        "going_on": {
            "max_behind": MAX_BEHIND,
            "least_rotation_rad": LEAST_ROTATION_RAD,
            "least_shift": LEAST_SHIFT,
        },
        "reading": {
            "told": TOLD,
            "fit_error": FIT_ERROR,
            "weight": READING_WEIGHT,
            "least_agreement": LEAST_AGREEMENT,
        },
        "confidence": confidence and confidence.to_json(),
        "objects": objects,
    }


def _symmetry(symmetries: Symmetries, shapes: ObjectShapes, index: int) -> dict[str, Any]:
    allowed = symmetries.allowed[index]
    return {
        "T_obj_sym": symmetries.T_obj_sym[index][allowed].tolist(),
        "symmetry_axis": symmetries.axis[index].tolist(),
        "symmetry_centre_m": symmetries.centre_m[index].tolist(),
        "is_ball": bool(symmetries.is_ball[index]),
        "point_moment": point_moment(shapes.points_m[index : index + 1])[0].tolist(),
    }
