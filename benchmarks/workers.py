"""`annotate` on one core, in one process and in two: seconds, CPU seconds, and the memory of each process.

    python benchmarks/workers.py DATASET --workers 0 1 2 [options of annotate]

0 stands for one process that may use one thread: one core, what several workers are compared with. Memory is the
largest resident set that each process had (VmHWM), and its share at most (PSS divides what several map by their
number).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from provenance import print_provenance


def children_of(pid: int) -> list[int]:
    """Its descendants that run now."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found += map(int, task.read_text().split())
    return found[1:]


def usage(pid: int) -> dict[str, float]:
    """Peak resident set and proportional set of a process, megabytes, and its CPU seconds so far."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    shares = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    fields = {line.split(":")[0]: line.split()[1] for line in status + shares if len(line.split()) > 1}
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return {
        "peak": int(fields["VmHWM"]) / 1024,
        "pss": int(fields["Pss"]) / 1024,
        "cpu_s": (int(user) + int(system)) / os.sysconf("SC_CLK_TCK"),
    }


def run(dataset: str, workers: int, more: list[str]) -> float:
    """Annotate anew with this many processes, and print what it took; gives the seconds of the whole command."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "selfpose6d", "annotate", dataset, "--out", f"{folder}/run"]
        command += ["--workers", str(workers or 1), "--overlays", "0", "--quiet", *more]
        threads = {} if workers else {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
        start_s = time.perf_counter()
        process = subprocess.Popen(command, env=os.environ | threads)
        seen: dict[int, dict[str, float]] = {}
        first_s = last_s = None
        journal, frames = Path(folder) / "run" / "journal.jsonl", 0
        while process.poll() is None:
            lines = journal.read_bytes().count(b"\n") if journal.exists() else 0
            if lines > frames:
                frames, last_s = lines, time.perf_counter()
                first_s = first_s or last_s
            for pid in [process.pid, *children_of(process.pid)]:
                try:
                    now = usage(pid)
                except OSError:
                    continue
                seen[pid] = {name: max(now[name], seen.get(pid, now)[name]) for name in now}
            time.sleep(0.2)
        wall_s = time.perf_counter() - start_s
        cpu_s = sum(used["cpu_s"] for used in seen.values())
        labelling_s = (last_s or 0.0) - (first_s or 0.0)
        print(
            f"{workers or 'one core, 1'} workers: {wall_s:.1f} s, {cpu_s:.1f} CPU s; {frames} frames, first to last "
            f"{labelling_s:.1f} s"
        )
        for pid, peak in seen.items():
            if peak["peak"] > 200:
                name = "command" if pid == process.pid else "worker"
                print(f"  {name}: at most {peak['peak']:.0f} MB resident, {peak['pss']:.0f} MB proportional")
        return wall_s


def main() -> None:
    """Measure every number of workers after one another."""
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    options, more = parser.parse_known_args()
    print_provenance()
    wall_s = [run(options.dataset, workers, more) for workers in options.workers]
    for workers, time_s in zip(options.workers, wall_s, strict=True):
        print(f"{workers or 'one core, 1'}: {wall_s[0] / time_s:.2f} times as fast as the first")


if __name__ == "__main__":
    main()
