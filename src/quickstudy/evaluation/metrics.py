"""What is measured of the answers to one task's queries; padding counts for nothing.

Accuracy, mean squared error (`learner.metric`) and negative log-likelihood (`learner.criterion`) are the learner's own;
here is what only evaluation asks. All of it maps over tasks.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from ..learner import masked_mean
from ..outputs import Gaussian, Output, central
from ..task import Examples, Task

BINS = 15
NINETY = 1.6448536269514722  # deviations on either side of the mean that hold 90 % of a normal distribution


def answered(output: Output, query: Examples) -> Bool[Tensor, ""]:
    """Whether every query has an answer that can be judged.

    A logit of -inf rules a class out (a class without examples) and is an answer; NaN, +inf and a row of -inf are not.
    """
    point = central(output)
    fine = torch.isfinite(point if query.ways is None else point.amax(-1, keepdim=True)).all(-1)
    if isinstance(output, Gaussian):
        fine = fine & (torch.isfinite(output.variance) & (output.variance > 0)).all(-1)
    if query.mask is not None:
        fine = fine | ~query.mask
    return fine.all()


def error_of_mean(task: Task) -> Float[Tensor, ""]:
    """Mean squared error of answering every query with the mean of the support targets."""
    support, query = task.support, task.query
    target = support.y.transpose(0, 1)
    mean = masked_mean(target, None if support.mask is None else support.mask.unsqueeze(0))
    return masked_mean((query.y - mean).square().mean(-1), query.mask)


def covered(output: Gaussian, query: Examples) -> Float[Tensor, ""]:
    """Share of targets inside the central 90 % intervals of their answers, 0..1."""
    inside = (query.y - output.mean).abs() <= NINETY * output.variance.sqrt()
    return masked_mean(inside.to(output.mean.dtype).mean(-1), query.mask)


def calibration_bins(output: Float[Tensor, "q ways"], query: Examples) -> Float[Tensor, "3 bins"]:
    """How often the top label had a confidence of each bin, the sum of these confidences, and how many were right."""
    confidence, label = output.softmax(-1).max(-1)
    place = F.one_hot((confidence * BINS).long().clamp(0, BINS - 1), BINS).to(output.dtype)
    if query.mask is not None:
        place = place * query.mask.to(output.dtype).unsqueeze(-1)
    right = (label == query.y).to(output.dtype)
    return torch.stack([torch.ones_like(right), confidence, right]) @ place


def calibration_error(bins: Float[Tensor, "3 bins"]) -> float:
    """Expected calibration error of the top label over 15 equal bins (Guo et al. 2017, arXiv:1706.04599), 0..1.

    >>> query = Examples(torch.zeros(4, 1), torch.tensor([0, 0, 0, 1]), ways=2)
    >>> round(calibration_error(calibration_bins(torch.tensor([[20.0, 0.0]]).expand(4, 2), query)), 6)
    0.25
    """
    count, confidence, right = bins.double()
    return float((confidence - right).abs().sum() / count.sum().clamp(min=1))
