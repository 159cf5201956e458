"""Single frames in memory: varied, true to their poses, each by its own generator."""

import numpy as np
import pytest
import torch
from builtin_scenes import builtin_assets

from selfpose6d.errors import UsageError
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize import rasterize
from selfpose6d.synthetic.frame import RenderedFrame
from selfpose6d.synthetic.image_variation import ImageSettings, draw_image_settings, take_varied_image
from selfpose6d.synthetic.noise_fields import FrameNoise, make_noise_fields
from selfpose6d.synthetic.scene_assets import SceneAssets
from selfpose6d.synthetic.sensor import REAL_SENSORS
from selfpose6d.synthetic.single_frames import CAMERAS, SceneVariation, render_single

COUNT = 24


@pytest.fixture(scope="module")
def assets() -> SceneAssets:
    return builtin_assets(tuple(range(1, 9)))


@pytest.fixture(scope="module")
def frames(assets: SceneAssets) -> list[RenderedFrame]:
    return [single(assets, index) for index in range(COUNT)]


def single(assets: SceneAssets, index: int, variation: SceneVariation | None = None) -> RenderedFrame:
    return render_single(assets, variation or SceneVariation(), np.random.default_rng([9, index]))


def test_frames_follow_their_generator_whatever_came_before(
    assets: SceneAssets, frames: list[RenderedFrame]
) -> None:
    for index in (7, 2):
        again = single(assets, index)
        assert np.array_equal(again.rgb, frames[index].rgb)
        assert np.array_equal(again.depth, frames[index].depth)
        for one, other in zip(again.instances, frames[index].instances, strict=True):
            assert np.array_equal(one.mask, other.mask)
    assert not np.array_equal(frames[2].rgb, frames[7].rgb)


def test_frames_vary_as_they_say(frames: list[RenderedFrame]) -> None:
    assert {frame.sensor for frame in frames} == set(REAL_SENSORS)
    assert {(frame.K[0, 0], *frame.depth.shape) for frame in frames} == {
        (camera.K[0, 0], camera.height, camera.width) for camera in CAMERAS
    }
    instances = [instance for frame in frames for instance in frame.instances]
    assert {instance.mask_kind for instance in instances} == {
        "exact", "eroded", "dilated", "shifted", "foreign", "box",
    }  # fmt: skip
    visible = np.array([instance.visible_fraction for instance in instances])
    assert (visible < 0.7).mean() > 0.15, "occlusion is common"
    assert (visible > 0.9).mean() > 0.3
    assert all(len(frame.instances) <= 4 for frame in frames)
    assert np.mean([len(frame.instances) for frame in frames]) > 1.5
    brightness = [frame.rgb.mean() for frame in frames]
    assert np.ptp(brightness) > 80
    heights = [np.degrees(np.arcsin(-frame.T_cam_world[2, 2])) for frame in frames]
    assert min(heights) < 25
    assert max(heights) > 60


def test_measured_depth_is_the_true_poses_depth(assets: SceneAssets, frames: list[RenderedFrame]) -> None:
    errors_m = []
    for frame in frames:
        for instance in frame.instances:
            index = torch.tensor([assets.object_ids.index(instance.obj_id)])
            T, K = torch.from_numpy(instance.T_cam_obj)[None], torch.from_numpy(frame.K)[None]
            rendered_m = (
                rasterize(PosedMeshes(assets.packed, index, T, K, *frame.depth.shape)).depth_m[0].numpy()
            )
            assert (rendered_m[instance.visible] > 0).all()
            known = instance.visible & (frame.depth > 0)
            if known.sum() > 200:
                errors_m.append(abs(np.median(frame.depth_m[known] - rendered_m[known])))
    assert len(errors_m) > COUNT // 2
    assert np.median(errors_m) < 0.003
    assert max(errors_m) < 0.015


def test_variation_can_be_narrowed(assets: SceneAssets) -> None:
    variation = SceneVariation(sensors=("stereo",), masks=(), cameras=CAMERAS[:1])
    for index in range(3):
        frame = single(assets, index, variation)
        assert frame.sensor == "stereo"
        assert np.array_equal(frame.K, CAMERAS[0].K)
        for instance in frame.instances:
            assert instance.mask_kind is None
            assert np.array_equal(instance.mask, instance.visible)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sensors": ("simple",)}, "sensors must be some of structured-light"),
        ({"sensors": ()}, "sensors must be some of structured-light"),
        ({"cameras": ()}, "cameras must hold at least one"),
        ({"max_shift_px": -1.0}, "max_shift_px must be 0 or more, got -1"),
    ],
)
def test_wrong_variation_is_one_line(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        SceneVariation(**wrong)  # pyright: ignore[reportArgumentType]
    assert "\n" not in str(caught.value)


def test_colours_are_shifted_blurred_and_compressed() -> None:
    noise = FrameNoise(
        make_noise_fields(60, 80, np.random.default_rng(0)), (60, 80), np.random.default_rng(0)
    )
    edge = np.zeros((60, 80, 3), np.uint8)
    edge[:, 40:] = 200

    def take(**change: object) -> np.ndarray:
        usual = {"gain_rgb": np.ones(3), "blur_px": 0.4, "noise_levels": 0.0, "jpeg_quality": None}
        settings = ImageSettings(**{**usual, "shift_px": np.zeros(2), **change})  # pyright: ignore
        return take_varied_image(edge, settings, noise).astype(int)

    plain = take()
    assert plain[30, 38, 0] == 0
    assert plain[30, 41, 0] == 200
    moved = take(shift_px=np.array([3.0, 0.0]))
    assert np.array_equal(moved[:, 3:], plain[:, :-3])
    assert 10 < take(blur_px=2.0)[30, 38, 0] < 90
    noisy = take(noise_levels=6.0)[:, 50:] - plain[:, 50:]
    assert 5 < noisy.std() < 7
    assert abs(np.corrcoef(noisy[..., 0].ravel(), noisy[..., 1].ravel())[0, 1]) < 0.1, "per channel"
    assert 0 < np.abs(take(jpeg_quality=30) - plain).max() < 60


def test_image_settings_keep_their_limits() -> None:
    drawn = [draw_image_settings(np.random.default_rng(seed)) for seed in range(300)]
    shifts_px = np.array([np.linalg.norm(settings.shift_px) for settings in drawn])
    assert shifts_px.max() <= 4
    assert 0.5 < np.median(shifts_px) < 2
    balance = np.array([settings.gain_rgb[[0, 2]] / settings.gain_rgb[1] for settings in drawn])
    assert np.abs(balance - 1).max() <= 0.15 + 1e-9
    assert 0.3 < np.mean([settings.jpeg_quality is None for settings in drawn]) < 0.7
    exposure = np.array([settings.gain_rgb[1] for settings in drawn])
    assert exposure.min() < 0.5
    assert exposure.max() > 1.6
