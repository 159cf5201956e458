"""From one set of images to certified poses, by selfpose6d's public functions; knows nothing of ROS."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from selfpose6d import (
    Frame,
    Instance,
    InstanceKey,
    LabeledPose,
    Mesh,
    PredictOptions,
    Predictor,
    annotate,
    build_object_model,
    load_mesh,
)
from selfpose6d.errors import UsageError
from selfpose6d_ros.covariance import View


@dataclass(frozen=True)
class Objects:
    """The meshes of the objects that may be seen, and their names."""

    meshes: Mapping[int, Mesh]
    names: Mapping[int, str]

    @classmethod
    def load(cls, files: Sequence[str], unit: str) -> "Objects":
        """Of mesh files; `id=path` says an object's id, else ids count from 1.

        Names are the files' own; where an object before has that one, the folder's, or the file's with the id. `unit`:
        mm, cm, m or inch; glTF is in metres whatever it says.

        Raises:
            UsageError: an id is no number or there twice, or the unit is unknown.
            MeshError: a mesh cannot be read.
        """
        paths: dict[int, Path] = {}
        for index, entry in enumerate(files, start=1):
            given, separator, path = entry.rpartition("=")
            if separator and not given.isdecimal():
                raise UsageError(f"meshes: expected PATH or ID=PATH with a number as ID, got {entry!r}.")
            obj_id = int(given) if separator else index
            if obj_id in paths:
                raise UsageError(
                    f"meshes: {paths[obj_id]} and {path} both have the id {obj_id}. Give each its own."
                )
            paths[obj_id] = Path(path)
        names: dict[int, str] = {}
        for obj_id, path in paths.items():
            free = (
                name
                for name in (path.stem, path.parent.name, f"{path.stem}_{obj_id}")
                if name not in names.values()
            )
            names[obj_id] = next(free)
        own_unit = (".glb", ".gltf", ".step", ".stp")
        units: dict[int, Any] = {
            i: None if path.suffix.lower() in own_unit else unit for i, path in paths.items()
        }
        return cls({i: load_mesh(path, units[i]) for i, path in paths.items()}, names)

    @property
    def ids_by_name(self) -> dict[str, int]:
        """Object ids by name."""
        return {name: obj_id for obj_id, name in self.names.items()}


@dataclass(frozen=True)
class Estimates:
    """Poses with their certificates, and how each object was seen, by key."""

    poses: list[LabeledPose]
    views: dict[InstanceKey, View]


def _numbered(pose: LabeledPose, index: int) -> LabeledPose:
    """With a number of its own; its mask is the search's, nobody's exact outline."""
    certificate = replace(pose.certificate, mask_quality="rough")
    return replace(pose, key=pose.key._replace(inst_id=index), certificate=certificate)


class Estimator:
    """Poses with certificates: by a trained network that is verified, or without a network by search."""

    def __init__(self, objects: Objects, network: str = "", verify: bool = True) -> None:
        """`network`: a training run or checkpoint; empty: search.

        With `verify` its poses are compared with the images; else its own rating is the certificate, which only
        architecture coordinates has.
        """
        self.objects = objects
        self._predictor = None
        if network:
            options = PredictOptions("none" if verify else "network", verify=verify)
            self._predictor = Predictor.load(Path(network), objects.meshes, options)
            if not (verify or self._predictor.network.compares):
                raise UsageError(f"{network} does not rate its own poses. Set the parameter verify to true.")

    def __call__(
        self, rgb: np.ndarray, depth_m: np.ndarray, K: np.ndarray, instances: Sequence[Instance]
    ) -> Estimates:
        """One pose for each instance, in their order."""
        frame = Frame("", 0, 0, rgb, depth_m, K, tuple(instances))
        predict = self._predictor.predict if self._predictor else lambda it: annotate(it, self.objects.meshes)
        poses = [pose for pose in predict(frame) if isinstance(pose, LabeledPose)]
        return Estimates(poses, {one.key: View(K, int(one.mask.sum())) for one in instances})

    def find(self, rgb: np.ndarray, depth_m: np.ndarray, K: np.ndarray) -> Estimates:
        """Without masks: every object is searched for once, wherever it may be. Takes seconds."""
        counts = dict.fromkeys(self.objects.meshes, 1)
        found = self._finder(Frame("", 0, 0, rgb, depth_m, K, ()), counts).found
        poses = [_numbered(one.pose, index) for index, one in enumerate(found)]
        seen = [View(K, int(one.visible.sum())) for one in found]
        return Estimates(poses, {pose.key: view for pose, view in zip(poses, seen, strict=True)})

    @cached_property
    def _finder(self):
        from selfpose6d.finding.finder import (
            Finder,  # what `selfpose6d find` uses; the package does not export it
        )

        return Finder({obj_id: build_object_model(mesh) for obj_id, mesh in self.objects.meshes.items()})
