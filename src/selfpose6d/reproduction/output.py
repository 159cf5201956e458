"""Writes a table as Markdown, CSV, JSON and a page."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfpose6d.files import replacing
from selfpose6d.image_files import to_jpeg, write_png
from selfpose6d.reporting.page import Gallery, Picture, PictureGroup, Report, write_report
from selfpose6d.reporting.tables import TextTable
from selfpose6d.reproduction.tables import to_markdown
from selfpose6d.runs.json_lines import without_nan
from selfpose6d.version import __version__


@dataclass(frozen=True)
class Output:
    """Everything that is said of one table or figure."""

    name: str
    title: str
    tables: Sequence[tuple[str, TextTable]]
    protocol: Sequence[str]
    rows: Sequence[Sequence[str | int | float]]
    """Of the CSV file, its heading first; none: no file."""
    content: dict[str, Any]
    """Of the JSON file."""
    picture: Any = None
    """An RGB image, or None."""
    caption: str = ""


def write_output(output: Output, folder: Path) -> tuple[Path, ...]:
    """Write `<name>.md`, `.csv`, `.json`, `.png` where there is a picture, and `index.html`; each appears whole."""
    folder.mkdir(parents=True, exist_ok=True)
    markdown, table, content = (folder / f"{output.name}.{suffix}" for suffix in ("md", "csv", "json"))
    written = [markdown]
    if output.picture is not None:
        write_png(folder / f"{output.name}.png", output.picture)
        written.append(folder / f"{output.name}.png")
    with replacing(markdown) as file:
        file.write(_markdown(output))
    if output.rows:
        with replacing(table) as file:
            csv.writer(file, lineterminator="\n").writerows(output.rows)
        written.append(table)
    with replacing(content) as file:
        whole = {"name": output.name, "title": output.title, "version": __version__, **output.content}
        json.dump(without_nan(whole | {"protocol": list(output.protocol)}), file, indent=2, allow_nan=False)
        file.write("\n")
    write_report(_page(output), folder / "index.html")
    return (*written, content, folder / "index.html")


def _markdown(output: Output) -> str:
    parts = [f"# {output.title}"]
    for title, table in output.tables:
        parts += [f"## {title}", to_markdown(table), table.note]
    if output.picture is not None:
        parts += [f"![{output.title}]({output.name}.png)", output.caption]
    parts += ["## What differs from the paper", "\n".join(f"- {line}" for line in output.protocol)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _page(output: Output) -> Report:
    galleries = []
    if output.picture is not None:
        height, width = output.picture.shape[:2]
        picture = Picture(to_jpeg(output.picture), "image/jpeg", width, height)
        galleries = [Gallery(output.title, output.caption, [PictureGroup([picture], "")], "wide")]
    made_by = f"reproduce {output.name}, selfpose6d {__version__}"
    return Report(output.title, made_by, tables=output.tables, galleries=galleries, notes=output.protocol)
