import json
from pathlib import Path

import numpy as np
import pytest

from finding.conftest import SHAPE, standing_pose, table_frame
from selfpose6d.datasets.coco_masks import encode_mask
from selfpose6d.errors import DataError
from selfpose6d.finding.finder import Finder
from selfpose6d.finding.prompts import Prompts, prompted_pieces
from selfpose6d.finding.scene import Scene
from selfpose6d.selection import FrameId


def written(tmp_path: Path, *rows: dict) -> Path:
    path = tmp_path / "prompts.json"
    path.write_text(json.dumps(rows))
    return path


@pytest.fixture(scope="module")
def shown(models):
    frame, masks = table_frame(models, {1: standing_pose(models[1], -0.1), 3: standing_pose(models[3], 0.12)})
    return Scene.of(frame, 0.27), masks


def rows_of(mask: np.ndarray) -> dict[str, dict]:
    ys, xs = np.nonzero(mask)
    encoded = encode_mask(mask)
    box = [int(xs.min()) - 6, int(ys.min()) - 6, int(np.ptp(xs)) + 12, int(np.ptp(ys)) + 12]
    return {
        "prompted mask": {"segmentation": {"size": list(SHAPE), "counts": encoded["counts"]}},
        "prompted box": {"bbox": box},
        "prompted point": {"points": [[float(np.median(xs)), float(np.median(ys))]]},
    }


@pytest.mark.parametrize("source", ["prompted mask", "prompted box", "prompted point"])
def test_a_mask_a_box_and_a_point_name_the_object_they_are_on(source, shown, tmp_path):
    scene, masks = shown
    path = written(tmp_path, {"scene_id": 2, "image_id": 5} | rows_of(masks[1])[source])
    prompts = Prompts(path).of(FrameId(2, 5), SHAPE)
    assert Prompts(path).of(FrameId(2, 6), SHAPE) == []
    own = scene.surface.from_image(masks[1])
    pieces = prompted_pieces(prompts, scene, np.zeros_like(own))
    assert {one.source for one in pieces} == {source}
    assert max((one.mask & own).sum() / (one.mask | own).sum() for one in pieces) > 0.8
    assert prompted_pieces(prompts, scene, np.ones_like(own)) == []


def test_what_only_a_prompt_shows_is_found(models, tmp_path, monkeypatch):
    from selfpose6d.finding import finder as module

    frame, masks = table_frame(models, {1: standing_pose(models[1], 0.0)})
    path = written(tmp_path, {"image_id": 0} | rows_of(masks[1])["prompted mask"])
    monkeypatch.setattr(module, "cut_surface", lambda *_: [])
    assert module.Finder(models)(frame, {1: 1}).found == []
    found = Finder(models)(frame, {1: 1}, Prompts(path).of(FrameId(0, 0), SHAPE)).found
    assert [one.certified for one in found] == [True]
    assert found[0].proposal.source == "prompted mask"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"bbox": [1, 2, 3, 4]}, "image_id"),
        ({"image_id": "x", "bbox": [1, 2, 3, 4]}, "image_id"),
        ({"image_id": 0}, "neither segmentation, bbox nor points"),
    ],
)
def test_a_row_that_says_nothing_is_refused(row, words, tmp_path):
    with pytest.raises(DataError, match=words):
        Prompts(written(tmp_path, row))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"image_id": 0, "points": [[700, 3]]}, "outside the image"),
        ({"image_id": 0, "points": [7]}, "no list of"),
        ({"image_id": 0, "bbox": [9, 9, 0, 0]}, "no box"),
        ({"image_id": 0, "segmentation": {"size": [4, 4], "counts": "zz"}}, "row 0: 4x4 pixels"),
    ],
)
def test_a_prompt_that_fits_no_image_is_said_of_its_row(row, words, tmp_path):
    prompts = Prompts(written(tmp_path, row))
    with pytest.raises(DataError, match=words):
        prompts.of(FrameId(0, 0), SHAPE)
