"""Puts the examples, and the tests' small data sets and networks, on the path."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
FOLDERS = (TESTS.parent / "examples", TESTS / "datasets", TESTS / "network", TESTS / "training")
sys.path[:0] = map(str, FOLDERS)
