"""Rotations: even coverings of SO(3), angles between rotations, random rotations. Conversions are roma's."""

import math

import numpy as np
import roma
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

# Solution of psi^4 = psi + 4 and sqrt(2): Alexa, "Super-Fibonacci Spirals", CVPR 2022.
_PHI, _PSI = math.sqrt(2.0), 1.533751168755204288118041


def super_fibonacci(count: int) -> Float[Tensor, "{count} 3 3"]:
    """`count` rotation matrices spread evenly over SO(3), always the same ones (float32, on the CPU).

    Reference: Alexa, Super-Fibonacci Spirals, CVPR 2022.
    """
    s = torch.arange(count, dtype=torch.float64, device="cpu") + 0.5
    r, R = torch.sqrt(s / count), torch.sqrt(1.0 - s / count)
    alpha, beta = 2.0 * math.pi * s / _PHI, 2.0 * math.pi * s / _PSI
    quat_xyzw = torch.stack([r * alpha.sin(), r * alpha.cos(), R * beta.sin(), R * beta.cos()], -1)
    return roma.unitquat_to_rotmat(quat_xyzw).float()


def pairwise_angle_rad(R1: Float[Tensor, "n 3 3"], R2: Float[Tensor, "m 3 3"]) -> Float[Tensor, "n m"]:
    """Geodesic angle between every rotation of the first set and every one of the second."""
    trace = R1.reshape(-1, 9) @ R2.reshape(-1, 9).T
    return torch.acos(((trace - 1.0) / 2.0).clamp(-1.0, 1.0))


def random_rotations(count: int, generator: torch.Generator) -> Float[Tensor, "{count} 3 3"]:
    """`count` uniform random rotations (normalised Gaussian quaternions)."""
    quat = torch.randn(count, 4, generator=generator, dtype=torch.float64, device=generator.device)
    return roma.unitquat_to_rotmat(quat / quat.norm(dim=-1, keepdim=True)).float()


def random_rotation(generator: np.random.Generator) -> Float[Tensor, "3 3"]:
    """One uniform random rotation, on the CPU."""
    return random_rotations(1, torch.Generator("cpu").manual_seed(int(generator.integers(2**31))))[0]


def quaternion_to_matrix(quat_wxyz: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrix of a quaternion of any length; a vanishing one gives a finite matrix, not a rotation.

    roma's takes unit quaternions only, and those with the real part last.
    """
    w, x, y, z = functional.normalize(quat_wxyz, dim=-1, eps=1e-8).unbind(-1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, -1) for row in rows], -2)
