"""How many processes are started where nobody says: as many as cores and memory allow."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from selfpose6d import processes
from selfpose6d.processes import available_bytes, default_workers, map_in_processes

GB = 10**9


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Sets cores, the machine's available memory and a container's limit, use and cached part; None: not there."""
    monkeypatch.setattr(processes, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(processes, "_CGROUP", tmp_path)

    def describe(cores: int, free: int | None = None, container: tuple[int | str, int, int] | None = None):
        monkeypatch.setattr(processes, "available_cores", lambda: cores)
        if free is not None:
            text = f"MemTotal: 999 kB\nMemFree: 1 kB\nMemAvailable:   {free // 1024} kB\n"
            (tmp_path / "meminfo").write_text(text)
        if container is not None:
            limit, used, cached = container
            (tmp_path / "memory.max").write_text(f"{limit}\n")
            (tmp_path / "memory.current").write_text(f"{used}\n")
            (tmp_path / "memory.stat").write_text(f"anon {used - cached}\ninactive_file {cached}\n")

    return describe


@pytest.mark.parametrize(
    ("cores", "free", "expected"), [(2, 64 * GB, 2), (64, 8 * GB, 10), (64, 64 * GB, 64), (8, 10**8, 1)]
)
def test_memory_limits_the_processes_and_one_is_always_left(machine, cores, free, expected):
    machine(cores, free)
    assert default_workers() == expected


def test_a_container_may_have_less_than_its_machine(machine):
    machine(32, 256 * GB, (6 * GB, 4 * GB, 2 * GB))
    assert available_bytes() == 4 * GB
    assert default_workers() == 5


def test_a_container_without_a_limit_has_what_the_machine_has(machine):
    machine(32, 4 * GB, ("max", 4 * GB, 0))
    assert default_workers() == 5


@pytest.mark.parametrize(
    ("cores", "free", "on_device", "expected"),
    [(16, 128 * GB, 80 * GB, 16), (16, 10 * GB, 80 * GB, 3), (16, 128 * GB, 7 * GB, 3), (4, 64 * GB, GB, 1)],
)
def test_on_cuda_the_devices_memory_limits_them_too(machine, monkeypatch, cores, free, on_device, expected):
    import torch

    machine(cores, free)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (on_device, 80 * GB))
    assert default_workers("cuda") == expected


def test_where_nothing_is_known_of_the_memory_the_cores_count(machine):
    machine(7)
    assert available_bytes() is None
    assert default_workers() == 7


@dataclass(frozen=True)
class Describe:
    """Work that tells about its process."""

    def __call__(self):
        return self.tell

    @staticmethod
    def tell(_: int) -> tuple[int, str | None, bool]:
        imported_before = "torch" in sys.modules and "selfpose6d.finding.finder" in sys.modules
        with Path("/proc/self/status").open() as lines:
            threads = next(int(line.split()[1]) for line in lines if line.startswith("Threads"))
        return threads, os.environ.get("OMP_NUM_THREADS"), imported_before


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each process imports for itself")
def test_processes_share_their_imports_and_have_one_thread_each(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    threads, omp_threads, imported_before = next(map_in_processes(Describe(), [0], 1))
    assert (omp_threads, imported_before) == ("1", True)
    assert threads <= 2 + 1, "the work's, one that watches the parent, and the queue's"
    assert os.environ["OMP_NUM_THREADS"] == "2"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each process imports for itself")
@pytest.mark.parametrize("length", [20, 200])
def test_a_temporary_folder_whose_path_is_long_is_no_obstacle_and_keeps_nothing_after_a_kill(
    tmp_path, length
):
    folder = tmp_path / ("t" * length)
    folder.mkdir()
    code = (
        "import os, signal\n"
        "from selfpose6d.processes import map_in_processes\n"
        "from test_processes import Describe\n"
        "if __name__ == '__main__':\n"
        "    found = map_in_processes(Describe(), [0] * 9, 2)\n"
        "    print(next(found)[1], flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    (tmp_path / "killed.py").write_text(code)
    environment = os.environ | {"TMPDIR": str(folder), "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "killed.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "1\n"), done.stderr
    until_s = time.monotonic() + 20
    while list(folder.iterdir()) and time.monotonic() < until_s:
        time.sleep(0.05)
    assert list(folder.iterdir()) == []
