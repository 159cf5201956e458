"""How large a scene is: lengths follow its objects, so that large and small ones stay in view."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# median diameters of household objects: their scenes are of scale 1
ORDINARY_M = (0.08, 0.35)
# diameter that the lengths of a scene of scale 1 were chosen for
TYPICAL_M = 0.2
# large scenes are seen from farther than in proportion: of a scene of scale 1 the border cuts a sixth of the
# instances, at 1.15 a ninth, at 1.25 less than a tenth
LARGE_MARGIN = 1.25
# of a small scene's camera distance; keeps every object 0.3 m and more from the camera, where depth sensors begin
LEAST_DISTANCE, LEAST_SLOPE = 0.5, 0.5
# largest to smallest diameter in a scene: with more, either the small ones are specks or the large ones fill the image
MAX_SIZE_RATIO = 4.0


@dataclass(frozen=True)
class SceneScale:
    """What multiplies a scene's lengths (`size`) and the camera's distances (`distance`)."""

    size: float
    distance: float


ORDINARY = SceneScale(1.0, 1.0)


def scene_scale(diameters_m: Sequence[float]) -> SceneScale:
    """The scale for objects of these diameters: 1 for a median of 8 to 35 cm, else in proportion to 20 cm.

    The camera of a small scene stays farther away than in proportion, as sensors see nothing nearer than 0.3 m.
    """
    median_m = float(np.median(diameters_m))
    if ORDINARY_M[0] <= median_m <= ORDINARY_M[1]:
        return ORDINARY
    size = median_m / TYPICAL_M
    if size > 1:
        return SceneScale(size, LARGE_MARGIN * size)
    return SceneScale(size, LEAST_DISTANCE + LEAST_SLOPE * size)
