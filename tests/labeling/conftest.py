"""A textured box, a plain brick and a can as object models, and a frame rendered from a known pose."""

import numpy as np
import pytest
import torch

from selfpose6d.geometry.se3 import make_transform
from selfpose6d.labeling.observation import (
    Observation,
    ObservationOptions,
    ObservedFrame,
    Prompt,
    observe,
)
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.primitives.boxes import foam_brick, label_box
from selfpose6d.meshes.primitives.rounds import can
from selfpose6d.objects.mesh_cache import default_cache_dir
from selfpose6d.objects.object_model import ObjectModel, build_object_model
from selfpose6d.renderer.packed import pack_meshes
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.render import render
from selfpose6d.types import Frame, Instance, InstanceKey

K = np.array([[600.0, 0, 160], [0, 600, 120], [0, 0, 1]])
HEIGHT, WIDTH, WALL_M = 240, 320, 1.6


def model_of(mesh: Mesh) -> ObjectModel:
    """What is known of a mesh, computed once in a run of the tests."""
    return build_object_model(mesh, cache_dir=default_cache_dir())


@pytest.fixture(scope="session")
def box() -> ObjectModel:
    """Six different faces: asymmetric by texture only."""
    return model_of(label_box(np.random.default_rng(0)))


@pytest.fixture(scope="session")
def brick() -> ObjectModel:
    """Plain: symmetric in shape and colour."""
    return model_of(foam_brick(np.random.default_rng(0)))


@pytest.fixture(scope="session")
def round_can() -> ObjectModel:
    """A label around it: only colour tells how far it is rotated."""
    return model_of(can(np.random.default_rng(0)))


def tilted_pose(distance_m: float = 0.8) -> torch.Tensor:
    """From a general direction, three faces of a box visible."""
    import roma

    axis = torch.nn.functional.normalize(torch.tensor([1.0, 0.7, 0.3]), dim=0)
    R = roma.rotvec_to_rotmat(2.2 * axis)[None]
    return make_transform(R, torch.tensor([[0.02, -0.01, distance_m]]))[0]


def rendered_frame(model: ObjectModel, T_cam_obj: torch.Tensor, obj_id: int = 1) -> Frame:
    """The object before a wall, exact depth, unlit colours."""
    image = render(
        PosedMeshes(
            pack_meshes([model.mesh]),
            torch.zeros(1, dtype=torch.long),
            T_cam_obj[None],
            torch.from_numpy(K).float()[None],
            HEIGHT,
            WIDTH,
        ),
    )
    mask = image.mask[0].numpy() > 0
    rgb = np.where(mask[..., None], image.rgb[0].numpy() * 255, 90).astype(np.uint8)
    depth_m = np.where(mask, image.depth_m[0].numpy(), WALL_M).astype(np.float32)
    instance = Instance(InstanceKey("test", 0, 0, obj_id, 0), mask)
    return Frame("test", 0, 0, rgb, depth_m, K, (instance,))


def observed(model: ObjectModel, frame: Frame, seed: int = 0, prompt: Prompt | None = None) -> Observation:
    """What the annotator sees of the frame's first instance."""
    seen, generator = ObservedFrame.of(frame), np.random.default_rng(seed)
    found = observe(seen, frame.instances[0], model, ObservationOptions(), generator, prompt)
    assert isinstance(found, Observation)
    return found
