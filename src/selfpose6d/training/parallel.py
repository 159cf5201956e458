"""Threads that each take a part of every batch, with a network of their own that shares its weights.

Layers of small networks are too small to be divided among cores: two threads with half a batch each train 1.4 times as
fast as one whose layers use both cores. The gradients are those of processes that train together.
"""

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import TypeVar

import torch
from torch import nn

from selfpose6d.network.pose_network import NetworkOutput, PoseNetwork
from selfpose6d.training.loader import ProcessPart, Samples
from selfpose6d.training.recipe import Recipe, Stage
from selfpose6d.training.step import StepLoss

Network = TypeVar("Network", bound=nn.Module)

PartLoss = Callable[[Callable[..., NetworkOutput], Samples, ProcessPart], StepLoss]
"""The loss of one part of a batch by one network, with gradient."""


class ThreadedStep:
    """Computes a step's gradients in several threads."""

    def __init__(
        self, network: PoseNetwork, threads: int, autocast: Callable[[], AbstractContextManager]
    ) -> None:
        self._networks = [network, *(sharing_weights(network) for _ in range(threads - 1))]
        self._autocast = autocast
        self._pool = ThreadPoolExecutor(threads, initializer=partial(torch.set_num_threads, 1))

    def __call__(self, loss: PartLoss, samples: Samples) -> StepLoss:
        """The loss of all samples; its gradient is added to the network's."""
        count = len(self._networks)
        parts = [ProcessPart(rank, count) for rank in range(count)]
        split = [_of(part, samples) for part in parts]
        losses = [*self._pool.map(partial(self._one, loss), self._networks, split, parts)]
        for network in self._networks[1:]:
            for own, other in zip(self._networks[0].parameters(), network.parameters(), strict=True):
                _add_gradient(own, other)
        return _joined(losses)

    def _one(self, loss: PartLoss, network: PoseNetwork, samples: Samples, part: ProcessPart) -> StepLoss:
        def predict(*arguments: object) -> NetworkOutput:
            with self._autocast():
                return network(*arguments)

        found = loss(predict, samples, part)
        (found.total / part.world).backward()
        return replace(found, total=found.total.detach())

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()


def useful_threads(network: nn.Module, recipe: Recipe, stage: Stage, device: torch.device, world: int) -> int:
    """How many threads a stage is trained with.

    One on a GPU or beside other processes, and where something is drawn from torch's own generator (dropout) or
    computed by numba, whose threads cannot be called from several at once: a resolver, a renderer.
    """
    known = recipe.target in ("ground-truth", "labels") or stage.synthetic == 1
    draws = any(
        isinstance(module, nn.Dropout | nn.Dropout2d) and module.p > 0 for module in network.modules()
    )
    if device.type != "cpu" or world > 1 or stage.loss != "targets" or not known or draws:
        return 1
    return min(torch.get_num_threads(), recipe.batch)


def sharing_weights(network: Network) -> Network:
    """A copy whose parameters are the same memory, with gradients of its own."""
    twin = copy.deepcopy(network)
    for own, shared in zip(twin.parameters(), network.parameters(), strict=True):
        own.data = shared.data
    return twin


def _add_gradient(own: nn.Parameter, other: nn.Parameter) -> None:
    """The other's gradient, where it has one, becomes a part of one's own."""
    if own.grad is None:
        own.grad = other.grad
    elif other.grad is not None:
        own.grad.add_(other.grad)
    other.grad = None


def _of(part: ProcessPart, samples: Samples) -> Samples:
    rows = slice(part.of(len(samples)).start, part.of(len(samples)).stop)
    return Samples(samples.index[rows], samples.records[rows])


def _joined(losses: Sequence[StepLoss]) -> StepLoss:
    first = losses[0]
    return replace(
        first,
        total=torch.stack([loss.total for loss in losses]).mean(),
        instance=torch.cat([loss.instance for loss in losses]),
        measures={name: torch.cat([loss.measures[name] for loss in losses]) for name in first.measures},
    )
