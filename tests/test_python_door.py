"""What Python callers pass: converted where it can only mean one thing, else refused with one line that says what."""

import importlib.util
import json
import subprocess
import sys
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import pytest
import torch

from selfpose6d import arrays
from selfpose6d.errors import DataError, MeshError, UsageError


def as_users_have_it(module: str) -> ModuleType:
    """A module of the package without the tests' import hook, which refuses by type what the door converts."""
    spec = importlib.util.spec_from_file_location(
        f"unhooked_{module.replace('.', '_')}", find_spec(module).origin
    )
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


TYPES = as_users_have_it("selfpose6d.types")
Frame, Instance, InstanceKey = TYPES.Frame, TYPES.Instance, TYPES.InstanceKey
Mesh = as_users_have_it("selfpose6d.meshes.mesh").Mesh
HEIGHT, WIDTH = 24, 32
K = np.array([[30.5, 0, 15.5], [0, 30.5, 11.5], [0, 0, 1]])
KEY = InstanceKey("live", 0, 0, 2, 0)


def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def depth() -> np.ndarray:
    known = np.random.default_rng(1).uniform(0.5, 1.5, (HEIGHT, WIDTH)).astype(np.float32)
    known[:3] = 0
    return known


def mask() -> np.ndarray:
    return np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 5 < 2


def frame(rgb=None, depth_m=None, camera=None, pixels=None) -> Frame:
    instance = Instance(KEY, mask() if pixels is None else pixels)
    return Frame(
        "live",
        0,
        0,
        image() if rgb is None else rgb,
        depth() if depth_m is None else depth_m,
        K if camera is None else camera,
        (instance,),
    )


def message(error: type[Exception], **given) -> str:
    with pytest.raises(error) as caught:
        frame(**given)
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    "rgb",
    [
        image(),
        image()[..., ::-1].copy()[..., ::-1],
        image().astype(np.int64),
        image().astype(np.float32),
        (image() / 255).astype(np.float32),
        image() / 255,
        image().transpose(2, 0, 1),
        torch.from_numpy(image()).permute(2, 0, 1).float() / 255,
        (torch.from_numpy(image()) / 255).requires_grad_(),
        np.dstack([image(), np.full((HEIGHT, WIDTH), 255, np.uint8)]),
        image().tolist(),
        np.asfortranarray(image()),
    ],
    ids=range(12),
)
def test_colours_are_8_bit_rgb_whatever_numbers_they_come_in(rgb):
    got = frame(rgb=rgb).rgb
    assert (got.dtype, got.flags.c_contiguous) == (np.uint8, True)
    assert np.array_equal(got, image())


@pytest.mark.parametrize("grey", [image()[..., 0], image()[..., :1], image()[None, ..., 0]], ids=range(3))
def test_a_grey_image_has_three_equal_channels(grey):
    assert np.array_equal(frame(rgb=grey).rgb, np.repeat(image()[..., :1], 3, axis=2))


@pytest.mark.parametrize(
    ("rgb", "got"),
    [
        (image()[..., :2], "an array of uint8, 24 x 32 x 2"),
        (image()[None], "an array of uint8, 1 x 24 x 32 x 3"),
        (image().astype(np.uint16) * 257, "uint16 from 0 to 6"),
        (image() / 127.5 - 1, "float64 from -1 to 1"),
        (image() / 200, r"float64 from 0 to 1.275"),
        (image() / np.float64(np.nan), "from nan to nan"),
        (image() > 5, "bool from 0 to 1"),
        ("photo.png", "got str"),
        ([[1, 2], [3]], "a list of 2"),
    ],
    ids=range(9),
)
def test_other_colours_are_refused(rgb, got):
    text = message(UsageError, rgb=rgb)
    assert text.startswith("rgb must ")
    assert got in text


def test_an_argument_that_is_none_is_named():
    with pytest.raises(UsageError, match=r"rgb must be an RGB image, .* got None"):
        arrays.rgb_image(None)


@pytest.mark.parametrize(
    "depth_m",
    [
        depth().astype(np.float64),
        depth()[..., None],
        depth()[None],
        torch.from_numpy(depth()),
        torch.from_numpy(depth())[None].double(),
        depth().tolist(),
        np.asfortranarray(depth()),
        depth().astype(">f4"),
        np.ma.MaskedArray(depth() + (depth() == 0), depth() == 0),
        *(
            np.where(depth() > 0, depth(), unknown).astype(np.float32)
            for unknown in (np.nan, np.inf, -np.inf, -1.0, 65.535, 65_535.0, 1e10)
        ),
    ],
    ids=range(16),
)
def test_depth_is_metres_and_what_no_camera_measures_is_unknown(depth_m):
    got = frame(depth_m=depth_m).depth_m
    assert (got.dtype, got.flags.c_contiguous) == (np.float32, True)
    assert np.array_equal(got, depth())


def test_a_background_of_sentinels_does_not_hide_that_depth_is_in_metres():
    far = np.full((HEIGHT, WIDTH), 1e10, np.float32)
    far[:4, :4] = 0.7
    assert np.count_nonzero(frame(depth_m=far).depth_m) == 16


@pytest.mark.parametrize(
    ("error", "depth_m", "got"),
    [
        (UsageError, (depth() * 1000).astype(np.uint16), "floating-point, got uint16 up to 1499"),
        (UsageError, depth() > 0, "floating-point, got bool"),
        (DataError, depth() * 1000, "must be in metres: median 985.1"),
        (DataError, depth() / 1000, "must be in metres: median 0.00099 < 0.02"),
        (UsageError, depth()[::2, ::2], "depth_m must have the 32x24 pixels of rgb, got 16x12 pixels"),
        (UsageError, depth().T, "got 24x32 pixels"),
        (UsageError, image() / 255.0, "got an array of float64, 24 x 32 x 3"),
        (UsageError, "depth.png", "got str"),
    ],
    ids=range(8),
)
def test_other_depth_is_refused(error, depth_m, got):
    text = message(error, depth_m=depth_m)
    assert text.startswith("depth_m must ")
    assert got in text


@pytest.mark.parametrize(
    "camera",
    [
        K.tolist(),
        K.ravel(),
        K.ravel().tolist(),
        np.c_[K, np.zeros(3)],
        np.vstack([np.c_[K, np.zeros(3)], [0, 0, 0, 1]]),
        torch.from_numpy(K)[None],
        K.astype(np.float32),
        np.asfortranarray(K),
    ],
    ids=range(8),
)
def test_a_camera_matrix_may_be_written_in_many_ways(camera):
    got = frame(camera=camera).K
    assert (got.dtype, got.shape) == (np.float64, (3, 3))
    assert np.array_equal(got, K)


@pytest.mark.parametrize(
    ("error", "camera", "got"),
    [
        (DataError, K.T, "it is transposed"),
        (DataError, K.T.ravel().tolist(), "it is transposed"),
        (DataError, K / [[32], [24], [1]], "in pixels: focal lengths 0.9531, 1.271"),
        (DataError, np.diag([-1.0, 1, 1]) @ K, "positive focal lengths"),
        (DataError, K + 5 * np.outer([1, 0, 0], [0, 1, 0]), "rows (fx 0 cx)"),
        (DataError, K * 2, "rows (fx 0 cx)"),
        (DataError, np.linalg.inv(K), "must be in pixels"),
        (UsageError, [30.5, 30.5, 15.5, 11.5], "got a list of 4"),
        (UsageError, np.c_[K, [1, 0, 0]], "3 x 4"),
        (UsageError, {"fx": 30}, "got dict"),
    ],
    ids=range(10),
)
def test_other_camera_matrices_are_refused(error, camera, got):
    text = message(error, camera=camera)
    assert text.startswith("K must ")
    assert got in text


def test_integer_intrinsics_are_taken():
    assert frame(camera=K.astype(int)).K[0, 0] == 30


@pytest.mark.parametrize(
    "pixels",
    [
        mask().astype(np.uint8),
        mask().astype(np.uint8) * 255,
        mask().astype(np.int64) * 7,
        mask().astype(np.float32),
        mask() * 255.0,
        mask() * 0.8 + 0.1,
        mask()[..., None],
        mask()[None],
        torch.from_numpy(mask()),
        torch.from_numpy(mask())[None].float(),
        mask().tolist(),
    ],
    ids=range(11),
)
def test_a_mask_may_be_of_any_numbers(pixels):
    assert np.array_equal(frame(pixels=pixels).instances[0].mask, mask())


@pytest.mark.parametrize(
    ("pixels", "got"),
    [
        (mask()[::2, ::2], "mask of object 2 must have the 32x24 pixels of the image, got 16x12 pixels"),
        (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 4, "several values from 0 to 3"),
        (np.where(mask(), np.nan, 0.0), "several values from nan"),
        (mask().astype(np.int8) * -1, "several values from -1 to 0"),
        (image(), "got an array of uint8, 24 x 32 x 3"),
        ({"size": [1, 2], "counts": ""}, "got dict"),
    ],
    ids=range(6),
)
def test_other_masks_are_refused(pixels, got):
    text = message(UsageError, pixels=pixels)
    assert text.startswith("mask of object 2 must ")
    assert got in text


def test_what_fits_is_handed_on_as_it_is():
    rgb, depth_m, pixels = image(), depth(), mask()
    got = frame(rgb, depth_m, K, pixels)
    assert got.rgb is rgb
    assert got.depth_m is depth_m
    assert got.K is K
    assert got.instances[0].mask is pixels


def test_instances_of_a_frame_are_told_apart():
    one = Instance(KEY, mask())
    with pytest.raises(UsageError, match="keys of a frame's instances must differ"):
        Frame("live", 0, 0, image(), depth(), K, (one, one))
    assert len(Frame("live", 0, 0, image(), depth(), K, [one]).instances) == 1
    with pytest.raises(UsageError, match="key must be an InstanceKey"):
        Instance((0, 2), mask())


def test_object_ids_and_masks_of_arrays_and_tensors():
    assert arrays.object_ids(torch.tensor([2, 5])) == arrays.object_ids(np.array([2, 5])) == [2, 5]
    assert len(arrays.mask_list(torch.zeros(3, HEIGHT, WIDTH))) == 3
    assert arrays.mask_list(np.zeros((0,))) == []
    for ids in (2, [2.5], ["2"], np.array([1.5])):
        with pytest.raises(UsageError, match="obj_ids must be a list with one whole number for each mask"):
            arrays.object_ids(ids)
    with pytest.raises(UsageError, match=r"masks must be a list of masks, .* Pass \[mask\]"):
        arrays.mask_list(mask())
    with pytest.raises(UsageError, match=r"masks\[1\] must be one object's mask"):
        arrays.mask_list([mask(), "b.png"])


def test_meshes_are_read_only_and_fit_themselves():
    corners, faces = np.eye(3), np.array([[0, 1, 2]])
    mesh = Mesh(corners, faces)
    assert (mesh.vertices_m.dtype, mesh.faces.dtype) == (np.float32, np.int32)
    with pytest.raises(ValueError, match="read-only"):
        mesh.vertices_m[0] = 2
    before = mesh.content_hash
    corners[0] = faces[0] = 2
    assert Mesh(mesh.vertices_m, mesh.faces).content_hash == before
    assert Mesh(mesh.vertices_m, mesh.faces).faces is mesh.faces
    corners, faces = np.eye(3), np.array([[0, 1, 2]])
    with pytest.raises(MeshError, match="faces must be indices of vertices, from 0 to 2, got 1 to 3"):
        Mesh(mesh.vertices_m, faces + 1, source="box")
    with pytest.raises(MeshError, match=r"box: vertex_rgb must be levels 0-255 of 8 bits"):
        Mesh(mesh.vertices_m, faces, vertex_rgb=np.ones((3, 3)), source="box")
    with pytest.raises(MeshError, match="corner_uv must have 1 entries, got 2"):
        Mesh(mesh.vertices_m, faces, corner_uv=np.zeros((2, 3, 2), np.float32))
    with pytest.raises(
        MeshError, match="vertices_m must be an array of 2 axes, the last of 3, got a list of 3"
    ):
        Mesh(corners.tolist(), faces)


CALLS = """
import json, pathlib, sys
import numpy as np, trimesh
from selfpose6d import Frame, Instance, InstanceKey, Mesh, annotate
from selfpose6d.errors import SelfPose6DError

K = [[500, 0, 31.5], [0, 500, 23.5], [0, 0, 1]]
depth = np.full((48, 64), 0.8)
box = trimesh.creation.box((0.05, 0.05, 0.05))
mesh = Mesh(box.vertices, box.faces)
large = Mesh(mesh.vertices_m * 1000, box.faces)
def frame(K=K):
    shown = Instance(InstanceKey("", 0, 0, 2, 0), np.ones((48, 64)))
    return Frame("", 0, 0, np.zeros((48, 64, 3)), depth, K, (shown,))
calls = {
    "trimesh": (frame(), {2: box}), "path": (frame(), {2: "box.ply"}), "Path": (frame(), {2: pathlib.Path("box.ply")}),
    "mesh alone": (frame(), mesh), "list": (frame(), [mesh]), "str key": (frame(), {"2": mesh}),
    "images": ((np.zeros((48, 64, 3)), depth), {2: mesh}), "none": (None, {2: mesh}), "mm": (frame(), {2: large}),
}
said = {}
for name, arguments in calls.items():
    try:
        said[name] = repr(annotate(*arguments))
    except SelfPose6DError as error:
        said[name] = str(error)
from selfpose6d import load_mesh
trimesh.creation.box((1, 1, 1)).export(sys.argv[1] + "/box.glb")
try:
    load_mesh(sys.argv[1] + "/box.glb", "km")
except SelfPose6DError as error:
    said["unit"] = str(error)
from selfpose6d import build_object_model
for name, call in {"load": load_mesh, "build": build_object_model}.items():
    try:
        call(box)
    except SelfPose6DError as error:
        said[name] = str(error)
said["unknown"] = annotate(frame(), {3: mesh, 4: mesh})[0].reason
print(json.dumps(said))
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    annotate(frame([[1000, 0, 63], [0, 1000, 47], [0, 0, 1]]), {3: mesh})
print(json.dumps([str(one.message) for one in caught]))
"""


def test_annotate_says_what_is_not_a_frame_or_a_mesh(tmp_path):
    """In a process of its own, where no test hook checks the types before the package does."""
    command = [sys.executable, "-c", CALLS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said, warned = map(json.loads, done.stdout.splitlines())
    mesh = 'which does not say its unit. Read its file with load_mesh(path, unit="mm").'
    pairs = '{2: load_mesh("box.ply", unit="mm")}.'
    assert said == {
        "trimesh": f"meshes[2] must be a Mesh in metres, got a trimesh Trimesh, {mesh}",
        "path": f"meshes[2] must be a Mesh in metres, got str, {mesh}",
        "Path": f"meshes[2] must be a Mesh in metres, got a pathlib PosixPath, {mesh}",
        "mesh alone": f"meshes must be a dict of meshes by object id, got Mesh. Pass, for example, {pairs}",
        "list": f"meshes must be a dict of meshes by object id, got a list of 1. Pass, for example, {pairs}",
        "str key": "meshes must have object ids as keys, got '2'. Pass whole numbers.",
        "images": "frame must be a Frame, got a tuple of 2. Make one of its images and masks.",
        "none": "frame must be a Frame, got None. Make one of its images and masks.",
        "mm": "meshes[2]: the object would be 50 m large, expected 0.001 to 5 m. "
        + said["mm"].split("5 m. ")[1],
        "load": "path must be the path of a mesh file, got a trimesh Trimesh. Write it to a file.",
        "build": f"mesh must be a Mesh in metres, got a trimesh Trimesh, {mesh}",
        "unit": "unit must be one of mm|cm|m|inch, got 'km'.",
        "unknown": "no model for object 2: there are models of 3 4",
    }
    assert len(warned) == 1
    assert "K seems to belong to images 2 times as large as 64x48 pixels" in warned[0]
