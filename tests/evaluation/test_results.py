"""The statistics of results.json: by hand, its keys, and what cannot be measured."""

import json

import numpy as np
import pytest
from pose_rows import make_estimates, make_truths

from selfpose6d.evaluation.bop_recall import Recalls
from selfpose6d.evaluation.results import Results, summarise, write_results
from selfpose6d.evaluation.score import ScoredTargets, score

AUC_KEYS = {f"{name}_auc{mode}" for name in ("adds", "add", "add_or_adds") for mode in ("", "_toolbox")}
METRIC_KEYS = AUC_KEYS | {"adds_below_2cm", "add_below_2cm", "add_or_adds_below_2cm"}


def scored(points_m, extra=()) -> ScoredTargets:
    truths = make_truths(
        [(0, 1, 1, 0.0, True), (0, 2, 1, 0.0, True), (0, 3, 1, 0.0, True), (0, 1, 2, 0.0, True)]
    )
    rows = [
        (0, 1, 1, 0.9, 0.01, "certified"),
        (0, 2, 1, 0.8, 0.05, "certified"),
        (0, 1, 2, 0.2, 0.0, "rejected"),
        *extra,
    ]
    return score(make_estimates(rows), truths, points_m, {2})


def summarised(
    scores: ScoredTargets, has_certificates: bool = True, recalls: Recalls | None = None
) -> Results:
    return summarise(scores, (2,), "vertices", {"split": "test"}, has_certificates, recalls)


def test_pooled_and_mean_by_hand(points_m):
    results = summarised(scored(points_m))
    # ADD: 1 cm, 5 cm, missed for object 1 and 0 for object 2.
    assert results.objects[1].add_auc == pytest.approx(100 * (0.9 + 0.5 + 0) / 3)
    assert results.pooled.add_auc == pytest.approx(100 * (0.9 + 0.5 + 0 + 1) / 4)
    assert results.mean.add_auc == pytest.approx((100 * 1.4 / 3 + 100) / 2)
    assert results.pooled.add_below_2cm == 0.5
    assert (results.instances, results.missed) == (4, 1)


def test_certified_share_and_precision(points_m):
    results = summarised(scored(points_m))
    assert results.certified_share == 0.5
    assert results.certified_precision == 0.5
    assert results.counts[1].certified_precision == 0.5
    assert np.isnan(results.counts[2].certified_precision)


def test_a_certified_pose_of_an_absent_object_is_wrong_but_no_target(points_m):
    results = summarised(scored(points_m, extra=[(0, 2, 2, 0.9, 0.0, "certified")]))
    assert results.certified_precision == pytest.approx(1 / 3)
    assert results.certified_share == 0.5
    assert results.counts[2].certified_precision == 0
    assert results.instances == 4


def test_file_has_the_agreed_keys_and_no_infinite_number(points_m, tmp_path):
    write_results(summarised(scored(points_m)), tmp_path / "new" / "results.json")
    content = json.loads((tmp_path / "new" / "results.json").read_text(), parse_constant=pytest.fail)
    assert set(content["metrics"]) == {"pooled", "mean", "objects"}
    assert set(content["metrics"]["objects"]) == {"1", "2"}
    for row in (
        content["metrics"]["pooled"],
        content["metrics"]["mean"],
        *content["metrics"]["objects"].values(),
    ):
        assert set(row) == METRIC_KEYS
    assert content["instances"] == 4
    assert content["missed"] == 1
    assert content["certified_share"] == content["certified_precision"] == 0.5
    assert content["precision_objects"] == {"1": 0.5, "2": None}
    assert content["symmetric_ids"] == [2]
    assert content["points"] == "vertices"
    assert content["selection"] == {"split": "test"}
    assert content["reliability"]["status"]["certified"] == {"count": 2, "correct": 0.5}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["results.json"]


def test_without_certificates_nothing_is_said_of_them(points_m):
    content = summarised(scored(points_m), has_certificates=False).to_json()
    assert content["certified_share"] is None
    assert content["certified_precision"] is None


def test_recalls_join_the_metrics(points_m):
    hits = np.array([[True], [False], [False], [True]])
    recalls = Recalls(vsd=hits.repeat(100, 1), mssd=hits.repeat(10, 1), mspd=~hits.repeat(10, 1))
    results = summarised(scored(points_m), recalls=recalls)
    assert results.pooled.ar_vsd == results.pooled.ar_mspd == 0.5
    assert results.objects[1].ar_vsd == pytest.approx(1 / 3)
    assert results.objects[1].ar == pytest.approx((1 / 3 + 1 / 3 + 2 / 3) / 3)
    assert set(results.to_json()["metrics"]["mean"]) == METRIC_KEYS | {"ar", "ar_vsd", "ar_mssd", "ar_mspd"}


def test_no_targets(points_m):
    content = summarised(score(make_estimates([]), make_truths([]), points_m, set())).to_json()
    assert content["instances"] == 0
    assert content["metrics"]["pooled"]["adds_auc"] is None
    assert content["metrics"]["objects"] == {}
