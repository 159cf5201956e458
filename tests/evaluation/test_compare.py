"""Two runs on the same instances, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from selfpose6d.errors import DataError
from selfpose6d.evaluation.compare import MIN_SCENES, Comparison, compare
from selfpose6d.evaluation.errors_file import InstanceErrors
from selfpose6d.runs.json_lines import without_nan


def errors(add_m, scene_id=None, im_id=None, adds_m=None, symmetric=False) -> InstanceErrors:
    """One instance of object 1 in each image unless told otherwise; ADD-S is half of ADD."""
    add_m = np.asarray(add_m, float)
    adds_m = add_m / 2 if adds_m is None else np.asarray(adds_m, float)
    count = len(add_m)
    text, nothing = np.full(count, "", dtype=object), np.full(count, np.nan)
    scenes = np.zeros(count, int) if scene_id is None else np.asarray(scene_id)
    images = np.arange(count) if im_id is None else np.asarray(im_id)
    either_m = adds_m if symmetric else add_m
    return InstanceErrors(
        split=np.full(count, "test", dtype=object),
        scene_id=scenes,
        im_id=images,
        obj_id=np.ones(count, int),
        inst_id=np.arange(count),
        name=text,
        add_m=add_m,
        adds_m=adds_m,
        add_or_adds_m=either_m,
        right_m=either_m,
        diameter_m=np.full(count, 0.2),
        status=text,
        confidence=nothing,
        visible_fraction=nothing,
        mask_quality=text,
        mask_kind=text,
        prediction_row=np.arange(count),
    )


def compared(baseline: InstanceErrors, run: InstanceErrors, **options) -> Comparison:
    return compare(baseline, run, ("A", "B"), **options)


def test_a_run_is_as_good_as_itself():
    run = errors([0.01, 0.03, np.inf, 0.2, 0.0, 0.05, 0.04])
    comparison = compared(run, run)
    assert (comparison.baseline, comparison.run, comparison.instances) == ("A", "B", 7)
    for row in comparison.differences.values():
        assert (row.value, row.low, row.high, row.excludes_zero) == (0, 0, 0, False)


def test_a_constant_shift_is_known_exactly():
    add_m = np.array([0.01, 0.02, 0.03, 0.012, 0.04, 0.05])
    rows = compared(errors(add_m), errors(add_m + 0.01)).differences
    # 1 cm of the 10 cm under the curve; ADD-S moves by half.
    for name, expected in (("add_auc", -10), ("add_or_adds_auc", -10), ("adds_auc", -5)):
        row = rows[name]
        assert (row.value, row.low, row.high) == pytest.approx((expected,) * 3)
        assert row.excludes_zero
    # Below 2 cm were 0.01 and 0.012; none is left (0.02 never was).
    assert rows["add_below_2cm"].value == pytest.approx(-2 / 6)


def test_a_miss_scores_nothing_and_distances_beyond_the_curve_are_alike():
    rows = compared(errors([np.inf, 0.05]), errors([0.3, np.inf])).differences
    assert rows["add_auc"].value == pytest.approx(-25)
    assert rows["adds_auc"].value == pytest.approx(-37.5)


def test_the_symmetric_set_is_the_evaluations():
    rows = compared(errors([0.02] * 6, symmetric=True), errors([0.06] * 6, symmetric=True)).differences
    assert rows["add_or_adds_auc"] == rows["adds_auc"]
    assert rows["add_auc"].value == pytest.approx(-40)


def test_instances_are_paired_by_key_not_by_row():
    add_m = np.array([0.01, 0.02, 0.03, 0.04, 0.05, 0.06])
    run = errors(add_m + 0.01)
    assert compared(errors(add_m), run.take(np.arange(6)[::-1])) == compared(errors(add_m), run)


def test_images_are_resampled_where_there_are_few_scenes():
    comparison = compared(
        errors([0.01] * 6, im_id=[1, 1, 1, 2, 2, 3]), errors([0.02] * 6, im_id=[1, 1, 1, 2, 2, 3])
    )
    assert (comparison.block, comparison.num_blocks) == ("image", 3)


def test_the_same_image_number_in_two_scenes_is_two_images():
    baseline = errors([0.01] * 4, scene_id=[0, 0, 1, 1], im_id=[1, 2, 1, 2])
    assert compared(baseline, baseline).num_blocks == 4


def test_scenes_are_resampled_where_there_are_many():
    scenes = np.arange(MIN_SCENES).repeat(3)
    baseline = errors(np.full(len(scenes), 0.01), scene_id=scenes)
    comparison = compared(baseline, baseline)
    assert (comparison.block, comparison.num_blocks) == ("scene", MIN_SCENES)


def test_few_images_give_wide_intervals_and_no_verdict():
    better_m, worse_m = np.array([0.01, 0.03, 0.05]), np.array([0.02, 0.06, 0.06])
    row = compared(errors(worse_m), errors(better_m)).differences["add_auc"]
    assert (row.value, row.low, row.high) == pytest.approx((50 / 3, 10, 30))
    assert not row.excludes_zero
    many = compared(errors(np.tile(worse_m, 40)), errors(np.tile(better_m, 40))).differences["add_auc"]
    assert many.excludes_zero
    assert many.high - many.low < 0.3 * (row.high - row.low)


def test_of_one_image_no_interval_is_known():
    row = compared(errors([0.01] * 3, im_id=[1] * 3), errors([0.02] * 3, im_id=[1] * 3)).differences[
        "add_auc"
    ]
    assert row.value == pytest.approx(-10)
    assert np.isnan([row.low, row.high]).all()
    assert not row.excludes_zero


def test_the_seed_is_used_and_kept():
    rng = np.random.default_rng(0)
    runs = errors(rng.uniform(0, 0.1, 30)), errors(rng.uniform(0, 0.1, 30))
    first, again, other = compared(*runs, seed=3), compared(*runs, seed=3), compared(*runs, seed=4)
    assert first == again
    assert first.seed == 3
    assert first.differences["add_auc"].low != other.differences["add_auc"].low


def test_the_file_gives_the_same_back():
    comparison = compared(errors([0.01] * 3, im_id=[1] * 3), errors([0.02] * 3, im_id=[1] * 3))
    read = Comparison.from_json(without_nan(comparison.to_json()))
    for name, row in comparison.differences.items():
        np.testing.assert_equal(vars(read.differences[name]), vars(row))
    assert replace(read, differences={}) == replace(comparison, differences={})


@pytest.mark.parametrize(
    ("rows", "said"), [([0, 1], "1 of 3 of the first alone and 0 of 2"), ([], "of the first alone")]
)
def test_other_instances_are_refused(rows, said):
    run = errors([0.01, 0.02, 0.03])
    with pytest.raises(DataError, match=said):
        compared(run, run.take(np.array(rows, int)))
