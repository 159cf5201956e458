"""Covariances of poses: valid, larger where less is known, as wide as the alternatives lie apart, near the truth."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from small_roots import cube

from selfpose6d import Certificate
from selfpose6d.types import Alternative

CERTIFICATE = Certificate("certified", "", 0.98, 0.2, 0.001, 0.9, 0.01, 0.9, inlier_ratio=0.95, noise_m=0.001)
K = np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]])


def pose(distance_m: float = 0.8, seed: int | None = 0) -> np.ndarray:
    T = np.eye(4)
    if seed is not None:
        T[:3, :3] = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    T[:3, 3] = 0.1, -0.05, distance_m
    return T


def covariance(T: np.ndarray | None = None, area_px: int = 5000, **changes) -> np.ndarray:
    from selfpose6d_ros.covariance import View, pose_covariance

    T = pose() if T is None else T
    return pose_covariance(cube(), T, replace(CERTIFICATE, **changes), View(K, area_px))


@given(
    st.integers(0, 2**31),
    st.floats(0.3, 5),
    st.floats(0.0001, 0.05),
    st.floats(0.01, 1),
    st.integers(50, 200_000),
)
@settings(max_examples=40)
def test_it_is_symmetric_and_positive(seed, distance_m, noise_m, coverage, area_px):
    found = covariance(pose(distance_m, seed), area_px, noise_m=noise_m, coverage=coverage)
    assert np.array_equal(found, found.T)
    assert np.linalg.eigvalsh(found).min() > 0


@pytest.mark.parametrize(
    "less",
    [{"noise_m": 0.004}, {"rms_m": 0.004}, {"coverage": 0.2}, {"inlier_ratio": 0.3}, {"area_px": 100}],
    ids=lambda less: next(iter(less)),
)
def test_it_grows_with_noise_and_with_what_is_not_seen(less):
    assert np.linalg.eigvalsh(covariance(**less) - covariance()).min() > -1e-12
    assert np.trace(covariance(**less)) > 1.2 * np.trace(covariance())


def test_a_face_seen_front_on_is_surer_in_depth_than_sideways_and_less_sure_about_the_line_of_sight():
    T = pose(seed=None)
    T[:3, 3] = 0, 0, 0.8
    found = covariance(T, coverage=1.0)
    shift, rotation = np.sqrt(np.diag(found)[:3]), np.sqrt(np.diag(found)[3:])
    depth_alone = np.sqrt(shift[2] ** 2 - (0.002 * 0.8) ** 2)  # without the scale error
    assert depth_alone < shift[0]
    assert shift[0] == pytest.approx(shift[1])
    assert rotation[0] == pytest.approx(rotation[1])
    assert rotation[2] > 1.5 * rotation[0]


def test_what_was_not_measured_is_taken_for_a_usual_camera():
    nothing = np.nan
    found = covariance(noise_m=nothing, rms_m=nothing, coverage=nothing, inlier_ratio=nothing)
    assert np.isfinite(found).all()
    assert np.linalg.eigvalsh(found).min() > 0


def test_alternatives_make_it_as_wide_as_they_lie_apart():
    T = pose()
    turned = T @ np.block([[np.diag([-1.0, -1, 1]), np.zeros((3, 1))], [np.zeros((1, 3)), 1]])
    shifted = T.copy()
    shifted[0, 3] += 0.1
    found = covariance(
        T, alternatives=(Alternative(T, 0.5), Alternative(turned, 0.3), Alternative(shifted, 0.2))
    )
    more = found - covariance(T)
    assert T[:3, 2] @ more[3:, 3:] @ T[:3, 2] == pytest.approx(0.3 * np.pi**2)
    assert more[0, 0] == pytest.approx(0.2 * 0.1**2)
    assert np.linalg.eigvalsh(found).min() > 0


def test_points_fitted_again_under_noise_scatter_as_it_says(monkeypatch):
    """By depth alone, of which a corner holds all shifts and rotations, with noise that is independent."""
    from selfpose6d_ros import covariance as module
    from selfpose6d_ros.covariance import CORRELATED_PX, View, single_covariance, visible_surface

    monkeypatch.setattr(module, "MAX_DEPTHS", np.inf)
    T = pose(seed=None)
    T[:3, :3] = Rotation.from_euler("xyz", [0.9, 0.6, 0.2]).as_matrix()
    noise_m, area_px = 0.003, 4000
    points_m, normals, weights = visible_surface(cube(), T)
    count = area_px // CORRELATED_PX**2
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        chosen = rng.choice(len(points_m), count, p=weights / weights.sum())
        J = np.concatenate([normals[chosen], np.cross(points_m[chosen] - T[:3, 3], normals[chosen])], axis=1)
        found.append(np.linalg.lstsq(J, noise_m * rng.normal(size=count), rcond=None)[0])
    measured = np.cov(np.array(found).T)
    certificate = replace(CERTIFICATE, noise_m=noise_m, coverage=1.0, inlier_ratio=1.0)
    # a camera of tiny focal length has an outline that says nothing
    blurred = np.diag([1.0, 1, 1])
    expected = single_covariance(cube(), T, certificate, View(blurred, area_px))
    distance_m = np.linalg.norm(T[:3, 3])
    sight = T[:3, 3] / distance_m
    expected[:3, :3] -= (0.002 * distance_m) ** 2 * np.outer(sight, sight)
    assert np.sqrt(np.diag(measured) / np.diag(expected)) == pytest.approx(np.ones(6), abs=0.25)
