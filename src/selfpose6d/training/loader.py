"""Which samples each step sees, and their records read one step ahead.

Everything a step draws follows from the seed and the step: to resume, no generator state is needed.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int

from selfpose6d.errors import UsageError

_BATCH_STREAM, _ORDER_STREAM, _SECOND_ORDER_STREAM = 1, 2, 3


@dataclass(frozen=True)
class ProcessPart:
    """This process's part of every batch, when several train together."""

    rank: int = 0
    world: int = 1

    def of(self, batch: int) -> range:
        """The places of a batch that are this process's."""
        return range(batch * self.rank // self.world, batch * (self.rank + 1) // self.world)


@dataclass(frozen=True)
class Samples:
    """Some instances of a crop store: their indices in it, and their records."""

    index: Int[np.ndarray, " samples"]
    records: np.ndarray

    def __len__(self) -> int:
        return len(self.index)


class BatchOrder:
    """A new random order of the samples in every epoch, cut into batches that run on across epochs."""

    def __init__(
        self, samples: Int[np.ndarray, " samples"], batch: int, seed: int, part: ProcessPart
    ) -> None:
        require_batch(batch, part.world)
        self._shuffled, self._batch, self._part = _Shuffled(samples, seed, _ORDER_STREAM), batch, part

    def indices(self, step: int) -> Int[np.ndarray, " part"]:
        """The samples of this process in one step."""
        return np.array([self._shuffled.at(step * self._batch + i) for i in self._part.of(self._batch)])


class MixedOrder:
    """Batches of two parts with a fixed number of samples of each, evenly spread over the batch and its processes.

    Each part has epochs of its own.
    """

    def __init__(
        self,
        first: Int[np.ndarray, " first"],
        second: Int[np.ndarray, " second"],
        batch: int,
        num_second: int,
        seed: int,
        part: ProcessPart,
    ) -> None:
        require_batch(batch, part.world)
        self._first, self._second = (
            _Shuffled(samples, seed, stream)
            for samples, stream in ((first, _ORDER_STREAM), (second, _SECOND_ORDER_STREAM))
        )
        self._batch, self._num_second, self._part = batch, num_second, part

    def indices(self, step: int) -> Int[np.ndarray, " part"]:
        """The samples of this process in one step."""
        return np.array([self._index(step, place) for place in self._part.of(self._batch)])

    def _index(self, step: int, place: int) -> int:
        before, with_it = (self._num_second * i // self._batch for i in (place, place + 1))
        if with_it > before:
            return self._second.at(step * self._num_second + before)
        return self._first.at(step * (self._batch - self._num_second) + place - before)


Order = BatchOrder | MixedOrder
"""Which samples each step sees."""


class _Shuffled:
    """The samples in a new random order in every epoch, one epoch after the other."""

    def __init__(self, samples: Int[np.ndarray, " samples"], seed: int, stream: int) -> None:
        self._samples, self._seed, self._stream = samples, seed, stream
        self._epoch, self._order = -1, samples

    def at(self, position: int) -> int:
        """The sample at a position, counted from the first epoch's first."""
        epoch, within = divmod(position, len(self._samples))
        if epoch != self._epoch:
            order = np.random.default_rng([self._seed, self._stream, epoch]).permutation(len(self._samples))
            self._epoch, self._order = epoch, self._samples[order]
        return int(self._order[within])


def require_batch(batch: int, processes: int) -> None:
    """Refuse a batch that leaves processes without an instance.

    Raises:
        UsageError: there are more processes than instances a step.
    """
    if batch < processes:
        raise UsageError(
            f"--batch {batch} is less than the {processes} processes, and each needs an instance a step. "
            f"Raise it to {processes} or more, or start fewer processes (torchrun --nproc-per-node)."
        )


@runtime_checkable
class Records(Protocol):
    """What a loader reads from: a structured array for some indices."""

    def read(self, indices: Int[np.ndarray, " batch"], /) -> np.ndarray:
        """The records, in the order of the indices."""
        ...


class RecordLoader:
    """Reads the records of the next step while the current one computes."""

    def __init__(self, store: Records, order: Order) -> None:
        self._store, self._order = store, order
        self._pool = ThreadPoolExecutor(1)
        self._next: tuple[int, Future] | None = None

    def load(self, step: int) -> Samples:
        """The samples of a step; starts to read those of the one after it."""
        waiting, self._next = self._next, None
        loaded = waiting[1].result() if waiting and waiting[0] == step else self._read(step)
        self._next = step + 1, self._pool.submit(self._read, step + 1)
        return loaded

    def close(self) -> None:
        """Stop reading ahead."""
        self._pool.shutdown(cancel_futures=True)

    def _read(self, step: int) -> Samples:
        index = self._order.indices(step)
        return Samples(index, self._store.read(index))


def step_generator(seed: int, step: int, part: ProcessPart, device: torch.device | str) -> torch.Generator:
    """The generator of everything that one process draws in one step."""
    (state,) = np.random.SeedSequence([seed, _BATCH_STREAM, step, part.rank]).generate_state(1, np.uint64)
    return torch.Generator(device=device).manual_seed(int(state >> np.uint64(1)))
