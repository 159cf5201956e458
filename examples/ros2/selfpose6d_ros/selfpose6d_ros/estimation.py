"""From one set of images to certified poses, by selfpose6d's public functions; knows nothing of ROS."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from selfpose6d import Frame, Instance, LabeledPose, Mesh, PredictOptions, Predictor, annotate, load_mesh
from selfpose6d_ros.covariance import View


@dataclass(frozen=True)
class Objects:
    """The meshes of the objects that may be seen, and their names."""

    meshes: Mapping[int, Mesh]
    names: Mapping[int, str]

    @classmethod
    def load(cls, files: Sequence[str], unit: str) -> "Objects":
        """Of mesh files; `id=path` says an object's id, else ids count from 1. Names are the files' own."""
        meshes, names = {}, {}
        for index, entry in enumerate(files, start=1):
            given, separator, path = entry.rpartition("=")
            obj_id = int(given) if separator else index
            meshes[obj_id] = load_mesh(Path(path), "m" if unit == "m" else "mm")
            names[obj_id] = Path(path).stem
        return cls(meshes, names)

    @property
    def ids_by_name(self) -> dict[str, int]:
        """Object ids by name."""
        return {name: obj_id for obj_id, name in self.names.items()}


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

    def __call__(
        self, rgb: np.ndarray, depth_m: np.ndarray, K: np.ndarray, instances: Sequence[Instance]
    ) -> list[LabeledPose]:
        """One for each instance, in their order. A network without certificates gives none."""
        frame = Frame("", 0, 0, rgb, depth_m, K, tuple(instances))
        if self._predictor is None:
            return annotate(frame, self.objects.meshes)
        return [pose for pose in self._predictor.predict(frame) if isinstance(pose, LabeledPose)]


def views(K: np.ndarray, instances: Sequence[Instance]) -> dict:
    """How each instance was seen, by its key."""
    return {one.key: View(K, int(one.mask.sum())) for one in instances}
