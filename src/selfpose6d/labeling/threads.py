"""Instances of one frame in several threads: most kernels work on few images, too few to be divided among cores."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numba
import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_in_threads(call: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """What `call` gives for each item, in their order; in as many threads as kernels may use, each on one core.

    One after the other where kernels must not be started from several threads at once.
    """
    items = list(items)
    threads = min(len(items), num_threads())
    if threads < 2:
        return [call(item) for item in items]
    with ThreadPoolExecutor(threads, initializer=_on_one_core) as pool:
        return list(pool.map(call, items))


def num_threads() -> int:
    """Threads that both numba and torch may use; 1 where numba's threading layer is not safe among threads."""
    allowed = min(numba.get_num_threads(), torch.get_num_threads())
    return allowed if allowed < 2 or numba.threading_layer() in ("omp", "tbb") else 1


def _on_one_core() -> None:
    """For the thread that calls it."""
    numba.set_num_threads(1)
    torch.set_num_threads(1)
