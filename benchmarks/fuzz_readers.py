"""Every reader of files, on small valid files to begin with, and what has to hold of whatever it returns."""

import contextlib
import json
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
import trimesh
from scipy.io import savemat
from trimesh.exchange.gltf import export_gltf

from selfpose6d.cli.annotate import Command
from selfpose6d.cli.arguments import with_config
from selfpose6d.cli.main import main
from selfpose6d.crops.store import CacheOptions, open_crop_store
from selfpose6d.datasets.bop.targets import read_target_counts
from selfpose6d.datasets.coco_masks import encode_mask
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.doctor.validate import Validation
from selfpose6d.datasets.options import DataOptions
from selfpose6d.datasets.symmetries import read_symmetries
from selfpose6d.datasets.true_poses import load_ground_truth
from selfpose6d.datasets.ycb_video.files import YCB_NAMES
from selfpose6d.errors import SelfPose6DError
from selfpose6d.evaluation.errors_file import read_instances
from selfpose6d.evaluation.model_points import load_model_points
from selfpose6d.evaluation.results import read_results
from selfpose6d.finding.prompts import Prompts
from selfpose6d.labeling.calibration import load_calibration
from selfpose6d.meshes.io import load_mesh, save_mesh_ply
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.network.checkpoint import load_network
from selfpose6d.network.config import SIZES
from selfpose6d.objects.mesh_cache import cached_arrays
from selfpose6d.recordings.camera_files import read_camera, read_extrinsics
from selfpose6d.recordings.import_recording import import_recording
from selfpose6d.recordings.options import RecordingOptions
from selfpose6d.runs.certificates import read_certificates, reviewed_labels
from selfpose6d.runs.config import DataConfig, RunContext, new_config, read_config, write_config
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.journal import Journal
from selfpose6d.runs.predictions import iterate_predictions, read_skipped
from selfpose6d.runs.review import read_review
from selfpose6d.selection import FrameId
from selfpose6d.training.checkpoint import TrainingState, load_state, save_state

HEIGHT, WIDTH = 48, 64
SHAPE = (HEIGHT, WIDTH)
CAM_K = [100.0, 0.0, 31.5, 0.0, 100.0, 23.5, 0.0, 0.0, 1.0]
KEY = {"split": "test", "scene_id": 1, "im_id": 1, "obj_id": 1, "inst_id": 0}
POSE = {"R": np.eye(3).reshape(-1).tolist(), "t_mm": [0.0, 0.0, 550.0]}
DEFECT = 0.05
"""Of a rotation that a reader lets through."""


@dataclass(frozen=True)
class Reader:
    """Writes valid files into a folder, and reads the folder; `files` are those that go wrong, one at a time."""

    write: Callable[[Path], None]
    files: tuple[str, ...]
    read: Callable[[Path], None]


class SilentFaultError(AssertionError):
    """A reader let something through that cannot be right."""


def require(holds: object, what: str) -> None:
    """Let through what holds."""
    if not holds:
        raise SilentFaultError(what)


def require_pose(T_cam_obj: np.ndarray | torch.Tensor, what: str) -> None:
    """A pose is a finite rigid transform, whoever made it."""
    T = np.asarray(T_cam_obj, np.float64)
    require(np.isfinite(T).all(), f"{what}: a pose that is not finite")
    R = T[:3, :3]
    require(np.abs(R @ R.T - np.eye(3)).max() < DEFECT and np.linalg.det(R) > 0, f"{what}: no rotation")


def require_mesh(mesh: Mesh) -> None:
    """Finite vertices, of a size that objects have, and faces that name them."""
    require(np.isfinite(mesh.vertices_m).all() and np.ptp(mesh.vertices_m, axis=0).max() <= 5, "vertices")
    require(mesh.faces.min() >= 0 and mesh.faces.max() < len(mesh.vertices_m), "faces")
    require(mesh.corner_uv is None or np.isfinite(mesh.corner_uv).all(), "texture coordinates")


# what is read


def read_dataset(dataset: Dataset) -> None:
    """Every frame as annotating reads it, then as `validate` does."""
    first = None
    for frame_id in dataset.frame_ids():
        try:
            frame = dataset.load_frame(frame_id)
        except SelfPose6DError as error:
            _require_one_line(error)
            first = first or error
            with contextlib.suppress(SelfPose6DError):
                dataset.instance_keys(frame_id)
            continue
        require(np.isfinite(frame.depth_m).all() and frame.depth_m.min() >= 0, "depth")
        require(frame.rgb.dtype == np.uint8 and frame.rgb.shape == (*frame.depth_m.shape, 3), "colour")
        require(np.isfinite(frame.K).all() and frame.K[0, 0] > 0, "K")
        require(all(one.mask.any() for one in frame.instances), "an empty mask")
    dataset.fingerprint()
    for _ in dataset.frame_stamps():
        pass
    for problems in Validation(dataset).run():
        for problem in problems:
            require("\n" not in problem.message, f"more than one line: {problem.message!r}")
    if first is not None:
        raise first


def _read_root(folder: Path, detections: str | None = None) -> None:
    path = None if detections is None else folder / detections
    read_dataset(
        DataOptions(folder, detections=path, models=_models_of(folder), model_unit=_unit_of(folder)).open()
    )


def _models_of(folder: Path) -> Path | None:
    return folder / "meshes" if (folder / "meshes").is_dir() else None


def _unit_of(folder: Path):
    return "mm" if (folder / "meshes").is_dir() else None


def _read_truth(folder: Path) -> None:
    for pose in load_ground_truth(folder):
        require_pose(pose.T_cam_obj, "true pose")


def _read_models(folder: Path) -> None:
    options = DataOptions(folder)
    dataset = options.open()
    for group in read_symmetries(folder / "models").values():
        for T in group.expand(4):
            require_pose(T, "symmetry")
    dataset.object_names()
    for points in load_model_points(dataset.models, dataset.object_ids).values():
        require(np.isfinite(points.points_m).all(), "model points")
    for _ in Validation(dataset).run():
        pass


def _read_detections(folder: Path, name: str) -> None:
    """As masks and as prompts; where `annotate` skips a row, `validate` has named it."""
    with _passing():
        prompts = Prompts(folder / name)
        for frame_id in (FrameId(1, 1), FrameId(1, 2)):
            prompts.of(frame_id, SHAPE)
    _read_root(folder, name)


def _read_run(folder: Path) -> None:
    run = RunFiles(folder)
    for prediction in iterate_predictions(run.predictions):
        require_pose(prediction.T_cam_obj, "prediction")
        require(np.isfinite(prediction.score), "score")


def _read_labels(folder: Path) -> None:
    run = RunFiles(folder)
    for label in read_certificates(run.certificates):
        require_pose(label.T_cam_obj, "certificate")
        for other in label.certificate.alternatives:
            require_pose(other.T_cam_obj, "alternative")
    for _ in read_skipped(run.skipped):
        pass
    for verdict in read_review(run.review).values():
        if verdict.T_cam_obj is not None:
            require_pose(verdict.T_cam_obj, "review")
    for label in reviewed_labels(run):
        require_pose(label.T_cam_obj, "reviewed")


def _read_journal(folder: Path) -> None:
    for record in Journal(folder / "journal.jsonl").records():
        require(all(isinstance(row, dict) for row in (*record.labels, *record.skipped)), "rows")


def _read_mesh(suffix: str) -> Callable[[Path], None]:
    return lambda folder: require_mesh(load_mesh(folder / f"mesh{suffix}", "m"))


def _read_recording(folder: Path) -> None:
    import_recording(folder / "recording", folder / "out", RecordingOptions())


def _read_bag(folder: Path) -> None:
    import_recording(folder / "bag.mcap", folder / "out", RecordingOptions())


def _read_checkpoint(folder: Path) -> None:
    network, _ = load_network(folder / "network.safetensors")
    require(network.objects.obj_ids, "objects")


def _read_state(folder: Path) -> None:
    state = load_state(folder)
    require(isinstance(state.step, int) and isinstance(state.network, dict), "state")


def _read_calibration(folder: Path) -> None:
    calibration = load_calibration(folder / "calibration.json")
    require(0 <= calibration.probability(1.0) <= 1, "probability")
    with _passing():
        calibration.threshold(0.01)


def _read_crops(folder: Path) -> None:
    store = open_crop_store(DataOptions(folder).open(), 32, CacheOptions(folder / "cache", workers=1))
    records = store.read(np.arange(len(store)))
    require(len(records) and store.obj_ids == (1, 2), "crops")


def _read_mesh_cache(folder: Path) -> None:
    made = {"points": torch.arange(6.0).reshape(2, 3)}
    found = cached_arrays(_cube(), "fuzz", ("points",), lambda: made, folder / "cache")
    require(found["points"].shape == (2, 3) and found["points"].dtype == torch.float32, "another array")


def _read_config(folder: Path) -> None:
    config = read_config(folder)
    require(isinstance(config.command, str), "command")


def _read_options(folder: Path) -> None:
    for name in ("options.yaml", "config.yaml"):
        with _passing():
            words = with_config(folder / name, "annotate", Command, ["data", "--out", "run"])
            require(all(isinstance(word, str) for word in words), "words")


def _read_camera(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("camera"):
            with _passing():
                camera = read_camera(path).camera
                require(np.isfinite(camera.K).all() and camera.K[0, 0] > 0, "K")
    require_pose(read_extrinsics(folder / "extrinsics.json"), "extrinsics")


@contextlib.contextmanager
def _passing():
    """Clear errors pass: another reader of the same file follows."""
    try:
        yield
    except SelfPose6DError as error:
        _require_one_line(error)


def _require_one_line(error: SelfPose6DError) -> None:
    require(len(str(error).splitlines()) == 1, f"more than one line: {str(error)!r}")


# valid files


def _cube() -> Mesh:
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * 0.05
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [face for a, b, c, d in quads for face in ((a, b, c), (a, c, d))]
    colours = np.linspace(0, 255, 24).reshape(8, 3).astype(np.uint8)
    return Mesh(corners.astype(np.float32), np.array(faces, np.int32), vertex_rgb=colours)


def _image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def _json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def _lines(path: Path, rows: Iterable[object]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _masks() -> tuple[np.ndarray, np.ndarray]:
    first, second = np.zeros((2, *SHAPE), np.uint8)
    first[14:34, 22:42] = second[14:34, 1:21] = 255
    return first, second


def _images(scene: Path, im_id: int, rgb: str, depth: str) -> None:
    noise = np.random.default_rng(im_id).integers(0, 255, (*SHAPE, 3), np.uint8)
    _image(scene / "rgb" / f"{im_id:06d}{rgb}", noise)
    _image(
        scene / "depth" / f"{im_id:06d}{depth}",
        np.where(_masks()[0] + _masks()[1], 500, 900).astype(np.uint16),
    )
    for index, mask in enumerate(_masks()):
        _image(scene / "mask_visib" / f"{im_id:06d}_{index:06d}.png", mask)


def _bop(folder: Path, rgb: str = ".png", depth: str = ".png") -> None:
    scene = folder / "test" / "000001"
    for im_id in (1, 2):
        _images(scene, im_id, rgb, depth)
    camera = {"cam_K": CAM_K, "depth_scale": 1.0}
    _json(scene / "scene_camera.json", {"1": camera, "2": camera})
    entry = {"cam_R_m2c": POSE["R"], "cam_t_m2c": POSE["t_mm"]}
    entries = [entry | {"obj_id": 1}, entry | {"obj_id": 2}]
    _json(scene / "scene_gt.json", {"1": entries, "2": entries})
    info = [{"visib_fract": 1.0, "px_count_visib": 400, "bbox_obj": [1, 14, 20, 20]}] * 2
    _json(scene / "scene_gt_info.json", {"1": info, "2": info})
    rows = [{"scene_id": 1, "im_id": i, "obj_id": o, "inst_count": 1} for i in (1, 2) for o in (1, 2)]
    _json(folder / "test_targets_bop19.json", rows)
    (folder / "models").mkdir()
    for obj_id in (1, 2):
        save_mesh_ply(_cube(), folder / "models" / f"obj_{obj_id:06d}.ply")
        (folder / "models" / f"obj_{obj_id:06d}.xyz").write_text("-50 -50 -50\n50 50 50\n0 0 1\n")
    _json(
        folder / "models" / "models_info.json",
        {"1": {"diameter": 173.2, "name": "box"}, "2": {"diameter": 173.2}},
    )


def _symmetric_bop(folder: Path) -> None:
    _bop(folder)
    half_turn = [1.0, 0, 0, 0, 0, -1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1]
    shape = {"diameter": 173.2, "symmetries_discrete": [half_turn], "name": "box"}
    round_ = {"diameter": 173.2, "symmetries_continuous": [{"axis": [0, 0, 1], "offset": [0, 0, 0]}]}
    _json(folder / "models" / "models_info.json", {"1": shape, "2": round_})


def _tiff_bop(folder: Path) -> None:
    _bop(folder, depth=".tif")


def _jpeg_bop(folder: Path) -> None:
    _bop(folder, rgb=".jpg")


def _detections(folder: Path) -> None:
    _bop(folder)
    outline = encode_mask(_masks()[0] > 0)
    counts = {"size": list(SHAPE), "counts": [100, 200, HEIGHT * WIDTH - 300]}
    polygon = [[22.0, 14.0, 42.0, 14.0, 42.0, 34.0, 22.0, 34.0]]
    rows = [
        {
            "scene_id": 1,
            "image_id": 1,
            "category_id": 1,
            "score": 0.9,
            "bbox": [22, 14, 20, 20],
            "segmentation": one,
        }
        for one in (outline, counts, polygon, None)
    ]
    _json(folder / "detections.json", [*rows, rows[0] | {"image_id": 2, "category_id": 2, "time": -1}])


def _coco(folder: Path) -> None:
    _bop(folder)
    images = [
        {"id": i, "file_name": f"test/000001/rgb/{i:06d}.png", "width": WIDTH, "height": HEIGHT}
        for i in (1, 2)
    ]
    names = [{"id": 1, "name": "obj_000001", "supercategory": "object"}, {"id": 7, "name": "obj_000002"}]
    box = {"bbox": [22, 14, 20, 20], "segmentation": [], "iscrowd": 0, "area": 400}
    rows = [
        {"id": 1, "image_id": 1, "category_id": 1, **box},
        {"id": 2, "image_id": 2, "category_id": 7, **box},
    ]
    _json(folder / "coco.json", {"info": {}, "images": images, "annotations": rows, "categories": names})


def _capture(folder: Path) -> None:
    _images(folder, 1, ".png", ".png")
    _image(folder / "masks" / "1" / "000001.png", _masks()[0])
    _json(folder / "camera.json", {"cam_K": CAM_K, "depth_scale": 1.0})
    _json(folder / "frames.json", {"0": "000001.png"})
    (folder / "meshes").mkdir()
    save_mesh_ply(_cube(), folder / "meshes" / "can.ply")
    save_mesh_ply(_cube(), folder / "meshes" / "box.ply")
    _json(folder / "meshes" / "models.json", {"can": 1, "box": 2})


def _ycb(folder: Path) -> None:
    stem = folder / "data" / "0001" / "000001"
    first, second = _masks()
    labels = (first > 0) * np.uint8(2) + (second > 0) * np.uint8(5)
    _image(stem.with_name("000001-color.png"), np.zeros((*SHAPE, 3), np.uint8))
    _image(stem.with_name("000001-depth.png"), np.full(SHAPE, 5000, np.uint16))
    _image(stem.with_name("000001-label.png"), labels)
    poses = np.repeat(np.eye(3, 4)[..., None], 2, axis=2)
    poses[2, 3] = 0.55
    content = {"cls_indexes": np.array([[2], [5]], np.uint8), "intrinsic_matrix": np.reshape(CAM_K, (3, 3))}
    savemat(
        stem.with_name("000001-meta.mat"),
        content | {"factor_depth": np.array([[10000]], np.uint16), "poses": poses},
    )
    (folder / "image_sets").mkdir()
    (folder / "image_sets" / "classes.txt").write_text("\n".join(YCB_NAMES) + "\n")
    (folder / "image_sets" / "keyframe.txt").write_text("0001/000001\n")
    for name in (YCB_NAMES[1], YCB_NAMES[4]):
        (folder / "models" / name).mkdir(parents=True)
        save_mesh_ply(_cube(), folder / "models" / name / "textured.ply", "m")


def _read_ycb(folder: Path) -> None:
    with _passing():
        _read_root(folder)
    _read_truth(folder)


def _trimesh(texture: bool = True) -> trimesh.Trimesh:
    cube = _cube()
    mesh = trimesh.Trimesh(cube.vertices_m, cube.faces, process=False)
    if texture:
        from PIL import Image

        pixels = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
        uv = np.random.default_rng(1).random((8, 2))
        mesh.visual = trimesh.visual.TextureVisuals(  # pyright: ignore[reportAttributeAccessIssue]
            uv, image=Image.fromarray(pixels)
        )
    return mesh


def _exported(suffix: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        mesh = _trimesh(texture=suffix in (".obj", ".glb", ".gltf"))
        if suffix == ".gltf":
            for name, content in export_gltf(trimesh.Scene(mesh)).items():
                (folder / name.replace("model.gltf", "mesh.gltf")).write_bytes(content)
        else:
            mesh.export(folder / f"mesh{suffix}")

    return write


def _ply(folder: Path) -> None:
    cube = _cube()
    uv = np.random.default_rng(1).random((12, 3, 2)).astype(np.float32)
    texture = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    save_mesh_ply(Mesh(cube.vertices_m, cube.faces, corner_uv=uv, texture=texture), folder / "mesh.ply", "m")


def _ascii_ply(folder: Path) -> None:
    _trimesh(texture=False).export(folder / "mesh.ply", encoding="ascii")


def _run(folder: Path) -> None:
    R, t = (" ".join(map(str, POSE[name])) for name in ("R", "t_mm"))
    rows = [f"1,{i},{o},0.9,{R},{t},0.5\n" for i in (1, 2) for o in (1, 2)]
    (folder / "predictions.csv").write_text("scene_id,im_id,obj_id,score,R,t,time\n" + "".join(rows))


def _labels(folder: Path) -> None:
    label = KEY | {
        "status": "ambiguous",
        "reason": "two poses",
        "confidence": 0.5,
        "margin": 0.1,
        "rms_m": 0.001,
    }
    label |= {
        **POSE,
        "alternatives": [POSE | {"confidence": 0.5}] * 2,
        "mask_quality": "exact",
        "calibration": "ab",
    }
    _lines(folder / "certificates.jsonl", [label, label | {"inst_id": 1, "status": "certified"}])
    _lines(folder / "skipped.jsonl", [KEY | {"reason": "empty mask"}])
    verdicts = [
        KEY | {"verdict": "alternative", "alternative": 1},
        KEY | {"inst_id": 1, "verdict": "pose", **POSE},
    ]
    _lines(folder / "review.jsonl", verdicts)


def _journal(folder: Path) -> None:
    label = KEY | {"status": "certified", "confidence": 0.9, **POSE}
    row = {"frame": [1, 1], "labels": [label], "skipped": [KEY | {"reason": "x"}], "time_s": 0.5}
    found = {"detections": [{"segmentation": {}}], "turned_away": [], "error": ""}
    _lines(folder / "journal.jsonl", [row, row | {"frame": [1, 2]} | found, row])


def _network(folder: Path) -> None:
    from selfpose6d.network.checkpoint import save_network
    from selfpose6d.network.interface import ObjectTable
    from selfpose6d.network.pose_network import PoseNetwork

    config = replace(
        SIZES["small"],
        crop_px=32,
        num_points=16,
        refiner_channels=(4, 4),
        stage_channels=(4,) * 4,
        psp_channels=4,
    )
    config = replace(
        config, decoder_channels=(4,), head_channels=(4,) * 3, colour_channels=4, fusion_channels=(4, 4)
    )
    config = replace(config, global_channels=(4, 4))
    torch.manual_seed(0)
    objects = ObjectTable((1, 2), (0.1, 0.2), ((0.0, 0.0, 0.0),) * 2)
    save_network(folder / "network.safetensors", PoseNetwork(config, objects), {"recipe": "paper", "step": 1})


def _state(folder: Path) -> None:
    (folder / "checkpoints").mkdir()
    weights = {"weight": torch.zeros(2, 2)}
    save_state(folder, TrainingState(1, 2, 0, 0.5, 0, 0, 0, weights, {"state": {}, "groups": [1]}))


def _write_config(folder: Path) -> None:
    config = new_config(
        "annotate", DataConfig("test", "abc"), {"method": "verified"}, RunContext(Path("x"), "cpu")
    )
    write_config(folder, config)


def _options(folder: Path) -> None:
    _write_config(folder)
    (folder / "options.yaml").write_text("method: verified\nrisk: 0.01\nobjects: [1, 2]\nworkers: 1\n")


def _cameras(folder: Path) -> None:
    K = np.reshape(CAM_K, (3, 3))
    np.savetxt(folder / "camera_K.txt", K)
    ros = {
        "image_width": WIDTH,
        "image_height": HEIGHT,
        "camera_matrix": {"rows": 3, "cols": 3, "data": CAM_K},
    }
    ros |= {
        "distortion_model": "plumb_bob",
        "distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.0] * 5},
    }
    _json(folder / "camera_info.yaml", ros)
    _json(
        folder / "camera.json",
        {"color": {"width": WIDTH, "height": HEIGHT, "fx": 100.0, "fy": 100.0, "ppx": 31.5}},
    )
    _json(
        folder / "camera_o3d.json",
        {"width": WIDTH, "height": HEIGHT, "intrinsic_matrix": K.T.ravel().tolist()},
    )
    storage = cv2.FileStorage(str(folder / "camera_opencv.yaml"), cv2.FILE_STORAGE_WRITE)
    storage.write("camera_matrix", K)
    storage.release()
    _json(folder / "extrinsics.json", {"rotation": POSE["R"], "translation": [0.01, 0, 0]})


def _calibration(folder: Path) -> None:
    load_calibration().save(folder / "calibration.json")


def _scores(folder: Path) -> None:
    (folder / "data").mkdir()
    _bop(folder / "data")
    (folder / "data" / "models" / "models_info.json").unlink()
    _run(folder)
    code = main(
        [
            "evaluate",
            str(folder / "predictions.csv"),
            str(folder / "data"),
            "--quiet",
            "--out",
            str(folder / "results.json"),
        ]
    )
    require(code == 0, "evaluate")


def _read_scores(folder: Path) -> None:
    with _passing():
        read_instances(folder / "instances.csv")
    read_results(folder / "results.json")


def _crops(folder: Path) -> None:
    _bop(folder)
    _read_crops(folder)
    made = next(path for path in (folder / "cache").iterdir() if path.is_dir())
    made.rename(folder / "cache" / made.name)


def _mesh_cache(folder: Path) -> None:
    _read_mesh_cache(folder)


def _recording(folder: Path) -> None:
    recording = folder / "recording"
    _image(recording / "rgb" / "1.png", np.zeros((*SHAPE, 3), np.uint8))
    (recording / "depth").mkdir()
    np.save(recording / "depth" / "1.npy", np.full(SHAPE, 0.5, np.float32))
    _json(recording / "camera.json", {"cam_K": CAM_K, "depth_scale": 1.0})


def _bag(folder: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "recordings"))
    from written_bags import rgbd_messages, write_bag  # pyright: ignore[reportMissingImports]

    depth = np.full((120, 160), 700, np.uint16)
    made = write_bag(folder, "mcap", rgbd_messages([(np.zeros((120, 160, 3), np.uint8), depth)]))
    made.rename(folder / "bag.mcap")


_SCENE = "test/000001"
_IMAGES = tuple(
    f"{_SCENE}/{name}" for name in ("rgb/000001.png", "depth/000001.png", "mask_visib/000001_000000.png")
)
READERS: dict[str, Reader] = {
    "png": Reader(_bop, _IMAGES, _read_root),
    "tiff": Reader(_tiff_bop, (f"{_SCENE}/depth/000001.tif",), _read_root),
    "jpeg": Reader(_jpeg_bop, (f"{_SCENE}/rgb/000001.jpg",), _read_root),
    "npy": Reader(_recording, ("recording/depth/1.npy",), _read_recording),
    "scene_camera": Reader(_bop, (f"{_SCENE}/scene_camera.json",), _read_root),
    "scene_gt": Reader(
        _bop, (f"{_SCENE}/scene_gt.json",), lambda f: (_quietly(_read_root, f), _read_truth(f))[1]
    ),
    "scene_gt_info": Reader(_bop, (f"{_SCENE}/scene_gt_info.json", "test_targets_bop19.json"), _read_truth),
    "targets": Reader(_bop, ("test_targets_bop19.json",), lambda f: _targets(f)),
    "models_info": Reader(_symmetric_bop, ("models/models_info.json", "models/obj_000001.xyz"), _read_models),
    "detections": Reader(_detections, ("detections.json",), lambda f: _read_detections(f, "detections.json")),
    "coco": Reader(_coco, ("coco.json",), lambda f: _read_root(f, "coco.json")),
    "capture": Reader(_capture, ("camera.json", "frames.json", "meshes/models.json"), _read_root),
    "mat": Reader(_ycb, ("data/0001/000001-meta.mat",), _read_ycb),
    "image_set": Reader(_ycb, ("image_sets/keyframe.txt", "image_sets/classes.txt"), _read_ycb),
    "ply": Reader(_ply, ("mesh.ply", "mesh.png"), _read_mesh(".ply")),
    "ply_ascii": Reader(_ascii_ply, ("mesh.ply",), _read_mesh(".ply")),
    "obj": Reader(_exported(".obj"), ("mesh.obj", "material.mtl"), _read_mesh(".obj")),
    "glb": Reader(_exported(".glb"), ("mesh.glb",), _read_mesh(".glb")),
    "gltf": Reader(_exported(".gltf"), ("mesh.gltf",), _read_mesh(".gltf")),
    "stl": Reader(_exported(".stl"), ("mesh.stl",), _read_mesh(".stl")),
    "off": Reader(_exported(".off"), ("mesh.off",), _read_mesh(".off")),
    "predictions": Reader(_run, ("predictions.csv",), _read_run),
    "labels": Reader(_labels, ("certificates.jsonl", "skipped.jsonl", "review.jsonl"), _read_labels),
    "journal": Reader(_journal, ("journal.jsonl",), _read_journal),
    "scores": Reader(_scores, ("instances.csv", "results.json"), _read_scores),
    "checkpoint": Reader(_network, ("network.safetensors",), _read_checkpoint),
    "training_state": Reader(_state, ("checkpoints/last.state",), _read_state),
    "calibration": Reader(_calibration, ("calibration.json",), _read_calibration),
    "crop_cache": Reader(
        _crops, ("cache/*/records.bin", "cache/*/keys.npy", "cache/*/skipped.jsonl"), _read_crops
    ),
    "mesh_cache": Reader(_mesh_cache, ("cache/*.npz",), _read_mesh_cache),
    "config": Reader(_write_config, ("config.yaml",), _read_config),
    "options": Reader(_options, ("options.yaml", "config.yaml"), _read_options),
    "camera": Reader(
        _cameras,
        (
            "camera_K.txt",
            "camera_info.yaml",
            "camera.json",
            "camera_o3d.json",
            "camera_opencv.yaml",
            "extrinsics.json",
        ),
        _read_camera,
    ),
    "bag": Reader(_bag, ("bag.mcap",), _read_bag),
}


def _quietly(read: Callable[[Path], None], folder: Path) -> None:
    with _passing():
        read(folder)


def _targets(folder: Path) -> None:
    counts = read_target_counts(folder)
    require(all(isinstance(count, int) for count in counts.values()), "counts")


warnings.simplefilter("ignore")
