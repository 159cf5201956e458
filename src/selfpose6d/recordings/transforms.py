"""Transforms between named frames, as `tf_static` gives them."""

from collections import deque

import numpy as np
from jaxtyping import Float

from selfpose6d.errors import DataError
from selfpose6d.recordings.camera_files import rigid_transform

MIN_QUATERNION_NORM = 1e-3
"""Of a rotation: rounded ones are within a few percent of 1. Shorter ones were never set."""


class FrameTree:
    """Rigid transforms between frames, chained over any number of them."""

    def __init__(self) -> None:
        """No frame yet."""
        self._neighbours: dict[str, dict[str, np.ndarray]] = {}

    def add(self, parent: str, child: str, T_parent_child: Float[np.ndarray, "4 4"]) -> None:
        """A later transform between the same frames replaces an earlier one."""
        parent, child = parent.lstrip("/"), child.lstrip("/")
        self._neighbours.setdefault(parent, {})[child] = T_parent_child
        self._neighbours.setdefault(child, {})[parent] = np.linalg.inv(T_parent_child)

    def find(self, to: str, from_: str) -> Float[np.ndarray, "4 4"] | None:
        """`T_<to>_<from>` by the shortest chain; None where there is none."""
        to, from_ = to.lstrip("/"), from_.lstrip("/")
        if not {to, from_} <= self._neighbours.keys():
            return None  # also for frames without a name, of which nothing says that they are one
        found = {to: np.eye(4)}
        queue = deque([to])
        while queue and from_ not in found:
            frame = queue.popleft()
            for neighbour, T_frame_neighbour in self._neighbours.get(frame, {}).items():
                if neighbour not in found:
                    found[neighbour] = found[frame] @ T_frame_neighbour
                    queue.append(neighbour)
        return found.get(from_)


def quaternion_transform(
    quat_xyzw: tuple[float, float, float, float],
    translation_m: tuple[float, float, float],
    name: str = "transform",
) -> Float[np.ndarray, "4 4"]:
    """A homogeneous matrix of ROS's quaternion (x, y, z, w) and a translation; `name` is the frames' in errors.

    Raises:
        DataError: a number is not finite, or the quaternion is too short to say a rotation.
    """
    norm = float(np.linalg.norm(quat_xyzw))
    if not (np.isfinite([*quat_xyzw, *translation_m]).all() and norm > MIN_QUATERNION_NORM):
        raise DataError(
            f"{name}: expected a unit quaternion (x, y, z, w) and a translation in metres, got {list(quat_xyzw)} and "
            f"{list(translation_m)}. Correct the transform, or give it with --extrinsics FILE."
        )
    x, y, z, w = np.asarray(quat_xyzw) / norm
    R = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    return rigid_transform(R, translation_m)
