"""The printed figures are the paper's, and its MEANs are what we say they are."""

import re
from pathlib import Path

import numpy as np
import pytest

from selfpose6d.datasets.ycb_video.files import YCB_NAMES
from selfpose6d.reproduction.plan import PLANS
from selfpose6d.reproduction.printed import TABLE_1, TABLE_2, TABLE_2_OBJECTS, TABLE_3


@pytest.fixture(scope="module")
def paper(shared_data: Path) -> list[list[str]]:
    """The lines of the paper's tables, as cells."""
    found = sorted(shared_data.parent.glob("*.txt"))
    texts = [path.read_text() for path in found if "TRAINING EFFICIENCY" in path.read_text()]
    if not texts:
        pytest.skip("skipped: the paper's text is not there")
    return [line.split("\t") for line in texts[0].splitlines() if line.count("\t") >= 2]


def numbers(cells: list[str]) -> list[float]:
    return [float(re.sub(r"[a-zA-Z]", "", cell)) for cell in cells]


def test_table_1_is_the_papers(paper):
    rows = {cells[0]: numbers(cells[1:]) for cells in paper if cells[0] in YCB_NAMES}
    assert len(rows) == 21
    for ycb_id, name in enumerate(YCB_NAMES, start=1):
        assert [column.values[ycb_id] for column in TABLE_1.values()] == rows[name], name
    means = next(numbers(cells[1:]) for cells in paper if cells[0] == "MEAN" and len(cells) == 8)
    assert [column.mean for column in TABLE_1.values()] == means


def test_table_2_is_the_papers(paper):
    names = ("scissors", "large_marker", "large_clamp", "extra_large_clamp", "foam_brick")
    rows = {cells[0]: numbers(cells[1:]) for cells in paper if len(cells) == 5 and cells[0] in names}
    for ycb_id, name in zip(TABLE_2_OBJECTS, names, strict=True):
        assert name in YCB_NAMES[ycb_id - 1]
        assert [column.values[ycb_id] for column in TABLE_2.values()] == rows[name]
    means = next(numbers(cells[1:]) for cells in paper if cells[0] == "MEAN" and len(cells) == 5)
    assert [column.mean for column in TABLE_2.values()] == means


def test_table_3_is_the_papers(paper):
    rows = {cells[0]: numbers(cells[1:]) for cells in paper if len(cells) == 3 and "ms" in cells[1]}
    for name, cost in (("Iterative Annotation Resolver", "resolver"), ("Render", "renderer")):
        assert [TABLE_3[cost].time_ms, TABLE_3[cost].memory_mb] == rows[name]


def test_some_figures_without_the_paper():
    assert TABLE_1["ours"].values[13] == 73.2
    assert TABLE_1["ours-refine"].values[5] == 91.8
    assert TABLE_1["pure-icp"].mean == 79.1
    assert TABLE_2["weighted-synthetic"].values[18] == 96.4


def test_a_plain_mean_is_one_and_a_pooled_mean_is_not():
    """Of Table I only Self6D++'s MEAN is the plain mean of its column; of Table II every one is."""
    for column in (*TABLE_1.values(), *TABLE_2.values()):
        off = abs(np.mean(list(column.values.values())) - column.mean)
        if column.mean_kind == "plain":
            assert off < 0.051, column.title
    plain = {name: np.mean(list(column.values.values())) for name, column in TABLE_1.items()}
    assert plain["ours"] == pytest.approx(82.95, abs=0.05)
    assert plain["ours-refine"] == pytest.approx(86.44, abs=0.05)
    assert {name for name, column in TABLE_1.items() if column.mean_kind == "plain"} == {"teacher-student"}


def test_every_printed_column_has_a_place_in_its_plan():
    for plan, printed in (("table1", TABLE_1), ("table2", TABLE_2)):
        columns = {column.name: column.printed for column in PLANS[plan].columns if column.printed}
        assert columns == printed
