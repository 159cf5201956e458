"""Small data sets on disk are those of the tests of `datasets`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "datasets"))
