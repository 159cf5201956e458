"""Promptable models as one more source: asked where depth is known, through osam's own interface."""

import builtins
from typing import ClassVar

import numpy as np
import pytest

from selfpose6d.errors import UsageError
from selfpose6d.finding.promptable import GRID, PromptableModel, grid_points
from selfpose6d.types import Frame

osam = pytest.importorskip("osam", reason="the optional extra masks (osam) is not installed")

HEIGHT, WIDTH = 90, 120


class RegionOfPoint(osam.types.Model):
    """Knows the connected region of one colour under a point; needs no weights."""

    name = "region:latest"
    metadata = None
    _blobs: ClassVar = {}

    def encode_image(self, image):
        height, width = image.shape[:2]
        values = image[..., 0].astype(np.float32)[None]
        return osam.types.ImageEmbedding(original_height=height, original_width=width, embedding=values)

    def generate(self, request):
        x, y = request.prompt.points[0].astype(int)
        values = request.image_embedding.embedding[0]
        rows, columns = np.nonzero(values == values[y, x])
        box = osam.types.BoundingBox(
            ymin=int(rows.min()), xmin=int(columns.min()), ymax=int(rows.max()), xmax=int(columns.max())
        )
        mask = (values == values[y, x])[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        annotation = osam.types.Annotation(bounding_box=box, mask=mask)
        return osam.types.GenerateResponse(model=self.name, annotations=[annotation])


@pytest.fixture
def model(monkeypatch) -> PromptableModel:
    monkeypatch.setattr(
        osam.apis, "registered_model_types", [*osam.apis.registered_model_types, RegionOfPoint]
    )
    return PromptableModel("region")


def frame() -> Frame:
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rgb[20:50, 30:60] = 100
    rgb[60:64, 90:94] = 200  # a speck
    K = np.array([[100.0, 0, 60], [0, 100.0, 45], [0, 0, 1]])
    return Frame("test", 0, 0, rgb, np.ones((HEIGHT, WIDTH)), K, ())


def test_what_lies_under_the_points_comes_as_masks_of_the_whole_image(model):
    prompts = model(frame())
    assert prompts
    assert {(prompt.kind, prompt.by) for prompt in prompts} == {("mask", "osam")}
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[20:50, 30:60] = True
    assert all((prompt.mask == expected).all() for prompt in prompts)  # the table and the speck are none


def test_points_are_asked_where_depth_is_known():
    depth = np.ones((HEIGHT, WIDTH))
    assert len(grid_points(depth)) == GRID[0] * GRID[1]
    depth[:, : WIDTH // 2] = 0
    points = grid_points(depth)
    assert len(points) == GRID[0] * GRID[1] // 2
    assert points[:, 0].min() >= WIDTH // 2
    assert len(grid_points(np.zeros((HEIGHT, WIDTH)))) == 0


def test_what_cannot_be_had_is_one_line(monkeypatch):
    with pytest.raises(UsageError, match=r"no such model. Choose among .*efficientsam:10m"):
        PromptableModel("nothing")

    class Unreachable(RegionOfPoint):
        name = "unreachable:latest"

        @classmethod
        def pull(cls, *arguments, **settings):
            raise RuntimeError("no route to host\nat line 3")

    monkeypatch.setattr(osam.apis, "registered_model_types", [Unreachable])
    with pytest.raises(
        UsageError,
        match=r"cannot be loaded, or does .* \(no route to host\)\. Fetch it with osam pull",
    ):
        PromptableModel("unreachable")
    real = builtins.__import__

    def without_osam(name, *arguments, **settings):
        if name == "osam":
            raise ImportError(name)
        return real(name, *arguments, **settings)

    monkeypatch.setattr(builtins, "__import__", without_osam)
    with pytest.raises(UsageError, match="Install the masks extra: pip install 'osam"):
        PromptableModel("region")
