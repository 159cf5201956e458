"""`test_targets_bop19.json`: which objects, and how many of each, an image is asked for. Holds no pose."""

import json
from pathlib import Path

from selfpose6d.datasets.images import data_error
from selfpose6d.errors import UsageError

TargetCounts = dict[tuple[int, int, int], int]
"""How many instances count, by (scene, image, object)."""


def targets_path(root: Path) -> Path:
    """Where a BOP root has it."""
    return root / "test_targets_bop19.json"


def read_target_counts(root: Path) -> TargetCounts:
    """Its rows.

    Raises:
        UsageError: there is no such file.
        DataError: it is not BOP's.
    """
    path = targets_path(root)
    if not path.is_file():
        raise UsageError(f"--targets bop19 needs {path}, which does not exist. Use --targets all.")
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {(int(r["scene_id"]), int(r["im_id"]), int(r["obj_id"])): int(r["inst_count"]) for r in rows}
    except (ValueError, KeyError, TypeError) as error:
        reason = f"not BOP's target list ({error!r})"
        raise data_error(path, reason, "Restore it, or use --targets all.") from None
