"""What a learner answers: logits, point predictions, or a Gaussian for each number that is asked for."""

from __future__ import annotations

from torch import Tensor

from .pytree import pytree


@pytree
class Gaussian:
    """A regression answered with its uncertainty: independent normal distributions of the targets, noise included.

    Args:
        mean: (q, d).
        variance: (q, d), above zero.
    """

    mean: Tensor
    variance: Tensor

    def log_density(self, y: Tensor) -> Tensor:
        """(q,) log density of targets (q, d), in nats.

        >>> import torch
        >>> zero = torch.zeros(1, 1)
        >>> round(Gaussian(zero, zero + 1).log_density(zero).item(), 4)
        -0.9189
        """
        squares = (y - self.mean).square() / self.variance
        return -0.5 * (squares + self.variance.log() + 1.8378770664093453).sum(-1)  # log(2 pi)


Output = Tensor | Gaussian  # (q, ways) logits, (q, d) predictions, or a Gaussian of them


def central(output: Output) -> Tensor:
    """The logits, or the predictions without their uncertainty."""
    return output.mean if isinstance(output, Gaussian) else output
