"""What stated confidence and certificates are worth, by mask quality and both ways to be right: a table, and lines."""

import math
from collections.abc import Iterator

from selfpose6d.evaluation.claims import ClaimCheck
from selfpose6d.evaluation.instances import Claim
from selfpose6d.evaluation.reliability import Reliability
from selfpose6d.evaluation.results import Results
from selfpose6d.evaluation.score import RightBelow
from selfpose6d.evaluation.shares import Share
from selfpose6d.reporting.tables import ABSENT, TextTable, percent

BELOW_TITLES: dict[RightBelow, str] = {"below_2cm": "< 2 cm", "below_10pct": "< 10 % of the diameter"}
SHOWN_COVERAGES = (0.5, 0.7, 0.8, 0.9)
"""Of all targets: around what a certificate reaches."""
HEADINGS = (
    "\nestimates",
    "\nn",
    "right %\n<2cm",
    "right %\n<10%d",
    "ECE\n<2cm",
    "ECE\n<10%d",
    "\ncert.",
    "cert. right %\n<2cm",
    "cert. right %\n<10%d",
)


def reliability_table(results: Results) -> TextTable:
    """One row for all estimates, one for each mask quality and kind that is known, one for each other status."""
    ways = tuple(results.reliability[below] for below in BELOW_TITLES)
    rows = tuple(_rows(*ways))
    curve = ", ".join(f"{percent(at).split('.')[0]} %: {_precisions(ways, at)}" for at in SHOWN_COVERAGES)
    note = (
        "[..]: exact 95 % intervals, of independent instances. ECE: expected calibration error. Precision of the "
        f"best-rated by coverage of all targets (<2cm/<10%d) {curve}."
    )
    return TextTable(HEADINGS, rows, 0, note)


def claim_lines(results: Results) -> list[str]:
    """What the run's certificates promise, and what was measured of it; none where they promise nothing."""
    return [line for check in results.claims for line in _claim(check)]


def review_lines(results: Results) -> list[str]:
    """How many verdicts a person gave, and what they changed; none where nobody reviewed the run."""
    if (review := results.review) is None:
        return []
    given = ", ".join(f"{count} {kind}" for kind, count in review.verdicts.items() if count)
    shares = f"{percent(review.certified_share)} -> {percent(results.certified_share)} %"
    right = f"{percent(review.certified_precision)} -> {percent(results.certified_precision)} %"
    return [
        f"review: {given}; certified {shares}, right of these (< 2 cm) {right}. "
        "The reliability above is that of the run before it."
    ]


def source_lines(results: Results) -> list[str]:
    """How many poses the search gave and how many a network's hypotheses, and what they are worth; none where nothing
    says it.
    """
    if not results.sources:
        return []
    alone, searched = (results.sources[name]["below_2cm"].count for name in ("hypotheses", "search"))
    total = alone + searched
    taken = percent(searched / total if total else math.nan)
    return [
        f"the search gave {searched} of {total} poses ({taken} %); right (< 2 cm / < 10 % of the diameter): "
        f"{_right(results, 'search')} % of these, {_right(results, 'hypotheses')} % of the {alone} from hypotheses"
    ]


def _right(results: Results, source: str) -> str:
    return " / ".join(percent(share.correct) for share in results.sources[source].values())


def claim_text(claim: Claim) -> str:
    """At which risk poses are certified, and the bound of their error, by which calibration."""
    asked = (
        f"certified at risk {claim.risk:.3g}" if math.isfinite(claim.risk) else "certified at no stated risk"
    )
    bound = f"with 95 % confidence at most {100 * claim.bound:.2g} % wrong"
    known = bound if math.isfinite(claim.bound) else "no bound known"
    return f"{asked}, {known} (calibration {claim.calibration or 'not said'})"


def _rows(near: Reliability, tenth: Reliability) -> Iterator[tuple[str, ...]]:
    groups = [("all", near.everything, tenth.everything)]
    for title, column in (("mask", "by_mask_quality"), ("made", "by_mask_kind")):
        ways = getattr(near, column), getattr(tenth, column)
        groups += [(f"{title} {name}", ways[0][name], ways[1][name]) for name in ways[0]]
    for name, first, second in groups:
        right = _share(first.estimates), _share(second.estimates)
        errors = (_error(group.expected_calibration_error) for group in (first, second))
        certified = str(first.certified.count), _share(first.certified), _share(second.certified)
        yield (name, str(first.estimates.count), *right, *errors, *certified)
    for name in near.by_status:
        if name != "certified":
            shares = near.by_status[name], tenth.by_status[name]
            yield (name, str(shares[0].count), *map(_share, shares), *[""] * 5)


def _claim(check: ClaimCheck) -> Iterator[str]:
    yield f"claim: {claim_text(check.claim)}"
    for below, share in check.certified.items():
        verdict = check.verdict(below)
        if not share.count:
            yield f"  {BELOW_TITLES[below]}: {verdict}"
            continue
        low, high = (percent(1 - side) for side in reversed(share.interval))
        wrong = f"{share.count - share.right} of {share.count} certified wrong"
        yield f"  {BELOW_TITLES[below]}: {wrong}, {percent(share.error)} % [{low} {high}]: {verdict}"


def _share(share: Share) -> str:
    if not share.count:
        return ABSENT
    low, high = map(percent, share.interval)
    return f"{percent(share.correct)} [{low} {high}]"


def _error(error: float) -> str:
    return ABSENT if math.isnan(error) else f"{error:.3f}"


def _precisions(ways: tuple[Reliability, ...], coverage: float) -> str:
    index = int(abs(ways[0].coverage - coverage).argmin())
    return "/".join(percent(float(way.precision[index])) for way in ways)
