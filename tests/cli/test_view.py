"""`selfpose6d view`: frames of a run as the viewer takes them, its page in a headless browser, and one-line errors."""

import sys
from pathlib import Path

import numpy as np
import pytest
from browser import open_page, served
from scored_run import SHIFT_M, make_run

from runs.written import write_predictions
from selfpose6d.cli.main import main
from selfpose6d.errors import UsageError
from selfpose6d.reporting.run_sources import resolve_sources
from selfpose6d.reporting.run_views import RunViews, ViewOptions
from selfpose6d.runs.certificates import read_certificates
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.review import Verdict, append_verdict


@pytest.fixture(scope="module")
def run(ycbv_sample: Path, tmp_path_factory) -> Path:
    return make_run(ycbv_sample, tmp_path_factory.mktemp("runs") / "run")


def test_each_frame_has_its_points_and_poses(run):
    views = RunViews(resolve_sources(run))
    assert views.titles == ["scene 0, image 1", "scene 0, image 2"]
    view = views.load(1)
    assert [pose.status for pose in view.poses] == ["certified", "rejected"]
    assert [pose.label for pose in view.poses] == ["009_gelatin_box", "025_mug"]  # without the skipped one
    assert view.poses[0].details == "certified 0.90"
    assert view.photo.shape == (480, 640, 3)
    assert len(view.points_cam_m) == len(view.points_rgb) > 100_000
    for pose in view.poses:
        # The measured surface lies within the object's radius of where its mesh is shown.
        centre_m = pose.T_cam_obj[:3, :3] @ pose.mesh.centre_m + pose.T_cam_obj[:3, 3]
        assert np.linalg.norm(view.points_cam_m - centre_m, axis=1).min() < pose.mesh.radius_m


def test_truth_and_another_run_are_beside_the_runs_own_poses(run, ycbv_sample, tmp_path):
    other = make_run(ycbv_sample, tmp_path / "other", limit=1)
    views = RunViews(resolve_sources(run), ViewOptions(truth=True, other=resolve_sources(other)))
    poses = views.load(0).poses
    kinds = [pose.kind for pose in poses]
    assert kinds == ["estimate"] * 2 + ["truth"] * 3 + ["other run"] * 2
    box, true_box = (next(p for p in poses if p.kind == kind) for kind in ("estimate", "truth"))
    assert box.label == true_box.label == "009_gelatin_box"
    assert box.T_cam_obj[0, 3] - true_box.T_cam_obj[0, 3] == pytest.approx(SHIFT_M[8], abs=1e-6)
    assert [pose.kind for pose in views.load(1).poses] == ["estimate"] * 2 + ["truth"] * 3


def test_a_run_of_other_frames_is_not_compared(run, ycbv_sample, tmp_path):
    other = make_run(ycbv_sample, tmp_path / "other", scenes=(1,), limit=1)
    with pytest.raises(UsageError, match="no pose in any of the frames"):
        RunViews(resolve_sources(run), ViewOptions(other=resolve_sources(other)))


def test_poses_are_as_the_review_corrects_them(ycbv_sample, tmp_path):
    files = RunFiles(make_run(ycbv_sample, tmp_path / "run"))
    (first, *_) = read_certificates(files.certificates)
    T_corrected = first.T_cam_obj.copy()
    T_corrected[2, 3] += 0.1
    append_verdict(files.review, first.key, Verdict("pose", T_cam_obj=T_corrected))
    shown = RunViews(resolve_sources(files.folder)).load(0).poses[0]
    np.testing.assert_allclose(shown.T_cam_obj, T_corrected, atol=1e-9)
    assert shown.details == "certified 1.00"


def test_frames_are_stepped_through_by_arrow_keys(run, tmp_path):
    with (
        served(tmp_path / "log", "view", str(run), "--truth", "--port", "18300") as url,
        open_page(url) as page,
    ):
        title = "document.getElementById('frame-title').textContent"
        page.wait_for_function(f"{title} === 'scene 0, image 1 (1 of 2)'", timeout=120_000)
        page.wait_for_selector("#poses .truth", timeout=120_000)
        assert page.inner_text("#poses .certified") == "009_gelatin_box certified 0.90"
        assert page.locator("#layers li:visible").count() == 7  # all but another run
        page.keyboard.press("ArrowRight")
        page.wait_for_function(f"{title} === 'scene 0, image 2 (2 of 2)'", timeout=120_000)
        page.keyboard.press("ArrowRight")
        assert page.inner_text("#frame-title") == "scene 0, image 2 (2 of 2)"
        page.locator("#frame-slider").fill("0")
        page.wait_for_function(f"{title} === 'scene 0, image 1 (1 of 2)'", timeout=120_000)
        page.wait_for_function(
            "document.getElementById('view').contentDocument?.querySelector('canvas')", timeout=120_000
        )


def test_without_viser_it_says_what_to_install(run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "viser", None)
    assert main(["view", str(run)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "view needs viser" in error
    assert "pip install 'viser" in error


def test_a_run_without_poses(tmp_path):
    write_predictions(tmp_path / "predictions.csv", [])
    with pytest.raises(UsageError, match="every instance was skipped"):
        RunViews(resolve_sources(tmp_path))


def test_a_file_without_data_set(run, tmp_path, capsys):
    (tmp_path / "predictions.csv").write_bytes((run / "predictions.csv").read_bytes())
    assert main(["view", str(tmp_path)]) == 2
    assert "Pass --dataset DIR" in capsys.readouterr().err
