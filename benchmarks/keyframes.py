"""Scores the published PoseCNN and PoseCNN+ICP poses on all 14,025 YCB-Video test instances, and times it.

    python benchmarks/keyframes.py ../shared/data/ycbv-keyframes ../shared/data/ycbv-sample/models

The poses are text files `<source>/<scene>_<object>.txt`: one line a keyframe of the scene, in the order of
`keyframe.txt`, `qw qx qy qz tx ty tz` (object to camera, metres; the quaternion is not normalised, zero where
there is no detection).
"""

import argparse
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from provenance import print_provenance
from selfpose6d.datasets.model_files import find_model_files
from selfpose6d.evaluation.instances import UNKNOWN, Estimates, Truths
from selfpose6d.evaluation.model_points import describe_sources, load_model_points, symmetric_object_ids
from selfpose6d.evaluation.results import Results, summarise
from selfpose6d.evaluation.score import score

SOURCES = ("posecnn_rss2018", "posecnn_icp_rss2018")
GROUND_TRUTH = "ground_truth"


def read_source(folder: Path, source: str) -> Estimates:
    """All poses of one source, NaN where a detection is missing; object ids count classes.txt from 1."""
    class_names = (folder / "classes.txt").read_text().split()
    im_ids = _keyframes(folder / "keyframe.txt")
    parts = []
    for path in sorted((folder / "poses" / source).glob("*.txt")):
        scene, name = path.stem.split("_", 1)
        T_cam_obj = _poses(np.loadtxt(path, ndmin=2))
        parts.append((np.full(len(T_cam_obj), int(scene)), im_ids[int(scene)], name, T_cam_obj))
    obj_id = np.concatenate([np.full(len(im_id), class_names.index(name) + 1) for _, im_id, name, _ in parts])
    count = len(obj_id)
    return Estimates(
        row=np.arange(count),
        scene_id=np.concatenate([part[0] for part in parts]),
        im_id=np.concatenate([part[1] for part in parts]),
        obj_id=obj_id,
        inst_id=np.full(count, UNKNOWN),
        confidence=np.ones(count),
        T_cam_obj=np.concatenate([part[3] for part in parts]),
        status=np.full(count, ""),
        reason=np.full(count, ""),
        mask_quality=np.full(count, ""),
        claim=np.full(count, None),
        source=np.full(count, ""),
    )


def read_detections(folder: Path, source: str) -> Estimates:
    """The poses of one source without its missing detections."""
    poses = read_source(folder, source)
    return poses.take(np.flatnonzero(np.isfinite(poses.T_cam_obj).all(axis=(1, 2))))


def read_truths(folder: Path) -> Truths:
    """Every annotated instance, all of them targets."""
    poses = read_source(folder, GROUND_TRUTH)
    counts = np.ones(len(poses), bool)
    inst_id, visible, kind = np.arange(len(poses)), np.full(len(poses), np.nan), np.full(len(poses), "")
    return Truths(poses.scene_id, poses.im_id, poses.obj_id, inst_id, poses.T_cam_obj, counts, visible, kind)


def score_source(folder: Path, models_dir: Path, source: str) -> Results:
    """One source against the annotation."""
    estimates, truths = read_detections(folder, source), read_truths(folder)
    models = find_model_files(models_dir)
    points = load_model_points(models, truths.obj_id.tolist())
    symmetric = symmetric_object_ids(models)
    points_m = {obj_id: model.points_m for obj_id, model in points.items()}
    scores = score(estimates, truths, points_m, set(symmetric))
    return summarise(scores, symmetric, describe_sources(points), {"source": source}, has_certificates=False)


def _keyframes(path: Path) -> dict[int, np.ndarray]:
    im_ids = defaultdict(list)
    for line in path.read_text().split():
        scene, image = line.split("/")
        im_ids[int(scene)].append(int(image))
    return {scene: np.array(images) for scene, images in im_ids.items()}


def _poses(rows: np.ndarray) -> np.ndarray:
    norm = np.linalg.norm(rows[:, :4], axis=1)
    present = norm > 1e-9
    T_cam_obj = np.full((len(rows), 4, 4), np.nan)
    T_cam_obj[present] = np.eye(4)
    quat_wxyz = rows[present, :4] / norm[present, None]
    T_cam_obj[present, :3, :3] = Rotation.from_quat(quat_wxyz, scalar_first=True).as_matrix()
    T_cam_obj[present, :3, 3] = rows[present, 4:]
    return T_cam_obj


def main() -> None:
    """Print the statistics and the time of each source."""
    parser = argparse.ArgumentParser(description="Score and time the published YCB-Video poses.")
    parser.add_argument("keyframes", type=Path, help="folder with classes.txt, keyframe.txt and poses/")
    parser.add_argument("models", type=Path, help="folder with obj_NNNNNN.xyz")
    options = parser.parse_args()
    print_provenance()
    for source in SOURCES:
        start_s = time.perf_counter()
        results = score_source(options.keyframes, options.models, source)
        duration_s = time.perf_counter() - start_s
        pooled = results.pooled
        print(
            f"{source:<20} n {results.instances}  missed {results.missed}  toolbox AUC: "
            f"ADD-S {pooled.adds_auc_toolbox:.2f}  ADD {pooled.add_auc_toolbox:.2f}  exact: "
            f"ADD-S {pooled.adds_auc:.2f}  ADD {pooled.add_auc:.2f}  ADD(-S) {pooled.add_or_adds_auc:.2f}  "
            f"{duration_s:.1f} s"
        )


if __name__ == "__main__":
    main()
