"""Where a measurement comes from: date, hardware, commit and versions. Every benchmark prints it."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import numba
import torch

CPU_INFO = Path("/proc/cpuinfo")


def provenance() -> dict[str, str]:
    """Names and values, ready to print or to merge into a JSON object."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "hardware": hardware(),
        "commit": commit(),
        "versions": f"python {platform.python_version()}, torch {torch.__version__}, numba {numba.__version__}",
    }


def print_provenance() -> None:
    """The head of a benchmark's table."""
    print(*(f"{name}: {value}" for name, value in provenance().items()), sep="\n")


def hardware() -> str:
    """Processor, cores this process may use, threads, load; the GPU where there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parts = [
        f"{processor()}, {cores} cores",
        f"threads: torch {torch.get_num_threads()}, numba {numba.get_num_threads()}",
        f"load {os.getloadavg()[0]:.1f}",
    ]
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    return "; ".join(parts)


def processor() -> str:
    """The processor's own name where the system tells it."""
    lines = CPU_INFO.read_text().splitlines() if CPU_INFO.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def commit() -> str:
    """Short hash of the commit, marked where tracked files differ from it; `unknown` outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=8", "--exclude", "*"]
    try:
        found = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return "unknown"
    return found.stdout.strip() or "unknown"
