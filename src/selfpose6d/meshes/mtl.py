"""MTL, the materials of OBJ files: diffuse colours and images, with the options that say how an image lies.

Reference: Alias/Wavefront, MTL material format 4.2; `-o` and `-s` as Blender and three.js read them: uv * s + o.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from selfpose6d.meshes.text import decode_text, lines_of
from selfpose6d.meshes.tiles import REPEAT, Wrap

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_ONE_WORD = ("blendu", "blendv", "boost", "cc", "clamp", "imfchan", "bm", "type", "colorspace", "texres")
_UP_TO_THREE_NUMBERS = ("o", "s", "t")


@dataclass(frozen=True)
class Map:
    """An image of a material and how it lies on the surface."""

    name: str
    folder: Path
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)
    wrap: tuple[Wrap, Wrap] = REPEAT
    base: float = 0.0
    gain: float = 1.0
    not_read: tuple[str, ...] = ()
    """Options that move the image and are not read."""


@dataclass
class Material:
    """What of a material carries colour."""

    diffuse: Float[np.ndarray, "3"] | None = None
    ambient: Float[np.ndarray, "3"] | None = None
    emissive: Float[np.ndarray, "3"] | None = None
    maps: dict[str, Map] = field(default_factory=dict)
    transparency: str | None = None
    """The statement that makes it transparent."""

    @property
    def colour_map(self) -> Map | None:
        """The image of its colour: the diffuse one, else the ambient one, which some scanners write alone, else what
        glows where the rest is black.
        """
        glowing = None if _is_lit(self.diffuse) else self.maps.get("map_ke")
        return self.maps.get("map_kd") or self.maps.get("map_ka") or glowing

    @property
    def factor(self) -> Float[np.ndarray, "3"] | None:
        """What the image is multiplied by, or the colour where there is none; black beside an image is a default."""
        image = self.colour_map
        if image is None:
            glows = self.diffuse is not None and not _is_lit(self.diffuse) and _is_lit(self.emissive)
            return self.emissive if glows else self.diffuse
        factors = {"map_kd": self.diffuse, "map_ka": self.ambient, "map_ke": self.emissive}
        factor = next(factors[key] for key, each in self.maps.items() if each is image)
        return factor if _is_lit(factor) else None


def _is_lit(factor: Float[np.ndarray, "3"] | None) -> bool:
    return factor is not None and bool(factor.any())


def read_mtl(content: bytes, folder: Path) -> dict[str, Material]:
    """Materials by name; images are beside the file, in `folder`. Lines that are no colours are passed over."""
    materials: dict[str, Material] = {}
    current = Material()
    for line in lines_of(decode_text(content)):
        words = line.strip().split(None, 1)
        key, value = (words[0].lower(), words[1].strip()) if len(words) == 2 else ("", "")
        if key == "newmtl":
            current = materials[value] = Material()
        elif key == "kd":
            current.diffuse = _colour(value)
        elif key == "ka":
            current.ambient = _colour(value)
        elif key == "ke":
            current.emissive = _colour(value)
        elif key in ("map_kd", "map_ka", "map_ke"):
            current.maps[key] = read_map(value, folder)
        elif key in ("d", "tr") and _is_transparent(value):
            current.transparency = f"{words[0]} {value}"
    return materials


def _is_transparent(value: str) -> bool:
    """Whether the number of `d` or `Tr` lies between 0 and 1: those two say nothing, some programs swap them."""
    words = value.split("#")[0].split()
    return bool(words and _NUMBER.fullmatch(words[-1])) and 0 < float(words[-1]) < 1


def _colour(value: str) -> Float[np.ndarray, "3"] | None:
    """Red, green and blue 0-1; one number is all three. None for spectral and XYZ colours, which are not read."""
    words = value.split("#")[0].split()
    if not words or not all(_NUMBER.fullmatch(word) for word in words[:3]):
        return None
    numbers = [float(word) for word in words[:3]]
    return np.array(numbers if len(numbers) == 3 else [numbers[0]] * 3)


def read_map(value: str, folder: Path) -> Map:
    """The statement behind `map_Kd`: options, then a name that may be quoted and may hold blanks."""
    found, rest = {}, value
    while match := re.match(r"-(\w+)\s+", rest):
        option = match.group(1).lower()
        if option in _UP_TO_THREE_NUMBERS:
            numbers, after = _leading_numbers(rest[match.end() :], 3)
        elif option == "mm":
            numbers, after = _leading_numbers(rest[match.end() :], 2)
        elif option in _ONE_WORD:
            numbers, (word, _, after) = [], rest[match.end() :].partition(" ")
            found[option] = word.lower()
        else:
            break
        if numbers:
            found[option] = numbers
        if not after.strip():  # a name that looks like an option
            break
        rest = after.strip()
    name = rest.strip()
    if len(name) > 1 and name[0] in "\"'" and (end := name.find(name[0], 1)) > 0:
        name = name[1:end]
    scale, offset = _two(found.get("s"), 1.0), _two(found.get("o"), 0.0)
    base, gain = [*found.get("mm", [0.0, 1.0]), 1.0][:2]
    wrap: tuple[Wrap, Wrap] = ("clamp", "clamp") if found.get("clamp") == "on" else REPEAT
    moved = tuple(["-t (turbulence)"] if any(found.get("t", [])) else [])
    return Map(name, folder, scale, offset, wrap, base, gain, moved)


def _leading_numbers(text: str, most: int) -> tuple[list[float], str]:
    """The numbers that a text begins with, and what comes then; its last word is a name, even where it is a number."""
    words = text.split()
    count = 0
    while count < min(most, len(words) - 1) and _NUMBER.fullmatch(words[count]):
        count += 1
    rest = text
    for word in words[:count]:
        rest = rest.strip()[len(word) :]
    return [float(word) for word in words[:count]], rest


def _two(numbers: list[float] | None, default: float) -> tuple[float, float]:
    """The values of u and v; what is left out has the default."""
    first, second = [*(numbers or []), default, default][:2]
    return first, second
