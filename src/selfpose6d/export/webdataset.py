"""BOP-webdataset: shards of at most 1,000 images, everything of an image beside it (bop_toolkit's `bop_webdataset`)."""

import io
import json
import os
import tarfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from selfpose6d.export.coco import run_lengths
from selfpose6d.export.files import ImagePlacer
from selfpose6d.export.frames import ExportedFrame
from selfpose6d.json_stream import json_object
from selfpose6d.selection import FrameId

IMAGES_PER_SHARD = 1_000
"""As bop_toolkit has it."""
PARTS = ".frames"
"""Folder of the single images until they are packed."""


def write_frame(split_folder: Path, frame: ExportedFrame, place: ImagePlacer) -> dict[str, Any]:
    """Write a frame's images and annotations one by one; returns the endings of their names."""
    parts = split_folder / PARTS
    parts.mkdir(parents=True, exist_ok=True)
    key = _key(frame.frame_id)
    place(frame.rgb, parts / f"{key}.rgb{frame.rgb.suffix}")
    place(frame.depth, parts / f"{key}.depth{frame.depth.suffix}")
    content = {
        "camera": frame.camera,
        "gt": [instance.pose for instance in frame.instances],
        "gt_info": [instance.info for instance in frame.instances],
        "mask": {str(i): run_lengths(instance.mask) for i, instance in enumerate(frame.instances)},
        "mask_visib": {str(i): run_lengths(instance.visible) for i, instance in enumerate(frame.instances)},
    }
    for name, value in content.items():
        (parts / f"{key}.{name}.json").write_text(json.dumps(value), encoding="utf-8")
    names = [f"rgb{frame.rgb.suffix}", f"depth{frame.depth.suffix}", *(f"{name}.json" for name in content)]
    return {"parts": names}


def write_shards(split_folder: Path, rows: Iterable[tuple[FrameId, dict[str, Any]]]) -> None:
    """Pack the images into `shard-NNNNNN.tar`, in order, and write `key_to_shard.json`."""
    rows, number = iter(rows), 0
    with json_object(split_folder / "key_to_shard.json") as shard_of:
        while chunk := list(islice(rows, IMAGES_PER_SHARD)):
            _pack(split_folder / f"shard-{number:06d}.tar", split_folder / PARTS, chunk)
            for frame_id, _ in chunk:
                shard_of.put(_key(frame_id), number)
            number += 1


def _pack(shard: Path, parts: Path, rows: Iterable[tuple[FrameId, dict[str, Any]]]) -> None:
    """Write the shard, which appears whole; only one file of it is in memory."""
    aside = parts / shard.name
    with tarfile.open(aside, mode="w") as tar:
        for frame_id, row in rows:
            for name in row["parts"]:
                content = (parts / f"{_key(frame_id)}.{name}").read_bytes()
                entry = tarfile.TarInfo(f"{_key(frame_id)}.{name}")
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    os.replace(aside, shard)


def _key(frame_id: FrameId) -> str:
    return f"{frame_id.scene_id:06d}_{frame_id.im_id:06d}"
