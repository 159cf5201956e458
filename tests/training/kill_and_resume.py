"""Run by `test_resume`: a training in its own process, with a network small enough for tests."""

import sys
from pathlib import Path

for folder in ("datasets", "network", "training"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))

from networks import TINY  # noqa: E402

from selfpose6d.cli.main import main  # noqa: E402
from selfpose6d.network.config import SIZES  # noqa: E402

if __name__ == "__main__":
    SIZES["small"] = TINY
    sys.exit(main(sys.argv[1:]))
