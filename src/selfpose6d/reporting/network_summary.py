"""How large a network is, as a table on the terminal."""

from rich.table import Table

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.network.config import NetworkConfig
from selfpose6d.network.pose_network import PoseNetwork
from selfpose6d.network.summary import summarise
from selfpose6d.objects.table import object_table
from selfpose6d.reporting.console import plain_console


def print_network_summary(dataset: Dataset, size: str, config: NetworkConfig) -> None:
    """Parameters and FLOPs of the network for the data set's objects; `size` is its name."""
    obj_ids = dataset.object_ids
    objects = object_table(obj_ids, map(dataset.load_mesh, obj_ids))
    fusion = "weighted" if config.weighted else "unweighted"
    table = Table(
        title=f"{size}, {config.architecture}, {fusion}: {len(obj_ids)} objects, {config.crop_px} px, "
        f"{config.num_points} points"
    )
    for column in ("part", "parameters", "MFLOP an instance"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for part in summarise(PoseNetwork(config, objects)):
        table.add_row(part.name, f"{part.parameters:,}", f"{part.flops / 1e6:,.1f}")
    plain_console().print(table)
