"""The JSON files of a BOP root."""

import json
from pathlib import Path
from typing import Any

from selfpose6d.files import replacing

MM_PER_M = 1000.0
TARGET_VISIBLE_SHARE = 0.1


def write_targets(root: Path, split: str) -> None:
    """`test_targets_bop19.json`: objects of which at least a tenth is visible, counted per image."""
    targets = []
    for scene in sorted((root / split).iterdir()):
        poses = json.loads((scene / "scene_gt.json").read_text())
        infos = json.loads((scene / "scene_gt_info.json").read_text())
        for im_id, entries in poses.items():
            ids = [
                entry["obj_id"]
                for entry, info in zip(entries, infos[im_id], strict=True)
                if info["visib_fract"] >= TARGET_VISIBLE_SHARE
            ]
            targets += [
                {"im_id": int(im_id), "inst_count": ids.count(i), "obj_id": i, "scene_id": int(scene.name)}
                for i in sorted(set(ids))
            ]
    write_json(root / "test_targets_bop19.json", targets)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, one entry of the outermost list or object a line."""
    with replacing(path) as file:
        opening, closing = "{}" if isinstance(content, dict) else "[]"
        items = (
            [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()]
            if isinstance(content, dict)
            else [json.dumps(value) for value in content]
        )
        file.write(opening + "\n" + ",\n".join(items) + "\n" + closing + "\n")
