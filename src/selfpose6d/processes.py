"""Work in several processes, one thread each: for loops of many small computations, which threads do not speed up."""

import ctypes
import multiprocessing
import os
import shutil
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing import forkserver, util
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

from selfpose6d.errors import WorkerError

Item = TypeVar("Item")
Result = TypeVar("Result")
_WAITING = 4
"""Items under way per process: enough that none waits, few enough that results do not pile up."""
_ENDS_WITHIN_S = 5.0
"""Of the other processes, when one has ended."""
WORKER_BYTES = 800 * 10**6
"""Resident memory of one process that annotates, most of it the libraries' own: measured, 0.8 GB."""
_CUDA_HOST_BYTES = 3 * 10**9
"""Of one that annotates on a GPU: CUDA's libraries take most of it. Not measured by us: what torch's users report."""
_CUDA_DEVICE_BYTES = 2 * 10**9
"""On the GPU: a context of about 0.5 GB, meshes, crops and what torch's allocator keeps. A choice, on the safe side."""
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
"""Before the libraries are imported: threads that are there, though only one of them works, cost a tenth of the
time."""
_SHARED_IMPORTS = ["cv2", "numba", "torch", "selfpose6d.inference.labeler", "selfpose6d.finding.finder"]
"""Imported once for all processes: 1.5 s, and most of their memory."""
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_workers(device: str = "cpu") -> int:
    """Processes to start where nobody says how many: one a core, as many as the free memory holds, one at least.

    On `cuda` they share the GPU, as many as its free memory holds: an instance is thousands of small kernels that one
    process can only launch one after the other, while the device waits.
    """
    on_cuda = device == "cuda"
    fitting, free = [available_cores()], available_bytes()
    if free is not None:
        fitting.append(free // (_CUDA_HOST_BYTES if on_cuda else WORKER_BYTES))
    if on_cuda:
        fitting.append(_free_on_cuda() // _CUDA_DEVICE_BYTES)
    return max(1, min(fitting))


def _free_on_cuda() -> int:
    import torch

    return torch.cuda.mem_get_info()[0]


def available_bytes() -> int | None:
    """Memory that new processes can take: the machine's, and a container's where it has a limit; None if unknown."""
    known = [free for free in (_machine_bytes(), _container_bytes()) if free is not None]
    return min(known, default=None)


def _machine_bytes() -> int | None:
    try:
        lines = _MEMINFO.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):  # another system than Linux
        return None


def _container_bytes() -> int | None:
    """Of the second version of cgroups; cached files count as used there, but give way."""
    try:
        limit, used, table = ((_CGROUP / f"memory.{name}").read_text() for name in ("max", "current", "stat"))
        cached = dict(line.split() for line in table.splitlines()).get("inactive_file", 0)
        return max(0, int(limit) - int(used) + int(cached))
    except (OSError, ValueError):  # no container, or "max": no limit
        return None


def return_freed_memory() -> None:
    """Give freed memory back to the system. glibc keeps it: 340 MB after 21 objects were prepared, which a worker then
    never uses. Elsewhere nothing happens.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def get_workers_ready() -> BaseContext:
    """How processes are started. Called early, it lets what all of them import be imported beside the caller's work.

    On Linux one process imports the libraries, starts no thread and opens no GPU; the others are forked from it.
    Elsewhere libraries of the system do not survive a fork, and each process imports for itself; so it does where no
    socket can be made in the temporary folder, by which that process is asked.
    """
    spawning = multiprocessing.get_context("spawn")
    if sys.platform != "linux":
        return spawning
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_SHARED_IMPORTS)
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    try:
        forkserver.ensure_running()
    except OSError:  # none that can be written, or a path that is too long for a socket
        return spawning
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return context


def map_in_processes(
    make_work: Callable[[], Callable[[Item], Result]],
    items: Iterable[Item],
    workers: int,
    in_order: bool = True,
) -> Iterator[Result]:
    """What the work makes of each item, in their order or as they are done; each process makes its own work once.

    `make_work`, items and results travel between processes. Few items wait at a time, however many there are.

    Raises:
        WorkerError: a process was ended from outside; what was done until then has been given before.
    """
    with ProcessPoolExecutor(
        workers, mp_context=get_workers_ready(), initializer=_start_worker, initargs=(make_work,)
    ) as pool:
        waiting: deque[Future[Any]] = deque()
        processes: dict[int, BaseProcess] = {}
        try:
            for item in items:
                waiting.append(pool.submit(_work_on, item))
                processes |= pool._processes or {}
                if len(waiting) >= _WAITING * workers:
                    yield from _done(waiting, in_order)
            while waiting:
                yield from _done(waiting, in_order)
        except BrokenProcessPool:
            raise WorkerError(_why_broken(processes.values())) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _done(waiting: "deque[Future[Any]]", in_order: bool) -> Iterator[Any]:
    """Wait for the first result, or for some; those of a broken pool come last."""
    if in_order:
        yield waiting.popleft().result()
        return
    done = wait(waiting, return_when=FIRST_COMPLETED).done
    for future in done:
        waiting.remove(future)
    for future in sorted(done, key=lambda future: future.exception() is not None):
        yield future.result()


def _why_broken(processes: Iterable[BaseProcess]) -> str:
    for process in processes:
        process.join(_ENDS_WITHIN_S)
    ended = {process.exitcode for process in processes if process.exitcode is not None}
    codes = ended - {0, -signal.SIGTERM}
    how = ", ".join(signal.Signals(-code).name if code < 0 else f"exit code {code}" for code in sorted(codes))
    killed = -signal.SIGKILL in codes
    why = (
        "as the system does where memory runs out"
        if killed
        else "its own message stands above, if it had one"
    )
    return (
        f"a worker process was ended from outside ({how or 'reason unknown'}; {why}). What was finished is kept: the "
        "same command goes on. Pass fewer --workers where memory is short."
    )


_work: Callable[[Any], Any] | None = None


def _start_worker(make_work: Callable[[], Callable[[Any], Any]]) -> None:
    """One thread; Ctrl-C is the parent's to handle, so that what was begun is completed; without a parent it ends."""
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    use_one_thread()
    _work = make_work()


def use_one_thread() -> None:
    """From here on every library computes in the calling thread: other processes have the other cores."""
    os.environ.update(_ONE_THREAD)
    import cv2
    import numba
    import torch

    cv2.setNumThreads(1)
    numba.set_num_threads(1)
    torch.set_num_threads(1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    shutil.rmtree(util.get_temp_dir(), ignore_errors=True)  # the parent's, which it had no time to remove
    os._exit(1)


def _work_on(item: Any) -> Any:
    assert _work is not None
    return _work(item)
