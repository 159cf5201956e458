"""Where verified poses come from: a network's hypotheses, or the search that takes over where they leave doubt."""

from collections.abc import Mapping
from typing import Any, get_args

from selfpose6d.evaluation.score import RIGHT_BELOW, RightBelow, ScoredTargets
from selfpose6d.evaluation.shares import Share
from selfpose6d.types import PoseSource

Sources = Mapping[str, Mapping[RightBelow, Share]]
"""By source, its poses of targets and the right ones among them; empty where no certificate names a source."""


def count_sources(scores: ScoredTargets) -> Sources:
    """How many targets got their pose from where, and how many of these are right. Missed targets have none."""
    if not scores.source.astype(bool).any():
        return {}
    return {
        name: {below: Share.of(scores.right(below)[scores.source == name]) for below in RIGHT_BELOW}
        for name in get_args(PoseSource)
    }


def sources_to_json(sources: Sources) -> dict[str, Any]:
    """`sources` of `results.json`."""
    return {name: {below: share.to_json() for below, share in ways.items()} for name, ways in sources.items()}


def sources_from_json(content: Mapping[str, Any]) -> Sources:
    """What `sources_to_json` made."""
    return {
        name: {below: Share.from_json(ways[below]) for below in RIGHT_BELOW} for name, ways in content.items()
    }
