"""glTF's skins: vertices that follow joints, in the pose in which the file stores those.

Reference: glTF 2.0, 3.7.3 (the transform of the skinned node itself is not used).
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from selfpose6d.meshes.gltf_file import GltfFile


def joint_matrices(
    file: GltfFile, skin_index: int, scene_transform: Callable[[int], Float[np.ndarray, "4 4"]]
) -> Float[np.ndarray, "joints 4 4"]:
    """What each joint of a skin does to the vertices that follow it: from the mesh's frame to the scene's.

    Raises:
        ValueError: it has no joints, or fewer inverse bind matrices than joints.
    """
    skin = file.entry("skins", skin_index)
    joints = skin.get("joints", [])
    if not joints:
        raise ValueError(f"skins[{skin_index}] has no joints")
    T_joint_mesh = np.tile(np.eye(4), (len(joints), 1, 1))
    if "inverseBindMatrices" in skin:
        columns = file.array(skin["inverseBindMatrices"]).astype(np.float64)
        if len(columns) < len(joints):
            raise ValueError(f"skins[{skin_index}] has {len(columns)} matrices for {len(joints)} joints")
        T_joint_mesh = columns[: len(joints)].reshape(-1, 4, 4).swapaxes(1, 2)
    return np.stack([scene_transform(joint) for joint in joints]) @ T_joint_mesh


def skinned(
    file: GltfFile,
    attributes: dict[str, int],
    vertices: Float[np.ndarray, "vertices 3"],
    T_scene_mesh: Float[np.ndarray, "joints 4 4"],
) -> Float[np.ndarray, "vertices 3"] | None:
    """The vertices in the scene's frame, each by the weighted mean of its joints; None where it has no weights.

    Raises:
        ValueError: they follow joints that the skin does not have.
    """
    blended, total, count = np.zeros((len(vertices), 4, 4)), np.zeros(len(vertices)), 0
    while f"JOINTS_{count}" in attributes and f"WEIGHTS_{count}" in attributes:
        joints = file.array(attributes[f"JOINTS_{count}"]).astype(np.int64)
        weights = file.array(attributes[f"WEIGHTS_{count}"]).astype(np.float64)
        if not len(joints) == len(weights) == len(vertices):
            raise ValueError(f"JOINTS_{count} has {len(joints)} entries for {len(vertices)} vertices")
        joints = np.where(weights > 0, joints, 0)
        if joints.max(initial=0) >= len(T_scene_mesh):
            raise ValueError(f"a vertex follows joint {joints.max()} of {len(T_scene_mesh)}")
        for column in range(joints.shape[1]):
            blended += weights[:, column, None, None] * T_scene_mesh[joints[:, column]]
        total += weights.sum(axis=1)
        count += 1
    if not count or (total <= 0).any():
        return None
    blended /= total[:, None, None]
    return (blended[:, :3, :3] @ vertices[:, :, None])[..., 0] + blended[:, :3, 3]
