"""Sensor models: noise as each claims, depth lost where real sensors lose it."""

from dataclasses import replace

import numpy as np
import pytest

from selfpose6d.synthetic.depth_sensor import DepthSensor, SensorKind, SimpleSensor, TrueSurface, in_shadow
from selfpose6d.synthetic.noise_fields import FrameNoise, make_noise_fields
from selfpose6d.synthetic.sensor import (
    REAL_SENSORS,
    SensorModel,
    depth_units_per_m,
    draw_depth_sensor,
    draw_sensor,
    measure_depth,
    quantise_depth,
    range_factor,
    take_image,
)
from selfpose6d.synthetic.stereo import FOCAL_BASELINE_PX_M, Stereo, draw_stereo
from selfpose6d.synthetic.structured_light import StructuredLight, draw_structured_light
from selfpose6d.synthetic.time_of_flight import GREY_REFLECTANCE, TimeOfFlight, draw_time_of_flight

SHAPE = (120, 160)


@pytest.fixture(scope="module")
def sensor() -> SensorModel:
    return draw_sensor(*SHAPE, np.random.default_rng(0))


def surface(
    depth_m: np.ndarray, incidence: float = 1.0, reflectance: float = GREY_REFLECTANCE
) -> TrueSurface:
    flat = np.full(SHAPE, 1, np.float32)
    return TrueSurface(depth_m.astype(np.float32), incidence * flat, reflectance * flat, 600.0)


def plane(distance_m: float) -> np.ndarray:
    return np.full(SHAPE, distance_m)


def step() -> np.ndarray:
    """A background at 1.2 m with an object at 0.8 m on the middle columns."""
    depth_m = plane(1.2)
    depth_m[:, 60:100] = 0.8
    return depth_m


def measured_m(sensor: SensorModel, depth_m: np.ndarray, incidence: float = 1.0) -> np.ndarray:
    depth = measure_depth(surface(depth_m, incidence), sensor, np.random.default_rng(1))
    return depth / sensor.depth_units_per_m


NO_BIAS_M = np.zeros(SHAPE, np.float32)


def structured_light() -> StructuredLight:
    """A device without its smooth biases, so that what is left is noise; the other kinds alike."""
    return replace(draw_structured_light(*SHAPE, np.random.default_rng(3)), bias_m=NO_BIAS_M)


def stereo() -> Stereo:
    return replace(draw_stereo(*SHAPE, np.random.default_rng(3)), bias_m=NO_BIAS_M)


def time_of_flight() -> TimeOfFlight:
    drawn = draw_time_of_flight(*SHAPE, np.random.default_rng(3))
    return replace(drawn, bias_m=NO_BIAS_M, wiggle_m=0.0, dark_bias_m=0.0)


def measure(drawn: DepthSensor, what: TrueSurface, seed: int = 5) -> np.ndarray:
    noise = FrameNoise(
        make_noise_fields(*SHAPE, np.random.default_rng(seed)), SHAPE, np.random.default_rng(seed)
    )
    return drawn.measure_m(what, noise)


def spread_m(drawn: DepthSensor, distance_m: float, **how: float) -> float:
    depth_m = measure(drawn, surface(plane(distance_m), **how))
    return float(depth_m[depth_m > 0].std())


def test_noise_grows_with_the_square_of_the_distance(sensor: SensorModel) -> None:
    spread = {}
    for distance_m in (0.5, 1.0, 2.0):
        error = measured_m(sensor, plane(distance_m)) - distance_m
        spread[distance_m] = error[error > -0.4].std()
        assert abs(error[error > -0.4].mean()) < 0.002
    assert 0.0008 < spread[1.0] < 0.004
    assert 2.5 < spread[2.0] / spread[1.0] < 4.5


def test_depth_is_quantised_in_disparity(sensor: SensorModel) -> None:
    assert isinstance(sensor.depth, SimpleSensor)
    values = np.unique(measured_m(sensor, plane(1.5)))
    steps = np.diff(values[values > 1])
    assert steps.min() > 0.8 * 1.4**2 / sensor.depth.disparity_m


def test_grazing_surfaces_edges_and_far_surfaces_are_lost(sensor: SensorModel) -> None:
    flat = plane(1.0)
    assert (measured_m(sensor, flat, incidence=0.9) > 0).mean() > 0.99
    assert (measured_m(sensor, flat, incidence=0.02) > 0).mean() < 0.1
    assert not measured_m(sensor, plane(4.5)).any()
    flat[:, 80:] = 0.7
    kept = measured_m(sensor, flat) > 0
    assert kept[:, 79:81].mean() < 0.5
    assert kept[:, [70, 90]].mean() > 0.95


@pytest.mark.parametrize("distance_m", [0.6, 1.2])
def test_structured_light_has_its_papers_noise_and_steps(distance_m: float) -> None:
    drawn = replace(structured_light(), noise_factor=1.0)
    assert spread_m(drawn, distance_m) == pytest.approx(1.4e-3 * distance_m**2, rel=0.25)
    values = np.unique(measure(drawn, surface(plane(distance_m))))
    steps_m = np.diff(values[values > 0])
    assert steps_m.min() == pytest.approx(2.87e-3 * distance_m**2, rel=0.05)


@pytest.mark.parametrize("distance_m", [0.6, 1.2])
def test_stereo_has_its_subpixel_noise_in_blotches(distance_m: float) -> None:
    drawn = replace(stereo(), subpixel_px=0.08, ripple_px=0.0)
    expected_m = 0.08 * distance_m**2 / FOCAL_BASELINE_PX_M
    assert spread_m(drawn, distance_m) == pytest.approx(expected_m, rel=0.2)
    error_m = measure(drawn, surface(plane(distance_m)))
    error_m = error_m[error_m.min(axis=1) > 0] - distance_m
    neighbours = np.corrcoef(error_m[:, :-1].ravel(), error_m[:, 1:].ravel())[0, 1]
    assert neighbours > 0.6, "blotches, not single pixels"


def test_stereo_ripples_between_whole_disparities() -> None:
    drawn = replace(stereo(), subpixel_px=0.0, ripple_px=0.05)
    ramp_px = np.broadcast_to(np.linspace(36, 40, SHAPE[1]), SHAPE)
    # some blotches have no match: the farthest of a column is none of them
    found_px = FOCAL_BASELINE_PX_M / measure(drawn, surface(FOCAL_BASELINE_PX_M / ramp_px)).max(axis=0)
    error_px = (found_px - ramp_px[0])[5:-5]
    expected = -0.05 * np.sin(2 * np.pi * ramp_px[0, 5:-5])
    assert np.corrcoef(error_px, expected)[0, 1] > 0.9


def test_time_of_flight_is_nearly_as_good_far_as_near_and_worse_on_dark() -> None:
    drawn = replace(time_of_flight(), grey_noise_m=0.0015)
    near_m, far_m = spread_m(drawn, 0.6), spread_m(drawn, 1.2)
    assert near_m == pytest.approx(0.0015, rel=0.15)
    assert far_m == pytest.approx(0.0015 * 1.16, rel=0.15)
    assert spread_m(drawn, 0.6, reflectance=0.1) > 1.5 * near_m
    assert not measure(drawn, surface(plane(2.0), reflectance=0.005)).any(), "too little light comes back"


@pytest.mark.parametrize("kind", REAL_SENSORS)
def test_the_smooth_bias_is_some_millimetres_at_a_metre(kind: SensorKind) -> None:
    means_m = []
    for seed in range(12):
        depth_m = measure(draw_depth_sensor(kind, *SHAPE, np.random.default_rng(seed)), surface(plane(1.0)))
        corner = depth_m[:20, :20]
        means_m.append(corner[corner > 0].mean() - 1.0)
    assert 0.0007 < np.std(means_m) < 0.004
    assert np.abs(means_m).max() < 0.012


@pytest.mark.parametrize("kind", REAL_SENSORS)
def test_each_sensor_keeps_plain_surfaces_and_loses_what_is_out_of_range(kind: SensorKind) -> None:
    unbiased = {"structured-light": structured_light, "stereo": stereo, "time-of-flight": time_of_flight}
    drawn = unbiased[kind]()
    assert drawn.kind == kind
    for distance_m in (0.6, 1.2):
        kept = measure(drawn, surface(plane(distance_m))) > 0
        assert kept.mean() > 0.95
        assert np.abs(measure(drawn, surface(plane(distance_m)))[kept] - distance_m).max() < 0.06
    for distance_m in (0.15, 8.0):
        assert not measure(drawn, surface(plane(distance_m))).any()
    again = draw_depth_sensor(kind, *SHAPE, np.random.default_rng(3))
    same = draw_depth_sensor(kind, *SHAPE, np.random.default_rng(3))
    assert np.array_equal(measure(again, surface(step())), measure(same, surface(step())))


def test_the_projectors_shadow_lies_on_one_side_and_is_as_wide_as_the_parallax() -> None:
    for side, band in ((1, slice(None, 60)), (-1, slice(100, None))):
        hidden = in_shadow(step().astype(np.float32), 600.0, 0.075, side)
        width_px = 600 * 0.075 * (1 / 0.8 - 1 / 1.2)
        assert hidden[:, band].sum(axis=1) == pytest.approx(width_px, abs=1.5)
        assert hidden.sum() == hidden[:, band].sum(), "nowhere else"
    drawn = replace(structured_light(), side=1)
    kept = measure(drawn, surface(step())) > 0
    assert kept[:, 44:58].mean() < 0.05
    assert kept[:, 105:120].mean() > 0.95


def test_near_surfaces_bleed_in_stereo() -> None:
    drawn = replace(stereo(), bleed_px=3)
    depth_m = measure(drawn, surface(step()))
    near = (depth_m > 0) & (depth_m < 0.95)
    beyond_px = near[:, 40:60].sum(axis=1) + near[:, 100:120].sum(axis=1)
    assert 1.0 < beyond_px.mean() / 2 < 4.5
    assert near[:, 64:96].mean() > 0.9


def test_pixels_fly_between_near_and_far_in_time_of_flight() -> None:
    depth_m = measure(time_of_flight(), surface(step()))
    flying = (depth_m > 0.85) & (depth_m < 1.15)
    assert flying.any()
    assert np.isin(np.nonzero(flying)[1], [59, 60, 99, 100]).all()


def test_corners_look_farther_in_time_of_flight() -> None:
    drawn = replace(time_of_flight(), grey_noise_m=1e-6, multipath_ratio=0.25)
    wedge = 1.0 - 0.002 * np.abs(np.arange(SHAPE[1]) - 80)
    depth_m = measure(drawn, surface(np.broadcast_to(wedge, SHAPE)))
    error_m = np.median(depth_m - wedge, axis=0)
    assert 0.002 < error_m[80] < 0.008
    assert abs(error_m[30]) < 0.0005


def test_large_scenes_get_sensors_that_reach_them() -> None:
    assert range_factor(1.0) == 1.0
    assert depth_units_per_m(1.0) == 10_000
    assert depth_units_per_m(6.0) == 1_000
    for kind in REAL_SENSORS:
        drawn = draw_depth_sensor(kind, *SHAPE, np.random.default_rng(0), distance_scale=6.0)
        assert (measure(drawn, surface(plane(9.0))) > 0).mean() > 0.9
    large = draw_sensor(*SHAPE, np.random.default_rng(0), distance_scale=6.0)
    assert np.median(measured_m(large, plane(9.0))) == pytest.approx(9.0, rel=0.01)
    assert quantise_depth(np.array([[7.0, 0.0, -0.1, 1.0]]), 10_000).tolist() == [[0, 0, 0, 10_000]]


def test_image_keeps_its_mean_and_gets_noise(sensor: SensorModel) -> None:
    grey = np.full((*SHAPE, 3), 128, np.uint8)
    image = take_image(grey, sensor, np.random.default_rng(2))
    assert image.mean() == pytest.approx(128, abs=0.5)
    assert 0.5 < image.std() < 5
    again = take_image(grey, sensor, np.random.default_rng(2))
    assert np.array_equal(image, again)
