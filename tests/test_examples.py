"""The example script stops at the first command that fails, and passes its exit code on."""

import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parents[1] / "examples" / "demo.py"


def test_the_demo_refuses_a_folder_that_holds_something_else(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "letters.txt").write_text("mine")
    result = subprocess.run(
        [sys.executable, str(DEMO), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "error:" in result.stderr
    assert (tmp_path / "data" / "letters.txt").read_text() == "mine"
