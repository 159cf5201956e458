"""What `selfpose6d symmetries` shows: a table of all objects, and a picture of each."""

import math
from collections.abc import Iterable

import numpy as np
from jaxtyping import UInt8

from selfpose6d.datasets.object_label import object_label
from selfpose6d.objects.symmetry_study import NamedSymmetry, SymmetryStudy
from selfpose6d.reporting.tables import ABSENT, TextTable
from selfpose6d.viz.palette import STATUS_RGB, TRUTH_RGB
from selfpose6d.viz.symmetry_picture import ComparedMotion, DrawnAxis, draw_symmetries

HEADINGS = ("\nobject", "\nby", "\nsymmetry", "rms\nmm", "rms\n% d", "max\nmm", "max\n% d", "\nLAB")
EVIDENCE_RGB = {
    "texture": STATUS_RGB["certified"],
    "shape": STATUS_RGB["ambiguous"],
    "declared": TRUTH_RGB,
}
NOTE = (
    "By texture: shape and known colour agree; by shape: only the shape does. Residuals of the moved surface, the "
    "worse of both directions; % d: of the diameter; LAB: colour difference that 90 % of it stays under (-: no known "
    "colour)."
)


def symmetry_table(studies: Iterable[SymmetryStudy]) -> TextTable:
    """One row a symmetry; an object without any has one row that says so."""
    rows = []
    for study in studies:
        title = _title(study)
        cells = [_cells(row, study.mesh.diameter_m) for row in study.rows()] or [("", "none", *[""] * 5)]
        rows += [(title if index == 0 else "", *row) for index, row in enumerate(cells)]
    return TextTable(HEADINGS, tuple(rows), 0, NOTE)


def symmetry_picture(study: SymmetryStudy) -> UInt8[np.ndarray, "rows columns 3"]:
    """The object with its axes (green: by texture, amber: shape only, white: declared) and the worst motions."""
    rows = study.rows()
    axes = [DrawnAxis(row.axis.axis, row.axis.offset_m, EVIDENCE_RGB[row.evidence]) for row in rows]
    captions = [f"{_title(study)}, {1e3 * study.mesh.diameter_m:.0f} mm across"]
    captions += [_caption(row, study.mesh.diameter_m) for row in rows] or ["no symmetry found or declared"]
    return draw_symmetries(study.mesh, axes, list(_worst_motions(rows, study.mesh.diameter_m)), captions)


def _title(study: SymmetryStudy) -> str:
    return object_label(study.obj_id, {study.obj_id: study.name})


def _worst_motions(rows: list[NamedSymmetry], diameter_m: float) -> Iterable[ComparedMotion]:
    for is_declared in (False, True):
        some = [row for row in rows if (row.evidence == "declared") == is_declared]
        if some:
            worst = max(some, key=lambda row: float(row.residual.rms_m[0]))
            yield ComparedMotion(worst.T_obj_sym, f"moved: {_caption(worst, diameter_m)}")


def _cells(row: NamedSymmetry, diameter_m: float) -> tuple[str, ...]:
    rms_m, max_m, colour_lab = (
        float(value[0]) for value in (row.residual.rms_m, row.residual.max_m, row.residual.colour_lab)
    )
    lengths = [text for x in (rms_m, max_m) for text in (f"{1e3 * x:.2f}", f"{100 * x / diameter_m:.2f}")]
    return row.evidence, row.text, *lengths, f"{colour_lab:.0f}" if math.isfinite(colour_lab) else ABSENT


def _caption(row: NamedSymmetry, diameter_m: float) -> str:
    evidence, text, rms_mm, rms_percent, max_mm, _, colour = _cells(row, diameter_m)
    text = text.replace("°", " degrees")  # OpenCV's letters are ASCII
    return f"by {evidence}: {text}; rms {rms_mm} mm ({rms_percent} %), max {max_mm} mm, colour {colour}"
