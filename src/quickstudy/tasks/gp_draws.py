"""Curves drawn from a Gaussian process."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from ..errors import UnknownName, UserError
from .episodes import Count
from .functions import Functions, Range, ends


class GPDraws(Functions):
    """Functions drawn from a Gaussian process, the regression of the neural-process papers.

    Unlike Sinusoids no few numbers say everything: what is not seen stays uncertain, and a learner should know that.

    Args:
        kernel: 'rbf' (smooth), 'matern52' (twice differentiable) or 'periodic'.
        shots: support points, a number or (least, most).
        queries: query points, likewise.
        points: how many support and query points there may be together, where these are ranges.
        lengthscale: a number or (least, most), in units of x; for 'periodic' without unit.
        scale: standard deviation of the function values, a number or (least, most).
        period: of 'periodic', a number or (least, most), in units of x.
        x: where points may lie (least, most).
        noise: standard deviation of what is added to every y, the queries included.
        seed: of the episodes.
        split: 'train', 'validation' or 'test'.

    Returns:
        Tasks with x (T, n, 1) and y (T, n, 1), float32, without ways and without origin; masked where they differ in n.

    Raises:
        UnknownName: no such kernel.
        UserError: another option that makes no sense; the message names it.

    Source: ranges and noise of Kim et al. 2019 (arXiv:1901.05761; github.com/deepmind/neural-processes); kernels as in
    Rasmussen and Williams 2006 (gaussianprocess.org/gpml), equations 4.9, 4.17 and 4.31.

    >>> task = GPDraws("matern52", shots=5, queries=20).sample(first=0, count=3)
    >>> task.support.x.shape, task.query.y.shape
    (torch.Size([3, 5, 1]), torch.Size([3, 20, 1]))
    """

    own = ("lengthscale", "scale", "period")

    def __init__(
        self,
        kernel: Literal["rbf", "matern52", "periodic"] = "rbf",
        *,
        shots: Count = 10,
        queries: Count = 10,
        points: int | None = None,
        lengthscale: Range = (0.1, 0.6),
        scale: Range = (0.1, 1.0),
        period: Range = 1.0,
        x: tuple[float, float] = (-2.0, 2.0),
        noise: float = 0.02,
        seed: int = 0,
        split: str = "train",
    ):
        self.kernel, self.shots, self.queries, self.points = kernel, shots, queries, points
        self.lengthscale, self.scale, self.period = lengthscale, scale, period
        self.x, self.noise, self.seed, self.split, self.name = x, noise, seed, split, "gp-draws"
        self.prepare()

    def prepare(self) -> None:
        super().prepare()
        if self.kernel not in ("rbf", "matern52", "periodic"):
            raise UnknownName.among("kernel", self.kernel, ("rbf", "matern52", "periodic"))
        for name in self.own:
            if ends(name, getattr(self, name))[0] <= 0:
                raise UserError(f"{name} is {getattr(self, name)}; it must be above 0.")

    def _values(self, x: np.ndarray, episodes: np.ndarray) -> np.ndarray:
        covariance = self._correlation(np.abs(x[:, :, None] - x[:, None, :]), episodes)
        # Two points that nearly coincide make it singular in floating numbers; 1e-8 is far below any noise met here.
        factor = np.linalg.cholesky(covariance + 1e-8 * np.eye(x.shape[1]))
        # Not a matrix product: how BLAS sums one depends on the batch, and an episode must not.
        draws = (factor * self._normal("value", episodes)[:, None, :]).sum(-1)
        return self._option("scale", episodes) * draws

    def _correlation(self, distance: np.ndarray, episodes: np.ndarray) -> np.ndarray:
        lengthscale = self._option("lengthscale", episodes)[:, :, None]
        if self.kernel == "periodic":
            angle = math.pi * distance / self._option("period", episodes)[:, :, None]
            return np.exp(-2.0 * np.square(np.sin(angle) / lengthscale))
        ratio = distance / lengthscale
        if self.kernel == "matern52":
            ratio *= math.sqrt(5.0)
            return (1.0 + ratio + np.square(ratio) / 3.0) * np.exp(-ratio)
        return np.exp(-0.5 * np.square(ratio))
