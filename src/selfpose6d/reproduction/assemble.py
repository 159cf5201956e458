"""Puts what was measured of a plan's columns together: tables, words, files' content, the picture."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from selfpose6d.evaluation.errors_file import read_instances
from selfpose6d.reproduction.columns import Workshop
from selfpose6d.reproduction.figure import RULE, Method, draw_figure
from selfpose6d.reproduction.measured import MeasuredColumn
from selfpose6d.reproduction.output import Output
from selfpose6d.reproduction.protocol import protocol_lines
from selfpose6d.reproduction.tables import METRIC_TITLES, csv_rows, json_content, metric_table, summary_table


def assemble(shop: Workshop, columns: Sequence[MeasuredColumn], left_out: Sequence[str]) -> Output:
    """The table or figure as far as its columns are made; `left_out` are lines about those that cannot be."""
    plan, objects = shop.plan, shop.data.objects
    tables = [("Summary", summary_table(columns, objects))]
    tables += [(title, metric_table(metric, columns, objects)) for metric, title in METRIC_TITLES.items()]
    picture = _figure(shop, columns) if plan.name == "figure4" else None
    return Output(
        plan.name,
        plan.title,
        tables,
        protocol_lines(shop, columns, left_out),
        list(csv_rows(columns, objects)),
        {"columns": json_content(columns, objects), "options": shop.request.to_json()},
        picture,
        RULE if picture is not None else "",
    )


def _figure(shop: Workshop, columns: Sequence[MeasuredColumn]) -> UInt8[np.ndarray, "rows columns 3"] | None:
    """The picture of the first two columns, None while one of them is missing."""
    if len(columns) < 2 or any(measured.results is None for measured in columns[:2]):
        return None
    methods = [
        Method(
            measured.column.title,
            read_instances(shop.results_path(measured.column).with_name("instances.csv")),
            shop.column_folder(measured.column),
        )
        for measured in columns[:2]
    ]
    return draw_figure(shop.shares.test.open(), *methods)
