"""From scenes to a calibration: kept as they come, refused where they are of other options, fitted and tested apart."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scene_results import scene_result, scene_results

from selfpose6d.calibration import make
from selfpose6d.calibration.make import (
    LEARN_EVERY,
    CalibrateOptions,
    annotate_scenes,
    calibration_objects,
    make_calibration,
)
from selfpose6d.calibration.scenes import SCENES_PER_SET, SceneResult
from selfpose6d.errors import UsageError
from selfpose6d.labeling.annotate import AnnotateOptions
from selfpose6d.labeling.calibration import load_calibration
from selfpose6d.labeling.search import SearchOptions
from selfpose6d.labeling.settings import require_calibrated
from selfpose6d.labeling.terms import TERM_NAMES
from selfpose6d.meshes.primitives.catalogue import CATALOGUE

COUNT = 600
OPTIONS = CalibrateOptions(scenes=COUNT)


def teaches(result: SceneResult) -> bool:
    """Whether the score is fitted to it: scenes of one set of meshes stay together."""
    return result.scene // SCENES_PER_SET % LEARN_EVERY == 0


@pytest.fixture
def annotated(monkeypatch) -> list[int]:
    """Scenes that were annotated, in their order; every seventh shows nothing."""
    asked: list[int] = []
    results = scene_results(COUNT)

    def annotator(objects, options, seed):
        def annotate(index: int) -> SceneResult | None:
            asked.append(index)
            return None if index % 7 == 6 else results[index]

        return annotate

    monkeypatch.setattr(make, "scene_annotator", annotator)
    monkeypatch.setattr(make, "calibration_objects", lambda options: ())
    return asked


def test_scenes_make_a_calibration_that_can_be_kept(tmp_path):
    results = scene_results(4000)
    found = make_calibration(CalibrateOptions(scenes=4000), results)
    found.save(tmp_path / "calibration.json")
    again = load_calibration(tmp_path / "calibration.json")
    assert again == found
    assert again.content_hash == found.content_hash
    require_calibrated(AnnotateOptions(), "it")
    made_from = found.made_from
    assert made_from["scenes"] == 4000
    assert made_from["tested_on"] == sum(not teaches(one) for one in results)
    assert made_from["learned_from"] == sum(map(teaches, results))
    assert made_from["right"] == sum(one.right for one in results)
    finite = [row for row in found.thresholds if math.isfinite(row.score)]
    assert [row.risk for row in finite][-1] == 0.2
    assert all(row.wrong <= row.risk * row.certified for row in finite)


def test_thresholds_are_tested_on_scenes_that_the_score_was_not_fitted_to():
    """Other outcomes of these change thresholds and probability, and nothing of the score."""
    results = scene_results(2000)
    other = [replace(one, add_m=0.08) if not teaches(one) and one.scene % 3 == 0 else one for one in results]
    first, second = (make_calibration(CalibrateOptions(scenes=2000), part) for part in (results, other))
    assert first.rises == second.rises
    assert first.offsets == second.offsets
    assert max(first.probabilities) > max(second.probabilities) + 0.2
    assert sum(row.certified for row in second.thresholds) < sum(row.certified for row in first.thresholds)


def test_poses_that_may_not_be_certified_do_not_count_for_a_threshold():
    results = scene_results(2000)
    none = [one if teaches(one) else replace(one, may_certify=False) for one in results]
    found = make_calibration(CalibrateOptions(scenes=2000), none)
    assert all(row.certified == 0 and math.isinf(row.score) for row in found.thresholds)


def test_nothing_that_may_be_certified_teaches_no_score():
    none = [replace(one, may_certify=False) for one in scene_results(COUNT)]
    with pytest.raises(
        UsageError, match=r"600 of 600 scenes gave a pose .*, 0 of them one to fit .*: --scenes"
    ):
        make_calibration(OPTIONS, none)


def test_scenes_without_a_pose_are_left_out_and_too_few_are_refused():
    lost = [replace(one, quality=None, terms={}, add_m=math.inf) for one in scene_results(COUNT)]
    with pytest.raises(UsageError, match=r"only 20 of 600 scenes gave a pose .* Render more: --scenes"):
        make_calibration(OPTIONS, [*lost[20:], *scene_results(20)])


def test_every_scene_is_annotated_once_and_kept(annotated, tmp_path):
    journal, steps = tmp_path / "scenes.jsonl", []
    first = annotate_scenes(OPTIONS, journal, workers=1, advance=lambda: steps.append(1))
    assert annotated == list(range(COUNT))
    assert len(steps) == COUNT
    assert [one.scene for one in first] == [k for k in range(COUNT) if k % 7 != 6]
    again = annotate_scenes(OPTIONS, journal, workers=1, advance=lambda: steps.append(1))
    assert len(annotated) == COUNT, "none twice, those that show nothing neither"
    assert len(steps) == 2 * COUNT
    assert again == first


def test_an_interrupted_run_goes_on(annotated, tmp_path):
    journal = tmp_path / "scenes.jsonl"
    whole = annotate_scenes(OPTIONS, tmp_path / "other.jsonl", workers=1)
    annotated.clear()

    def stop_at_100() -> None:
        if len(annotated) == 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        annotate_scenes(OPTIONS, journal, workers=1, advance=stop_at_100)
    assert annotate_scenes(OPTIONS, journal, workers=1) == whole
    assert annotated == list(range(COUNT))
    more = CalibrateOptions(scenes=COUNT)
    assert annotate_scenes(more, journal, workers=1) == whole


def test_a_line_that_was_cut_off_is_annotated_again(annotated, tmp_path):
    """As a kill in the middle of writing leaves it."""
    journal = tmp_path / "scenes.jsonl"
    whole = annotate_scenes(OPTIONS, journal, workers=1)
    content = journal.read_bytes()
    journal.write_bytes(content[:-40])
    annotated.clear()
    assert annotate_scenes(OPTIONS, journal, workers=1) == whole
    assert annotated == [COUNT - 1]
    assert journal.read_bytes() == content


@pytest.mark.parametrize(
    "other",
    [
        CalibrateOptions(scenes=COUNT, seed=1),
        CalibrateOptions(scenes=COUNT, objects=(1, 2)),
        CalibrateOptions(
            scenes=COUNT, annotate=AnnotateOptions(search=SearchOptions(refinement="joint-loss"))
        ),
    ],
)
def test_a_journal_of_other_options_is_refused(annotated, tmp_path, other):
    journal = tmp_path / "scenes.jsonl"
    annotate_scenes(OPTIONS, journal, workers=1)
    before = journal.read_bytes()
    with pytest.raises(UsageError, match=r"holds scenes of other options\. Remove it, or choose another"):
        annotate_scenes(other, journal, workers=1)
    assert journal.read_bytes() == before


@pytest.mark.parametrize("value", [-math.inf, 0.1 + 0.2, 12.0])
def test_a_result_comes_back_from_its_line_as_it_was(value, tmp_path):
    """Terms that could not be measured too: they are lowest, not unknown."""
    from selfpose6d.runs.json_lines import read_lines, to_line

    values = np.full(len(TERM_NAMES), 0.5)
    values[3] = value
    for one in (
        scene_result(3, values, "rough", right=True),
        replace(scene_result(3, values, "box", right=False), add_m=math.inf, quality=None, terms={}),
    ):
        path = tmp_path / "lines"
        path.write_text(to_line(one.to_json()))
        ((_, row),) = read_lines(path)
        assert SceneResult.from_json(row) == one


def test_the_built_in_objects_come_in_several_prints():
    two = calibration_objects(CalibrateOptions(objects=(1, 5)))
    assert [one.obj_id for one in two] == [1, 101, 5, 105]
    assert not np.array_equal(two[0].mesh.texture[0], two[1].mesh.texture[0])
    assert two[0].declared == CATALOGUE[1].symmetry


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scenes": 199}, r"--scenes must be at least 200, got 199"),
        ({"seed": -1}, r"--seed must be 0 or more, got -1"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        CalibrateOptions(**options)


def test_an_object_that_is_not_there_is_named():
    with pytest.raises(UsageError, match=r"--objects 77: no such built-in object, expected ids of 1, 2"):
        calibration_objects(CalibrateOptions(objects=(1, 77)))


def test_the_journal_is_lines_of_strict_json(annotated, tmp_path):
    journal = tmp_path / "scenes.jsonl"
    annotate_scenes(OPTIONS, journal, workers=1)
    header, *rows = [json.loads(line) for line in journal.read_text().splitlines()]
    assert header["seed"] == 0
    assert header["settings"]["attempts"] == 3
    assert [row["scene"] for row in rows] == list(range(COUNT))
