"""Two poses compared where they differ: a small label decides, and without colour the shape alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from labeling.conftest import observed, rendered_frame, tilted_pose
from selfpose6d.geometry.se3 import make_transform
from selfpose6d.labeling.candidates import Candidates, render_candidates
from selfpose6d.labeling.compete import Advantages, compare_first
from selfpose6d.labeling.contrast_kernels import correlate_blocks, window_sums
from selfpose6d.labeling.score import ScoreWeights, score
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.primitives.boxes import LABEL_BOX_M, painted_box
from selfpose6d.meshes.primitives.shapes import box_corners
from selfpose6d.objects.object_model import ObjectModel
from selfpose6d.objects.variants import colourless_model
from selfpose6d.renderer.packed import in_lab, pack_meshes

GREY = 150


def with_mesh(model: ObjectModel, mesh: Mesh) -> ObjectModel:
    """The same shape in other colours; nothing here looks at what was studied of it."""
    return replace(model, mesh=mesh, packed=in_lab(pack_meshes([mesh, mesh])))


@pytest.fixture(scope="module")
def labelled(box):
    """A plain grey box with a small striped label in the middle of one broad side."""
    paints: dict = dict.fromkeys(box_corners(LABEL_BOX_M), (GREY, GREY, GREY))
    side = np.full((160, 210, 3), GREY, np.uint8)
    stripes = 40 + 180 * (np.arange(50) // 8 % 2)
    side[60:110, 80:130] = stripes[:, None, None].astype(np.uint8) * np.array([1, 1, 1], np.uint8)
    paints["+x"] = side
    return with_mesh(box, painted_box(LABEL_BOX_M, paints, 0.007, "labelled"))


def facing() -> torch.Tensor:
    """The labelled side (+x) towards the camera, a little turned."""
    import roma

    R = torch.tensor([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    R = (
        roma.rotvec_to_rotmat(torch.tensor([0.25, 0.2, 0.1]))
        @ R
        @ torch.diag(torch.tensor([-1.0, -1.0, 1.0]))
    )
    return make_transform(R, torch.tensor([0.0, 0.0, 0.8]))


def other_way_round(T: torch.Tensor) -> torch.Tensor:
    return T @ torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0]))


def advantages(model: ObjectModel, frame, *poses: torch.Tensor) -> Advantages:
    rendered = render_candidates(Candidates(model, observed(model, frame).fine, torch.stack(poses)))
    return compare_first(rendered, score(rendered, ScoreWeights()).shift)


def test_one_small_label_tells_the_two_ways_round_apart(labelled):
    T = facing()
    frame = rendered_frame(labelled, T)
    right = advantages(labelled, frame, T, other_way_round(T))
    wrong = advantages(labelled, frame, other_way_round(T), T)
    assert right.colour[0] > 0.3
    assert wrong.colour[0] == pytest.approx(-float(right.colour[0]), abs=0.1)
    assert abs(right.shape[0]) < 0.02, "the box is as it was by shape"


def test_a_plain_side_never_speaks_for_the_label_that_it_does_not_show(labelled):
    """Correlation says nothing of content that only the rendering has: no advantage, and none for the wrong pose."""
    T = other_way_round(facing())
    found = advantages(labelled, rendered_frame(labelled, T), T, facing())
    assert found.colour[0] > -0.02


def test_where_the_renderings_are_alike_nothing_is_compared(labelled):
    """Seen from below neither way shows the label."""
    T = facing() @ torch.tensor([[0.0, 0, 1, 0], [0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]])
    T[:3, :3] = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    found = advantages(labelled, rendered_frame(labelled, T), T, other_way_round(T))
    assert abs(found.colour[0]) < 0.02
    assert abs(found.shape[0]) < 0.02


def test_without_colour_the_shape_decides(box):
    model, T = colourless_model(box, None), tilted_pose()
    frame = rendered_frame(box, T)
    aside = T.clone()
    aside[0, 3] += 0.03
    found = advantages(model, frame, T, other_way_round(T), aside)
    assert (found.colour == 0).all()
    assert abs(found.shape[0]) < 0.02
    assert found.shape[1] > 0.1
    swapped = advantages(model, frame, aside, T)
    assert swapped.shape[0] == pytest.approx(-float(found.shape[1]), abs=1e-5)


def test_unknown_depth_speaks_for_nobody(box):
    model, T = colourless_model(box, None), tilted_pose()
    frame = rendered_frame(box, T)
    nearer = T.clone()
    nearer[2, 3] -= 0.05
    known = advantages(model, frame, T, nearer)
    rows, columns = np.nonzero(frame.instances[0].mask)
    depth_m = frame.depth_m.copy()
    keep = np.arange(len(rows)) % 4 == 0
    depth_m[rows[~keep], columns[~keep]] = 0
    sparse = advantages(model, replace(frame, depth_m=depth_m), T, nearer)
    assert known.shape[0] > 0.5
    assert 0.1 * known.shape[0] < sparse.shape[0] < 0.6 * known.shape[0]


def test_sums_of_windows_are_those_of_their_pixels():
    image = np.random.default_rng(0).normal(size=(3, 9, 8)).astype(np.float32)
    sums = window_sums(image, 4)
    assert sums.shape == (4, 6, 5)
    window = image[:, 2:6, 1:5].astype(float)
    np.testing.assert_allclose(sums[:3, 2, 1], window.sum((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(sums[3, 2, 1], (window**2).sum(), rtol=1e-5)


def test_whole_blocks_correlate_as_blocks_that_lack_a_pixel():
    generator = np.random.default_rng(1)
    image = generator.normal(size=(3, 16, 16)).astype(np.float32)
    other = generator.normal(size=(3, 18, 18)).astype(np.float32)
    other[:, 2:, 2:] += 2 * image
    whole = np.ones((16, 16), bool)
    lacking = whole.copy()
    lacking[0, 0] = False
    results = []
    for region, blank in ((whole, image), (lacking, image)):
        correlation, energy, count = np.zeros((3, 1, 1), np.float32)
        arrays = correlation, energy, count
        correlate_blocks(
            blank,
            region,
            other,
            window_sums(other, 16),
            0,
            0,
            1,
            16,
            8,
            np.float32(1),
            np.float32(64),
            *arrays,
        )
        results.append((float(correlation[0, 0]), float(energy[0, 0]), float(count[0, 0])))
    assert [count for _, _, count in results] == [256, 255]
    a, b = image.reshape(-1).astype(float), other[:, 2:, 2:].reshape(-1).astype(float)
    means = [value.reshape(3, -1).mean(1).repeat(256) for value in (a, b)]
    a, b = a - means[0], b - means[1]
    expected = (a * b).sum() / np.sqrt(((a**2).sum() + 256) * ((b**2).sum() + 256))
    assert results[0][0] == pytest.approx(expected, rel=1e-4)
    assert results[1][0] == pytest.approx(expected, abs=0.02)
