"""Built-in objects as scene assets, written and read once per test session."""

import tempfile
from functools import cache
from pathlib import Path

from selfpose6d.synthetic.models import write_models
from selfpose6d.synthetic.options import SynthOptions
from selfpose6d.synthetic.scene_assets import SceneAssets, load_scene_assets


@cache
def builtin_assets(object_ids: tuple[int, ...]) -> SceneAssets:
    """The given objects and the distractors of seed 0."""
    with tempfile.TemporaryDirectory() as folder:
        write_models(Path(folder) / "models", SynthOptions(objects=object_ids))
        return load_scene_assets(Path(folder) / "models", object_ids, seed=0)
