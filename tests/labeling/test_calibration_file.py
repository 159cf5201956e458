"""The calibration as a file and as a function: what comes back, what is refused, and that better is never worse."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.hand_made_calibration import MOST, good_terms, hand_made
from selfpose6d.errors import DataError, SelfPose6DError, UsageError
from selfpose6d.labeling.annotate import AnnotateOptions
from selfpose6d.labeling.calibration import Threshold, default_calibration, load_calibration
from selfpose6d.labeling.certificate import CertificateOptions
from selfpose6d.labeling.options import CertifyingOptions
from selfpose6d.labeling.search import SearchOptions
from selfpose6d.labeling.settings import require_calibrated
from selfpose6d.labeling.terms import MASK_QUALITIES, TERM_NAMES

TERM_VALUES = st.lists(st.floats(-20, 20), min_size=len(TERM_NAMES), max_size=len(TERM_NAMES))


def test_a_calibration_comes_back_from_its_file(tmp_path):
    calibration = replace(
        hand_made(), thresholds=(Threshold(0.01, math.inf, 1.0, 0, 0), *hand_made().thresholds[1:])
    )
    calibration.save(tmp_path / "calibration.json")
    again = load_calibration(tmp_path / "calibration.json")
    assert again == calibration
    assert again.content_hash == calibration.content_hash
    assert again.content_hash != hand_made().content_hash
    json.loads((tmp_path / "calibration.json").read_text(), parse_constant=pytest.fail)


def test_the_shipped_one_holds_for_the_options_as_they_are():
    calibration = load_calibration()
    assert calibration is default_calibration()
    require_calibrated(AnnotateOptions(), "the shipped calibration")
    assert calibration.threshold(0.01).bound <= 0.01
    assert CertificateOptions().calibration is calibration


@pytest.mark.parametrize("calibration", [default_calibration(), hand_made()], ids=["shipped", "hand-made"])
@given(TERM_VALUES, st.integers(0, len(TERM_NAMES) - 1), st.floats(0, 30), st.sampled_from(MASK_QUALITIES))
def test_better_evidence_never_lowers_the_score(calibration, values, column, gain, quality):
    better = np.array(values)
    better[column] += gain
    unknown = np.array(values)
    unknown[column] = -math.inf
    low, middle, high = calibration.rate_all(np.stack([unknown, values, better]), [quality] * 3)
    assert low <= middle + 1e-9
    assert middle <= high + 1e-9
    assert calibration.probability(low) <= calibration.probability(high) <= 1


def test_ratings_by_hand():
    calibration = hand_made()
    assert calibration.rate(good_terms(), "exact") == pytest.approx(MOST)
    assert calibration.rate(good_terms(colour=0.25, size=8.0), "rough") == pytest.approx(MOST - 0.75 - 0.5)
    assert calibration.rate(good_terms(coverage=math.nan), "box") == pytest.approx(MOST - 1)
    offset = replace(calibration, offsets={"exact": 0.0, "rough": -1.0, "box": -2.0})
    assert offset.rate(good_terms(), "box") == pytest.approx(MOST - 2)
    assert calibration.probability(MOST / 4) == pytest.approx(0.25)
    assert calibration.probability(-5.0) == 0
    assert calibration.weakest(good_terms(known=0.2, depth=0.4)) == "known"


def test_a_risk_between_two_that_were_measured_has_the_stricter_threshold():
    calibration = hand_made()
    for asked, measured in ((0.01, 0.01), (0.049, 0.01), (0.05, 0.05), (0.1, 0.05), (0.9, 0.2)):
        assert calibration.threshold(asked).risk == measured


@pytest.mark.parametrize("risk", [0.0, 1.0, 2.0, -1.0, math.nan])
def test_a_risk_out_of_range_is_refused(risk):
    with pytest.raises(UsageError, match=r"--risk must be between 0 and 1, got .*\. Pass for example"):
        hand_made().threshold(risk)


def test_a_risk_that_was_not_measured_is_refused():
    with pytest.raises(UsageError, match=r"--risk 0.001: .* proves 0.01 at best\. .*calibrate --scenes N"):
        hand_made().threshold(0.001)


def broken(kind: str) -> str:
    """The file's text with one fault."""
    content = hand_made().to_json()
    terms = content["terms"]
    if kind == "not json":
        return json.dumps(content)[:-20]
    if kind == "a list":
        return "[]"
    if kind == "empty":
        return ""
    if kind == "falling":
        terms["colour"]["rises"] = [-0.1]
    if kind == "knots":
        terms["colour"]["knots"] = [1.0, 0.0]
    if kind == "short":
        terms["colour"]["rises"] = []
    if kind == "falling probability":
        content["probability"]["probabilities"] = [0.9, 0.1]
    if kind == "no thresholds":
        content["thresholds"] = []
    if kind == "missing":
        del content["offsets"]
    if kind == "text":
        content["offsets"]["exact"] = "much"
    if kind == "nan":
        terms["colour"]["rises"] = [math.nan]
    if kind == "nan threshold":
        content["thresholds"][0]["score"] = math.nan
    return json.dumps(content)


@pytest.mark.parametrize(
    "kind",
    [
        "not json", "a list", "empty", "falling", "knots", "short", "falling probability", "no thresholds",
        "missing", "text", "nan", "nan threshold",
    ],
)  # fmt: skip
def test_a_broken_file_is_one_line_with_its_remedy(kind, tmp_path):
    path = tmp_path / "calibration.json"
    path.write_text(broken(kind))
    with pytest.raises(DataError) as refused:
        load_calibration(path)
    message = str(refused.value)
    assert message.startswith(f"{path} is no calibration (")
    assert "calibrate again: selfpose6d calibrate --out FILE" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "has format 99, this version reads 1. Calibrate again."),
        (
            {"terms": {"beauty": {}}},
            "was made for other terms (beauty) than this version's. Calibrate again.",
        ),
        ({"offsets": {"exact": 0.0}}, "Calibrate again."),
    ],
)
def test_a_file_of_another_version_is_refused(change, message, tmp_path):
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(hand_made().to_json() | change))
    with pytest.raises(DataError) as refused:
        load_calibration(path)
    assert message in str(refused.value)
    assert str(refused.value).startswith(str(path))


@pytest.mark.parametrize("kind", ["missing", "folder", "binary"])
def test_what_is_no_text_file_is_one_line(kind, tmp_path):
    path = tmp_path / "calibration.json"
    if kind == "folder":
        path.mkdir()
    if kind == "binary":
        path.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(SelfPose6DError, match="selfpose6d calibrate --out") as refused:
        load_calibration(path)
    assert "\n" not in str(refused.value)
    assert isinstance(refused.value, DataError if kind == "binary" else UsageError)


def test_the_options_of_commands_carry_it(tmp_path):
    path = tmp_path / "mine.json"
    hand_made().save(path)
    given = CertifyingOptions(risk=0.05, calibration=path, mask_quality="rough", depth_noise_mm=2.5)
    options = given.applied(AnnotateOptions(seed=3))
    assert options.certificate.calibration == hand_made()
    assert options.certificate.risk == 0.05
    assert (options.mask_quality, options.depth_noise_m) == ("rough", pytest.approx(0.0025))
    assert options.seed == 3
    assert CertifyingOptions().applied(AnnotateOptions()) == AnnotateOptions()


def test_a_calibration_for_other_options_names_the_first_that_differs():
    other = AnnotateOptions(search=SearchOptions(refinement="joint-loss"))
    with pytest.raises(UsageError, match=r"the shipped calibration holds for search\..* not .*--calibration"):
        CertifyingOptions().applied(other)
    with pytest.raises(UsageError, match=r"holds for attempts 3, not 1\. Calibrate for these options"):
        CertifyingOptions().applied(AnnotateOptions(attempts=1))
    assert AnnotateOptions(attempts=1).certificate.calibration is default_calibration(), "free in Python"


@pytest.mark.parametrize("noise_mm", [0.0, -1.0, 300.0, math.nan])
def test_a_noise_that_no_sensor_has_is_refused(noise_mm):
    with pytest.raises(UsageError, match=r"the depth noise must be between 0 and 200 mm, got"):
        CertifyingOptions(depth_noise_mm=noise_mm).applied(AnnotateOptions())
