"""The statistics of results.json: by hand, its keys, and what cannot be measured."""

import json

import numpy as np
import pytest
from pose_rows import make_estimates, make_truths

from selfpose6d.evaluation.bop_recall import Recalls
from selfpose6d.evaluation.claims import ClaimCheck
from selfpose6d.evaluation.instances import Claim
from selfpose6d.evaluation.results import Results, read_results, summarise, write_results
from selfpose6d.evaluation.score import ScoredTargets, score
from selfpose6d.evaluation.shares import Share

AUC_KEYS = {f"{name}_auc{mode}" for name in ("adds", "add", "add_or_adds") for mode in ("", "_toolbox")}
BELOW_KEYS = {
    f"{name}_below_{limit}" for name in ("adds", "add", "add_or_adds") for limit in ("2cm", "10pct")
}
METRIC_KEYS = AUC_KEYS | BELOW_KEYS


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
    # A tenth of the diameter: 2 cm of the line, 1 cm of the square.
    assert results.pooled.add_below_10pct == 0.5
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
    certified = content["reliability"]["status"]["certified"]
    assert (certified["count"], certified["right"], certified["correct"]) == (2, 1, 0.5)
    assert certified["interval"] == pytest.approx([0.0126, 0.9874], abs=1e-4)
    assert content["certified_precision_below_10pct"] == 0.5
    assert content["precision_objects_below_10pct"] == {"1": 0.5, "2": None}
    assert content["right"] == "add-or-adds"
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


def test_the_file_is_read_as_it_was_written(points_m, tmp_path):
    scores = scored(points_m)
    claims = (
        ClaimCheck(Claim(0.01, 0.008, "a1"), {below: Share(2, 2) for below in ("below_2cm", "below_10pct")}),
    )
    written = summarise(scores, (2,), "vertices", {"split": "test"}, True, claims=claims)
    write_results(written, tmp_path / "results.json")
    read = read_results(tmp_path / "results.json")
    assert read.claims == claims
    assert read.to_json() == written.to_json()
    assert read.to_json()["reliability"]["claims"][0]["below_10pct"]["verdict"] == "not contradicted"
    assert set(read.to_json()["reliability"]) >= {"bins", "below_10pct", "by_mask_quality", "by_mask_kind"}


def test_a_small_object_is_right_by_2_cm_and_wrong_by_a_tenth(points_m):
    truths = make_truths([(0, 1, 2, 0.0, True)])
    scores = score(make_estimates([(0, 1, 2, 0.9, 0.015, "certified")]), truths, points_m, set())
    content = summarised(scores).to_json()
    assert (content["certified_precision"], content["certified_precision_below_10pct"]) == (1, 0)
    assert (content["precision_objects"], content["precision_objects_below_10pct"]) == ({"2": 1}, {"2": 0})
    pooled = content["metrics"]["pooled"]
    assert (pooled["add_below_2cm"], pooled["add_below_10pct"], pooled["adds_below_10pct"]) == (1, 0, 0)
