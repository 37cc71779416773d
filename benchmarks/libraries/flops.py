"""The least that a work load costs: the arithmetic of its matrix products, and how fast this machine does such."""

from __future__ import annotations

import time
from itertools import pairwise

import torch

from .work import MLP, WIDTH, Work


def layers(work: Work) -> list[int]:
    """Floating-point operations of each layer's product for one example, forward."""
    if work.net == "mlp":
        return [2 * wide * out for wide, out in pairwise(MLP)]
    made, size = [], 28
    for channels in (1, WIDTH, WIDTH, WIDTH):
        out = size if work.net == "pool" else (size + 1) // 2
        made.append(2 * out * out * WIDTH * channels * 9)
        size = size // 2 if work.net == "pool" else out
    return made if work.net == "pool" else [*made, 2 * WIDTH * work.ways]


def flops(work: Work) -> int:
    """Floating-point operations of one outer step (of one call, for evaluation); 0 where there is no net.

    Biases, batch norm, ReLU and distances count for nothing. A gradient takes two products a layer, by the weights and
    by the inputs, but one in the first layer, whose inputs need none. An inner step that is differentiated through is
    three bilinear products a layer (forward and those two), each of which costs two more to differentiate; in the first
    layer it is two, and one more for each.
    """
    if not work.net:
        return 0
    first, *rest = layers(work)
    forward, back = first + sum(rest), first + 2 * sum(rest)
    step = forward + back
    second = 2 * first + 6 * sum(rest)
    if work.kind == "judge":
        return work.tasks * (work.support + work.asked) * forward
    if work.kind in ("prototypical", "anil"):  # the steps of a linear head on features cost next to nothing
        return work.tasks * (work.support + work.asked) * step
    if work.kind == "reptile":
        return work.tasks * work.support * work.steps * step
    inner = step if work.kind == "fomaml" else step + second
    return work.tasks * (work.support * work.steps * inner + work.asked * step)


def product_rate(*, size: int = 1024, seconds: float = 1.0) -> float:
    """Floating-point operations a second in matrix products: the fastest of many, each too short to be disturbed."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    a @ b
    best, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best
