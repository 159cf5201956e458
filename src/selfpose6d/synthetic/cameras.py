"""Camera positions around a table (world: z up, table at z = 0; camera: OpenCV)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from selfpose6d.synthetic.scene_scale import ORDINARY, SceneScale

WIDTH_PX, HEIGHT_PX = 640, 480
K_YCB_VIDEO = np.array([[1066.778, 0.0, 312.9869], [0.0, 1067.487, 241.3109], [0.0, 0.0, 1.0]])
# successive multiples spread evenly over the circle, however many there are
GOLDEN_RATIO = 0.6180339887498949


def look_at(
    eye_m: Float[np.ndarray, "3"], target_m: Float[np.ndarray, "3"], roll_rad: float = 0.0
) -> Float[np.ndarray, "4 4"]:
    """`T_cam_world` of a camera at `eye_m` that looks at `target_m`. Ill-posed for straight down."""
    forward = target_m - eye_m
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right = right / np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll_rad), np.sin(roll_rad)
    T_cam_world = np.eye(4)
    T_cam_world[:3, :3] = np.stack([c * right + s * down, c * down - s * right, forward])
    T_cam_world[:3, 3] = -T_cam_world[:3, :3] @ eye_m
    return T_cam_world


def direction(azimuth_rad: float, elevation_rad: float) -> Float[np.ndarray, "3"]:
    """Unit vector of a heading from x towards y and an angle above the table."""
    level = np.cos(elevation_rad)
    return np.array([level * np.cos(azimuth_rad), level * np.sin(azimuth_rad), np.sin(elevation_rad)])


def orbit(
    frames: int,
    target_m: Float[np.ndarray, "3"],
    generator: np.random.Generator,
    scale: SceneScale = ORDINARY,
) -> list[Float[np.ndarray, "4 4"]]:
    """A camera that moves around the table in one sweep, rising and falling, near and far (0.6 to 1.1 m, scaled)."""
    start = generator.uniform(0, 2 * np.pi)
    sweep = generator.choice([-1, 1]) * generator.uniform(0.5, 1.6) * np.pi
    phase, elevation = generator.uniform(0, 2 * np.pi), np.radians(generator.uniform(24, 56))
    distance = generator.uniform(0.7, 0.98)
    poses = []
    for progress in np.arange(frames) / max(frames - 1, 1):
        swing = np.sin(2 * np.pi * progress + phase)
        aim_m = target_m + scale.size * generator.normal(0, 0.02, 3) * (1, 1, 0.3)
        up = elevation + np.radians(8) * swing
        away_m = scale.distance * (distance + 0.09 * np.cos(4 * progress + phase))
        eye_m = aim_m + away_m * direction(start + sweep * progress, up)
        poses.append(look_at(eye_m, aim_m, np.radians(generator.uniform(-4, 4))))
    return poses


def all_around(
    frame_indices: Sequence[int],
    target_m: Float[np.ndarray, "3"],
    generator: np.random.Generator,
    scale: SceneScale = ORDINARY,
) -> list[Float[np.ndarray, "4 4"]]:
    """Cameras spread over all headings, elevation 15 to 70 degrees, 0.6 to 1.1 m (scaled) from the target."""
    poses = []
    for index in frame_indices:
        azimuth = 2 * np.pi * (index * GOLDEN_RATIO + 0.1 * generator.random())
        elevation = np.radians(generator.uniform(15, 70))
        distance_m = scale.distance * generator.uniform(0.6, 1.1)
        eye_m = target_m + distance_m * direction(azimuth, elevation)
        aim_m = target_m + scale.size * generator.normal(0, 0.012, 3)
        poses.append(look_at(eye_m, aim_m, np.radians(generator.uniform(-4, 4))))
    return poses
