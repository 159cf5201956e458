"""One self-contained HTML page of a run: numbers, tables, charts and pictures come in as data."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from selfpose6d.files import replacing
from selfpose6d.reporting.tables import TextTable

TEMPLATE_NAME = "report.html.jinja"


@dataclass(frozen=True)
class Statistic:
    """One number that leads the page, and what it is."""

    value: str
    title: str


@dataclass(frozen=True)
class Chart:
    """An SVG drawing, made by us: it enters the page as it is."""

    title: str
    svg: str
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """An encoded image with its lines of text; `status` is its certificate's ("" none)."""

    image: bytes
    media_type: str
    captions: tuple[str, ...]
    status: str = ""

    @property
    def source(self) -> str:
        """The image as a data URI."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.image).decode('ascii')}"


@dataclass(frozen=True)
class Gallery:
    """Pictures under a heading."""

    title: str
    note: str
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Report:
    """Everything on the page, in its order; empty parts are left out."""

    title: str
    metadata: Mapping[str, str]
    statistics: Sequence[Statistic] = ()
    tables: Sequence[tuple[str, TextTable]] = ()
    charts: Sequence[Chart] = ()
    galleries: Sequence[Gallery] = ()
    notes: Sequence[str] = ()


def render_report(report: Report) -> str:
    """The page as HTML; nothing in it is fetched from elsewhere."""
    source = resources.files("selfpose6d.reporting").joinpath(TEMPLATE_NAME).read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    charts = [(chart, Markup(chart.svg)) for chart in report.charts]
    return environment.from_string(source).render(report=report, charts=charts)


def write_report(report: Report, path: Path) -> None:
    """Write the page; it appears whole or not at all."""
    with replacing(path) as file:
        file.write(render_report(report))
