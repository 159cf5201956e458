"""Network files: weights as safetensors, with everything that is needed to build the network again."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from selfpose6d.errors import MALFORMED, CheckpointError, SelfPose6DError
from selfpose6d.files import open_file, write_whole
from selfpose6d.json_files import parse_json
from selfpose6d.network.config import NetworkConfig
from selfpose6d.network.interface import ObjectTable
from selfpose6d.network.pose_network import PoseNetwork
from selfpose6d.network.segmentation import SegmentationConfig, SegmentationNetwork

FORMAT = 2
_HEADER = "selfpose6d"
_REMEDY = "Pass another checkpoint, or train again."

Network = TypeVar("Network", PoseNetwork, SegmentationNetwork)


def save_network(path: Path, network: PoseNetwork, metadata: Mapping[str, Any]) -> None:
    """Write the network; `metadata` (recipe, step, scores) are kept beside the weights. Whole or not at all."""
    _write(path, network, {"objects": asdict(network.objects), "facts": dict(metadata)})


def save_segmentation(path: Path, network: SegmentationNetwork, metadata: Mapping[str, Any]) -> None:
    """Write a segmentation network, as `save_network` does."""
    objects = {"obj_ids": network.obj_ids, "diameters_m": network.diameters_m}
    _write(path, network, {"task": "segment", **objects, "facts": dict(metadata)})


def load_network(path: Path, device: torch.device | str = "cpu") -> tuple[PoseNetwork, dict[str, Any]]:
    """The network (in evaluation mode) and its metadata, from a checkpoint file.

    Raises:
        CheckpointError: it is missing, corrupt or of another kind.
    """
    tensors, header = _read(path)
    try:
        config, objects = NetworkConfig.from_json(header["config"]), _objects(header["objects"])
        network = _filled(lambda: PoseNetwork(config, objects), tensors)
        metadata = dict(header["facts"])
    except (*MALFORMED, RuntimeError, MemoryError, SelfPose6DError) as error:
        raise CheckpointError(
            f"{path} does not describe a network ({_first_line(error)}). {_REMEDY}"
        ) from None
    return network.to(device).eval(), metadata


def load_segmentation(
    path: Path, device: torch.device | str = "cpu"
) -> tuple[SegmentationNetwork, dict[str, Any]]:
    """A segmentation network (in evaluation mode) and its metadata, from a checkpoint file.

    Raises:
        CheckpointError: it is missing, corrupt or of another kind.
    """
    tensors, header = _read(path, "segment")
    try:
        objects = tuple(map(int, header["obj_ids"])), tuple(map(float, header["diameters_m"]))
        config = SegmentationConfig.from_json(header["config"])
        network = _filled(lambda: SegmentationNetwork(config, *objects), tensors)
        metadata = dict(header["facts"])
    except (*MALFORMED, RuntimeError, MemoryError, SelfPose6DError) as error:
        raise CheckpointError(
            f"{path} does not describe a segmentation network ({_first_line(error)}). {_REMEDY}"
        ) from None
    return network.to(device).eval(), metadata


def stored_config(path: Path) -> NetworkConfig:
    """The structure of the network in a checkpoint file.

    Raises:
        CheckpointError: it is missing, corrupt or of another kind.
    """
    _, header = _read(path)
    try:
        return NetworkConfig.from_json(header["config"])
    except (*MALFORMED, SelfPose6DError) as error:
        raise CheckpointError(
            f"{path} does not describe a network ({_first_line(error)}). {_REMEDY}"
        ) from None


def _write(path: Path, network: PoseNetwork | SegmentationNetwork, header: Mapping[str, Any]) -> None:
    header = {"format": FORMAT, "config": network.config.to_json(), **header}
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    write_whole(path, save(tensors, metadata={_HEADER: json.dumps(header)}))


def _read(path: Path, task: str = "pose") -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        open_file(path).close()
        with safe_open(path, framework="pt") as file:
            header = parse_json((file.metadata() or {})[_HEADER])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError, *MALFORMED) as error:
        raise CheckpointError(
            f"{path} is not a readable checkpoint ({_first_line(error)}). {_REMEDY}"
        ) from None
    found = header.get("format") if isinstance(header, dict) else None
    if found != FORMAT:
        raise CheckpointError(
            f"{path}: checkpoint format {str(found)[:40]}, this version reads {FORMAT}. {_REMEDY}"
        )
    if (found := header.get("task", "pose")) != task:
        raise CheckpointError(
            f"{path} holds a network of task {str(found)[:40]}, needed is one of task {task}. Pass another checkpoint, "
            f"or train one with selfpose6d train --task {task}."
        )
    return tensors, header


def _filled(build: Callable[[], Network], tensors: Mapping[str, Tensor]) -> Network:
    """The network with these weights. Built without memory first: what is claimed must be what the file holds."""
    with torch.device("meta"):
        claimed = {name: tuple(value.shape) for name, value in build().state_dict().items()}
    if claimed != {name: tuple(value.shape) for name, value in tensors.items()}:
        raise ValueError("its weights are those of another structure")
    network = build()
    network.load_state_dict(dict(tensors))
    return network


def _objects(stored: Mapping[str, Any]) -> ObjectTable:
    return ObjectTable(
        tuple(map(int, stored["obj_ids"])),
        tuple(map(float, stored["diameter_m"])),
        tuple((float(x), float(y), float(z)) for x, y, z in stored["centre_m"]),
    )


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
