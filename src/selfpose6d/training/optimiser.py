"""How the weights follow their gradients. Muon: those between features by an orthogonal matrix, all others by Adam.

The gradient of a layer is mostly a few directions; what is rare among the samples (a handle, the other side of a box)
moves its weights little. Made orthogonal, all directions of a step count alike.

Reference: Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024; Kingma & Ba, Adam, 2015.
"""

from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial, reduce

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.adam import adam

from selfpose6d.network.pose_network import PoseNetwork
from selfpose6d.training.recipe import Recipe

MOMENTUM = 0.95
"""Of the gradients, in Nesterov's form. This, the coefficients and the rounds are the authors' values."""
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ROUNDS = 5
SMALLEST_NORM = 1e-7
"""Below it a gradient is not enlarged; one of zeros moves nothing."""
UPDATE_RMS = 0.6
"""Root mean square of what a step adds to a matrix at a rate of 1. About 0.2 is Adam's (Liu et al., Muon is scalable
for LLM training, 2025); of 0.2, 0.6 and 1.5 this measured best after 1,500 steps (docs/results.md)."""
FEATURES = (16, 32)
"""Least outputs and inputs of a layer between features. Others read the image or give the answer: each of their rows or
columns has a meaning and a scale of its own, which Adam heeds."""
ADAM_BETAS, ADAM_EPS = (0.9, 0.999), 1e-8


def optimiser_of(recipe: Recipe, network: PoseNetwork) -> Optimizer:
    """The recipe's optimiser, with a group for the estimator and one for the refiner."""
    parts = (network.estimator, network.refiner)
    if recipe.optimiser == "muon":
        on_cpu = network.estimator.diameter_m.device.type == "cpu"
        return Muon(parts, recipe.learning_rate, torch.get_num_threads() if on_cpu else 1)
    groups = [{"params": [*part.parameters()]} for part in parts]
    return torch.optim.Adam(groups, lr=recipe.learning_rate, fused=True)


class Muon(Optimizer):
    """A group for each part of a network, with one rate for both rules.

    torch's own Muon refuses convolutions and takes one matrix after the other; here those of one shape are one batch,
    and `threads` take a shape each, which is faster than sharing every small product among cores.
    """

    def __init__(self, parts: Iterable[nn.Module], rate: float, threads: int = 1) -> None:
        groups = []
        for part in parts:
            matrices = set(_weights_between_features(part))
            parameters = [*part.parameters()]
            orthogonal = [parameter in matrices for parameter in parameters]
            groups.append({"params": parameters, "orthogonal": orthogonal})
        super().__init__(groups, {"lr": rate})
        one_each = partial(torch.set_num_threads, 1)
        self._pool = ThreadPoolExecutor(threads, initializer=one_each) if threads > 1 else None

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move all parameters that have a gradient."""
        alike: list[tuple[list[Tensor], float]] = []
        for group in self.param_groups:
            given = [
                (parameter, orthogonal)
                for parameter, orthogonal in zip(group["params"], group["orthogonal"], strict=True)
                if parameter.grad is not None
            ]
            matrices = [one for one, orthogonal in given if orthogonal]
            self._begin(matrices)
            alike += [(weights, group["lr"]) for weights in _by_shape(matrices)]
            self._adam_step([one for one, orthogonal in given if not orthogonal], group["lr"])
        alike.sort(key=lambda one: -_cost(one[0]))  # the longest first, so that none waits for it at the end
        each = map if self._pool is None else self._pool.map
        list(each(lambda one: self._orthogonal_step(*one), alike))  # raises what a thread raised

    def _begin(self, weights: list[Tensor]) -> None:
        """States of weights that have none yet, in the parameters' order, which is how they are saved."""
        for weight in weights:
            if not self.state[weight]:
                self.state[weight]["momentum"] = torch.zeros_like(weight)

    @torch.no_grad()  # a thread of its own does not know the caller's
    def _orthogonal_step(self, weights: list[Tensor], rate: float) -> None:
        """Move weights of one shape."""
        motion = orthogonalised(torch.stack([self._momentum(weight).flatten(1) for weight in weights]))
        # the singular values of `motion` are about 1: its mean square is 1 / the longer side
        scale = rate * UPDATE_RMS * max(motion.shape[1:]) ** 0.5
        for weight, moved in zip(weights, motion, strict=True):
            weight.sub_(scale * moved.view_as(weight))

    def _momentum(self, weight: Tensor) -> Tensor:
        """The gradient after Nesterov's momentum."""
        assert weight.grad is not None
        momentum = self.state[weight]["momentum"].mul_(MOMENTUM).add_(weight.grad)
        return weight.grad + MOMENTUM * momentum

    def _adam_step(self, parameters: list[Tensor], rate: float) -> None:
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
                state["steps"] = torch.zeros((), device=parameter.device)
        states = [self.state[parameter] for parameter in parameters]
        mean, square, steps = ([state[name] for state in states] for name in ("mean", "square", "steps"))
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        beta1, beta2 = ADAM_BETAS
        adam(
            parameters, gradients, mean, square, [], steps, fused=True, amsgrad=False, beta1=beta1, beta2=beta2,
            lr=rate, weight_decay=0.0, eps=ADAM_EPS, maximize=False,
        )  # fmt: skip


def orthogonalised(matrices: Float[Tensor, "batch rows columns"]) -> Float[Tensor, "batch rows columns"]:
    """Each matrix with its singular vectors kept and its singular values brought near 1: 0.7 to 1.2, tiny ones less.

    Reference: Jordan et al. 2024, a Newton-Schulz iteration of fifth order, X <- (a + b A + c A^2) X with A = X X^T.
    All factors are polynomials of the first A and commute: computed on the shorter side alone it costs a third.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    X = matrices.mT if tall else matrices
    X = X / X.flatten(1).norm(dim=1).clamp_min(SMALLEST_NORM)[:, None, None]
    A, factors = X @ X.mT, []
    for done in range(ROUNDS):
        if done:
            A = factors[-1] @ A @ factors[-1]
        factor = torch.baddbmm(A, A, A, beta=b, alpha=c)
        factor.diagonal(dim1=1, dim2=2).add_(a)
        factors.append(factor)
    X = reduce(torch.matmul, factors) @ X
    return X.mT if tall else X


def _by_shape(weights: Iterable[Tensor]) -> Iterable[list[Tensor]]:
    """Those whose matrices are alike, together."""
    found: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
    for weight in weights:
        found[weight.shape[0], weight[0].numel()].append(weight)
    return found.values()


def _cost(weights: list[Tensor]) -> int:
    """In proportion to the products that make them orthogonal, about."""
    rows, columns = weights[0].shape[0], weights[0][0].numel()
    short = min(rows, columns)
    # some 3 products on the shorter side in each round, and 2 with the longer one
    return len(weights) * short**2 * (3 * ROUNDS * short + 2 * max(rows, columns))


def _weights_between_features(part: nn.Module) -> Iterable[Tensor]:
    least_outputs, least_inputs = FEATURES
    for layer in part.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
            outputs, inputs, *_ = layer.weight.shape
            if outputs >= least_outputs and inputs >= least_inputs:
                yield layer.weight
