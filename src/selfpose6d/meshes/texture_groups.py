"""Parts of a file that show the same image become one, so that it is laid out once however many use it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from selfpose6d.meshes.assets import Assets
from selfpose6d.meshes.part import Part
from selfpose6d.meshes.tiles import MAX_REPEATS, repeats_of_faces

WIDE = 8
"""Repeats of an image on one face from which on it is laid out for such faces alone: the others keep its detail."""


def group_by_texture(parts: Sequence[Part], assets: Assets) -> list[Part]:
    """The parts, those of the same image, tint and wrap joined; a note where a face repeats one beyond the limit."""
    groups: dict[tuple, list[Part]] = {}
    for index, part in enumerate(parts):
        for is_wide, piece in _by_repeats(part.with_uniform_colour_as_factor(), assets):
            groups.setdefault(_key(piece, index, is_wide), []).append(piece)
    return [group[0] if len(group) == 1 else _joined(group) for group in groups.values()]


def _by_repeats(part: Part, assets: Assets) -> list[tuple[bool, Part]]:
    """The faces that repeat their image a few times, and those that repeat it often."""
    if part.texture is None:
        return [(False, part)]
    repeats = repeats_of_faces(np.nan_to_num(part.texture.corner_uv), part.texture.wrap)
    if (most := repeats.max()) > MAX_REPEATS:
        assets.note(
            f"a face repeats its texture {most:.0f} times, at most {MAX_REPEATS} are drawn; its pattern is enlarged"
        )
    is_wide = repeats > WIDE
    if is_wide.all() or not is_wide.any():
        return [(bool(is_wide[0]), part)]
    return [(False, part.take(~is_wide)), (True, part.take(is_wide))]


def _key(part: Part, index: int, is_wide: bool) -> tuple:
    """What parts that may be joined have in common; of a part that is none of them, its own index."""
    if part.texture is None or part.vertex_rgb is not None:
        return (index, is_wide)
    tint = None if part.factor is None else tuple(part.factor.tolist())
    return (id(part.texture.rgb), part.texture.wrap, tint, part.is_linear, part.lacks_texture, is_wide)


def _joined(group: Sequence[Part]) -> Part:
    offsets = np.cumsum([0, *(len(part.vertices) for part in group[:-1])])
    textures = [part.texture for part in group if part.texture is not None]
    corner_uv = np.concatenate([texture.corner_uv for texture in textures])
    return replace(
        group[0],
        vertices=np.concatenate([part.vertices for part in group]),
        faces=np.concatenate([part.faces + offset for part, offset in zip(group, offsets, strict=True)]),
        texture=replace(textures[0], corner_uv=corner_uv),
    )
