"""`selfpose6d view`: frames of a run as the viewer takes them, and its one-line errors."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scored_run import SKIPPED_ID, make_run

from runs.written import write_predictions
from selfpose6d.cli.main import main
from selfpose6d.errors import UsageError
from selfpose6d.reporting.run_sources import resolve_sources
from selfpose6d.reporting.run_views import RunViews


@pytest.fixture(scope="module")
def run(ycbv_sample: Path, tmp_path_factory) -> Path:
    return make_run(ycbv_sample, tmp_path_factory.mktemp("runs") / "run")


def test_each_frame_has_its_points_and_poses(run):
    views = RunViews(resolve_sources(run))
    assert views.titles == ["scene 0, image 1", "scene 0, image 2"]
    view = views.load(1)
    assert [pose.status for pose in view.poses] == ["certified", "rejected"]
    assert not any(pose.label.startswith(str(SKIPPED_ID)) for pose in view.poses)
    assert len(view.points_cam_m) == len(view.points_rgb) > 100_000
    for pose in view.poses:
        # The measured surface lies within the object's radius of where its mesh is shown.
        centre_m = pose.T_cam_obj[:3, :3] @ pose.mesh.centre_m + pose.T_cam_obj[:3, 3]
        assert np.linalg.norm(view.points_cam_m - centre_m, axis=1).min() < pose.mesh.radius_m


def test_without_viser_it_says_what_to_install(run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "viser", None)
    assert main(["view", str(run)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "pip install 'selfpose6d[viewer]'" in error


def test_a_run_without_poses(tmp_path):
    write_predictions(tmp_path / "predictions.csv", [])
    with pytest.raises(UsageError, match="every instance was skipped"):
        RunViews(resolve_sources(tmp_path))


def test_a_file_without_data_set(run, tmp_path, capsys):
    (tmp_path / "predictions.csv").write_bytes((run / "predictions.csv").read_bytes())
    assert main(["view", str(tmp_path)]) == 2
    assert "Pass --dataset DIR" in capsys.readouterr().err
