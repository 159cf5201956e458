"""Labels that a later run takes over as they are, so that only the other instances are annotated again."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfpose6d.runs.certificates import read_review, require_labels_of, reviewed_row
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.json_lines import read_lines
from selfpose6d.runs.predictions import key_of
from selfpose6d.selection import FrameId
from selfpose6d.types import InstanceKey

KeptRows = Mapping[FrameId, Mapping[InstanceKey, dict[str, Any]]]
"""By frame and instance the row of the earlier run's certificates, to the last digit, without the object's name."""


def kept_rows(run: Path, fingerprint: str, split: str) -> KeptRows:
    """What is settled in an `annotate` run: certified poses, as its review corrects them, and what a person rejected.

    A rejected instance stays rejected: annotated again, it might come to the same pose.

    Args:
        run: the earlier run's folder.
        fingerprint: `Dataset.fingerprint()` of the data set that is annotated now.
        split: its split.

    Raises:
        UsageError: it is no annotate run, or one of another data set or split.
        DataError: a file of it is missing or broken.
    """
    require_labels_of(run, fingerprint, split, "--keep")
    files, kept = RunFiles(run), defaultdict(dict)
    review = read_review(files.review)
    for name, stored in read_lines(files.certificates):
        key = key_of(stored, name)
        row = reviewed_row({k: v for k, v in stored.items() if k != "name"}, review.get(key))
        if row.get("status") == "certified" or key in review:
            kept[FrameId(key.scene_id, key.im_id)][key] = row
    return kept
