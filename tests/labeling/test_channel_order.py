"""An image whose red and blue are swapped is seen by the colours of objects at their poses."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from labeling.conftest import rendered_frame, tilted_pose
from selfpose6d.labeling.annotate import annotate
from selfpose6d.labeling.channel_order import seems_swapped
from selfpose6d.objects import store
from selfpose6d.recent import Recent
from selfpose6d.types import Certificate, LabeledPose


def said_of(frame, meshes) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        annotate(frame, meshes)
    return [str(one.message) for one in caught]


def test_a_bgr_image_is_named(box):
    frame = rendered_frame(box, tilted_pose())
    assert said_of(frame, {1: box}) == []
    (said,) = said_of(replace(frame, rgb=np.ascontiguousarray(frame.rgb[..., ::-1])), {1: box})
    assert said.startswith("rgb seems to be BGR: at the poses that were found, red and blue agree")


@pytest.mark.parametrize("change", ["grey image", "grey mesh", "rejected", "another place", "behind"])
def test_nothing_is_said_without_evidence(box, change):
    T, mesh, status = tilted_pose().double().numpy(), box.mesh, "certified"
    frame = rendered_frame(box, tilted_pose())
    swapped = replace(frame, rgb=np.ascontiguousarray(frame.rgb[..., ::-1]))
    key = frame.instances[0].key
    if change == "grey image":
        grey = frame.rgb.mean(axis=2, keepdims=True).astype(np.uint8)
        swapped = replace(frame, rgb=np.repeat(grey, 3, axis=2))
    if change == "grey mesh":
        mesh = replace(mesh, texture=np.repeat(mesh.texture.mean(2, keepdims=True), 3, 2).astype(np.uint8))
    if change == "another place":
        T = T + 0.5 * np.eye(4, k=3)
    if change == "behind":
        T = np.diag([1.0, 1, -1, 1]) @ T
    if change == "rejected":
        status = "rejected"
    pose = LabeledPose(key, T, 0.9, certificate=Certificate(status, "", 0.9, *[0.0] * 5))
    assert not seems_swapped(swapped, [(pose, mesh)])
    if change == "rejected":
        certified = replace(pose, certificate=replace(pose.certificate, status="certified"))
        assert seems_swapped(swapped, [(certified, mesh)])


def test_a_mesh_is_prepared_once_however_often_it_is_made(box, monkeypatch):
    built = []
    monkeypatch.setattr(store, "_PREPARED", Recent(store.MAX_MODELS))
    monkeypatch.setattr(store, "build_object_model", lambda mesh, cache_dir: built.append(mesh) or box)
    frame = rendered_frame(box, tilted_pose())
    for mesh in (box.mesh, box.mesh, replace(box.mesh, vertices_m=box.mesh.vertices_m.copy())):
        annotate(frame, {1: mesh})
    assert len(built) == 1
    annotate(frame, {1: replace(box.mesh, vertices_m=box.mesh.vertices_m * np.float32(1.01))})
    assert len(built) == 2
