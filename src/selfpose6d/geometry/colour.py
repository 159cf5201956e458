"""RGB to CIE LAB (D65): L 0..100, a and b about -128..127."""

import torch
from jaxtyping import Float
from torch import Tensor

_RGB_TO_XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE_D65 = (0.950456, 1.0, 1.088754)


def rgb_to_lab(rgb: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """sRGB in 0..1 to LAB. Differentiable everywhere; the gamma's linear part keeps black finite.

    Reference: IEC 61966-2-1, CIE 15.
    """
    linear = torch.where(rgb > 0.04045, ((rgb.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = linear @ rgb.new_tensor(_RGB_TO_XYZ).T / rgb.new_tensor(_WHITE_D65)
    threshold = (6 / 29) ** 3
    f = torch.where(xyz > threshold, xyz.clamp_min(threshold) ** (1 / 3), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f.unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)
