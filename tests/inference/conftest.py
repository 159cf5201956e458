"""Puts the tests' networks and small data sets on the path."""

import sys
from pathlib import Path

for folder in ("datasets", "network"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))
