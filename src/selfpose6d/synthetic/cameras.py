"""Camera positions around a table (world: z up, table at z = 0; camera: OpenCV)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

WIDTH_PX, HEIGHT_PX = 640, 480
K_YCB_VIDEO = np.array([[1066.778, 0.0, 312.9869], [0.0, 1067.487, 241.3109], [0.0, 0.0, 1.0]])
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


def eye_on_sphere(
    target_m: Float[np.ndarray, "3"], azimuth_rad: float, elevation_rad: float, distance_m: float
) -> Float[np.ndarray, "3"]:
    """The point at a direction and distance from the target."""
    level = np.cos(elevation_rad)
    direction = [level * np.cos(azimuth_rad), level * np.sin(azimuth_rad), np.sin(elevation_rad)]
    return target_m + distance_m * np.array(direction)


def orbit(
    frames: int, target_m: Float[np.ndarray, "3"], generator: np.random.Generator
) -> list[Float[np.ndarray, "4 4"]]:
    """A camera that moves around the table in one sweep, rising and falling, near and far."""
    start, sweep = (
        generator.uniform(0, 2 * np.pi),
        generator.choice([-1, 1]) * generator.uniform(0.5, 1.6) * np.pi,
    )
    phase, elevation = generator.uniform(0, 2 * np.pi), np.radians(generator.uniform(24, 56))
    distance_m = generator.uniform(0.7, 0.98)
    along = np.arange(frames) / max(frames - 1, 1)
    poses = []
    for share in along:
        swing = np.sin(2 * np.pi * share + phase)
        aim_m = target_m + generator.normal(0, 0.02, 3) * (1, 1, 0.3)
        up, away_m = elevation + np.radians(8) * swing, distance_m + 0.09 * np.cos(4 * share + phase)
        eye_m = eye_on_sphere(aim_m, start + sweep * share, up, away_m)
        poses.append(look_at(eye_m, aim_m, np.radians(generator.uniform(-4, 4))))
    return poses


def all_around(
    frame_numbers: Sequence[int], target_m: Float[np.ndarray, "3"], generator: np.random.Generator
) -> list[Float[np.ndarray, "4 4"]]:
    """Cameras spread over all headings, elevation 15 to 70 degrees, 0.6 to 1.1 m from the target."""
    poses = []
    for number in frame_numbers:
        azimuth = 2 * np.pi * (number * GOLDEN_RATIO + 0.1 * generator.random())
        elevation, distance_m = np.radians(generator.uniform(15, 70)), generator.uniform(0.6, 1.1)
        eye_m = eye_on_sphere(target_m, azimuth, elevation, distance_m)
        aim_m = target_m + generator.normal(0, 0.012, 3)
        poses.append(look_at(eye_m, aim_m, np.radians(generator.uniform(-4, 4))))
    return poses
