"""Paths that are given relative to where a command runs mean the same from anywhere afterwards."""

from pathlib import Path

from selfpose6d.datasets.options import DataOptions


def test_models_are_recorded_as_absolute_paths(render_once, tmp_path: Path, monkeypatch) -> None:
    root = render_once("--frames", "2", "--test-frames", "3", "--seed", "5")
    monkeypatch.chdir(root)
    data = DataOptions(root, models=Path("models"))
    config = data.config(data.open())
    monkeypatch.chdir(tmp_path)
    assert config.models == (root / "models").resolve()
    assert config.detections is None
