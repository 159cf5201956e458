"""Iterative Annotation Resolver: what it recovers, when it stops, and that its back ends agree."""

import inspect

import numpy as np
import pytest
import torch
from half_seen_box import BOX, box_grid, nudged, random_poses, visible_clouds_m
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from selfpose6d.errors import UsageError
from selfpose6d.geometry.nearest import NearestGrid, build_nearest_grid, stack_nearest_grids
from selfpose6d.geometry.se3 import transform_points
from selfpose6d.metrics.pose_errors import adds
from selfpose6d.resolver import icp
from selfpose6d.resolver.icp import ResolverOptions, resolve
from selfpose6d.types import ResolverResult

BACKENDS = ("torch", "numba")
DIRECTIONS = ("observed-to-model", "model-to-observed")
FORMS = [("torch", "observed-to-model"), ("torch", "model-to-observed"), ("numba", "observed-to-model")]
"""What there is: a search from the model has no kernel."""
IDENTITY = torch.eye(4)[None]
ONE = torch.zeros(1, dtype=torch.int64)


@pytest.fixture(scope="module")
def grid() -> NearestGrid:
    """2,000 samples of the box, cells of 3 mm."""
    return box_grid(2000, 128)


@pytest.fixture(scope="module")
def coarse_grid() -> NearestGrid:
    return box_grid(500, 32)


@pytest.fixture(scope="module")
def truth() -> torch.Tensor:
    return random_poses(16, seed=1)


@pytest.fixture(scope="module")
def clouds_m(truth: torch.Tensor) -> torch.Tensor:
    return visible_clouds_m(truth, 300, seed=2)


def two_points_grid() -> NearestGrid:
    points_m = np.array([[0, 0, 0], [1, 0, 0]], np.float32)
    return build_nearest_grid(points_m, points_m, cells=16)


def resolve_all(
    starts: torch.Tensor, clouds_m: torch.Tensor, grid: NearestGrid, options: ResolverOptions, backend="auto"
) -> ResolverResult:
    """Pose p against cloud p, one model."""
    poses = torch.arange(len(starts))
    return resolve(starts, clouds_m, poses, grid, torch.zeros_like(poses), options, backend)


def adds_m(T: torch.Tensor, truth: torch.Tensor) -> np.ndarray:
    return adds(T.double().numpy(), truth.double().numpy(), BOX.vertices_m.astype(np.float64))


def exact_icp(T: torch.Tensor, cloud_m: torch.Tensor, samples_m: np.ndarray, iterations: int) -> np.ndarray:
    """The oracle: KD-tree search, SciPy's fit, one pose at a time in float64."""
    tree, pose, observed = KDTree(samples_m), T.double().numpy().copy(), cloud_m.double().numpy()
    for _ in range(iterations):
        _, nearest = tree.query((observed - pose[:3, 3]) @ pose[:3, :3])
        source = samples_m[nearest].astype(np.float64)
        rotation, _ = Rotation.align_vectors(observed - observed.mean(0), source - source.mean(0))
        pose[:3, :3] = rotation.as_matrix()
        pose[:3, 3] = observed.mean(0) - pose[:3, :3] @ source.mean(0)
    return pose


def exact_rms_m(T: np.ndarray, cloud_m: torch.Tensor, samples_m: np.ndarray) -> float:
    distance_m, _ = KDTree(samples_m).query((cloud_m.double().numpy() - T[:3, 3]) @ T[:3, :3])
    return float(np.sqrt(np.square(distance_m).mean()))


@pytest.mark.parametrize("backend", BACKENDS)
def test_residuals_computed_by_hand(backend):
    """Distances of 3 and 4 mm: rms sqrt(12.5) mm, one of two below 3.5 mm; no iteration, so the start stays."""
    cloud_m = torch.tensor([[[0, 0, 0.003], [1, 0, 0.004]]])
    options = ResolverOptions(iterations=0, inlier_m=0.0035)
    result = resolve_all(IDENTITY, cloud_m, two_points_grid(), options, backend)
    assert result.rms_m.tolist() == pytest.approx([np.sqrt(12.5) * 1e-3])
    assert result.inlier_ratio.tolist() == [0.5]
    assert result.iterations.tolist() == [0]
    assert result.converged.tolist() == [False]
    assert torch.equal(result.T_cam_obj, IDENTITY)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_shift_is_undone_in_one_step(backend):
    """Pairs are right from the start, so one fit finds the pose and the next moves nothing."""
    generator = torch.Generator().manual_seed(0)
    samples_m = torch.rand(30, 3, generator=generator)
    grid = build_nearest_grid(samples_m.numpy(), samples_m.numpy(), cells=64)
    start = IDENTITY.clone()
    start[0, :3, 3] = torch.tensor([0.004, -0.003, 0.002])
    result = resolve_all(start, samples_m[None], grid, ResolverOptions(), backend)
    torch.testing.assert_close(result.T_cam_obj, IDENTITY, atol=1e-5, rtol=0)
    assert result.iterations.tolist() == [2]
    assert result.converged.all()
    assert result.inlier_ratio.tolist() == [1]


@pytest.mark.parametrize("backend", BACKENDS)
def test_small_errors_are_removed(backend, grid, truth, clouds_m):
    start = nudged(truth, 5, 0.005, seed=3)
    result = resolve_all(start, clouds_m, grid, ResolverOptions(iterations=30), backend)
    assert np.median(adds_m(start, truth)) > 0.004
    assert np.median(adds_m(result.T_cam_obj, truth)) < 0.002
    assert result.rms_m.max() < 0.006
    R = result.T_cam_obj[:, :3, :3]
    torch.testing.assert_close(R @ R.mT, torch.eye(3).expand_as(R), atol=1e-5, rtol=0)
    assert (torch.det(R) > 0).all()


def test_observed_to_model_keeps_the_hidden_back_where_it_is(grid, truth, clouds_m):
    """The paper's other direction moves the back of the box onto its visible front."""
    start = nudged(truth, 5, 0.005, seed=4)
    error_m = {
        direction: adds_m(
            resolve_all(start, clouds_m, grid, ResolverOptions(direction=direction)).T_cam_obj, truth
        ).mean()
        for direction in DIRECTIONS
    }
    assert error_m["observed-to-model"] < 0.002
    assert error_m["model-to-observed"] > 0.010


def test_model_to_observed_finds_a_whole_cloud(grid, truth):
    """With points all around, both directions are right."""
    all_around_m = transform_points(truth[:2], grid.points_m.expand(2, -1, -1))
    options = ResolverOptions(iterations=30, direction="model-to-observed")
    result = resolve_all(nudged(truth[:2], 5, 0.005, seed=5), all_around_m, grid, options)
    assert adds_m(result.T_cam_obj, truth[:2]).max() < 1e-3


def test_model_to_observed_pairs_each_sample_with_its_nearest_point():
    """Samples at 0 and 1, points at 0.1 and 0.6 and 9: the fit moves the samples' mean 0.5 to 0.35."""
    cloud_m = torch.tensor([[[0.1, 0, 0], [0.6, 0, 0], [9.0, 0, 0]]])
    options = ResolverOptions(iterations=1, direction="model-to-observed")
    result = resolve_all(IDENTITY, cloud_m, two_points_grid(), options)
    moved = transform_points(result.T_cam_obj, torch.tensor([[[0.5, 0, 0]]]))
    torch.testing.assert_close(moved, torch.tensor([[[0.35, 0, 0]]]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("robust_scale_m", [None, 0.01])
@pytest.mark.parametrize("iterations", [1, 20])
def test_back_ends_agree_in_double_precision(robust_scale_m, iterations, grid, truth, clouds_m):
    starts = nudged(truth, 40, 0.03, seed=6).double()
    double = grid._replace(points_m=grid.points_m.double())
    options = ResolverOptions(iterations, robust_scale_m=robust_scale_m)
    one, other = (resolve_all(starts, clouds_m.double(), double, options, backend) for backend in BACKENDS)
    torch.testing.assert_close(one.T_cam_obj, other.T_cam_obj, atol=1e-6, rtol=0)
    torch.testing.assert_close(one.rms_m, other.rms_m, atol=1e-7, rtol=0)
    torch.testing.assert_close(one.inlier_ratio, other.inlier_ratio)
    assert torch.equal(one.iterations, other.iterations)
    assert torch.equal(one.converged, other.converged)


def test_the_final_residual_equals_exact_search_within_6_percent(grid, truth, clouds_m):
    """From starts anywhere; both residuals are measured with exact search."""
    starts = truth.clone()
    starts[:, :3, :3] = random_poses(len(truth), seed=7)[:, :3, :3]
    result = resolve_all(starts, clouds_m, grid, ResolverOptions(tolerance_m=0.0))
    samples_m = grid.points_m[0].numpy()
    cases = list(zip(starts, clouds_m, result.T_cam_obj.double().numpy(), strict=True))
    ours_m = np.array([exact_rms_m(T, cloud, samples_m) for _, cloud, T in cases])
    exact_m = np.array(
        [exact_rms_m(exact_icp(T, cloud, samples_m, 20), cloud, samples_m) for T, cloud, _ in cases]
    )
    assert np.median(ours_m) == pytest.approx(np.median(exact_m), rel=0.06)
    assert np.median(result.rms_m.numpy()) == pytest.approx(np.median(exact_m), rel=0.06)


@pytest.mark.parametrize("backend", BACKENDS)
def test_converged_poses_stop_while_others_go_on(backend, grid, truth, clouds_m):
    finished = resolve_all(truth, clouds_m, grid, ResolverOptions(iterations=100), backend)
    assert finished.converged.all()
    starts = finished.T_cam_obj.clone()
    starts[1::2] = nudged(truth, 8, 0.01, seed=8)[1::2]
    again = resolve_all(starts, clouds_m, grid, ResolverOptions(iterations=100), backend)
    assert (again.iterations[::2] <= 3).all()
    assert (again.iterations[1::2] > 3).all()
    assert (again.iterations < 100).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_without_tolerance_every_iteration_is_spent(backend, coarse_grid, truth, clouds_m):
    result = resolve_all(truth, clouds_m, coarse_grid, ResolverOptions(7, tolerance_m=0.0), backend)
    assert result.iterations.tolist() == [7] * len(truth)
    assert not result.converged.any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_robust_weights_ignore_clutter(backend, grid, truth, clouds_m):
    """A fifth of the points belongs to something 4 cm away."""
    spoilt_m = clouds_m.clone()
    spoilt_m[:, :60] += 0.04 * torch.nn.functional.normalize(torch.ones(3), dim=0)
    start = nudged(truth, 3, 0.003, seed=9)
    plain, robust = (
        resolve_all(start, spoilt_m, grid, ResolverOptions(30, robust_scale_m=scale_m), backend)
        for scale_m in (None, 0.005)
    )
    plain_m, robust_m = adds_m(plain.T_cam_obj, truth).mean(), adds_m(robust.T_cam_obj, truth).mean()
    assert robust_m < 0.5 * plain_m
    assert robust_m < 0.003


def test_the_weight_at_the_robust_scale_is_a_quarter():
    """Two pairs, at 0 and at the scale: the fit moves by the weighted mean, 0.25 / 1.25 of the scale."""
    cloud_m = torch.tensor([[[0, 0, 0], [1.0, 0, 0.01]]])
    options = ResolverOptions(1, robust_scale_m=0.01)
    for backend in BACKENDS:
        result = resolve_all(IDENTITY, cloud_m, two_points_grid(), options, backend)
        centre = transform_points(result.T_cam_obj, torch.tensor([[[0.2, 0, 0]]]))
        torch.testing.assert_close(centre[0, 0, 2].item(), 0.002, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("backend", "direction"), FORMS)
def test_mixed_models_and_clouds_equal_single_calls(backend, direction, coarse_grid, truth, clouds_m):
    doubled = coarse_grid._replace(points_m=2 * coarse_grid.points_m, origin_m=2 * coarse_grid.origin_m,
                      cell_m=2 * coarse_grid.cell_m)  # fmt: skip
    both = stack_nearest_grids([coarse_grid, doubled])
    cloud, model = torch.tensor([2, 0, 2, 1, 0]), torch.tensor([0, 1, 1, 0, 0])
    starts, options = nudged(truth[cloud], 5, 0.005, seed=10), ResolverOptions(4, direction=direction)
    batched = resolve(starts, clouds_m, cloud, both, model, options, backend)
    for p, (c, m) in enumerate(zip(cloud.tolist(), model.tolist(), strict=True)):
        single = (coarse_grid, doubled)[m]
        alone = resolve(starts[p : p + 1], clouds_m[c : c + 1], ONE, single, ONE, options, backend)
        for name, value in vars(alone).items():
            torch.testing.assert_close(getattr(batched, name)[p : p + 1], value, atol=1e-5, rtol=1e-4)


def test_distances_in_parts_equal_all_at_once(monkeypatch, coarse_grid, truth, clouds_m):
    options = ResolverOptions(3, direction="model-to-observed")
    whole = resolve_all(truth, clouds_m, coarse_grid, options)
    monkeypatch.setattr(icp, "MAX_DISTANCES", 2 * 500 * 300 + 1)
    parts = resolve_all(truth, clouds_m, coarse_grid, options)
    torch.testing.assert_close(whole.T_cam_obj, parts.T_cam_obj)


@settings(max_examples=15)
@given(st.integers(0, 10_000))
@example(29)  # the box's end face alone is seen
def test_the_result_moves_with_the_camera(seed):
    """Cloud and start moved together: the same pose in the moved frame."""
    grid, truth = box_grid(200, 16), random_poses(2, seed).double()
    cloud_m = visible_clouds_m(truth[:1], 60, seed)
    start, options = nudged(truth[:1], 5, 0.005, seed), ResolverOptions(3)
    here = resolve_all(start, cloud_m, grid, options, "torch")
    there = resolve_all(truth[1:] @ start, transform_points(truth[1:], cloud_m), grid, options, "torch")
    # a query within rounding of a cell's border may change cells, so poses are compared to a tenth of a millimetre
    torch.testing.assert_close(truth[1:] @ here.T_cam_obj, there.T_cam_obj, atol=1e-4, rtol=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_residuals_do_not_grow(backend, grid, truth, clouds_m):
    """ICP never steps to a larger residual, up to what the grid's cells lose."""
    starts = nudged(truth, 60, 0.05, seed=11)
    rms_m = torch.stack(
        [resolve_all(starts, clouds_m, grid, ResolverOptions(n), backend).rms_m for n in (0, 1, 2, 5, 10, 20)]
    )
    assert (rms_m[1:] <= 1.01 * rms_m[:-1]).all()


@pytest.mark.parametrize(("backend", "direction"), FORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_outputs_follow_the_dtype_and_inputs_stay_as_they_are(
    backend, dtype, direction, coarse_grid, truth, clouds_m
):
    starts = nudged(truth, 5, 0.005, seed=12).to(dtype)
    before = starts.clone(), clouds_m.clone()
    result = resolve_all(starts, clouds_m, coarse_grid, ResolverOptions(2, direction=direction), backend)
    assert result.T_cam_obj.dtype == result.rms_m.dtype == result.inlier_ratio.dtype == dtype
    assert torch.equal(starts, before[0])
    assert torch.equal(clouds_m, before[1])


@pytest.mark.parametrize(("backend", "direction"), FORMS)
def test_no_pose_gives_an_empty_result(backend, direction, coarse_grid, clouds_m):
    nothing = torch.zeros(0, dtype=torch.int64)
    options = ResolverOptions(direction=direction)
    result = resolve(torch.zeros(0, 4, 4), clouds_m, nothing, coarse_grid, nothing, options, backend)
    assert result.T_cam_obj.shape == (0, 4, 4)
    assert len(result.rms_m) == len(result.converged) == 0


def test_no_gradient_flows(coarse_grid, truth, clouds_m):
    starts = truth.clone().requires_grad_()
    for backend in BACKENDS:
        assert not resolve_all(
            starts, clouds_m, coarse_grid, ResolverOptions(1), backend
        ).T_cam_obj.requires_grad


@pytest.mark.parametrize(
    ("option", "value"), [("iterations", -1), ("robust_scale_m", 0.0), ("robust_scale_m", -0.01)]
)
def test_nonsense_options_are_refused_by_name(option, value):
    with pytest.raises(UsageError, match=f"{option} must be .* got {value}"):
        ResolverOptions(**{option: value})


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"cloud": torch.tensor([0, 16])}, "cloud must be from 0 to 15, got 0 to 16"),
        ({"model": torch.tensor([-1, 0])}, "model must be from 0 to 0, got -1 to 0"),
        ({"model": torch.tensor([0])}, "must have the same length, got T_cam_obj 2, cloud 2, model 1"),
    ],
)
def test_a_wrong_call_is_the_same_error_on_both_back_ends(
    backend, changed, message, coarse_grid, truth, clouds_m
):
    """Called past the shape checks, as without them in use."""
    indices = {"cloud": torch.tensor([0, 1]), "model": torch.tensor([0, 0])} | changed
    with pytest.raises(UsageError, match=message):
        inspect.unwrap(resolve)(
            truth[:2], clouds_m, grid=coarse_grid, options=ResolverOptions(1), backend=backend, **indices
        )


def test_the_direction_without_a_kernel_is_not_silently_run_by_torch(coarse_grid, truth, clouds_m):
    options = ResolverOptions(1, direction="model-to-observed")
    with pytest.raises(UsageError, match="backend numba does not run on this form, which has no kernel"):
        resolve_all(truth, clouds_m, coarse_grid, options, "numba")
