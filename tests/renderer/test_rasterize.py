"""Rasteriser: pixels computed by hand, what covers what, and two back ends that agree pixel by pixel."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from drawn_meshes import AT_ORIGIN, FIRST, camera, poses_ahead, sheet, soup, triangles
from hypothesis import example, given, settings
from hypothesis import strategies as st

from selfpose6d.errors import UsageError
from selfpose6d.geometry.camera import CropBox, crop_intrinsics, project
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.renderer import rasterize as rasterize_module
from selfpose6d.renderer.packed import PackedMeshes, pack_meshes
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize import rasterize
from selfpose6d.types import Rasterization

BACKENDS = ("torch", "numba")
A_M, B_M, C_M = (0.0, 0.0, 1.0), (0.25, 0.0, 1.0), (0.0, 0.25, 1.0)
K16 = camera(16, 1, 1)


def draw(mesh: Mesh, K: torch.Tensor, height: int, width: int, backend: str) -> Rasterization:
    return rasterize(PosedMeshes(pack_meshes([mesh]), FIRST, AT_ORIGIN, K, height, width), backend)


def hit_points_m(meshes: PackedMeshes, raster: Rasterization) -> torch.Tensor:
    """The surface point of every covered pixel, object frame."""
    covered = raster.face_id >= 0
    corners_m = meshes.vertices_m[meshes.faces[raster.face_id[covered].long()]]
    return (corners_m * raster.barycentric[covered][..., None]).sum(1)


def require_equal(one: Rasterization, other: Rasterization) -> None:
    assert torch.equal(one.face_id, other.face_id)
    torch.testing.assert_close(one.depth_m, other.depth_m)
    torch.testing.assert_close(one.barycentric, other.barycentric, atol=1e-6, rtol=1e-5)


def require_within_faces(meshes: PackedMeshes, T_cam_obj: torch.Tensor, raster: Rasterization) -> None:
    """Weights add up to 1 and no depth leaves its face's range, for slivers too."""
    image = torch.nonzero(raster.face_id >= 0)[:, 0]
    covered = raster.face_id >= 0
    corners_m = meshes.vertices_m[meshes.faces[raster.face_id[covered].long()]]
    z_m = (corners_m * T_cam_obj[image, None, 2, :3]).sum(-1) + T_cam_obj[image, None, 2, 3]
    assert (raster.depth_m[covered] >= z_m.amin(1) - 1e-5).all()
    assert (raster.depth_m[covered] <= z_m.amax(1) + 1e-5).all()
    torch.testing.assert_close(raster.barycentric[covered].sum(-1), torch.ones(len(image)))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_triangle_by_hand(backend):
    """Corners at the pixels (1, 1), (5, 1), (1, 5): edges belong to it, so u + v <= 6."""
    raster = draw(triangles(A_M, B_M, C_M), K16, 7, 8, backend)
    expected = [
        [-1, -1, -1, -1, -1, -1, -1, -1],
        [-1, 0, 0, 0, 0, 0, -1, -1],
        [-1, 0, 0, 0, 0, -1, -1, -1],
        [-1, 0, 0, 0, -1, -1, -1, -1],
        [-1, 0, 0, -1, -1, -1, -1, -1],
        [-1, 0, -1, -1, -1, -1, -1, -1],
        [-1, -1, -1, -1, -1, -1, -1, -1],
    ]
    assert raster.face_id[0].tolist() == expected
    torch.testing.assert_close(raster.barycentric[0, 2, 3], torch.tensor([0.25, 0.5, 0.25]))
    torch.testing.assert_close(raster.barycentric[0, 1, 5], torch.tensor([0.0, 1, 0]))
    assert raster.depth_m[0].unique().tolist() == [0, 1]
    assert (raster.barycentric[raster.face_id < 0] == 0).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_weights_are_correct_in_perspective(backend):
    """Half way in the image between z = 1 and z = 3: weights 1 : 1/3, so 0.75 and 0.25, depth 1.5."""
    mesh = triangles((0, 0, 1), (0.75, 0, 3), (0, 0.25, 1))
    raster = draw(mesh, K16, 6, 6, backend)
    torch.testing.assert_close(raster.barycentric[0, 1, 3], torch.tensor([0.75, 0.25, 0]))
    assert raster.depth_m[0, 1, 3].item() == pytest.approx(1.5)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_nearer_face_hides_the_other_in_any_order(backend, order):
    far = [(-5.0, -5, 2), (5, -5, 2), (0, 9, 2)]
    near = [A_M, B_M, C_M]
    raster = draw(triangles(*(c for i in order for c in (near, far)[i])), K16, 7, 8, backend)
    assert raster.face_id[0, 2, 2] == order.index(0)
    assert raster.face_id[0, 5, 5] == order.index(1)
    assert raster.depth_m[0, 2, 2] == 1
    assert raster.depth_m[0, 5, 5] == 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_at_equal_depth_the_first_face_wins(backend):
    raster = draw(triangles(A_M, B_M, C_M, C_M, A_M, B_M, A_M, B_M, C_M), K16, 7, 8, backend)
    assert raster.face_id.unique().tolist() == [-1, 0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_both_sides_of_a_face_are_drawn(backend):
    front, back = (
        draw(triangles(*corners), K16, 7, 8, backend) for corners in ((A_M, B_M, C_M), (A_M, C_M, B_M))
    )
    assert torch.equal(front.face_id, back.face_id)


@pytest.mark.parametrize("backend", BACKENDS)
def test_faces_that_reach_behind_the_camera_are_dropped_and_the_rest_is_drawn(backend):
    half_behind = [(0.0, 0, 1), (1, 0, -1), (0, 1, 1)]
    too_near = [(0.0, 0, 5e-4), (1e-4, 0, 5e-4), (0, 1e-4, 5e-4)]
    in_the_plane = [(0.0, 0, 0), (1, 0, 0), (0, 1, 0)]
    raster = draw(triangles(*half_behind, *too_near, *in_the_plane, A_M, B_M, C_M), K16, 7, 8, backend)
    assert raster.face_id.unique().tolist() == [-1, 3]


@pytest.mark.parametrize("backend", BACKENDS)
def test_faces_without_area_are_not_drawn(backend):
    point, line = [A_M, A_M, A_M], [A_M, (0.125, 0, 1), B_M]
    raster = draw(triangles(*point, *line), K16, 7, 8, backend)
    assert (raster.face_id == -1).all()
    assert raster.depth_m.isfinite().all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_triangle_smaller_than_a_pixel_shows_only_on_a_pixel_centre(backend):
    """Two of 0.2 px: one holds the centre of pixel (3, 2), the other lies between centres."""
    on_centre = [(1.9 / 16, 0.9 / 16, 1), (2.1 / 16, 0.9 / 16, 1), (2.0 / 16, 1.2 / 16, 1)]
    between = [(3.4 / 16, 2.4 / 16, 1), (3.6 / 16, 2.4 / 16, 1), (3.5 / 16, 2.6 / 16, 1)]
    raster = draw(triangles(*on_centre, *between), K16, 7, 8, backend)
    assert torch.nonzero(raster.face_id[0] == 0).tolist() == [[2, 3]]
    assert not (raster.face_id == 1).any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_face_larger_than_the_image_fills_it(backend):
    raster = draw(triangles((-50, -50, 1), (50, -50, 1), (0, 90, 1)), K16, 5, 9, backend)
    assert (raster.face_id == 0).all()


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_neighbouring_faces_leave_no_crack(seed):
    """A wide sheet of small faces, rotated anyhow about the viewing axis and tilted, fills the image."""
    angle = torch.tensor(seed * 0.37)
    T = poses_ahead(1, seed)
    c, s = angle.cos().item(), angle.sin().item()
    tilt = torch.tensor([[1, 0, 0], [0, 0.9, -0.43588989], [0, 0.43588989, 0.9]])
    T[0, :3, :3] = tilt @ torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    raster = rasterize(
        PosedMeshes(pack_meshes([sheet(40, side_m=4.0)]), FIRST, T, camera(60, 15.5, 15.5), 32, 32)
    )
    assert (raster.face_id >= 0).all()


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_every_pixel_shows_the_surface_point_on_its_ray(seed):
    packed, T, K = pack_meshes([soup(seed, 30, 0.1)]), poses_ahead(1, seed), camera(60, 15.2, 11.7)
    raster = rasterize(PosedMeshes(packed, FIRST, T, K, 24, 32))
    points_cam_m = hit_points_m(packed, raster) @ T[0, :3, :3].T + T[0, :3, 3]
    covered = torch.nonzero(raster.face_id[0] >= 0)
    torch.testing.assert_close(project(points_cam_m, K[0]), covered.flip(1).float(), atol=5e-3, rtol=0)
    torch.testing.assert_close(points_cam_m[:, 2], raster.depth_m[raster.face_id >= 0], atol=1e-4, rtol=0)
    assert (raster.barycentric >= 0).all()
    torch.testing.assert_close(raster.barycentric.sum(-1), (raster.face_id >= 0).float(), atol=1e-5, rtol=0)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    size_m=st.sampled_from([0.002, 0.02, 0.2]),
    grid_m=st.sampled_from([None, 0.05]),
    nearest_m=st.sampled_from([-0.1, 0.05, 0.4]),
    pixels=st.sampled_from([(16, 16), (33, 47)]),
)
@example(seed=5875, size_m=0.2, grid_m=0.05, nearest_m=-0.1, pixels=(16, 16))  # a face seen edge-on
def test_back_ends_agree_pixel_by_pixel(seed, size_m, grid_m, nearest_m, pixels):
    """Large, small and sub-pixel faces, shared edges, corners on pixel centres, some behind the camera."""
    height, width = pixels
    packed = pack_meshes([soup(seed, 60, size_m, grid_m), soup(seed + 1, 25, size_m, grid_m)])
    T = poses_ahead(3, seed, nearest_m)
    if grid_m is not None:
        T[0] = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0.5], [0, 0, 0, 1]])
    K = camera(40, width / 2, height / 2).repeat(3, 1, 1)
    K[1, 0, 1] = 3.0
    arguments = packed, torch.tensor([0, 1, 0]), T, K, height, width
    reference, fast = (rasterize(PosedMeshes(*arguments), backend) for backend in BACKENDS)
    require_equal(reference, fast)
    require_within_faces(packed, T, fast)


def test_back_ends_agree_on_a_mesh_of_many_faces():
    packed = pack_meshes([soup(5, 20_000, 0.01)])
    arguments = packed, FIRST.repeat(2), poses_ahead(2, 6), camera(70, 31.5, 31.5).repeat(2, 1, 1), 64, 64
    require_equal(*(rasterize(PosedMeshes(*arguments), backend) for backend in BACKENDS))


def test_drawing_in_parts_equals_drawing_at_once(monkeypatch):
    packed = pack_meshes([soup(7, 200, 0.1), soup(8, 100, 0.1)])
    arguments = packed, torch.tensor([1, 0]), poses_ahead(2, 9), camera(40, 15, 15).repeat(2, 1, 1), 32, 32
    whole = rasterize(PosedMeshes(*arguments), "torch")
    monkeypatch.setattr(rasterize_module, "MAX_FRAGMENTS", 500)
    require_equal(whole, rasterize(PosedMeshes(*arguments), "torch"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_mixed_batch_equals_single_images(backend):
    """Face ids count through the packed meshes, so alone they start from 0 again."""
    meshes = [soup(1, 40, 0.1), soup(2, 30, 0.1), soup(3, 20, 0.1)]
    mesh_index, T = torch.tensor([2, 0, 2, 1]), poses_ahead(4, 4)
    K = torch.cat([camera(30 + 5 * i, 14.5 + i, 10) for i in range(4)])
    packed = pack_meshes(meshes)
    batch = rasterize(PosedMeshes(packed, mesh_index, T, K, 20, 30), backend)
    for i, m in enumerate(mesh_index.tolist()):
        alone = rasterize(
            PosedMeshes(pack_meshes([meshes[m]]), FIRST, T[i : i + 1], K[i : i + 1], 20, 30), backend
        )
        shifted = torch.where(alone.face_id >= 0, alone.face_id + packed.face_start[m], -1)
        assert torch.equal(batch.face_id[i : i + 1], shifted.int())
        assert torch.equal(batch.depth_m[i : i + 1], alone.depth_m)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_crop_of_the_camera_is_a_cut_of_the_picture(backend):
    packed, T, K = pack_meshes([soup(11, 50, 0.2)]), poses_ahead(1, 12), camera(60, 31.5, 23.5)
    whole = rasterize(PosedMeshes(packed, FIRST, T, K, 48, 64), backend)
    cut = rasterize(
        PosedMeshes(packed, FIRST, T, crop_intrinsics(K, CropBox(20.0, 8.0, 24.0), 24), 24, 24), backend
    )
    assert torch.equal(cut.face_id, whole.face_id[:, 8:32, 20:44])


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_image_and_no_visible_face(backend):
    packed = pack_meshes([sheet(1)])
    nothing = rasterize(PosedMeshes(packed, FIRST[:0], AT_ORIGIN[:0], K16[:0], 4, 5), backend)
    assert nothing.face_id.shape == (0, 4, 5)
    away = AT_ORIGIN.clone()
    away[0, 2, 3] = -2
    assert (rasterize(PosedMeshes(packed, FIRST, away, K16, 4, 5), backend).face_id == -1).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("spoilt", [(0, 0), (1, 3), (2, 3)])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_pose_that_is_not_finite_draws_nothing(backend, spoilt, value):
    T = AT_ORIGIN.clone()
    T[0, 2, 3] = 1
    T[0, *spoilt] = value
    raster = rasterize(PosedMeshes(pack_meshes([sheet(1)]), FIRST, T, K16, 4, 5), backend)
    assert (raster.face_id == -1).all()
    assert (raster.depth_m == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_poses_and_cameras_of_any_float_type(dtype):
    arguments = poses_ahead(1, 3).to(dtype), camera(30, 15, 15).to(dtype)
    packed = pack_meshes([soup(4, 20, 0.1)])
    require_equal(
        *(rasterize(PosedMeshes(packed, FIRST, *arguments, 32, 32), backend) for backend in BACKENDS)
    )


def test_no_gradient_flows():
    raster = rasterize(
        PosedMeshes(pack_meshes([sheet(1, z_m=1.0)]), FIRST, AT_ORIGIN.clone().requires_grad_(), K16, 4, 5)
    )
    assert (raster.face_id >= 0).any()
    assert not raster.depth_m.requires_grad


@pytest.mark.parametrize(
    ("mesh_index", "cameras", "message"),
    [
        ([0, 1], 2, "mesh_index must be from 0 to 0, got 0 to 1"),
        ([-1, 0], 2, "mesh_index must be from 0 to 0, got -1 to 0"),
        ([0, 0], 1, "same length, got mesh_index 2, T_cam_obj 2, K 1. Expand"),
    ],
)
def test_a_wrong_call_is_refused_before_any_back_end_runs(mesh_index, cameras, message):
    T, K = AT_ORIGIN.repeat(2, 1, 1), K16.repeat(cameras, 1, 1)
    posed = SimpleNamespace(
        meshes=pack_meshes([sheet(1)]), mesh_index=torch.tensor(mesh_index), T_cam_obj=T, K=K
    )
    with pytest.raises(UsageError, match=message):
        PosedMeshes.__post_init__(posed)  # past the shape checks, as without them in use


def test_kernels_are_not_silently_replaced():
    posed = PosedMeshes(pack_meshes([sheet(1)]).to("meta"), FIRST, AT_ORIGIN, K16, 4, 5)
    with pytest.raises(UsageError, match="backend numba does not run on tensors on meta"):
        rasterize(posed, "numba")


def test_a_closed_surface_has_the_area_of_its_silhouette():
    """A sphere of radius r at distance d is a disc of radius f r / sqrt(d^2 - r^2) px."""
    trimesh = pytest.importorskip("trimesh")
    ball = trimesh.creation.icosphere(subdivisions=4, radius=0.1)
    mesh = Mesh(np.asarray(ball.vertices, np.float32), np.asarray(ball.faces, np.int64))
    T = AT_ORIGIN.clone()
    T[0, 2, 3] = 0.5
    raster = rasterize(PosedMeshes(pack_meshes([mesh]), FIRST, T, camera(200, 63.5, 63.5), 128, 128))
    radius_px = 200 * 0.1 / np.sqrt(0.5**2 - 0.1**2)
    assert (raster.face_id >= 0).sum().item() == pytest.approx(np.pi * radius_px**2, rel=0.01)
    assert raster.depth_m[raster.face_id >= 0].min().item() == pytest.approx(0.4, abs=1e-3)
