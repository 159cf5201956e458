"""A teacher: an average of the student over its steps, whose poses of unchanged crops the student learns to find in
changed ones.

Reference: Tarvainen & Valpola, Mean teachers are better role models, 2017; Wang et al., Self6D++, 2021.
"""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.crops.batch import CropBatch
from selfpose6d.geometry.symmetric_poses import Symmetries
from selfpose6d.network.pose_network import PoseNetwork
from selfpose6d.objects.rendered import RenderedObjects
from selfpose6d.objects.shapes import ObjectShapes
from selfpose6d.training.agreement import silhouette_agreement
from selfpose6d.training.targets import PosedBatch, Targets, TargetSource

LONGEST_MEMORY = 1000
"""Steps that the average goes back to at most: the usual decay, 0.999."""
MEMORY_FRACTION = 0.1
"""Of the student's steps, where that is shorter: with 0.999 a teacher of 300 steps would end as three quarters of what
it was at the start."""


def teacher_decay(student_steps: int | None) -> float:
    """How much of itself the teacher keeps in a step, for a student of so many steps (None: not known yet)."""
    memory = LONGEST_MEMORY if student_steps is None else MEMORY_FRACTION * student_steps
    return 1 - 1 / min(LONGEST_MEMORY, max(1.0, memory))


class Teacher(TargetSource):
    """Its estimator's most confident pose after its refiner, on crops as they are, weighed by mask agreement.

    It starts as the student is at the start of its stage and follows it: teacher <- d teacher + (1 - d) student.
    """

    def __init__(
        self,
        network: PoseNetwork,
        rendered: RenderedObjects,
        shapes: ObjectShapes,
        symmetries: Symmetries,
        refine_steps: int,
        least_agreement: float,
    ) -> None:
        device = shapes.points_m.device
        self.network = copy.deepcopy(network).to(device).eval().requires_grad_(False)
        self._rendered, self._shapes, self._symmetries = rendered, shapes, symmetries
        self._refine_steps, self._least_agreement = refine_steps, least_agreement

    @property
    def wants_unchanged(self) -> bool:
        """It does: the student's crops are the changed ones."""
        return True

    def state(self) -> dict[str, Any]:
        """Its weights, for the checkpoint."""
        return self.network.state_dict()

    def become(self, weights: Mapping[str, Any]) -> None:
        """Take these weights over as they are."""
        self.network.load_state_dict(weights)

    @torch.no_grad()
    def follow(self, student: PoseNetwork, decay: float) -> None:
        """One step of the exponential moving average of the student's weights."""
        for own, other in zip(self.network.parameters(), student.parameters(), strict=True):
            own.lerp_(other.to(own), 1 - decay)

    @torch.no_grad()
    def pseudo_poses(self, batch: CropBatch) -> tuple[Float[Tensor, "batch 4 4"], Float[Tensor, " batch"]]:
        """`T_cam_obj` of each instance of these crops, and its weight."""
        output = self.network(
            batch.inputs(self.network.config), self._shapes.surfaces, None, self._refine_steps, "frozen"
        )
        assert output.refinement is not None
        T_cam_obj = batch.T_cam_crop @ output.refinement.T_best
        agreement = silhouette_agreement(self._rendered, batch, T_cam_obj)
        return T_cam_obj, agreement.weight(self._least_agreement)

    def begin(self, batch: CropBatch, index: Int[Tensor, " batch"]) -> PosedBatch:
        """The pseudo poses of a batch, from its unchanged crops, in the frame of its changed ones."""
        assert batch.unchanged is not None, "the step makes it where `wants_unchanged`"
        T_cam_obj, weight = self.pseudo_poses(batch.unchanged)
        return PosedBatch(T_cam_obj[:, None], weight, self._symmetries, self._shapes)

    def targets(
        self,
        batch: CropBatch,
        index: Int[Tensor, " batch"],
        T_pred: Float[Tensor, "batch poses 4 4"],
        together: bool = False,
    ) -> Targets:
        """As `begin` and the targets of what it gives."""
        return self.begin(batch, index).targets(batch, index, T_pred, together)
