"""A new network that begins with the weights of an earlier one, of the same structure, perhaps of other objects."""

from dataclasses import asdict

import torch

from selfpose6d.errors import CheckpointError
from selfpose6d.network.config import SIZES, NetworkConfig, network_config
from selfpose6d.network.interface import ObjectTable
from selfpose6d.network.pose_network import PoseNetwork

PER_OBJECT = ("output_weight", "output_bias", "object_gain", "object_offset", "fragment_centre")
"""What has the objects as its first axis: heads and channels of its own for each, fragments of its surface."""
SAME_DIAMETER = 0.02
"""Relative: another export of a mesh changes less, another object of the same id mostly more."""


def require_same_structure(name: str, found: NetworkConfig, wanted: NetworkConfig) -> None:
    """Refuse a network whose weights do not fit one of `wanted`; `name` is what the user passed.

    Raises:
        CheckpointError: names what differs.
    """
    if found == wanted:
        return
    if found.architecture != wanted.architecture:
        raise CheckpointError(
            f"--init {name}: its network is of architecture {found.architecture}, wanted is {wanted.architecture}. "
            f"Pass --architecture {found.architecture} (recipes paper and densefusion have dense-fusion only), or "
            "leave --init out."
        )
    there, now = asdict(found), asdict(wanted)
    different = [
        f"{field} is {there[field]} there, {now[field]} now" for field in now if there[field] != now[field]
    ]
    shown = "; ".join(different[:3]) + (f"; {len(different) - 3} more" if len(different) > 3 else "")
    raise CheckpointError(
        f"--init {name}: its network is of another kind ({shown}). "
        f"Pass the {_options(found, wanted)} that it was trained with, or leave --init out."
    )


def _options(found: NetworkConfig, wanted: NetworkConfig) -> str:
    """What to pass to get a network like `found`."""
    sizes = {size: network_config(found.architecture, size) for size in SIZES}
    size = next((size for size, config in sizes.items() if config.crop_px == found.crop_px), None)
    if size is not None and found.crop_px != wanted.crop_px:
        return f"--size {size}"
    return "--size, --recipe, --gates and --refiner-residuals"


@torch.no_grad()
def take_over(network: PoseNetwork, earlier: PoseNetwork) -> None:
    """Copy all weights of a network of the same structure, the heads by object id; other objects keep theirs."""
    rows = {
        network.objects.obj_ids.index(i): earlier.objects.obj_ids.index(i)
        for i in shared_objects(network, earlier)
    }
    to, of = list(rows), list(rows.values())
    before = earlier.state_dict()
    for name, value in network.state_dict().items():
        if name.rpartition(".")[2] in PER_OBJECT:
            value[to] = before[name][of].to(value)
        else:
            value.copy_(before[name])


def shared_objects(network: PoseNetwork, earlier: PoseNetwork) -> tuple[int, ...]:
    """Ids that both networks know, of the same diameter: another object of the same id is a new one."""
    known_m = _diameters_m(earlier.objects)
    return tuple(
        obj_id
        for obj_id, diameter_m in _diameters_m(network.objects).items()
        if obj_id in known_m and abs(known_m[obj_id] - diameter_m) <= SAME_DIAMETER * diameter_m
    )


def _diameters_m(objects: ObjectTable) -> dict[int, float]:
    return dict(zip(objects.obj_ids, objects.diameter_m, strict=True))
