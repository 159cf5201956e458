"""Network files: weights as safetensors, with everything that is needed to build the network again."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from selfpose6d.errors import CheckpointError, SelfPose6DError
from selfpose6d.network.config import NetworkConfig
from selfpose6d.network.estimator import ObjectTable
from selfpose6d.network.pose_network import PoseNetwork

FORMAT = 2
_HEADER = "selfpose6d"
_NAMES = ("best.safetensors", "last.safetensors")


def save_network(path: Path, network: PoseNetwork, facts: Mapping[str, Any]) -> None:
    """Write the network; `facts` (recipe, step, scores) are kept beside the weights. Whole or not at all."""
    header = {
        "format": FORMAT,
        "config": asdict(network.config),
        "objects": asdict(network.objects),
        "facts": dict(facts),
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    write_whole(path, save(tensors, metadata={_HEADER: json.dumps(header)}))


def load_network(model: Path, device: torch.device | str = "cpu") -> tuple[PoseNetwork, dict[str, Any]]:
    """The network (in evaluation mode) and its facts, from a checkpoint file or a training run's folder.

    Raises:
        CheckpointError: there is no checkpoint, or it is corrupt or of another kind.
    """
    path = find_checkpoint(model)
    tensors, header = _read(path)
    try:
        network = PoseNetwork(_config(header["config"]), _objects(header["objects"]))
        network.load_state_dict(tensors)
        facts = dict(header["facts"])
    except (KeyError, TypeError, ValueError, RuntimeError, SelfPose6DError) as error:
        raise CheckpointError(
            f"{path} does not describe a network ({_first_line(error)}). {_REMEDY}"
        ) from None
    return network.to(device).eval(), facts


def find_checkpoint(model: Path) -> Path:
    """The checkpoint file that a MODEL argument means: itself, or the best (else the last) one of a run.

    Raises:
        CheckpointError: there is none.
    """
    if model.is_file():
        return model
    folders = (model / "checkpoints", model)
    found = [folder / name for folder in folders for name in _NAMES if (folder / name).is_file()]
    if not found:
        raise CheckpointError(
            f"no checkpoint in {model}: looked for checkpoints/{' and checkpoints/'.join(_NAMES)}. "
            "Pass a training run's folder or a .safetensors file."
        )
    return found[0]


def write_whole(path: Path, content: bytes) -> None:
    """Replace `path` by `content`; a crash or a full disk leaves the earlier file as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


_REMEDY = "Pass another checkpoint, or train again."


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[_HEADER])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a readable checkpoint ({_first_line(error)}). {_REMEDY}"
        ) from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: checkpoint format {header.get('format')!r}, this version reads {FORMAT}. {_REMEDY}"
        )
    return tensors, header


def _config(stored: Mapping[str, Any]) -> NetworkConfig:
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()}
    return NetworkConfig(**values)


def _objects(stored: Mapping[str, Any]) -> ObjectTable:
    return ObjectTable(
        tuple(map(int, stored["obj_ids"])),
        tuple(map(float, stored["diameter_m"])),
        tuple((float(x), float(y), float(z)) for x, y, z in stored["centre_m"]),
    )


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
