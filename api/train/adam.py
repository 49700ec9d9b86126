"""Adam, on a clipped gradient, with a state that is plain arrays.

PyTorch's own takes 5 s of imports in every process when it is made: longer than many a run of a small task.

Source: Kingma, Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1, with its constants.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """Moves parameters down their gradients."""

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self.parameters = list(parameters)
        self.steps = 0
        self.mean = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.square = [torch.zeros_like(parameter) for parameter in self.parameters]

    def step(self, gradients: Iterable[Tensor], rate: float, clip: float) -> None:
        """Take one step, with all gradients together cut to the norm `clip`."""
        found = list(gradients)
        norm = float(torch.sqrt(sum((gradient.double().square().sum() for gradient in found), torch.zeros(()))))
        scale = min(1.0, clip / (norm + 1e-6))
        self.steps += 1
        first, second = 1.0 - BETA1**self.steps, 1.0 - BETA2**self.steps
        with torch.no_grad():
            for parameter, gradient, mean, square in zip(self.parameters, found, self.mean, self.square, strict=True):
                mean.lerp_(gradient * scale, 1.0 - BETA1)
                square.lerp_((gradient * scale).square(), 1.0 - BETA2)
                parameter.addcdiv_(mean, (square / second).sqrt_().add_(EPSILON), value=-rate / first)
