"""Built-in objects as a stock, written and read once per test session."""

import tempfile
from functools import cache
from pathlib import Path

from selfpose6d.synthetic.models import write_models
from selfpose6d.synthetic.options import SynthOptions
from selfpose6d.synthetic.stock import Stock, load_stock


@cache
def builtin_stock(object_ids: tuple[int, ...]) -> Stock:
    """The given objects and the distractors of seed 0."""
    with tempfile.TemporaryDirectory() as folder:
        write_models(Path(folder) / "models", SynthOptions(objects=object_ids))
        return load_stock(Path(folder) / "models", object_ids, seed=0)
