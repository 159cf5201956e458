"""True poses, for scoring and supervised recipes. With the layouts' own `true_poses` the only way to read one.

Works without images: a set of poses alone can be scored.
"""

from collections.abc import Iterator
from pathlib import Path

from selfpose6d.datasets.ground_truth import GroundTruthPose, Targets
from selfpose6d.datasets.layouts import detect_layout
from selfpose6d.errors import UsageError
from selfpose6d.selection import Selection


def load_ground_truth(
    root: Path | str, split: str = "test", selection: Selection | None = None, targets: Targets | None = None
) -> list[GroundTruthPose]:
    """Every annotated instance of the selected frames and objects, by frame; see `iterate_ground_truth`."""
    return list(iterate_ground_truth(root, split, selection, targets))


def iterate_ground_truth(
    root: Path | str, split: str = "test", selection: Selection | None = None, targets: Targets | None = None
) -> Iterator[GroundTruthPose]:
    """Every annotated instance of the selected frames and objects, one frame in memory at a time.

    `targets` says which count. `bop19`: those of `test_targets_bop19.json`; where an image has more instances
    of an object than it asks for, the most visible. `all`: those with a mask that is not empty, and those
    without an image. `annotated`: every one, without a look at masks. None is `bop19` where the file exists and the
    split is a test split, else `all`.

    Raises:
        UsageError: the layout has no true poses, there is no such split, or no target file.
        DataError: a file is missing or broken.
    """
    root, selection = Path(root), selection or Selection()
    layout = detect_layout(root)
    if layout.true_poses is None:
        raise UsageError(f"{root}: layout {layout.name} has no true poses. Pass a BOP or YCB-Video root.")
    for frame in layout.true_poses(root, split, selection, targets):
        yield from (pose for pose in frame if selection.keeps_object(pose.key.obj_id))
