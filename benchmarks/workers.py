"""`annotate` in one and in two processes: seconds, CPU seconds, and the memory of each process.

    python benchmarks/workers.py ../shared/data/ycbv-sample --workers 1 2

Processor times are those of the command and its children; memory is the largest resident set that each process had
(VmHWM), and what is its own alone at the end of the work (PSS shares what several map by their number).
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def children_of(pid: int) -> list[int]:
    """Its descendants that run now."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found += map(int, task.read_text().split())
    return found[1:]


def memory_mb(pid: int) -> dict[str, float]:
    """Peak resident set and proportional set of a process, megabytes."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    shares = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    fields = {line.split(":")[0]: line.split()[1] for line in status + shares if len(line.split()) > 1}
    return {name: int(fields[key]) / 1024 for name, key in (("peak", "VmHWM"), ("pss", "Pss"))}


def run(dataset: str, workers: int, more: list[str]) -> None:
    """Annotate anew with this many processes, and print what it took."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "selfpose6d", "annotate", dataset, "--out", f"{folder}/run"]
        command += ["--workers", str(workers), "--overlays", "0", "--quiet", *more]
        before, start_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        process = subprocess.Popen(command)
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
                    now = memory_mb(pid)
                except OSError:
                    continue
                seen[pid] = {name: max(now[name], seen.get(pid, now)[name]) for name in now}
            time.sleep(0.2)
        wall_s = time.perf_counter() - start_s
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        labelling_s = (last_s or 0.0) - (first_s or 0.0)
        print(
            f"{workers} workers: {wall_s:.1f} s, {cpu_s:.1f} CPU s; {frames} frames, first to last {labelling_s:.1f} s"
        )
        for pid, peak in seen.items():
            if peak["peak"] > 200:
                name = "command" if pid == process.pid else "worker"
                print(f"  {name}: at most {peak['peak']:.0f} MB resident, {peak['pss']:.0f} MB proportional")


def main() -> None:
    """Measure every number of workers after one another."""
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options, more = parser.parse_known_args()
    for workers in options.workers:
        run(options.dataset, workers, more)


if __name__ == "__main__":
    main()
