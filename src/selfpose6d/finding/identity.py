"""Whether it is this object at all: a certificate takes for granted that the mask shows the object that it names."""

import numpy as np
import torch
from jaxtyping import Bool, Float

from selfpose6d.finding.looks import colour_histograms
from selfpose6d.finding.scene import Scene
from selfpose6d.objects.object_model import COARSE_MESH, ObjectModel
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize import rasterize
from selfpose6d.renderer.shade import shade
from selfpose6d.types import LabeledPose

LEAST_COLOUR = 0.5
"""Of the correlation of detail and the likeness of colours together. Of 150 right certified poses (real sample, and
rendered seed 53) the least has 0.56; wood blocks seen in other boxes have 0.32 and 0.42 (docs/results.md)."""
LEAST_CONFIDENCE = 0.98
"""Where nobody says that the object is there. Many are tried on each piece, and each may pass for one that is not
among the models: five of six that did had 0.947 to 0.975, right ones mostly have 0.985 and more."""
MAX_BEYOND = 0.3
"""Of the outline, beyond which the surface goes on. Of 225 right poses (real sample, rendered seed 53) 99 % have less
than 0.21; a mustard bottle seen in a sugar box, certified at 0.986, has 0.52."""


def doubt(pose: LabeledPose, likeness: float | None, beyond: float, is_there: bool) -> str:
    """Why a certified object may be another one; nothing where it is this one.

    `likeness`: of its colours with the image's, None where the mesh has none. `beyond`: fraction of its outline beyond
    which the surface goes on. `is_there`: somebody says that the frame shows the object.
    """
    if beyond > MAX_BEYOND:
        return f"perhaps another object: the surface goes on beyond {beyond:.0%} of its outline"
    if likeness is not None and pose.certificate.colour + likeness < LEAST_COLOUR:
        return f"perhaps another object of this shape: its colours are unlike (likeness {likeness:.2f})"
    if not is_there and pose.confidence < LEAST_CONFIDENCE:
        return f"perhaps another object: nothing says that it is there, and the confidence is below {LEAST_CONFIDENCE}"
    return ""


def colour_likeness(
    scene: Scene,
    shown: Bool[np.ndarray, "rows columns"],
    model: ObjectModel,
    T_cam_obj: Float[torch.Tensor, "4 4"],
) -> float | None:
    """Intersection (0-1) of the blurred histograms of rendered and seen colours, where the image shows the object.

    None where the mesh has no colour.
    """
    if not model.has_colour:
        return None
    rows, columns = shown.shape
    step = scene.surface.step_px
    K = torch.from_numpy(scene.seen.frame.K).to(T_cam_obj)
    K = K.clone()
    K[:2, 2] -= step // 2
    K[:2] /= step
    posed = PosedMeshes.of_one(model.packed, COARSE_MESH, T_cam_obj[None], K, (rows, columns))
    raster = rasterize(posed)
    both = shown & (raster.face_id[0] >= 0).cpu().numpy()
    if not both.any():
        return 0.0
    rendered = colour_histograms(shade(posed, raster)[0].cpu().numpy(), [both])
    return float(np.minimum(rendered, colour_histograms(scene.lab, [both])).sum())
