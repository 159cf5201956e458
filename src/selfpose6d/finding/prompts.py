"""What a user knows of where objects are: masks, boxes or points in a file, one more source of pieces.

Rows as BOP and COCO have them: `image_id`, `scene_id` (where the data set has several scenes), and `segmentation` (RLE
or polygons), `bbox` [x, y, width, height] or `points` [[x, y], ...], in pixels. Of other fields `width` and `height` of
the image are compared, where they are given; which object it is is found out.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool

from selfpose6d.datasets.coco_masks import decode_segmentation, fill_box
from selfpose6d.datasets.detection_ids import DetectionIds
from selfpose6d.datasets.detections import require_stated_size, result_rows
from selfpose6d.datasets.images import data_error
from selfpose6d.errors import MALFORMED
from selfpose6d.finding.proposals import MIN_KNOWN, MIN_PIXELS, Proposal, pieces_at, reach_m
from selfpose6d.finding.scene import Scene
from selfpose6d.json_files import whole_number
from selfpose6d.selection import FrameId

POINT_PX = 5
"""Half the side of the square about a point that is the object."""


@dataclass(frozen=True)
class Prompt:
    """Pixels of the image that are an object (mask), hold one (box), or lie on one (point), and who says so."""

    mask: Bool[np.ndarray, "height width"]
    kind: Literal["mask", "box", "point"]
    by: str = "prompted"
    obj_id: int | None = None
    """Which object it is, where that is known."""


class Prompts:
    """A prompts file, by frame."""

    def __init__(self, path: Path, ids: DetectionIds | None = None) -> None:
        """Read it. `ids` resolves images against a data set, as those of detections; None takes BOP's numbers as given,
        and scene 0 where a row has none.

        Raises:
            DataError: it is unreadable, or a row has no image or one that the data set has not, or neither a mask, a
                box nor points.
        """
        self.path = path
        self._rows: Mapping[FrameId, list[tuple[int, dict[str, Any]]]] = _by_frame(path, ids)

    def of(self, frame_id: FrameId, shape: tuple[int, int]) -> list[Prompt]:
        """The prompts of a frame whose image has this shape (height, width).

        Raises:
            DataError: one of them is broken.
        """
        return [
            _prompt(row, shape, f"{self.path}: row {index}") for index, row in self._rows.get(frame_id, ())
        ]


def prompted_pieces(
    prompts: Sequence[Prompt], scene: Scene, taken: Bool[np.ndarray, "rows columns"]
) -> list[Proposal]:
    """The pieces that prompts name: of an outline itself, of a region or a point the parts of the surface there."""
    surface = scene.surface
    found: list[Proposal] = []
    for prompt in prompts:
        source = f"{prompt.by} {prompt.kind}"
        here = surface.from_image(prompt.mask) & ~taken
        if prompt.kind != "mask":
            here &= surface.known & ~scene.on_plane
            free = here if prompt.kind == "box" else surface.known & ~scene.on_plane & ~taken
            found += pieces_at(surface, free, here, scene.lab, source)
        enough = here.sum() >= MIN_PIXELS and (here & surface.known).sum() >= MIN_KNOWN
        if prompt.kind != "point" and enough:
            reach = reach_m(surface, here)
            found.append(Proposal(here, source, reach, prompt.obj_id))
    return found


def _by_frame(path: Path, ids: DetectionIds | None) -> Mapping[FrameId, list[tuple[int, dict[str, Any]]]]:
    rows: dict[FrameId, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for index, row in enumerate(result_rows(path)):
        frame_id = _frame_of(path, index, row, ids)
        if not any(row.get(name) for name in ("segmentation", "bbox", "points")):
            reason = f"row {index} has neither segmentation, bbox nor points"
            raise data_error(path, reason, "Say where the object is.")
        if frame_id is not None:
            rows[frame_id].append((index, row))
    if ids is not None:
        ids.require_known(path, sum(map(len, rows.values())))
    return rows


def _frame_of(path: Path, index: int, row: dict[str, Any], ids: DetectionIds | None) -> FrameId | None:
    """None for an image that is not among those of the data set that are chosen."""
    if ids is not None:
        names_its_image = isinstance(row.get("image_id"), str)
        needs_scene = ids.needs_scene and not names_its_image and row.get("scene_id") is None
        if row.get("image_id") is not None and not needs_scene:
            return ids.frame(row, None)
        wanted = "image_id and scene_id" if needs_scene else "an image_id"
        raise data_error(path, f"row {index} needs {wanted}, got {sorted(row)}", "Add it as BOP does.")
    try:
        return FrameId(whole_number(row.get("scene_id", 0)), whole_number(row["image_id"]))
    except (KeyError, ValueError):
        reason = f"row {index} needs an integer image_id (and scene_id), got {sorted(row)}"
        raise data_error(path, reason, "Add it as BOP does.") from None


def _prompt(row: dict[str, Any], shape: tuple[int, int], name: str) -> Prompt:
    require_stated_size(row, shape, name)
    if row.get("segmentation"):
        return Prompt(decode_segmentation(row["segmentation"], shape, name, row.get("bbox")), "mask")
    if row.get("bbox"):
        return Prompt(fill_box(row["bbox"], shape, name), "box")
    mask = np.zeros(shape, bool)
    try:
        points = [(float(x), float(y)) for x, y in row["points"]]
    except MALFORMED as error:
        reason = f"points are no list of [x, y] in pixels ({error})"
        raise data_error(name, reason, "Correct the row.") from None
    for x, y in points:
        if not (0 <= x < shape[1] and 0 <= y < shape[0]):
            size = f"{shape[1]}x{shape[0]}"
            raise data_error(
                name, f"point [{x:g}, {y:g}] is outside the image of {size} pixels", "Correct it."
            )
        top, left = max(0, int(y) - POINT_PX), max(0, int(x) - POINT_PX)
        mask[top : int(y) + POINT_PX + 1, left : int(x) + POINT_PX + 1] = True
    return Prompt(mask, "point")
