"""Hypotheses compared with the frame by the annotator's certificate."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.datasets.model_files import ModelFiles
from selfpose6d.datasets.symmetries import read_symmetries
from selfpose6d.inference.options import PredictOptions
from selfpose6d.labeling.certificate import CertifiedPose
from selfpose6d.labeling.observation import ObservedFrame
from selfpose6d.labeling.verify import VerifyOptions, observations, verify
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.objects.mesh_cache import default_cache_dir
from selfpose6d.objects.store import ObjectStore
from selfpose6d.types import Instance, PoseEstimate

Verifier = Callable[[ObservedFrame, Instance, Tensor], CertifiedPose | PoseEstimate]
"""Takes an observed frame, an instance and hypotheses `T_cam_obj` (n, 4, 4), the network's pose first; no pose where it
cannot render and compare."""


def make_verifier(
    models: ModelFiles | Mapping[int, Mesh],
    meshes: Mapping[int, Mesh],
    device: torch.device | str,
    predicting: PredictOptions,
) -> Verifier:
    """A verifier by these meshes, with the options that predictions are made with."""
    symmetries = read_symmetries(models.folder) if isinstance(models, ModelFiles) else {}
    store = ObjectStore(tuple(meshes), meshes.__getitem__, symmetries, default_cache_dir(), str(device))
    options = replace(predicting.annotate, seed=predicting.seed)

    def verifier(
        seen: ObservedFrame, instance: Instance, T_cam_obj: Float[Tensor, "hypotheses 4 4"]
    ) -> CertifiedPose | PoseEstimate:
        model = store[instance.key.obj_id]
        found = observations(
            seen,
            instance,
            model,
            options.mask_quality,
            options.observation,
            options.generator(instance),
        )
        if isinstance(found, PoseEstimate):
            return found
        T = T_cam_obj.to(model.device).float()
        how = VerifyOptions(options.search, options.certificate, search_doubtful=predicting.search)
        return verify(found, T, how)

    return verifier
