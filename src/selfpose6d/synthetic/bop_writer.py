"""Scenes to disk as BOP has them: images, masks, cameras, true poses (millimetres)."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from selfpose6d.datasets.bop.entries import (
    SCENE_FOLDERS,
    info_entry,
    instance_file,
    pose_entry,
    target_rows,
    transform_entry,
)
from selfpose6d.image_files import mask_to_png, to_png
from selfpose6d.json_files import read_json
from selfpose6d.json_stream import write_json
from selfpose6d.runs.predictions import MM_PER_M
from selfpose6d.synthetic.frame import RenderedFrame, TrueInstance


def write_scene(folder: Path, frames: Iterable[RenderedFrame]) -> None:
    """Write one scene folder, image ids counted from 0; `mask_visib` holds the masks that a detector would give."""
    for name in SCENE_FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    cameras, poses, infos = {}, {}, {}
    for im_id, frame in enumerate(frames):
        (folder / "rgb" / f"{im_id:06d}.png").write_bytes(to_png(frame.rgb))
        (folder / "depth" / f"{im_id:06d}.png").write_bytes(to_png(frame.depth))
        infos[str(im_id)] = []
        for inst_id, instance in enumerate(frame.instances):
            name = instance_file(im_id, inst_id)
            whole = instance.silhouette.in_image(frame.depth.shape)
            (folder / "mask_visib" / name).write_bytes(mask_to_png(instance.mask))
            (folder / "mask" / name).write_bytes(mask_to_png(whole))
            infos[str(im_id)].append(_info(instance, frame))
        camera = {"cam_K": frame.K.ravel().tolist(), **transform_entry(frame.T_cam_world, "w2c")}
        cameras[str(im_id)] = {**camera, "depth_scale": MM_PER_M / frame.depth_units_per_m}
        poses[str(im_id)] = [pose_entry(i.T_cam_obj, i.obj_id) for i in frame.instances]
    write_json(folder / "scene_camera.json", cameras)
    write_json(folder / "scene_gt.json", poses)
    write_json(folder / "scene_gt_info.json", infos)


def write_targets(root: Path, split: str) -> None:
    """`test_targets_bop19.json`: objects of which at least a tenth is visible, counted per image."""
    targets = []
    for scene in sorted((root / split).iterdir()):
        poses, infos = (read_json(scene / name) for name in ("scene_gt.json", "scene_gt_info.json"))
        targets += target_rows(int(scene.name), poses, infos)
    write_json(root / "test_targets_bop19.json", targets)


def _info(instance: TrueInstance, frame: RenderedFrame) -> dict[str, Any]:
    kind = {} if instance.mask_kind is None else {"mask_kind": instance.mask_kind}
    return {**info_entry(instance.silhouette, instance.visible, frame.depth_m), **kind}
