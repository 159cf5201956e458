"""How the weights follow their gradients. Muon: those between features by an orthogonal matrix, all others by Adam.

The gradient of a layer is mostly a few directions; what is rare among the samples (a handle, the other side of a box)
moves its weights little. Made orthogonal, all directions of a step count alike.

Reference: Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024; Kingma & Ba, Adam, 2015.
"""

from collections import defaultdict
from collections.abc import Iterable
from functools import reduce

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
        return Muon(parts, recipe.learning_rate)
    groups = [{"params": [*part.parameters()]} for part in parts]
    return torch.optim.Adam(groups, lr=recipe.learning_rate, fused=True)


class Muon(Optimizer):
    """A group for each part of a network, with one rate for both rules.

    torch's own Muon refuses convolutions and takes one matrix after the other; here those of one shape are one batch.
    """

    def __init__(self, parts: Iterable[nn.Module], rate: float) -> None:
        groups = []
        for part in parts:
            matrices = set(_weights_between_features(part))
            parameters = [*part.parameters()]
            orthogonal = [parameter in matrices for parameter in parameters]
            groups.append({"params": parameters, "orthogonal": orthogonal})
        super().__init__(groups, {"lr": rate})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Move all parameters that have a gradient."""
        for group in self.param_groups:
            given = [
                (parameter, orthogonal)
                for parameter, orthogonal in zip(group["params"], group["orthogonal"], strict=True)
                if parameter.grad is not None
            ]
            self._orthogonal_step([one for one, orthogonal in given if orthogonal], group["lr"])
            self._adam_step([one for one, orthogonal in given if not orthogonal], group["lr"])

    def _orthogonal_step(self, weights: list[Tensor], rate: float) -> None:
        of_shape: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
        for weight in weights:
            of_shape[weight.shape[0], weight[0].numel()].append(weight)
        for shape, alike in of_shape.items():
            motion = orthogonalised(torch.stack([self._momentum(weight).flatten(1) for weight in alike]))
            # the singular values of `motion` are about 1: its mean square is 1 / the longer side
            scale = rate * UPDATE_RMS * max(shape) ** 0.5
            for weight, moved in zip(alike, motion, strict=True):
                weight.sub_(scale * moved.view_as(weight))

    def _momentum(self, weight: Tensor) -> Tensor:
        """The gradient after Nesterov's momentum."""
        assert weight.grad is not None
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].mul_(MOMENTUM).add_(weight.grad)
        return weight.grad + MOMENTUM * state["momentum"]

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


def _weights_between_features(part: nn.Module) -> Iterable[Tensor]:
    least_outputs, least_inputs = FEATURES
    for layer in part.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
            outputs, inputs, *_ = layer.weight.shape
            if outputs >= least_outputs and inputs >= least_inputs:
                yield layer.weight
