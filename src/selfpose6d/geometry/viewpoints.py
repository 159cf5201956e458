"""Viewpoints spread about an object, and the cameras that look at it from there."""

import torch
from jaxtyping import Float
from torch import Tensor


def fibonacci_sphere(count: int) -> Float[Tensor, "{count} 3"]:
    """Unit vectors spread evenly over the sphere, on the CPU."""
    i = torch.arange(count, dtype=torch.float64, device="cpu") + 0.5
    z, angle = 1 - 2 * i / count, torch.pi * (1 + 5**0.5) * i
    r = (1 - z * z).sqrt()
    return torch.stack([r * angle.cos(), r * angle.sin(), z], -1).float()


def look_from(
    direction: Float[Tensor, "views 3"], centre_m: Float[Tensor, "3"], distance_m: float
) -> Float[Tensor, "views 4 4"]:
    """`T_cam_obj` of cameras at `distance_m` along `direction` that look at the centre."""
    forward = -direction
    helper = torch.where(
        (direction[:, 2:].abs() < 0.9),
        direction.new_tensor([0.0, 0.0, 1.0]),
        direction.new_tensor([1.0, 0.0, 0.0]),
    )
    right = torch.nn.functional.normalize(torch.linalg.cross(helper, forward), dim=-1)
    down = torch.linalg.cross(forward, right)
    T = torch.eye(4, device=direction.device).repeat(len(direction), 1, 1)
    T[:, :3, :3] = torch.stack([right, down, forward], 1)
    T[:, :3, 3] = -(T[:, :3, :3] @ (centre_m + distance_m * direction)[..., None]).squeeze(-1)
    return T
