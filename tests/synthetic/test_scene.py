"""Rendered frames agree with their ground truth."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from builtin_scenes import builtin_assets

from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize import rasterize
from selfpose6d.renderer.render import render
from selfpose6d.synthetic.frame import RenderedFrame, TrueInstance
from selfpose6d.synthetic.options import SynthOptions
from selfpose6d.synthetic.scene import render_scene
from selfpose6d.synthetic.scene_assets import SceneAssets
from selfpose6d.synthetic.sensor import DEPTH_UNITS_PER_M


@pytest.fixture(scope="module")
def assets() -> SceneAssets:
    return builtin_assets(tuple(range(1, 9)))


@pytest.fixture(scope="module")
def frames(assets: SceneAssets) -> Sequence[RenderedFrame]:
    return list(render_scene(assets, SynthOptions(seed=3), "train", 0, 3))


def render_depth_m(assets: SceneAssets, instance: TrueInstance, frame: RenderedFrame) -> np.ndarray:
    mesh_index = torch.tensor([assets.object_ids.index(instance.obj_id)])
    T_cam_obj, K = torch.from_numpy(instance.T_cam_obj)[None], torch.from_numpy(frame.K)[None]
    return (
        rasterize(PosedMeshes(assets.packed, mesh_index, T_cam_obj, K, *frame.depth.shape)).depth_m[0].numpy()
    )


def test_depth_at_the_true_pose_is_the_measured_depth(
    assets: SceneAssets, frames: Sequence[RenderedFrame]
) -> None:
    for frame in frames:
        for instance in frame.instances:
            rendered_m = render_depth_m(assets, instance, frame)
            assert (rendered_m[instance.visible] > 0).all()
            known = instance.visible & (frame.depth > 0)
            error_m = frame.depth[known] / DEPTH_UNITS_PER_M - rendered_m[known]
            if known.sum() > 100:
                assert np.abs(np.median(error_m)) < 0.001
                assert error_m.std() < 0.006


def test_visible_masks_are_the_nearest_surfaces(assets: SceneAssets, frames: Sequence[RenderedFrame]) -> None:
    for frame in frames:
        depths = np.stack([render_depth_m(assets, instance, frame) for instance in frame.instances])
        visible = np.stack([instance.visible for instance in frame.instances])
        assert (visible.sum(axis=0) <= 1).all()
        front = np.where(depths > 0, depths, np.inf).argmin(axis=0)
        seen = visible.any(axis=0)
        assert np.array_equal(visible.argmax(axis=0)[seen], front[seen])
        for instance, depth_m in zip(frame.instances, depths, strict=True):
            assert np.array_equal(instance.silhouette.in_image(frame.depth.shape), depth_m > 0)


def test_colour_follows_the_texture(assets: SceneAssets, frames: Sequence[RenderedFrame]) -> None:
    """Unlit artwork at the true pose correlates with the image; at a pose rotated by half it does not."""
    frame = frames[0]
    box = next(instance for instance in frame.instances if instance.obj_id == 1)
    half_rotation = np.diag([-1.0, -1.0, 1.0, 1.0])
    scores = []
    for T in (box.T_cam_obj, box.T_cam_obj @ half_rotation):
        unlit = render(
            PosedMeshes(
                assets.packed,
                torch.tensor([0]),
                torch.from_numpy(T)[None].float(),
                torch.from_numpy(frame.K)[None].float(),
                480,
                640,
            ),
        )
        a, b = unlit.rgb[0].numpy()[box.visible].ravel(), frame.rgb[box.visible].ravel()
        scores.append(np.corrcoef(a, b)[0, 1])
    assert scores[0] > 0.7
    assert scores[0] > scores[1] + 0.2


def test_frames_follow_seed_split_and_scene(assets: SceneAssets, frames: Sequence[RenderedFrame]) -> None:
    again = next(render_scene(assets, SynthOptions(seed=3), "train", 0, 3))
    assert np.array_equal(frames[0].rgb, again.rgb)
    assert np.array_equal(frames[0].depth, again.depth)
    others = [(3, "test", 0), (3, "train", 1), (4, "train", 0)]
    for seed, split, scene_id in others:
        other = next(render_scene(assets, SynthOptions(seed=seed), split, scene_id, 3))
        assert not np.array_equal(frames[0].rgb, other.rgb)


def test_images_are_well_exposed(frames: Sequence[RenderedFrame]) -> None:
    for frame in frames:
        assert 40 < frame.rgb.mean() < 215
        assert (frame.rgb == 255).all(axis=-1).mean() < 0.3
        assert 0.75 < (frame.depth > 0).mean() < 1


def test_every_second_upright_frame_is_occluded() -> None:
    upright = render_scene(builtin_assets((1,)), SynthOptions(preset="single-upright", seed=1), "test", 0, 4)
    ratio = [frame.instances[0].visible.sum() / frame.instances[0].silhouette.mask.sum() for frame in upright]
    assert min(ratio[0], ratio[2]) > 0.9
    assert max(ratio[1], ratio[3]) < 0.95
    assert min(ratio) > 0.45
