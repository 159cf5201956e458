"""Wrong files at every door: a short run of `benchmarks/fuzz_doors.py`, always with the same inputs."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
INPUTS = 60
GROUPS = (
    ("png", "tiff", "jpeg", "npy", "scene_camera", "scene_gt", "scene_gt_info", "targets"),
    ("models_info", "detections", "coco", "capture", "mat", "image_set", "predictions", "labels"),
    (
        "journal",
        "scores",
        "checkpoint",
        "training_state",
        "calibration",
        "crop_cache",
        "mesh_cache",
        "config",
    ),
    ("options", "camera", "bag", "ply", "ply_ascii", "obj", "glb", "gltf", "stl", "off"),
)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="skipped: memory is watched through /proc")
@pytest.mark.parametrize("names", GROUPS, ids=lambda names: names[0])
def test_every_reader_answers_wrong_files_with_a_result_or_one_clear_error(names, tmp_path):
    command = [
        sys.executable,
        BENCHMARKS / "fuzz_doors.py",
        "--worker",
        "--count",
        str(INPUTS),
        "--reader",
        *names,
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment(tmp_path), timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line for line in lines if line["kind"] == "fault"] == []
    assert Counter(line["reader"] for line in lines) == dict.fromkeys(names, INPUTS)
    assert {"ok", "error"} == {line["kind"] for line in lines}


def test_a_reader_that_lets_its_own_exceptions_through_is_found_out(tmp_path):
    script = tmp_path / "broken.py"
    script.write_text(
        "import json, sys\n"
        f"sys.path.insert(0, {str(BENCHMARKS)!r})\n"
        "from pathlib import Path\n"
        "import fuzz_doors, fuzz_readers\n"
        "write = lambda folder: (folder / 'a.json').write_text('{\"a\": 1}') and None\n"
        "read = lambda folder: json.loads((folder / 'a.json').read_text())['a'] + 1\n"
        "fuzz_readers.READERS['bad'] = fuzz_readers.Reader(write, ('a.json',), read)\n"
        "root = Path(sys.argv[1]).resolve()\n"
        "for _, one in fuzz_doors.work(['bad'], 0, range(60), root, None):\n"
        "    print(one.kind, one.said.split(':')[0])\n"
    )
    done = subprocess.run(
        [sys.executable, script, tmp_path / "root"],
        capture_output=True,
        text=True,
        env=_environment(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    said = set(done.stdout.splitlines())
    assert "fault JSONDecodeError" in said
    assert any(line.startswith("fault") and "Decode" not in line for line in said)


def _environment(folder: Path) -> dict[str, str]:
    return os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
