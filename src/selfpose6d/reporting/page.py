"""One self-contained HTML page of a run: numbers, tables, charts and pictures come in as data."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from selfpose6d.files import replacing
from selfpose6d.reporting.shown_text import path_shortener
from selfpose6d.reporting.tables import TextTable
from selfpose6d.viz.palette import STATUS_RGB, TRUTH_RGB
from selfpose6d.viz.plots import CurveStyle

Layout = Literal["wide", "frames", "cards", "rows"]
OUTLINES = {
    "certified": STATUS_RGB["certified"],
    "ambiguous": STATUS_RGB["ambiguous"],
    "rejected": STATUS_RGB["rejected"],
    "without certificate": STATUS_RGB[""],
    "true pose": TRUTH_RGB,
}
"""The colours of outlines in pictures, by what they mean."""


@dataclass(frozen=True)
class Statistic:
    """One number that leads the page, and what it is."""

    value: str
    title: str


@dataclass(frozen=True)
class StatusCount:
    """How many instances have a status."""

    status: str
    count: int


@dataclass(frozen=True)
class Panel:
    """One SVG drawing, made by us: it enters the page as it is."""

    title: str
    svg: str


@dataclass(frozen=True)
class LegendEntry:
    """What a curve's colour and dashes mean."""

    name: str
    style: CurveStyle


@dataclass(frozen=True)
class Chart:
    """Panels side by side, one below the other on a narrow screen."""

    title: str
    panels: Sequence[Panel]
    note: str = ""
    legend: Sequence[LegendEntry] = ()


@dataclass(frozen=True)
class Picture:
    """An encoded image, its size, and the line beneath it."""

    image: bytes
    media_type: str
    width_px: int
    height_px: int
    caption: str = ""

    @property
    def source(self) -> Markup:
        """The image as a data URI."""
        return Markup(f"data:{self.media_type};base64,{base64.b64encode(self.image).decode('ascii')}")


@dataclass(frozen=True)
class PictureGroup:
    """Pictures of one frame or instance, with a title and more lines of text.

    `status` is the instance's ("" none), `anchor` what links on the page lead to it by, `obj_id` its object's.
    """

    pictures: Sequence[Picture]
    title: str
    lines: Sequence[str] = ()
    status: str = ""
    anchor: str = ""
    obj_id: int | None = None


@dataclass(frozen=True)
class Gallery:
    """Groups of pictures under a heading; the note says which they are of how many.

    `layout`: `wide` and `frames` are one picture a group, `cards` a few tiles a group, `rows` many tiles a group.
    """

    title: str
    note: str
    groups: Sequence[PictureGroup]
    layout: Layout = "cards"


@dataclass(frozen=True)
class InstanceLine:
    """One instance in the list; texts as they are shown.

    `reason_kind` counts `InstanceList.reasons` (None without a reason); `anchor` is its `PictureGroup`'s, if any.
    """

    name: str
    obj_id: int
    status: str
    verdict: str
    confidence: str
    error_mm: str
    place: str
    reason: str
    reason_kind: int | None
    thumbnail: Picture | None = None
    anchor: str = ""


@dataclass(frozen=True)
class InstanceList:
    """The run's instances, what they can be filtered by, and how many of how many they are."""

    lines: Sequence[InstanceLine]
    statuses: Sequence[str]
    objects: Mapping[int, str]
    reasons: Sequence[str]
    has_errors: bool
    note: str


@dataclass(frozen=True)
class Report:
    """Everything on the page; empty parts are left out.

    `warnings` say what is missing, at the top; `notes` what else is to be known, at the end, with how the run was made.
    `folders` are those whose places nothing on the page shall say: their names stand for them.
    """

    title: str
    subtitle: str = ""
    metadata: Mapping[str, str] | None = None
    options: Mapping[str, str] | None = None
    statuses: Sequence[StatusCount] = ()
    statistics: Sequence[Statistic] = ()
    galleries: Sequence[Gallery] = ()
    instances: InstanceList | None = None
    tables: Sequence[tuple[str, TextTable]] = ()
    charts: Sequence[Chart] = ()
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    folders: Sequence[Path] = ()


def of_all(shown: int, total: int) -> str:
    """How many of how many are shown."""
    return f"{shown} of {total}." if shown < total else f"All {total}."


def render_report(report: Report) -> str:
    """The page as HTML; nothing in it is fetched from elsewhere, and no script but its own runs."""
    shorten = path_shortener(report.folders)

    def finalize(value: Any) -> Any:
        return shorten(value) if type(value) is str else value

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=finalize
    )
    script = _file("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return environment.from_string(_file("report.html.jinja")).render(
        report=report,
        outlines=OUTLINES,
        style=Markup(_file("report.css")),
        script=Markup(script),
        script_hash=Markup(f"sha256-{digest}"),
        markup=Markup,
    )


def write_report(report: Report, path: Path) -> None:
    """Write the page; it appears whole or not at all."""
    with replacing(path) as file:
        file.write(render_report(report))


def _file(name: str) -> str:
    return resources.files("selfpose6d.reporting").joinpath(name).read_text(encoding="utf-8")
