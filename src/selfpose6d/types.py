"""The data that crosses module borders: frozen dataclasses, units in the names, one flag per sample.

Images are numpy arrays up to the crop; from there on everything is a torch tensor. Poses are `T_cam_obj`
(object to camera, OpenCV camera, metres).
"""

import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from selfpose6d import arrays
from selfpose6d.checks import require_focal_length_in_pixels, size_text
from selfpose6d.errors import UsageError

Direction = Literal["observed-to-model", "model-to-observed"]
"""Which of two point sets looks for its nearest counterparts in the other."""


MIN_POINTS = 50
"""Mask pixels with depth that an instance needs; with fewer it is skipped. A choice: a mask of some 7 x 7 pixels."""


class InstanceKey(NamedTuple):
    """What identifies one object instance in one image; every row we write carries it whole."""

    split: str
    scene_id: int
    im_id: int
    obj_id: int
    inst_id: int


def _set(frozen: object, **fields: object) -> None:
    """Set fields of a frozen dataclass while it is being made."""
    for name, value in fields.items():
        object.__setattr__(frozen, name, value)


@dataclass(frozen=True)
class Instance:
    """One object to estimate: its key and its visible mask.

    With `region` the mask holds the object and is not its outline: a filled box. Masks of numbers are taken where they
    can mean one thing only (`arrays.object_mask`).

    Raises:
        UsageError: the key is none, or the mask is not one object's.
    """

    key: InstanceKey
    mask: Bool[np.ndarray, "height width"]
    region: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.key, InstanceKey):
            raise UsageError(
                f"key must be an InstanceKey(split, scene_id, im_id, obj_id, inst_id), got {self.key!r}."
            )
        _set(self, mask=arrays.object_mask(self.mask, f"mask of object {self.key.obj_id}"))


@dataclass(frozen=True)
class Frame:
    """One RGB-D image with the visible masks of its instances; depth 0 is unknown. Holds no pose.

    `skipped` are the instances that cannot be used: no pose, because. The fields hold what the annotations say; what
    can only mean the same is taken and converted (`arrays`): lists, tensors, other number formats, channels first,
    depth that is not finite, negative or beyond 20 m as unknown.

    Raises:
        UsageError: an image, mask or matrix of another kind or size.
        DataError: depth that is not in metres, or a matrix that no camera has.
    """

    split: str
    scene_id: int
    im_id: int
    rgb: UInt8[np.ndarray, "height width 3"]
    depth_m: Float[np.ndarray, "height width"]
    K: Float[np.ndarray, "3 3"]
    instances: tuple[Instance, ...]
    skipped: tuple["PoseEstimate", ...] = ()

    def __post_init__(self) -> None:
        rgb, depth_m = arrays.rgb_image(self.rgb), arrays.depth_image_m(self.depth_m)
        K, shape = arrays.camera_matrix(self.K), depth_m.shape
        if rgb.shape[:2] != shape:
            raise UsageError(
                f"depth_m must have the {size_text(rgb.shape)} of rgb, got {size_text(shape)}. "
                "Align depth to colour, and scale both with K."
            )
        require_focal_length_in_pixels(K, (shape[0], shape[1]))
        _set(self, rgb=rgb, depth_m=depth_m, K=K, instances=self._checked_instances(shape))

    def _checked_instances(self, shape: tuple[int, ...]) -> tuple[Instance, ...]:
        instances = () if isinstance(self.instances, Instance) else tuple(self.instances)
        if isinstance(self.instances, Instance) or not all(isinstance(one, Instance) for one in instances):
            raise UsageError("instances must be a tuple of Instance, as in (Instance(key, mask),).")
        for instance in instances:
            if instance.mask.shape != shape:
                raise UsageError(
                    f"mask of object {instance.key.obj_id} must have the {size_text(shape)} of the image, "
                    f"got {size_text(instance.mask.shape)}. Resize it by nearest pixels."
                )
        if len({instance.key for instance in instances}) < len(instances):
            raise UsageError(
                "keys of a frame's instances must differ, got one twice. Give each its own inst_id."
            )
        return instances

    def _repr_html_(self) -> str:
        from selfpose6d.notebook import image_html

        masks = [(str(instance.key.obj_id), instance.mask) for instance in self.instances]
        title = f"{self.split or 'frame'} {self.scene_id}/{self.im_id}"
        return image_html(title, self.rgb, self.depth_m, self.K, masks)


class RefinementStep(NamedTuple):
    """What a pose was after one step on its way."""

    name: str
    T_cam_obj: Float[np.ndarray, "4 4"]


@dataclass(frozen=True)
class PoseEstimate:
    """The best pose of one instance; `confidence` 0-1. `valid=False` has a reason and no pose (NaN).

    `path` are the poses on the way, the estimator's first, where the pose was refined.
    """

    key: InstanceKey
    T_cam_obj: Float[np.ndarray, "4 4"]
    confidence: float
    valid: bool = True
    reason: str = ""
    path: tuple[RefinementStep, ...] = ()

    @classmethod
    def none(cls, key: InstanceKey, reason: str) -> "PoseEstimate":
        """No pose, because. The instance is skipped and counts as a miss."""
        return cls(key, np.full((4, 4), np.nan), 0.0, valid=False, reason=reason)

    def _repr_html_(self) -> str:
        from selfpose6d.notebook import pose_html

        named = {"object": f"{self.key.obj_id}, instance {self.key.inst_id}"}
        if not self.valid:
            return pose_html(named | {"status": "no pose", "reason": self.reason}, None)
        return pose_html(named | self._said(), self.T_cam_obj)

    def _said(self) -> dict[str, str]:
        """What is said of the pose, in words."""
        return {"status": "estimated", "confidence": f"{self.confidence:.2f}", "reason": self.reason}


Status = Literal["certified", "ambiguous", "rejected"]
MaskQuality = Literal["exact", "rough", "box"]
"""Of an instance's mask: its outline, an outline with errors, or a region that holds the object."""
PoseSource = Literal["hypotheses", "search"]
"""What a pose came from where there were a network's hypotheses: these, or the search. Verification at test time starts
from hypotheses, and the search takes over; annotation searches, and hypotheses lead to what the search had missed."""


@dataclass(frozen=True)
class Alternative:
    """Another pose that the image supports as well as the winner."""

    T_cam_obj: Float[np.ndarray, "4 4"]
    confidence: float


@dataclass(frozen=True)
class Certificate:
    """Why a label may be trusted or not. Ratios are 0-1; NaN (or no text) where there is nothing to measure.

    `confidence` is the calibrated probability that ADD(-S) is below a tenth of the diameter; `calibration` the content
    hash of the calibration that says so. At `risk` it certifies poses of which, with 95 % confidence, no more than
    `bound` are wrong. `noise_m` is the sensor's at the object's distance, `inlier_ratio` the fraction of measured
    points that fit the pose under it, `score` what the calibration rates the certificate's terms with. `source` None:
    there were no hypotheses.
    """

    status: Status
    reason: str
    confidence: float
    margin: float
    rms_m: float
    coverage: float
    free_space: float
    colour: float
    inlier_ratio: float = math.nan
    noise_m: float = math.nan
    score: float = math.nan
    mask_quality: MaskQuality | None = None
    risk: float = math.nan
    bound: float = math.nan
    calibration: str = ""
    alternatives: tuple[Alternative, ...] = ()
    source: PoseSource | None = None

    @classmethod
    def not_verified(cls, reason: str, confidence: float = 0.0, rms_m: float = math.nan) -> "Certificate":
        """Of a pose that no rendering was compared with: rejected."""
        nothing = math.nan
        return cls("rejected", reason, confidence, nothing, rms_m, nothing, nothing, nothing)


@dataclass(frozen=True)
class LabeledPose(PoseEstimate):
    """A pose with its certificate: one automatic label."""

    certificate: Certificate = field(kw_only=True)
    time_s: float = 0.0

    @classmethod
    def none(cls, key: InstanceKey, reason: str) -> "LabeledPose":
        """No pose, because; its certificate says the same."""
        nothing = np.full((4, 4), np.nan)
        certificate = Certificate.not_verified(reason)
        return cls(key, nothing, 0.0, valid=False, reason=reason, certificate=certificate)

    def _said(self) -> dict[str, str]:
        others = max(0, len(self.certificate.alternatives) - 1)
        said = {"status": self.certificate.status, "reason": self.certificate.reason}
        return super()._said() | said | {"other poses": f"{others} fit about as well" if others else ""}


@dataclass(frozen=True)
class ResolverResult:
    """What the Iterative Annotation Resolver returns, one entry per start pose."""

    T_cam_obj: Float[Tensor, "poses 4 4"]
    rms_m: Float[Tensor, " poses"]
    inlier_ratio: Float[Tensor, " poses"]
    iterations: Int[Tensor, " poses"]
    converged: Bool[Tensor, " poses"]


@dataclass(frozen=True)
class Rasterization:
    """Nearest face per pixel: `face_id` -1, `depth_m` 0 where nothing is hit.

    `barycentric` are perspective-correct weights of the face's three corners.
    """

    face_id: Int[Tensor, "images height width"]
    barycentric: Float[Tensor, "images height width 3"]
    depth_m: Float[Tensor, "images height width"]


@dataclass(frozen=True)
class Rendering:
    """A shaded rasterisation: colours, coverage mask 0-1, camera z; all 0 off the object.

    In partly covered pixels colour and depth are means with the zeros off the object; `surface_depth_m` is without.
    """

    rgb: Float[Tensor, "images height width 3"]
    mask: Float[Tensor, "images height width"]
    depth_m: Float[Tensor, "images height width"]

    @property
    def surface_depth_m(self) -> Float[Tensor, "images height width"]:
        """Mean depth of the covered part of each pixel, without gradient."""
        return self.depth_m.detach() / self.mask.detach().clamp_min(1e-6)


@dataclass(frozen=True)
class LossTerms:
    """The joint loss of every instance: the weighted sum, and its terms before weighting."""

    total: Float[Tensor, " batch"]
    colour: Float[Tensor, " batch"]
    iou: Float[Tensor, " batch"]
    geometry: Float[Tensor, " batch"]
