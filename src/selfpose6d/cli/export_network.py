"""`selfpose6d export MODEL --to model.onnx`: a trained network for programs without torch."""

from pathlib import Path
from typing import TYPE_CHECKING

from selfpose6d.cli.output import add_result

if TYPE_CHECKING:
    from selfpose6d.datasets.model_files import ModelFiles
    from selfpose6d.meshes.units import Unit


def run(model: Path, to: Path, models: Path | None = None, model_unit: "Unit | None" = None) -> int:
    """Write the network, and say how it compares with torch. Its meshes are by default those of its training."""
    from selfpose6d.inference.onnx_export import export_network

    exported = export_network(model, to, models or _models_of_training(model), model_unit)
    for graph in exported.graphs:
        size_mb = graph.path.stat().st_size / 1e6
        print(f"{graph.path}: {size_mb:.1f} MB")
        print(
            f"  worst element {graph.difference:.1e} off torch ({graph.worst_output}); "
            f"{graph.onnx_ms:.1f} ms an instance on one core, torch {graph.torch_ms:.1f} ms"
        )
    add_result(
        to=to,
        graphs=[
            {"path": g.path, "difference": g.difference, "onnx_ms": g.onnx_ms, "torch_ms": g.torch_ms}
            for g in exported.graphs
        ],
    )
    names = [f"{entry['id']} {entry.get('name', '')}".strip() for entry in exported.metadata["objects"]]
    print(f"objects: {', '.join(names)}")
    print("a program without torch that runs it: examples/onnx_inference.py")
    return 0


def _models_of_training(model: Path) -> "ModelFiles | None":
    """The meshes that the training's `config.yaml` names, where they still are."""
    from selfpose6d.datasets.layouts import detect_layout
    from selfpose6d.datasets.options import DataOptions
    from selfpose6d.runs.config import read_config
    from selfpose6d.runs.files import RunFiles, find_checkpoint

    run = find_checkpoint(model).parent.parent
    if not RunFiles(run).config.is_file():
        return None
    data = DataOptions.of_run(read_config(run))
    if not data.dataset.is_dir():
        return None
    found = detect_layout(data.dataset).models(data.dataset, data.models, data.model_unit)
    return found if found.files else None
