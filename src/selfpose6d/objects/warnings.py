"""What a user should know of an object before its poses are annotated: where shape and colour leave poses open."""

import numpy as np
import torch

from selfpose6d.meshes.self_comparison import SAME_COLOUR_LAB
from selfpose6d.objects.object_model import SYMMETRY_STEPS, ObjectModel

UNTESTED_COLOUR_LAB = 40.0
"""Colour differences between this and `SAME_COLOUR_LAB` neither prove a symmetry nor rule it out: the differing prints
of the YCB scans leave 46 and more, a worn bowl of one colour up to 28."""
SAME_ROTATION_RAD = np.deg2rad(10)
"""A motion is one of the symmetries where it is this near: half the step of an axis, and what measuring leaves."""
PLAUSIBLE_DIAMETER_M = (0.01, 2.0)
"""Of what a depth camera sees: smaller is a few pixels, larger seldom fits into its view."""
MAX_DIAMETER_MISMATCH = 0.05
"""Relative, of the mesh's diameter to the stated one, as `validate` has it."""


def object_warnings(model: ObjectModel, obj_id: int, stated_diameter_m: float | None = None) -> list[str]:
    """One line for each thing about an object that leaves its poses open or makes them doubtful, with the remedy.

    Args:
        model: the object, with its declared symmetries.
        obj_id: names it.
        stated_diameter_m: what `models_info.json` says, where it does.
    """
    found = [_size_warning(model, stated_diameter_m), _symmetry_warning(model)]
    return [f"object {obj_id}: {text}" for text in found if text]


def describe_similarity(model: ObjectModel) -> str:
    """How many ways round the object looks the same, why that stays open and what would decide it, for a certificate.

    Empty where no motion is open: the shape has no symmetry, or all are declared, proven, or ruled out by colour.
    """
    if not bool(open_similarities(model).any()):
        return ""
    why = "the colours hardly differ" if model.mesh.has_known_colour else "the mesh has no texture"
    return (
        f"{why}: its shape looks the same {_ways(model)}; declare the symmetry with "
        "`selfpose6d symmetries MODELS --shape-only --write` if they are equal to you"
    )


def open_similarities(model: ObjectModel) -> torch.Tensor:
    """Which of `model.shape_symmetries` are neither symmetries of the object nor ruled out by known colour."""
    R, known = model.shape_symmetries[:, :3, :3], model.symmetries[:, :3, :3]
    cosine = (torch.einsum("nab,mab->nm", R, known).amax(1) - 1) / 2
    is_symmetry = cosine > float(np.cos(SAME_ROTATION_RAD))
    return ~is_symmetry & ~_ruled_out(model)


def _ruled_out(model: ObjectModel) -> torch.Tensor:
    return torch.isfinite(model.shape_colour_lab) & (model.shape_colour_lab > UNTESTED_COLOUR_LAB)


def _symmetry_warning(model: ObjectModel) -> str:
    is_open = bool(open_similarities(model).any())
    if not model.mesh.has_known_colour:
        missing = (
            "the mesh has no texture" if not model.mesh.has_colour else "the mesh has a default colour only"
        )
        if not is_open:
            return "" if len(model.symmetries) > 1 else f"{missing}: only its shape can decide its poses"
        return (
            f"{missing}; its shape looks the same {_ways(model)}, so poses will stay ambiguous: give it a texture, or "
            "declare the symmetry with `selfpose6d symmetries MODELS --shape-only --write` if they are equal to you"
        )
    if not is_open:
        return ""
    return (
        f"untested symmetry: its shape looks the same {_ways(model)} and its colours differ by too little to tell them "
        f"apart (LAB {float(model.shape_colour_lab[open_similarities(model)].max()):.0f}, the same below "
        f"{SAME_COLOUR_LAB:.0f}): see `selfpose6d symmetries MODELS` and declare it if they are equal to you"
    )


def _size_warning(model: ObjectModel, stated_diameter_m: float | None) -> str:
    low_m, high_m = PLAUSIBLE_DIAMETER_M
    if not low_m <= model.diameter_m <= high_m:
        return (
            f"it is {1e3 * model.diameter_m:.4g} mm across, {1e3 * low_m:g} to {1e3 * high_m:g} mm are usual: check "
            "the model unit (--model-unit mm|cm|m|inch)"
        )
    if stated_diameter_m and abs(model.diameter_m / stated_diameter_m - 1) > MAX_DIAMETER_MISMATCH:
        return (
            f"it is {1e3 * model.diameter_m:.4g} mm across, models_info.json says {1e3 * stated_diameter_m:.4g} mm: "
            "scale the one that is wrong"
        )
    return ""


def _ways(model: ObjectModel) -> str:
    count = len(model.shape_symmetries)
    if count == 2 * SYMMETRY_STEPS:
        return "all the way round an axis and upside down"
    return "all the way round an axis" if count >= SYMMETRY_STEPS else f"{count} ways round"
