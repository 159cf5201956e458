"""Which images of a data set prompts mean: those that detections mean."""

import json
from pathlib import Path

import numpy as np
import pytest
from small_roots import write_bop

from selfpose6d.datasets.detection_ids import DetectionIds
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import DataError
from selfpose6d.finding.prompts import Prompts
from selfpose6d.selection import FrameId

SHAPE = (480, 640)


def prompts(folder: Path, row: dict, *scenes: int, encoding: str = "utf-8") -> Prompts:
    """Of a BOP root with these scenes, each of images 1 and 2."""
    path = folder / "prompts.json"
    path.write_text(json.dumps([row]), encoding=encoding)
    root = write_bop(folder / "bop", dict.fromkeys(scenes, 2))
    return Prompts(path, DetectionIds(DataOptions(root).open()))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32-le"])
@pytest.mark.parametrize(
    "image", [{"image_id": 1}, {"image_id": "000001.png"}, {"scene_id": "48", "image_id": 1.0}]
)
def test_the_only_scene_is_meant(tmp_path: Path, image: dict, encoding: str) -> None:
    found = prompts(tmp_path, image | {"bbox": [1, 2, 30, 40]}, 48, encoding=encoding).of(
        FrameId(48, 1), SHAPE
    )
    assert [int(np.count_nonzero(one.mask)) for one in found] == [31 * 41]


@pytest.mark.parametrize(
    ("row", "scenes", "words"),
    [
        ({"image_id": 1}, (1, 48), "row 0 needs image_id and scene_id"),
        ({"scene_id": 48}, (48,), "row 0 needs an image_id"),
        ({"image_id": 7}, (48,), "are of images that are not in split test: 7"),
        ({"scene_id": 0, "image_id": 1}, (48,), "no row is of this data set"),
    ],
)
def test_an_image_that_is_not_there_is_said(
    tmp_path: Path, row: dict, scenes: tuple[int, ...], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        prompts(tmp_path, row | {"bbox": [1, 2, 30, 40]}, *scenes)


def test_pixels_of_another_size_are_refused(tmp_path: Path) -> None:
    row = {"image_id": 1, "bbox": [1, 2, 30, 40], "width": 1280, "height": 960}
    with pytest.raises(DataError, match="row 0: 1280x960 pixels, but the colour image is 640x480"):
        prompts(tmp_path, row, 48).of(FrameId(48, 1), SHAPE)
