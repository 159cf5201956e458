"""Large and small objects: scenes follow their size, and show them."""

from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest

from selfpose6d.errors import UsageError
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.primitives.catalogue import CATALOGUE
from selfpose6d.synthetic.frame import RenderedFrame
from selfpose6d.synthetic.layout import arrange_tabletop
from selfpose6d.synthetic.mesh_variation import scaled
from selfpose6d.synthetic.options import SynthOptions
from selfpose6d.synthetic.scene import render_scene
from selfpose6d.synthetic.scene_assets import SceneAssets, make_scene_assets
from selfpose6d.synthetic.scene_scale import MAX_SIZE_RATIO, ORDINARY, scene_scale
from selfpose6d.synthetic.single_frames import SceneVariation, render_single


def builtin_meshes(factor: float) -> Mapping[int, Mesh]:
    return {obj_id: scaled(builtin.mesh(), factor) for obj_id, builtin in CATALOGUE.items()}


@cache
def scaled_assets(factor: float) -> SceneAssets:
    return make_scene_assets(builtin_meshes(factor), seed=0)


def in_view(frame: RenderedFrame) -> list[bool]:
    height, width = frame.depth.shape
    return [
        min(o.left_px, o.top_px) >= 0
        and o.left_px + o.mask.shape[1] <= width
        and o.top_px + o.mask.shape[0] <= height
        for o in (instance.silhouette for instance in frame.instances)
    ]


def test_household_objects_have_scale_one_and_others_their_own() -> None:
    assert scene_scale([0.09, 0.12, 0.27]) == ORDINARY
    assert scene_scale([1.0, 1.2, 1.4]).size == pytest.approx(6.0)
    small = scene_scale([0.03])
    assert small.size == pytest.approx(0.15)
    # the nearest camera of an orbit, less the reach of the layout and half an object
    assert 0.61 * small.distance - 0.3 * small.size - 0.015 > 0.28
    assert small.distance < 0.6


@pytest.mark.parametrize("factor", [0.2, 4.0, 7.0])
def test_scaled_objects_are_in_view_and_measured(factor: float) -> None:
    frames = [
        frame
        for scene_id in range(3)
        for frame in render_scene(scaled_assets(factor), SynthOptions(seed=5), "test", scene_id, 3)
    ]
    assert np.mean([whole for frame in frames for whole in in_view(frame)]) >= 0.9
    assert min(len(frame.instances) for frame in frames) >= 3
    known = [(frame.depth[instance.visible] > 0).mean() for frame in frames for instance in frame.instances]
    assert np.median(known) > 0.8
    for frame in frames:
        assert np.median(frame.depth_m[frame.depth > 0]) == pytest.approx(
            np.median([instance.T_cam_obj[2, 3] for instance in frame.instances]), rel=0.8
        )
        nearest_m = min(instance.T_cam_obj[2, 3] for instance in frame.instances)
        assert nearest_m > 0.27


@pytest.mark.parametrize("factor", [0.2, 1.0, 5.0])
def test_single_frames_show_objects_of_any_size(factor: float) -> None:
    frames = [
        render_single(scaled_assets(factor), SceneVariation(), np.random.default_rng([2, i]))
        for i in range(12)
    ]
    whole = [view for frame in frames for view in in_view(frame)]
    assert np.mean(whole) >= 0.8
    pixels = [instance.visible.sum() for frame in frames for instance in frame.instances]
    assert np.median(pixels) > 600


def test_scenes_of_mixed_sizes_hold_objects_of_similar_size() -> None:
    meshes = dict(builtin_meshes(0.2))
    meshes |= {100 + obj_id: mesh for obj_id, mesh in builtin_meshes(5.0).items()}
    assets = make_scene_assets(meshes, seed=0)
    sizes = []
    for seed in range(12):
        arrangement = arrange_tabletop(assets, np.random.default_rng(seed))
        labelled = arrangement.placed[: arrangement.labelled]
        diameters_m = [assets.diameters_m[item.mesh_index] for item in labelled]
        assert max(diameters_m) <= MAX_SIZE_RATIO * min(diameters_m)
        assert len(labelled) >= 2
        sizes.append(arrangement.scale.size)
    assert min(sizes) < 0.3, "some scenes of the small ones"
    assert max(sizes) > 2.5, "some of the large ones"


def test_bad_scales_and_no_meshes_are_one_line() -> None:
    with pytest.raises(UsageError, match=r"scale factor must be above 0, got -1\.0\. Pass"):
        scaled(CATALOGUE[1].mesh(), -1.0)
    with pytest.raises(UsageError, match="at least one mesh, got none"):
        make_scene_assets({}, seed=0)
