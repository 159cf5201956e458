"""How often the search took over from a network's hypotheses."""

import numpy as np
from pose_rows import make_estimates, make_truths

from selfpose6d.evaluation.results import Results, summarise
from selfpose6d.evaluation.score import score
from selfpose6d.evaluation.shares import Share
from selfpose6d.evaluation.sources import count_sources
from selfpose6d.reporting.reliability_tables import source_lines


def scored(points_m, sources: list[str]):
    """Four images: 0 and 1.5 cm off (right), 5 cm off (wrong), and a miss; a fourth estimate is of no target."""
    rows = [(0, im, 1, 0.9, x, "certified") for im, x in ((1, 0.0), (2, 0.015), (3, 0.05))]
    estimates = make_estimates([*rows, (0, 1, 2, 0.9, 0.0, "certified")])
    estimates.source[:] = sources
    truths = make_truths([(0, im, 1, 0.0, True) for im in (1, 2, 3, 4)])
    return score(estimates, truths, points_m, set())


def test_poses_of_targets_are_counted_by_source(points_m):
    sources = count_sources(scored(points_m, ["hypotheses", "search", "search", "search"]))
    assert sources["hypotheses"] == {"below_2cm": Share(1, 1), "below_10pct": Share(1, 1)}
    assert sources["search"] == {"below_2cm": Share(2, 1), "below_10pct": Share(2, 1)}


def test_nothing_is_said_where_no_certificate_says_it(points_m):
    assert count_sources(scored(points_m, [""] * 4)) == {}


def test_the_line_and_the_file(points_m):
    scores = scored(points_m, ["hypotheses", "search", "search", "search"])
    results = summarise(scores, (), "vertices", {}, True)
    assert source_lines(results) == []
    counted = Results(**(vars(results) | {"sources": count_sources(scores)}))
    (line,) = source_lines(Results.from_json(counted.to_json()))
    assert line == (
        "the search gave 2 of 3 poses (66.7 %); right (< 2 cm / < 10 % of the diameter): "
        "50.0 / 50.0 % of these, 100.0 / 100.0 % of the 1 from hypotheses"
    )


def test_a_network_that_needed_no_search(points_m):
    scores = scored(points_m, ["hypotheses"] * 4)
    results = summarise(scores, (), "vertices", {}, True)
    (line,) = source_lines(Results(**(vars(results) | {"sources": count_sources(scores)})))
    assert line.startswith("the search gave 0 of 3 poses (0.0 %)")
    assert "- / - % of these" in line
    assert np.isnan(Share(0, 0).correct)
