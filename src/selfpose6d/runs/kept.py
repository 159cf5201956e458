"""Labels that a later run takes over as they are, so that only the other instances are annotated again."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfpose6d.files import content_hash
from selfpose6d.runs.certificates import label_of, pose_row, require_labels_of
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.json_lines import read_lines
from selfpose6d.runs.predictions import key_of
from selfpose6d.runs.review import read_review, require_known, reviewed
from selfpose6d.selection import FrameId
from selfpose6d.types import InstanceKey

KeptRows = Mapping[FrameId, Mapping[InstanceKey, dict[str, Any]]]
"""By frame and instance the row of the earlier run's certificates, without the object's name; where no person corrected
it, to the last digit."""


def kept_hash(run: Path) -> str:
    """What tells the labels of an earlier run, and their review, from what they are at another time."""
    files = RunFiles(run)
    hashes = [content_hash(path) if path.is_file() else "-" for path in (files.certificates, files.review)]
    return hashlib.sha256(" ".join(hashes).encode()).hexdigest()[:16]


def kept_rows(run: Path, fingerprint: str, split: str, meshes: str | None = None) -> KeptRows:
    """What is settled in an `annotate` run: certified poses, as its review corrects them, and what a person rejected.

    A rejected instance stays rejected: annotated again, it might come to the same pose.

    Args:
        run: the earlier run's folder.
        fingerprint: `Dataset.fingerprint()` of the data set that is annotated now.
        split: its split.
        meshes: `ModelFiles.content`; None: not compared.

    Raises:
        UsageError: it is no annotate run, or one of another data set or split.
        DataError: a file of it is missing or broken, or a verdict is about an instance that it does not have.
    """
    require_labels_of(run, fingerprint, split, "--keep", meshes)
    files, kept, met = RunFiles(run), defaultdict(dict), set()
    review = read_review(files.review)
    for name, stored in read_lines(files.certificates):
        key = key_of(stored, name)
        row = {field: value for field, value in stored.items() if field != "name"}
        if key in review:
            met.add(key)
            row = pose_row(reviewed(label_of(row, name), review))
        if key in review or row.get("status") == "certified":
            kept[FrameId(key.scene_id, key.im_id)][key] = row
    require_known(review, met)
    return kept
