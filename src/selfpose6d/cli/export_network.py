"""`selfpose6d export MODEL --to model.onnx`: a trained network for programs without torch."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selfpose6d.meshes.units import Unit


def run(model: Path, to: Path, models: Path | None = None, model_unit: "Unit | None" = None) -> int:
    """Write the network, and say how it compares with torch."""
    from selfpose6d.inference.onnx_export import export_network

    exported = export_network(model, to, models, model_unit)
    for graph in exported.graphs:
        size_mb = graph.path.stat().st_size / 1e6
        print(f"{graph.path}: {size_mb:.1f} MB")
        print(
            f"  worst element {graph.difference:.1e} off torch ({graph.worst_output}); "
            f"{graph.onnx_ms:.1f} ms an instance on one core, torch {graph.torch_ms:.1f} ms"
        )
    names = [f"{entry['id']} {entry.get('name', '')}".strip() for entry in exported.metadata["objects"]]
    print(f"objects: {', '.join(names)}")
    print("a program without torch that runs it: examples/onnx_inference.py")
    return 0
