"""What the pictures of a page read of the data set."""

from pathlib import Path

import numpy as np
import pytest

from selfpose6d.datasets.options import DataOptions
from selfpose6d.datasets.true_poses import load_ground_truth
from selfpose6d.evaluation.instances import UNKNOWN, Estimates, image_keys
from selfpose6d.reporting.pictures import open_renderer


@pytest.fixture
def estimates(ycbv_sample: Path) -> Estimates:
    """The true poses of the sample."""
    truths = load_ground_truth(ycbv_sample)
    keys = np.array([true.key[1:] for true in truths])
    text = np.full(len(truths), "", dtype=object)
    return Estimates(
        np.arange(len(truths)),
        *keys.T[:3],
        inst_id=np.full(len(truths), UNKNOWN),
        confidence=np.ones(len(truths)),
        T_cam_obj=np.array([true.T_cam_obj for true in truths]),
        status=text,
        reason=text,
        mask_quality=text,
        claim=np.full(len(truths), None, dtype=object),
        source=text,
    )


def test_true_poses_are_read_of_the_outlined_images_only(ycbv_sample, estimates):
    dataset = DataOptions(ycbv_sample).open()
    outlined = estimates.take(np.array([0, 20]))
    T_true = open_renderer(dataset, estimates, {}, outlined).T_true
    assert {key[1:3] for key in T_true} == set(image_keys(outlined))
    assert len(T_true) < len(estimates)
    assert open_renderer(dataset, estimates, {}, estimates.take(np.array([], int))).T_true == {}
