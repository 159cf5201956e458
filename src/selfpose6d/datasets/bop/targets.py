"""`test_targets_bop19.json`: which objects, and how many of each, an image is asked for. Holds no pose."""

from pathlib import Path

from selfpose6d.datasets.images import data_error
from selfpose6d.errors import MALFORMED, UsageError
from selfpose6d.json_files import read_json, whole_number

TargetCounts = dict[tuple[int, int, int], int]
"""How many instances count, by (scene, image, object)."""
_NAMES = ("scene_id", "im_id", "obj_id", "inst_count")


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
        rows = [tuple(whole_number(row[name]) for name in _NAMES) for row in read_json(path)]
        return {(scene_id, im_id, obj_id): count for scene_id, im_id, obj_id, count in rows}
    except (OSError, *MALFORMED) as error:
        reason = f"not BOP's target list ({error!r})"
        raise data_error(path, reason, "Restore it, or use --targets all.") from None
