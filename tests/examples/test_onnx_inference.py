"""The example without torch gives `Predictor`'s poses on real frames, and chooses among alike poses as the library."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import TINY, TINY_COORDINATES, build_both
from training_runs import run, short

from selfpose6d.crops.store import CacheOptions
from selfpose6d.datasets.options import DataOptions
from selfpose6d.geometry.se3 import make_transform
from selfpose6d.geometry.so3 import random_rotations
from selfpose6d.geometry.symmetric_poses import Symmetries, nearest_symmetric_pose, point_moment
from selfpose6d.inference.options import PredictOptions
from selfpose6d.inference.predictor import Predictor
from selfpose6d.network import coordinates as coordinates_module
from selfpose6d.network.checkpoint import save_network
from selfpose6d.network.config import COORDINATES
from selfpose6d.objects import shapes
from selfpose6d.objects.table import object_table
from selfpose6d.selection import Selection

pytest.importorskip("onnxruntime", reason="skipped: no onnxruntime (pip install 'selfpose6d[export]')")
pytest.importorskip("onnxscript", reason="skipped: no onnxscript (pip install 'selfpose6d[export]')")

EXAMPLE = Path(__file__).parents[2] / "examples" / "onnx_inference.py"
EXPORT = (
    "import sys; from pathlib import Path; from selfpose6d.cli.export_network import run; "
    "from selfpose6d.objects import shapes; shapes.GRID_CELLS = 24; from selfpose6d.network import coordinates; "
    "coordinates.AT_WORK = coordinates.AT_WORK._replace(fitted=4, rounds=1, last_rounds=1); "
    "sys.exit(run(*map(Path, sys.argv[1:])))"
)
SAMPLE_OBJECTS = (2, 5, 14)
ANGLE_RAD, SHIFT_M = 1e-3, 1e-4


@pytest.fixture(scope="module")
def patch():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "GRID_CELLS", 24)
        patch.setitem(COORDINATES, "small", TINY_COORDINATES)
        few = coordinates_module.AT_WORK._replace(fitted=4, rounds=1, last_rounds=1)
        patch.setattr(coordinates_module, "AT_WORK", few)
        yield patch


@pytest.fixture(scope="module")
def sample(ycbv_sample: Path):
    return DataOptions(ycbv_sample, "test", Selection(objects=SAMPLE_OBJECTS)).open()


@pytest.fixture(scope="module", params=["coordinates", "dense-fusion"])
def networks(request, patch, sample, tmp_path_factory):
    """A predictor and the exported files of its network: trained for a few steps, or with random weights."""
    import onnx_inference

    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "coordinates":
        recipe = short("supervised", coordinates=True)
        run(sample, folder / "run", CacheOptions(folder / "cache"), steps=12, recipe=recipe)
        model, arguments = folder / "run", ()
    else:
        objects = object_table(SAMPLE_OBJECTS, map(sample.load_mesh, SAMPLE_OBJECTS))
        model, arguments = folder / "net.safetensors", (sample.models.folder,)
        save_network(model, build_both(TINY, objects), {})
    command = [sys.executable, "-c", EXPORT, model, folder / "net.onnx", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    predictor = Predictor.load(model, sample.models, PredictOptions("network"))
    return predictor, onnx_inference.load_network(folder / "net.onnx"), folder / "net.onnx"


def test_poses_on_real_frames_are_the_predictors(networks, sample):
    """Refiners look points up in voxels and pixels: where one lies on a border, the last bit decides, and a network of
    a few steps makes much of it. That may concern one instance in five, by little."""
    import onnx_inference

    predictor, network, _ = networks
    differences = []
    for frame in map(sample.load_frame, sample.frame_ids()):
        for instance in frame.instances:
            given = frame.rgb, frame.depth_m, frame.K
            expected = predictor(*given, [instance.mask], [instance.key.obj_id])[0]
            found = onnx_inference.estimate_pose(network, *given, instance.mask, instance.key.obj_id)
            R = expected.T_cam_obj[:3, :3].T @ found.T_cam_obj[:3, :3]
            shift_m = np.linalg.norm(expected.T_cam_obj[:3, 3] - found.T_cam_obj[:3, 3])
            confidence = abs(expected.confidence - found.confidence)
            differences.append((np.linalg.norm(R - np.eye(3)) / 2**0.5, shift_m, confidence))
    angle_rad, shift_m, confidence = np.array(differences).T
    same = (angle_rad < ANGLE_RAD) & (shift_m < SHIFT_M) & (confidence < 1e-2)
    assert len(same) >= 20
    assert same.mean() >= 0.8
    assert angle_rad.max() < 0.05
    assert shift_m.max() < 0.005


def test_what_has_no_pose_says_why(networks, sample):
    import onnx_inference

    _, network, _ = networks
    frame = sample.load_frame(sample.frame_ids()[0])
    mask = np.zeros(frame.depth_m.shape, bool)
    mask[200:206, 300:306] = True
    with pytest.raises(onnx_inference.NoPoseError, match="mask pixels with depth, need 50"):
        onnx_inference.estimate_pose(network, frame.rgb, frame.depth_m, frame.K, mask, 2)
    with pytest.raises(onnx_inference.NoPoseError, match="object 9 is unknown"):
        onnx_inference.estimate_pose(network, frame.rgb, frame.depth_m, frame.K, frame.instances[0].mask, 9)


def test_the_script_prints_the_pose_and_needs_no_torch(networks, ycbv_sample, sample):
    _, _, path = networks
    frame = sample.load_frame(sample.frame_ids()[0])
    instance = frame.instances[0]
    scene = ycbv_sample / "test" / f"{frame.scene_id:06d}"
    name = f"{frame.im_id:06d}"
    (rgb,) = (scene / "rgb").glob(f"{name}.*")
    K = frame.K
    command = [
        *(
            sys.executable,
            "-c",
            BLOCKED,
            EXAMPLE,
            path,
            "--rgb",
            rgb,
            "--depth",
            scene / "depth" / f"{name}.png",
        ),
        *("--depth-scale", 0.1, "--mask", scene / "mask_visib" / f"{name}_{instance.key.inst_id:06d}.png"),
        *("--camera", K[0, 0], K[1, 1], K[0, 2], K[1, 2], "--object", instance.key.obj_id),
    ]
    result = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "T_cam_obj (metres), confidence" in result.stdout


BLOCKED = """
import runpy, sys
for name in ("torch", "selfpose6d", "scipy"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs the script where it can import none of these."""


@pytest.mark.parametrize("kind", ["none", "discrete", "axis", "ball"])
def test_of_alike_poses_the_nearest_is_chosen_as_the_library_does(kind):
    import onnx_inference

    generator = torch.Generator().manual_seed(0)
    points_m = torch.randn(1, 40, 3, generator=generator) / 10
    half_turn = torch.diag(torch.tensor([-1.0, -1, 1, 1]))
    discrete = torch.stack([torch.eye(4), half_turn] if kind == "discrete" else [torch.eye(4)])
    axis = torch.nn.functional.normalize(torch.tensor([[1.0, 2, -1]])) * (kind in ("axis", "ball"))
    centre_m, ball = torch.tensor([[0.01, -0.02, 0.03]]), torch.tensor([kind == "ball"])
    allowed = torch.ones(1, len(discrete), dtype=torch.bool)
    own = Symmetries(discrete[None], allowed, axis, centre_m, ball, has_balls=kind == "ball")
    entry = {
        "T_obj_sym": discrete.tolist(),
        "symmetry_axis": axis[0].tolist(),
        "symmetry_centre_m": centre_m[0].tolist(),
        "is_ball": kind == "ball",
        "point_moment": point_moment(points_m)[0].tolist(),
    }
    T = make_transform(random_rotations(12, generator), torch.randn(12, 3, generator=generator))
    expected = nearest_symmetric_pose(T[None, :6], T[None, 6:], own, points_m)[0]
    for pred, target, nearest in zip(T[:6].numpy(), T[6:].numpy(), expected.numpy(), strict=True):
        found = onnx_inference.nearest_symmetric_pose(pred.astype(float), target.astype(float), entry)
        assert np.abs(found - nearest).max() < 1e-4
