"""Small data sets on disk, 64x48 pixels: a 10 cm cube seen front on, at 0.5 m."""

import json
from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

from selfpose6d.datasets.ycb_video.files import YCB_NAMES
from selfpose6d.meshes.io import save_mesh_ply
from selfpose6d.meshes.mesh import Mesh

HEIGHT, WIDTH = 48, 64
CUBE_M, DISTANCE_M, FOCAL_PX = 0.1, 0.5, 100.0
CAM_K = [FOCAL_PX, 0.0, 31.5, 0.0, FOCAL_PX, 23.5, 0.0, 0.0, 1.0]
ROWS, COLUMNS = slice(14, 34), slice(22, 42)


def cube(side_m: float = CUBE_M) -> Mesh:
    """A cube about the origin, with vertex colours."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * side_m / 2
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [f for a, b, c, d in quads for f in ((a, b, c), (a, c, d))]
    colours = np.linspace(0, 255, 24).reshape(8, 3).astype(np.uint8)
    return Mesh(corners.astype(np.float32), np.array(faces, np.int32), vertex_rgb=colours)


def write_models(folder: Path, obj_ids: tuple[int, ...] = (1, 2)) -> None:
    folder.mkdir(parents=True)
    for obj_id in obj_ids:
        save_mesh_ply(cube(), folder / f"obj_{obj_id:06d}.ply")
    info = {str(i): {"diameter": CUBE_M * 3**0.5 * 1e3} for i in obj_ids}
    write_json(folder / "models_info.json", info)


def write_bop(root: Path, scenes: dict[int, int], split: str = "test", suffix: str = ".png") -> Path:
    """`scenes` gives the number of frames of each scene; every frame has objects 1 and 2, side by side."""
    write_models(root / "models")
    for scene_id, count in scenes.items():
        scene = root / split / f"{scene_id:06d}"
        cameras, poses = {}, {}
        for im_id in range(1, count + 1):
            write_image(scene / "rgb" / f"{im_id:06d}{suffix}", colour_image(scene_id * 100 + im_id))
            write_image(scene / "depth" / f"{im_id:06d}.png", depth_image_mm())
            for inst_id, mask in enumerate(masks()):
                write_image(scene / "mask_visib" / f"{im_id:06d}_{inst_id:06d}.png", mask)
            cameras[str(im_id)] = {"cam_K": CAM_K, "depth_scale": 1.0}
            poses[str(im_id)] = [scene_gt_entry(1), scene_gt_entry(2)]
        write_json(scene / "scene_camera.json", cameras)
        write_json(scene / "scene_gt.json", poses)
        write_json(scene / "scene_gt_info.json", {})
    return root


def scene_gt_entry(obj_id: int, t_mm: tuple[float, float, float] = (0.0, 0.0, 550.0)) -> dict:
    return {"cam_R_m2c": np.eye(3).reshape(-1).tolist(), "cam_t_m2c": list(t_mm), "obj_id": obj_id}


def write_capture(root: Path, names: tuple[str, ...] = ("a", "b")) -> Path:
    """Masks of object 1 in folders; no models."""
    for name in names:
        write_image(root / "rgb" / f"{name}.png", colour_image(len(name)))
        write_image(root / "depth" / f"{name}.png", depth_image_mm())
        write_image(root / "masks" / "1" / f"{name}.png", masks()[0])
    write_json(root / "camera.json", {"cam_K": CAM_K, "depth_scale": 1.0})
    return root


def write_ycb(root: Path, frames: tuple[tuple[int, int], ...] = ((1, 1), (60, 3))) -> Path:
    """YCB-Video's original layout without `image_sets/`; every frame has objects 2 and 5, side by side."""
    for scene, image in frames:
        stem = root / "data" / f"{scene:04d}" / f"{image:06d}"
        write_image(stem.with_name(f"{stem.name}-color.png"), colour_image(image))
        depth = np.full((48, 64), DISTANCE_M * 1e4, np.uint16)
        write_image(stem.with_name(f"{stem.name}-depth.png"), depth)
        first, second = masks()
        write_image(
            stem.with_name(f"{stem.name}-label.png"), (first > 0) * 2 + (second > 0).astype(np.uint8) * 5
        )
        write_ycb_meta(stem, scene)
    for name in YCB_NAMES:
        folder = root / "models" / name
        folder.mkdir(parents=True)
        save_mesh_ply(cube(), folder / "textured.ply")
    return root


def write_ycb_meta(stem: Path, scene: int, **changes: object) -> None:
    """`<stem>-meta.mat`; scenes from 60 on have another camera."""
    K = np.array(CAM_K).reshape(3, 3)
    K[[0, 1], [0, 1]] *= 2 if scene >= 60 else 1
    content = {
        "cls_indexes": np.array([[2], [5]], np.uint8),
        "intrinsic_matrix": K,
        "factor_depth": np.array([[10000]], np.uint16),
        "poses": np.full((3, 4, 2), np.nan),
    }
    savemat(stem.with_name(f"{stem.name}-meta.mat"), content | changes)


def colour_image(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)


def depth_image_mm() -> np.ndarray:
    depth = np.full((HEIGHT, WIDTH), 900, np.uint16)
    for mask in masks():
        depth[mask > 0] = int(DISTANCE_M * 1e3)
    return depth


def masks() -> tuple[np.ndarray, np.ndarray]:
    """The cube's square, and the same square moved to the left."""
    first, second = np.zeros((2, HEIGHT, WIDTH), np.uint8)
    first[ROWS, COLUMNS] = 255
    second[ROWS, 1:21] = 255
    return first, second


def write_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def change_json(path: Path, change) -> None:
    """Read, let `change` alter the content in place, write."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
