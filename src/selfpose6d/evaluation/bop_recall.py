"""Average recall of the BOP challenge: VSD, MSSD and MSPD with BOP's own matching and thresholds."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from selfpose6d.evaluation.instances import Estimates, Truths, image_keys
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.metrics import bop
from selfpose6d.renderer.packed import PackedMeshes, pack_meshes
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize import rasterize


@dataclass(frozen=True)
class SensorImage:
    """What the recalls need of one image: measured depth (0 unknown) and intrinsics."""

    depth_m: Float[np.ndarray, "height width"]
    K: Float[np.ndarray, "3 3"]


@dataclass(frozen=True)
class BopModel:
    """An object's mesh and the motions that map it onto itself (the identity among them), metres."""

    mesh: Mesh
    T_obj_sym: Float[np.ndarray, "symmetries 4 4"]
    declared_diameter_m: float | None = None
    """As `models_info.json` says it: BOP's thresholds are parts of it. None: the mesh's own."""

    @property
    def diameter_m(self) -> float:
        """What thresholds are parts of."""
        return self.mesh.diameter_m if self.declared_diameter_m is None else self.declared_diameter_m


@dataclass(frozen=True)
class Recalls:
    """Which targets are found at each threshold setting."""

    vsd: Bool[np.ndarray, "targets vsd_settings"]
    mssd: Bool[np.ndarray, "targets thetas"]
    mspd: Bool[np.ndarray, "targets thetas"]

    def average(self, rows: Bool[np.ndarray, " targets"]) -> dict[str, float]:
        """Average recalls 0-1 of the chosen targets, NaN without any."""
        found = {"ar_vsd": self.vsd[rows], "ar_mssd": self.mssd[rows], "ar_mspd": self.mspd[rows]}
        recalls = {name: float(hits.mean()) if hits.size else np.nan for name, hits in found.items()}
        return {"ar": float(np.mean(list(recalls.values()))), **recalls}


@dataclass(frozen=True)
class _Group:
    """Rows of one object in one image: the best estimates, at most as many as there are targets."""

    obj_id: int
    estimates: np.ndarray
    targets: np.ndarray


def bop_recalls(
    estimates: Estimates,
    truths: Truths,
    models: Mapping[int, BopModel],
    load_image: Callable[[int, int], SensorImage],
    device: str = "cpu",
    track: Callable[[Sequence], Iterable] = iter,
) -> Recalls:
    """Measure every target, image by image; `load_image(scene_id, im_id)` is called once for each.

    Only targets take part, as in BOP. `track` wraps the list of images to show the progress. The result's
    rows are the targets (`truths.counts`) in their order.
    """
    targets = truths.take(truths.counts)
    meshes = {obj_id: index for index, obj_id in enumerate(sorted(models))}
    packed = pack_meshes([models[obj_id].mesh for obj_id in sorted(models)], device)
    hits = [np.zeros((len(targets), settings), bool) for settings in (100, 10, 10)]
    for (scene_id, im_id), groups in track(list(_groups_by_image(estimates, targets).items())):
        image = load_image(scene_id, im_id)
        for group in groups:
            if len(group.estimates):
                T_est, T_true = estimates.T_cam_obj[group.estimates], targets.T_cam_obj[group.targets]
                depth_m = _depths(packed, meshes[group.obj_id], np.concatenate([T_est, T_true]), image)
                confidence = estimates.confidence[group.estimates]
                found = _found(T_est, T_true, depth_m, models[group.obj_id], image, confidence)
                for hit, kind in zip(hits, found, strict=True):
                    hit[group.targets] = kind.T
    return Recalls(*hits)


def _groups_by_image(estimates: Estimates, targets: Truths) -> dict[tuple[int, int], list[_Group]]:
    rows: dict[tuple, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for side, table in enumerate((estimates, targets)):
        for row, (key, obj_id) in enumerate(zip(image_keys(table), table.obj_id.tolist(), strict=True)):
            rows[key, obj_id][side].append(row)
    images = defaultdict(list)
    for (key, obj_id), (estimated, asked) in rows.items():
        if asked:
            best = sorted(estimated, key=lambda row: -estimates.confidence[row])[: len(asked)]
            images[key].append(_Group(obj_id, np.array(best, int), np.array(asked, int)))
    return images


def _depths(packed: PackedMeshes, mesh_index: int, T_cam_obj: np.ndarray, image: SensorImage) -> np.ndarray:
    T, K = (torch.from_numpy(matrix).float().to(packed.faces.device) for matrix in (T_cam_obj, image.K))
    posed = PosedMeshes.of_one(packed, mesh_index, T, K, image.depth_m.shape)
    return rasterize(posed).depth_m.double().cpu().numpy()


def _found(
    T_est: np.ndarray,
    T_true: np.ndarray,
    depth_m: np.ndarray,
    model: BopModel,
    image: SensorImage,
    confidence: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(settings, truths) for VSD, MSSD and MSPD."""
    points_m, width = model.mesh.vertices_m.astype(np.float64), image.depth_m.shape[1]
    diameter_m, shape, taus = model.diameter_m, (len(T_est), len(T_true)), len(bop.VSD_TAUS)
    vsd, mssd, mspd = np.empty((*shape, taus)), np.empty(shape), np.empty(shape)
    for i, j in np.ndindex(shape):
        vsd[i, j] = bop.vsd(depth_m[i], depth_m[len(T_est) + j], image.depth_m, image.K, diameter_m)
        mssd[i, j] = bop.mssd(T_est[i], T_true[j], points_m, model.T_obj_sym)
        mspd[i, j] = bop.mspd(T_est[i], T_true[j], points_m, model.T_obj_sym, image.K, width)
    vsd_settings = vsd.transpose(2, 0, 1).repeat(len(bop.VSD_THETAS), 0)
    return (
        bop.matched(vsd_settings, confidence, np.tile(bop.VSD_THETAS, taus)),
        bop.matched(np.tile(mssd, (10, 1, 1)), confidence, bop.MSSD_THETAS * diameter_m),
        bop.matched(np.tile(mspd, (10, 1, 1)), confidence, bop.MSPD_THETAS_PX),
    )
