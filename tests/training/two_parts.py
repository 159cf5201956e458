"""What the tests of the recipes with a synthetic part share."""

import json
import shutil
from pathlib import Path

from small_roots import change_json

RECIPES = ("mixed", "teacher-student")


def spoil_poses(root: Path, split: str, pose: dict) -> None:
    """Every true pose of a split becomes this one."""

    def spoil(scene_gt):
        for entries in scene_gt.values():
            for entry in entries:
                entry |= pose

    change_json(root / split / "000001" / "scene_gt.json", spoil)


def copied(root: Path, to: Path) -> Path:
    shutil.copytree(root, to)
    return to


def rows(out: Path, kind: str) -> list[dict]:
    lines = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    return [row for row in lines if row["kind"] == kind]
