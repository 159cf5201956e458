"""Instances or frames in several threads: most kernels work on few images, too few to be divided among cores."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numba
import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_threads(call: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """What `call` gives for each item, in their order and as it is done; in as many threads as kernels may use, each on
    one core. Iterate to the end: threads work ahead.

    One after the other where kernels must not be started from several threads at once, which is known once one has run:
    a process's first item runs alone.
    """
    items = list(items)
    alone = 0 if _layer() else 1
    yield from map(call, items[:alone])
    left = items[alone:]
    before = torch.get_num_threads()
    threads = min(len(left), num_threads())
    if threads < 2:
        yield from map(call, left)
        return
    try:
        with ThreadPoolExecutor(threads, initializer=_on_one_core) as pool:
            yield from pool.map(call, left)
    finally:
        torch.set_num_threads(before)  # parts of torch have one number for the whole process


def num_threads() -> int:
    """Threads that both numba and torch may use; 1 where numba's threading layer is not safe among threads."""
    return min(numba.get_num_threads(), torch.get_num_threads()) if _layer() in ("omp", "tbb") else 1


def _layer() -> str:
    """How numba runs its threads; "" before it has run any."""
    try:
        return numba.threading_layer()
    except ValueError:
        return ""


def _on_one_core() -> None:
    """For the thread that calls it."""
    numba.set_num_threads(1)
    torch.set_num_threads(1)
