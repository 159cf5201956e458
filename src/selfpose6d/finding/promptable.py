"""Promptable models of the optional extra `masks` (osam: SAM, EfficientSAM): one more source of pieces.

Each point of a grid over the image is asked for the object under it. The weights are fetched by osam at first use.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from selfpose6d.errors import UsageError
from selfpose6d.extras import missing_extra
from selfpose6d.finding.prompts import Prompt
from selfpose6d.types import Frame

GRID = (9, 12)
"""Rows and columns of points: 50 pixels apart in an image of 640 x 480, where objects worth finding are larger."""
MOST_OF_IMAGE = 0.3
"""That a mask may cover: beyond is a table or a wall."""
LEAST_PX = 100
"""Of a mask: smaller ones show nothing."""


class PromptableModel:
    """A model of osam by name, as `efficientsam:10m`."""

    def __init__(self, name: str) -> None:
        """Load it; where its weights are not there yet, they are fetched.

        Raises:
            UsageError: the extra is not installed, there is no such model, or its weights cannot be had.
        """
        try:
            import osam
        except ImportError:
            raise missing_extra("masks", "osam", needed_by="--osam", otherwise="Or leave it out.") from None
        self._osam: Any = osam
        try:
            kind = osam.apis.get_model_type_by_name(name)
        except ValueError:
            known = ", ".join(sorted(one.name for one in osam.apis.registered_model_types))
            raise UsageError(f"--osam {name}: no such model. Choose among {known}.") from None
        try:
            self._model: Any = kind()
            self._masks_at(self._model.encode_image(np.zeros((64, 64, 3), np.uint8)), np.array([32.0, 32.0]))
        except Exception as error:  # whatever the network, the disk and onnxruntime raise
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise UsageError(
                f"--osam {name}: the model cannot be loaded, or does not say what lies under a point ({reason}). Fetch "
                f"it with osam pull {name} where there is a network, choose another one, or leave --osam out."
            ) from None

    def __call__(self, frame: Frame) -> list[Prompt]:
        """What lies under the points of a grid where depth is known, each object once or several times."""
        embedding = self._model.encode_image(frame.rgb)
        found = []
        for point in grid_points(frame.depth_m):
            for annotation in self._masks_at(embedding, point):
                mask = _whole(annotation, frame.depth_m.shape)
                if LEAST_PX <= mask.sum() <= MOST_OF_IMAGE * mask.size:
                    found.append(Prompt(mask, "mask", "osam"))
        return found

    def _masks_at(self, embedding: Any, point: Float[np.ndarray, "2"]) -> Sequence[Any]:
        types = self._osam.types
        prompt = types.Prompt(points=point[None], point_labels=np.ones(1, int))
        request = types.GenerateRequest(model=self._model.name, image_embedding=embedding, prompt=prompt)
        return self._model.generate(request).annotations


def grid_points(depth_m: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "points 2"]:
    """Points (x, y) of a grid over the image, those where depth is known."""
    height, width = depth_m.shape
    rows, columns = GRID
    y = ((np.arange(rows) + 0.5) * height / rows).astype(int)
    x = ((np.arange(columns) + 0.5) * width / columns).astype(int)
    grid = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    return grid[depth_m[grid[:, 1], grid[:, 0]] > 0].astype(float)


def _whole(annotation: Any, shape: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
    """The mask in the whole image: osam cuts it to its box, whose last row and column belong to it."""
    mask = np.zeros(shape, bool)
    if annotation.mask is not None:
        box = annotation.bounding_box
        mask[box.ymin : box.ymax + 1, box.xmin : box.xmax + 1] = annotation.mask
    return mask
