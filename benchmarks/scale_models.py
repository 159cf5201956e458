"""A models folder with every object larger or smaller: meshes, model points, sizes and symmetries' offsets.

    python benchmarks/scale_models.py MODELS OUT --factor 0.25

Writes a BOP models folder for `synth --models`, to see what size does to labels and scores.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from selfpose6d.datasets.model_files import find_model_files, read_models_info
from selfpose6d.datasets.symmetries import describe_mesh
from selfpose6d.meshes.io import save_mesh_ply
from selfpose6d.runs.predictions import MM_PER_M
from selfpose6d.synthetic.mesh_variation import scaled

LENGTHS = ("diameter", "min_", "size_")


def scaled_symmetries(entry: dict, factor: float) -> dict:
    """Declared symmetries with their translations and offsets scaled."""
    to_scale = np.ones((4, 4))
    to_scale[:3, 3] = factor
    kept = {key: value for key, value in entry.items() if not key.startswith(LENGTHS)}
    if discrete := entry.get("symmetries_discrete"):
        kept["symmetries_discrete"] = [(np.reshape(T, (4, 4)) * to_scale).ravel().tolist() for T in discrete]
    if continuous := entry.get("symmetries_continuous"):
        kept["symmetries_continuous"] = [
            {**axis, "offset": (factor * np.array(axis["offset"])).tolist()} for axis in continuous
        ]
    return kept


def main() -> None:
    """Scale every model of a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--factor", type=float, required=True)
    arguments = parser.parse_args()
    models, declared, infos = find_model_files(arguments.models, None), read_models_info(arguments.models), {}
    arguments.out.mkdir(parents=True)
    for obj_id in models.object_ids:
        mesh = scaled(models.load(obj_id), arguments.factor)
        save_mesh_ply(mesh, arguments.out / f"obj_{obj_id:06d}.ply")
        entry = scaled_symmetries(declared.get(obj_id, {}), arguments.factor)
        infos[str(obj_id)] = {**entry, **describe_mesh(mesh)}
        points = models.find(obj_id).path.with_suffix(".xyz")
        if points.is_file():
            np.savetxt(
                arguments.out / f"obj_{obj_id:06d}.xyz", arguments.factor * np.loadtxt(points), fmt="%.6f"
            )
    (arguments.out / "models_info.json").write_text(json.dumps(infos, indent=1))
    largest_m = max(info["diameter"] for info in infos.values()) / MM_PER_M
    print(f"{arguments.out}: {len(infos)} models, the largest {largest_m:.3f} m")


if __name__ == "__main__":
    main()
