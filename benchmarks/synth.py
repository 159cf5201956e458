"""Frames a second of `synth`: 640x480 tabletop scenes of about five labelled objects, images written to disk.

    python benchmarks/synth.py [--frames 200] [--workers 2]

Prints the steady rate (from the end of every process's first scene) and that of the whole run with start-up.
A short run before the clock starts compiles the kernels, which later runs find in numba's cache.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

from provenance import print_provenance
from selfpose6d.synthetic.generate import prepare, render_all
from selfpose6d.synthetic.options import SynthOptions


def finish_times_s(folder: Path, frames: int, workers: int) -> list[tuple[float, int]]:
    """Seconds since the start and frames so far, at the end of every scene."""
    start, done, finished = time.perf_counter(), 0, []
    for scene in render_all(prepare(folder, SynthOptions(train_frames=frames, test_frames=0)), workers):
        done += scene.frames
        finished.append((time.perf_counter() - start, done))
    return finished


def steady_rate(finished: list[tuple[float, int]], workers: int) -> float:
    """Frames a second between the end of each process's first scene and the end of the run."""
    (first_s, first), (last_s, last) = finished[workers - 1], finished[-1]
    return (last - first) / (last_s - first_s)


def main() -> None:
    """Measure and print one table row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        finish_times_s(Path(folder) / "warm_up", 8, 1)
        finished = finish_times_s(Path(folder) / "measured", arguments.frames, arguments.workers)
        size_mb = sum(path.stat().st_size for path in (Path(folder) / "measured").rglob("*.png")) / 1e6
    total_s, frames = finished[-1]
    cpu_ms = 1e3 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime / frames
    steady = steady_rate(finished, arguments.workers)
    print_provenance()
    print(f"{frames} frames, {arguments.workers} processes, {size_mb / frames:.2f} MB a frame")
    print(f"CPU time of the processes, start-up included: {cpu_ms:.0f} ms a frame")
    print(f"steady {steady:.1f} frames/s, whole run {frames / total_s:.1f} frames/s")


if __name__ == "__main__":
    main()
