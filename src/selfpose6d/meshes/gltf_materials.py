"""glTF's colour: base colour factor times texture, of the standard material or one of its extensions.

Factors and vertex colours are linear light, images are sRGB. Lighting, normals, metal and transparency are left out.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from selfpose6d.meshes.gltf_file import GltfFile
from selfpose6d.meshes.tiles import Wrap

_REPEAT = 10497
_WRAPS: dict[int, Wrap] = {_REPEAT: "repeat", 33071: "clamp", 33648: "mirror"}
_TEXTURE_SOURCES = ("EXT_texture_webp", "EXT_texture_avif", "MSFT_texture_dds")
"""Extensions whose image is tried before the plain one."""
_UNREAD_TEXTURES = {"KHR_texture_basisu": "KTX2"}
_UNREAD_MATERIALS = ("KHR_techniques_webgl", "KHR_materials_common", "KHR_techniques_common")
"""Extensions that hold the colour of materials in a way that is not read."""
_SPECULAR = "KHR_materials_pbrSpecularGlossiness"


@dataclass(frozen=True)
class TextureUse:
    """An image as a material uses it: `T_image_uv` moves coordinates of set `coordinates` (v downwards)."""

    rgb: UInt8[np.ndarray, "rows columns 3"]
    coordinates: int
    T_image_uv: Float[np.ndarray, "3 3"]
    wrap: tuple[Wrap, Wrap]


@dataclass(frozen=True)
class GltfMaterial:
    """Base colour of a material. `is_stated`: the file says it, else it is the format's white. `is_invisible`: its
    alpha hides it.
    """

    factor: Float[np.ndarray, "3"] = field(default_factory=lambda: np.ones(3))
    texture: TextureUse | None = None
    lacks_texture: bool = False
    is_stated: bool = False
    is_invisible: bool = False


def read_material(file: GltfFile, index: int | None) -> GltfMaterial:
    """What a material says of colour; notes on what of it is not read.

    Raises:
        ValueError: it names what is not there.
    """
    if index is None:
        return GltfMaterial()
    material = file.entry("materials", index)
    extensions = material.get("extensions", {})
    unread = next((name for name in _UNREAD_MATERIALS if name in extensions), None)
    factor, info = _base_colour(material)
    if unread is not None and info is None:
        file.assets.note(f"its colours are in {unread}, which is not read; they count as unknown")
        return GltfMaterial(lacks_texture=True)
    if _hides(material, factor):
        return GltfMaterial(is_invisible=True)
    if material.get("alphaMode", "OPAQUE") != "OPAQUE":
        file.assets.note(
            f"a material is transparent (alphaMode {material['alphaMode']}); the surface is taken as opaque"
        )
    rgb = np.ones(3) if factor is None else np.asarray(factor, np.float64)[:3]
    if rgb.shape != (3,):
        raise ValueError(f"materials[{index}] has the colour {factor}, expected red, green, blue and alpha")
    if info is None:
        return GltfMaterial(rgb, is_stated=factor is not None)
    texture = _texture_use(file, info)
    return GltfMaterial(rgb, texture, lacks_texture=texture is None, is_stated=True)


def _hides(material: dict[str, Any], factor: Any) -> bool:
    """Whether the factor's alpha, which an image can only lower, hides a surface: planes of shadows, colliders."""
    alpha = float(factor[3]) if factor is not None and len(factor) > 3 else 1.0
    mode = material.get("alphaMode", "OPAQUE")
    return (mode == "BLEND" and alpha <= 0) or (mode == "MASK" and alpha < material.get("alphaCutoff", 0.5))


def _base_colour(material: dict[str, Any]) -> tuple[Any, dict[str, Any] | None]:
    """Factor and texture reference of a material's colour; what glows where all else is black."""
    specular = material.get("extensions", {}).get(_SPECULAR, {})
    if "diffuseFactor" in specular or "diffuseTexture" in specular:
        return specular.get("diffuseFactor"), specular.get("diffuseTexture")
    standard = material.get("pbrMetallicRoughness", {})
    factor, info = standard.get("baseColorFactor"), standard.get("baseColorTexture")
    if factor is not None and not any(factor[:3]) and (any(material.get("emissiveFactor", []))):
        return material["emissiveFactor"], material.get("emissiveTexture")
    return factor, info


def _texture_use(file: GltfFile, info: dict[str, Any]) -> TextureUse | None:
    """The image of a texture reference; None with a note where it cannot be read."""
    texture = file.entry("textures", info["index"])
    if (rgb := _texture_image(file, texture)) is None:
        return None
    sampler = file.entry("samplers", texture["sampler"]) if "sampler" in texture else {}
    transform = info.get("extensions", {}).get("KHR_texture_transform", {})
    coordinates = transform.get("texCoord", info.get("texCoord", 0))
    wrap = (_wrap(sampler, "wrapS"), _wrap(sampler, "wrapT"))
    return TextureUse(rgb, int(coordinates), _transform(transform), wrap)


def _wrap(sampler: dict[str, Any], axis: str) -> Wrap:
    mode = sampler.get(axis, _REPEAT)
    if mode not in _WRAPS:
        raise ValueError(f"a sampler has {axis} {mode}, expected one of {', '.join(map(str, _WRAPS))}")
    return _WRAPS[mode]


def _texture_image(file: GltfFile, texture: dict[str, Any]) -> UInt8[np.ndarray, "rows columns 3"] | None:
    extensions = texture.get("extensions", {})
    sources = [extensions[name]["source"] for name in _TEXTURE_SOURCES if name in extensions]
    sources += [texture["source"]] if "source" in texture else []
    kept = list(file.assets.notes)
    for source in sources:
        if (rgb := file.image(source)) is not None:
            file.assets.notes[:] = kept  # what another form of the same image could not be read as
            return rgb
    for extension, name in _UNREAD_TEXTURES.items():
        if extension in extensions:
            file.assets.note(
                f"its texture is compressed as {name} ({extension}), which cannot be read; its colours count as "
                "unknown. Export it with PNG or JPEG textures"
            )
            return None
    if not sources:
        others = ", ".join(extensions) or "no image"
        file.assets.note(
            f"a texture is given by {others}, which cannot be read; its colours count as unknown"
        )
    return None


def _transform(transform: dict[str, Any]) -> Float[np.ndarray, "3 3"]:
    """KHR_texture_transform: scaled, rotated counter-clockwise about the upper left corner, then moved."""
    (du, dv), (su, sv) = transform.get("offset", (0, 0)), transform.get("scale", (1, 1))
    angle_rad = float(transform.get("rotation", 0.0))
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([[c * su, s * sv, du], [-s * su, c * sv, dv], [0.0, 0.0, 1.0]])
