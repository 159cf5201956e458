"""The same object a little otherwise: larger or smaller, or as a CAD model differs from what was made."""

from dataclasses import replace

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from selfpose6d.errors import UsageError
from selfpose6d.meshes.mesh import Mesh

# tolerances of packaging and prints, and a scanner's error, are about a percent of the size
SCALE_DEVIATION = 0.007
MAX_DEFORMATION = 0.01
# of the deformation, in diameters: bulges and bends, not roughness
WAVELENGTHS = (0.5, 1.5)
NUM_WAVES = 4
# of the longer side of a texture: a scanner's blur
MAX_TEXTURE_BLUR = 0.002


def scaled(mesh: Mesh, factor: float) -> Mesh:
    """The mesh `factor` times as large, about its own origin.

    Raises:
        UsageError: the factor is not above 0.
    """
    if not factor > 0:
        raise UsageError(f"a mesh's scale factor must be above 0, got {factor}. Pass for example 0.25.")
    return replace(mesh, vertices_m=(mesh.vertices_m * factor).astype(np.float32))


def mismatched(mesh: Mesh, generator: np.random.Generator) -> Mesh:
    """The mesh as a real object differs from it, in the same frame.

    Scale by N(1, 0.7 %) about the middle; smooth deformation of at most 0 to 1 % of the diameter; colours with other
    contrast, saturation, hue and brightness, a texture blurred too. The same generator state gives the same mesh.
    """
    vertices_m = mesh.vertices_m.astype(np.float64)
    factor = 1 + SCALE_DEVIATION * generator.standard_normal()
    vertices_m = mesh.centre_m + factor * (vertices_m - mesh.centre_m)
    vertices_m += _deformation_m(vertices_m, mesh.diameter_m, generator)
    change, blur = _draw_colour_change(generator), generator.uniform(0, MAX_TEXTURE_BLUR)
    vertex_rgb = None if mesh.vertex_rgb is None else _recoloured(mesh.vertex_rgb[None], change)[0]
    texture = mesh.texture
    if texture is not None:
        sigma_px = max(blur * max(texture.shape[:2]), 0.1)
        texture = _recoloured(cv2.GaussianBlur(texture, (0, 0), sigma_px), change)
    return replace(mesh, vertices_m=vertices_m.astype(np.float32), vertex_rgb=vertex_rgb, texture=texture)


def _deformation_m(
    vertices_m: Float[np.ndarray, "vertices 3"], diameter_m: float, generator: np.random.Generator
) -> Float[np.ndarray, "vertices 3"]:
    """A few plane waves in random directions, scaled to a drawn largest displacement."""
    total = np.zeros_like(vertices_m)
    for _ in range(NUM_WAVES):
        along, towards = (v / np.linalg.norm(v) for v in generator.standard_normal((2, 3)))
        length_m = diameter_m * generator.uniform(*WAVELENGTHS)
        phase = 2 * np.pi * (vertices_m @ along / length_m + generator.random())
        total += np.sin(phase)[:, None] * towards
    most_m = diameter_m * generator.uniform(0, MAX_DEFORMATION)
    return total * (most_m / max(np.linalg.norm(total, axis=1).max(), 1e-9))


def _draw_colour_change(generator: np.random.Generator) -> tuple[float, float, float, float]:
    """Factors of contrast, saturation and brightness, and a hue's shift in degrees."""
    contrast, saturation, brightness, hue = generator.uniform((0.8, 0.7, 0.85, -8), (1.15, 1.25, 1.15, 8))
    return float(contrast), float(saturation), float(brightness), float(hue)


def _recoloured(
    rgb: UInt8[np.ndarray, "rows columns 3"], change: tuple[float, float, float, float]
) -> UInt8[np.ndarray, "rows columns 3"]:
    contrast, saturation, brightness, hue_deg = change
    hsv = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2HSV)
    levels = np.arange(256)
    # OpenCV counts hues in steps of two degrees
    hue = ((levels + round(hue_deg / 2)) % 180).astype(np.uint8)
    middle = float(hsv[..., 2].mean())
    value = np.clip((middle + contrast * (levels - middle)) * brightness, 0, 255).astype(np.uint8)
    table = np.stack([hue, np.clip(levels * saturation, 0, 255).astype(np.uint8), value], axis=-1)
    return cv2.cvtColor(cv2.LUT(hsv, table[None]), cv2.COLOR_HSV2RGB)
