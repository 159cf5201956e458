"""Where objects stand: arrangements on the table without overlap, and occluders for single frames."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float

from selfpose6d.synthetic.compose import Placed, compose
from selfpose6d.synthetic.resting import draw_resting, heading
from selfpose6d.synthetic.scene_assets import SceneAssets
from selfpose6d.synthetic.scene_scale import MAX_SIZE_RATIO, ORDINARY, SceneScale, scene_scale

# in the mean, one more or less in each
OBJECTS_PER_SCENE = 5
# from the middle, times the scene scale: the first try, and what is added until the last
REACH_M = (0.04, 0.26)
# random positions, farther from the middle with each, before the table counts as full
PLACEMENT_TRIES = 80
# each renders two small images; the best of them is taken where none fits
OCCLUDER_TRIES = 12
# between outlines, so that no two surfaces touch
CLEARANCE_M = 0.002
# less hides nothing that matters, more leaves too little of the one object
OCCLUDED_RATIO = (0.1, 0.5)


@dataclass(frozen=True)
class Arrangement:
    """What stands on the table; the first `labelled` have ground truth."""

    placed: tuple[Placed, ...]
    labelled: int
    scale: SceneScale = ORDINARY

    @property
    def centre_m(self) -> Float[np.ndarray, "3"]:
        """Mean position of the labelled objects."""
        return np.mean([item.T_world_obj[:3, 3] for item in self.placed[: self.labelled]], axis=0)


def arrange_tabletop(assets: SceneAssets, generator: np.random.Generator) -> Arrangement:
    """About five different objects close together, upright or lying, and two to four distractors."""
    most = len(assets.object_ids)
    wanted = min(most, OBJECTS_PER_SCENE + int(generator.integers(-1, 2)))
    objects = generator.choice(most, wanted, replace=False).tolist()
    objects = of_similar_size(assets, objects, generator)
    scale = scene_scale([assets.diameters_m[index] for index in objects])
    distractors = generator.choice(assets.distractors, generator.integers(2, 5), replace=False).tolist()
    placed, footprints, labelled = [], [], 0
    for count, mesh_index in enumerate([*objects, *distractors]):
        found = place(assets, mesh_index, footprints, generator, scale)
        if found is not None:
            placed.append(found)
            footprints.append(footprint(assets, found))
            labelled += count < len(objects)
    return Arrangement(tuple(placed), labelled, scale)


def of_similar_size(
    assets: SceneAssets, objects: Sequence[int], generator: np.random.Generator
) -> Sequence[int]:
    """The same mesh indices where all labelled objects are of similar size, else the first and others of its size."""
    diameters_m = np.array(assets.diameters_m)
    if diameters_m.max() <= MAX_SIZE_RATIO * diameters_m.min():
        return objects
    # half the ratio to either side, so that no two of them differ by more than all of it
    ratio = np.abs(np.log(diameters_m / diameters_m[objects[0]]))
    similar = np.flatnonzero(ratio <= np.log(MAX_SIZE_RATIO) / 2)
    others = generator.permutation(similar[similar != objects[0]])[: len(objects) - 1]
    return [objects[0], *others.tolist()]


def arrange_single_upright(assets: SceneAssets, generator: np.random.Generator) -> Arrangement:
    """The one object standing on the table, any heading."""
    R = heading(generator.uniform(0, 2 * np.pi))
    scale = scene_scale(assets.diameters_m[:1])
    return Arrangement((on_table(assets, 0, R, np.zeros(2)),), 1, scale)


def add_occluder(
    assets: SceneAssets,
    arrangement: Arrangement,
    T_cam_world: Float[np.ndarray, "4 4"],
    K: Float[np.ndarray, "3 3"],
    generator: np.random.Generator,
) -> Arrangement:
    """A distractor on the camera's side that hides 10 to 50 % of the object, or as much as can be found."""
    best, best_gap = arrangement, np.inf
    for _ in range(OCCLUDER_TRIES):
        occluder = _towards_camera(assets, arrangement, T_cam_world, generator)
        if overlaps(footprint(assets, occluder), [footprint(assets, arrangement.placed[0])]):
            continue
        candidate = replace(arrangement, placed=(*arrangement.placed, occluder))
        hidden = _hidden_ratio(assets, candidate, T_cam_world, K)
        if OCCLUDED_RATIO[0] <= hidden <= OCCLUDED_RATIO[1]:
            return candidate
        gap = OCCLUDED_RATIO[0] - hidden
        if 0 <= gap < best_gap:
            best, best_gap = candidate, gap
    return best


def footprint(assets: SceneAssets, placed: Placed) -> Float[np.ndarray, "corners 2"]:
    """Convex outline of the object seen from above; disjoint footprints cannot touch."""
    hull_m = assets.resting[placed.mesh_index].hull_m
    ground = hull_m @ placed.T_world_obj[:2, :3].T + placed.T_world_obj[:2, 3]
    return cv2.convexHull(ground.astype(np.float32))[:, 0]


def place(
    assets: SceneAssets,
    mesh_index: int,
    taken: Sequence[np.ndarray],
    generator: np.random.Generator,
    scale: SceneScale,
    reach: tuple[float, float] = REACH_M,
) -> Placed | None:
    """A free position as near the middle as chance allows, or None when the table is full."""
    R = draw_resting(assets.resting[mesh_index], generator)
    size = scale.size if mesh_index in assets.distractors else 1.0
    outline = footprint(assets, on_table(assets, mesh_index, R, np.zeros(2), size))
    for attempt in range(PLACEMENT_TRIES):
        reach_m = scale.size * (reach[0] + reach[1] * attempt / PLACEMENT_TRIES)
        angle = generator.uniform(0, 2 * np.pi)
        at_m = reach_m * np.sqrt(generator.random()) * np.array([np.cos(angle), np.sin(angle)])
        if not overlaps(outline + at_m, taken):
            return on_table(assets, mesh_index, R, at_m, size)
    return None


def on_table(
    assets: SceneAssets,
    mesh_index: int,
    R_world_obj: Float[np.ndarray, "3 3"],
    at_m: Float[np.ndarray, "2"],
    size: float = 1.0,
) -> Placed:
    """The object, `size` times as large, with the middle of its outline at a point of the table."""
    rotated = assets.resting[mesh_index].hull_m @ (size * R_world_obj).T
    T_world_obj = np.eye(4)
    T_world_obj[:3, :3] = size * R_world_obj
    middle = 0.5 * (rotated[:, :2].min(axis=0) + rotated[:, :2].max(axis=0))
    T_world_obj[:3, 3] = (*(at_m - middle), -rotated[:, 2].min())
    return Placed(mesh_index, T_world_obj)


def overlaps(outline: Float[np.ndarray, "corners 2"], others: Sequence[np.ndarray]) -> bool:
    """Whether a convex outline is nearer than the clearance to another, by separating axes."""
    return not all(_gap_m(outline, other) > CLEARANCE_M for other in others)


def _gap_m(a: Float[np.ndarray, "n 2"], b: Float[np.ndarray, "m 2"]) -> float:
    """Largest gap between the projections on the edges' normals; negative where the outlines overlap.

    Outlines whose boxes are apart need no edges.
    """
    beside = float(np.maximum(b.min(0) - a.max(0), a.min(0) - b.max(0)).max())
    if beside > CLEARANCE_M:
        return beside
    edges = np.concatenate([a - a[np.arange(-1, len(a) - 1)], b - b[np.arange(-1, len(b) - 1)]])
    normals = np.stack([edges[:, 1], -edges[:, 0]]) / np.maximum(np.linalg.norm(edges, axis=1), 1e-9)
    on_a, on_b = a @ normals, b @ normals
    return float(np.maximum(on_b.min(0) - on_a.max(0), on_a.min(0) - on_b.max(0)).max())


def _towards_camera(
    assets: SceneAssets,
    arrangement: Arrangement,
    T_cam_world: Float[np.ndarray, "4 4"],
    generator: np.random.Generator,
) -> Placed:
    """A distractor some centimetres from the object in the camera's direction, a little to one side."""
    eye_m = -T_cam_world[:3, :3].T @ T_cam_world[:3, 3]
    ahead = eye_m[:2] / np.linalg.norm(eye_m[:2])
    aside = np.array([-ahead[1], ahead[0]])
    size = arrangement.scale.size
    offset_m = size * generator.uniform(0.07, 0.2) * ahead
    at_m = arrangement.centre_m[:2] + offset_m + size * generator.uniform(-0.1, 0.1) * aside
    mesh_index = int(generator.choice(assets.distractors))
    return on_table(assets, mesh_index, heading(generator.uniform(0, 2 * np.pi)), at_m, size)


def _hidden_ratio(
    assets: SceneAssets,
    arrangement: Arrangement,
    T_cam_world: Float[np.ndarray, "4 4"],
    K: Float[np.ndarray, "3 3"],
) -> float:
    """Ratio of the first object's pixels that others cover, at a quarter of the resolution."""
    K_small = K * np.array([[0.25], [0.25], [1.0]])
    alone = compose(assets, arrangement.placed[:1], T_cam_world, K_small, 120, 160)
    together = compose(assets, arrangement.placed, T_cam_world, K_small, 120, 160)
    return 1.0 - int((together.owner == 0).sum()) / max(int((alone.owner == 0).sum()), 1)
