"""Arrangements of single frames: things close together on the table, and some held in front of them."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from selfpose6d.synthetic.compose import Placed
from selfpose6d.synthetic.layout import Arrangement, footprint, of_similar_size, place
from selfpose6d.synthetic.scene_assets import SceneAssets
from selfpose6d.synthetic.scene_scale import scene_scale

# from the middle, times the scene scale: the first try, and what is added until the last
CLUTTER_REACH_M = (0.02, 0.4)
# of the frames: what is seen from above hardly hides each other, so that most frames need something in front
HELD_CHANCE = 0.6
# between the surrounding spheres of the object and what hides it, times the scene scale
HELD_GAP_M = (0.0, 0.12)
# off the line of sight, in parts of both radii: from right in front to just touching
HELD_ASIDE = (0.25, 0.85)


def arrange_cluttered(assets: SceneAssets, generator: np.random.Generator) -> Arrangement:
    """Two to six things close together, one to four of them labelled: what stands in front hides what is behind."""
    total = int(generator.integers(2, 7))
    wanted = min(len(assets.object_ids), total, int(generator.integers(1, 5)))
    objects = generator.choice(len(assets.object_ids), wanted, replace=False).tolist()
    objects = of_similar_size(assets, objects, generator)
    scale = scene_scale([assets.diameters_m[index] for index in objects])
    distractors = generator.choice(assets.distractors, total - len(objects), replace=False).tolist()
    # all but one in any order: the first to come stand in the middle, the last may find no place
    placed: dict[int, Placed] = {}
    for mesh_index in [objects[0], *generator.permutation([*objects[1:], *distractors]).tolist()]:
        taken = [footprint(assets, item) for item in placed.values()]
        found = place(assets, mesh_index, taken, generator, scale, CLUTTER_REACH_M)
        if found is not None:
            placed[mesh_index] = found
    labelled = [placed[mesh_index] for mesh_index in objects if mesh_index in placed]
    others = [placed[mesh_index] for mesh_index in distractors if mesh_index in placed]
    return Arrangement((*labelled, *others), len(labelled), scale)


def hold_in_front(
    assets: SceneAssets,
    arrangement: Arrangement,
    T_cam_world: Float[np.ndarray, "4 4"],
    least_m: float,
    generator: np.random.Generator,
) -> Arrangement:
    """With a distractor before one of the labelled objects in six of ten frames, not nearer than `least_m`.

    It hides part of the object whatever the camera's height, as a hand or a neighbour on a shelf does.
    """
    chance, target = generator.random(), int(generator.integers(arrangement.labelled))
    mesh_index, R = int(generator.choice(assets.distractors)), _any_rotation(generator)
    gap, aside, angle = generator.uniform(
        (HELD_GAP_M[0], HELD_ASIDE[0], 0), (HELD_GAP_M[1], HELD_ASIDE[1], 2 * np.pi)
    )
    size = arrangement.scale.size
    hidden_m, hidden_radius_m = _sphere(assets, arrangement.placed[target])
    held_hull_m = size * assets.resting[mesh_index].hull_m @ R.T
    held_radius_m = _radius_m(held_hull_m)
    to_eye = -T_cam_world[:3, :3].T @ T_cam_world[:3, 3] - hidden_m
    distance_m = float(np.linalg.norm(to_eye))
    along_m = hidden_radius_m + held_radius_m + size * gap
    if chance > HELD_CHANCE or along_m + held_radius_m > distance_m - least_m:
        return arrangement
    # what is nearer to the camera looks larger and covers more to the side
    sideways_m = aside * (hidden_radius_m * (1 - along_m / distance_m) + held_radius_m)
    across, down = T_cam_world[0, :3], T_cam_world[1, :3]
    at_m = (
        hidden_m
        + along_m * to_eye / distance_m
        + sideways_m * (np.cos(angle) * across + np.sin(angle) * down)
    )
    T_world_obj = np.eye(4)
    T_world_obj[:3, :3] = size * R
    T_world_obj[:3, 3] = at_m - held_hull_m.mean(axis=0)
    T_world_obj[2, 3] += max(0.0, -(held_hull_m[:, 2] + T_world_obj[2, 3]).min())
    return replace(arrangement, placed=(*arrangement.placed, Placed(mesh_index, T_world_obj)))


def _sphere(assets: SceneAssets, item: Placed) -> tuple[Float[np.ndarray, "3"], float]:
    """Middle of the hull's corners in the world, and how far they reach in the mean."""
    hull_m = assets.resting[item.mesh_index].hull_m @ item.T_world_obj[:3, :3].T + item.T_world_obj[:3, 3]
    return hull_m.mean(axis=0), _radius_m(hull_m)


def _radius_m(hull_m: Float[np.ndarray, "corners 3"]) -> float:
    return float(np.linalg.norm(hull_m - hull_m.mean(axis=0), axis=1).mean())


def _any_rotation(generator: np.random.Generator) -> Float[np.ndarray, "3 3"]:
    """Uniform over the rotations."""
    from scipy.spatial.transform import Rotation

    return Rotation.from_quat(generator.standard_normal(4)).as_matrix()
