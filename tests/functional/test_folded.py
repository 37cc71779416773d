"""Folded operations: the numbers of torch's own, exact to second order, whether tasks are vectorised or not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from quickstudy.functional.folded.calls import folding
from quickstudy.functional.folded.convolution import Convolution, Geometry
from quickstudy.functional.folded.normalisation import BatchNorm
from quickstudy.functional.folded.pooling import MaxPool, Window

TASKS = 3


def numbers(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def second_order(layer: Callable[[Tensor, Tensor], Tensor], weight: Tensor, x: Tensor) -> Tensor:
    """The gradient of a loss after a gradient step on it: what meta-learning asks of a layer."""

    def loss(w: Tensor) -> Tensor:
        return layer(w, x).sin().mean()

    moved = weight - 0.5 * torch.func.grad(loss)(weight)
    return torch.func.grad(lambda w: loss(w - 0.5 * torch.func.grad(loss)(w)))(moved)


CASES = {
    "strided": (lambda w, x: F.conv2d(x, w, stride=2, padding=1), (4, 3, 3, 3), (2, 3, 6, 6)),
    "dilated in two groups": (lambda w, x: F.conv2d(x, w, dilation=2, groups=2), (4, 2, 2, 2), (2, 4, 6, 6)),
    "one dimension": (lambda w, x: F.conv1d(x, w, padding=1), (4, 3, 3), (2, 3, 7)),
    "three dimensions": (lambda w, x: F.conv3d(x, w), (2, 3, 2, 2, 2), (2, 3, 4, 4, 4)),
    "same padding, which is left to torch": (lambda w, x: F.conv2d(x, w, padding="same"), (4, 3, 3, 3), (2, 3, 5, 5)),
    "pooled": (lambda w, x: F.max_pool2d(F.conv2d(x, w, w.sum((1, 2, 3))), 2), (4, 3, 3, 3), (2, 3, 8, 8)),
    "windows that overlap": (
        lambda w, x: F.max_pool2d(x * w, 3, stride=2, padding=1),
        (3, 1, 1),
        (2, 3, 7, 7),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_layer_vectorised_over_tasks_equals_a_loop_to_second_order(case: str) -> None:
    layer, of_weight, of_x = CASES[case]
    weights, x = numbers(TASKS, *of_weight, seed=1), numbers(TASKS, *of_x)
    looped = torch.stack([second_order(layer, w, one) for w, one in zip(weights, x, strict=True)])
    with folding():
        found = torch.func.vmap(lambda w, one: second_order(layer, w, one))(weights, x)
        shared = torch.func.vmap(lambda one: second_order(layer, weights[0], one))(x)
    assert (found - looped).abs().max() < 1e-12 * looped.abs().max()
    assert (shared[0] - looped[0]).abs().max() < 1e-12 * looped[0].abs().max()


def test_batch_norm_vectorised_over_tasks_equals_torch_in_a_loop_to_second_order() -> None:
    x, weights = numbers(TASKS, 4, 3, 5, 5), numbers(TASKS, 2, 3, seed=1)
    looped = torch.stack(
        [
            second_order(lambda w, z: F.batch_norm(z, None, None, w[0], w[1], True), w, one)
            for w, one in zip(weights, x, strict=True)
        ]
    )
    found = torch.func.vmap(lambda w, one: second_order(lambda v, z: BatchNorm.apply(z, v[0], v[1], 1e-5)[0], w, one))(
        weights, x
    )
    assert (found - looped).abs().max() < 1e-12 * looped.abs().max()


def test_derivatives_agree_with_finite_differences_outside_vmap_too() -> None:
    x, weight = numbers(2, 2, 4, 4).requires_grad_(), numbers(3, 2, 2, 2, seed=1).requires_grad_()
    how = Geometry((2, 2), (1, 1), (1, 1), 1)
    assert gradcheck(lambda a, b: Convolution.apply(a, b, how), (x, weight))
    assert gradgradcheck(lambda a, b: Convolution.apply(a, b, how), (x, weight))
    scale, shift = numbers(2, seed=2).requires_grad_(), numbers(2, seed=3).requires_grad_()
    assert gradgradcheck(lambda *inputs: BatchNorm.apply(*inputs, 1e-5)[0], (x, scale, shift))
    window = Window((2, 2), (2, 2), (0, 0), (1, 1), False)
    assert gradgradcheck(lambda a: MaxPool.apply(a, window)[0].square(), (x,))


def test_what_is_asked_for_is_not_folded_where_the_folded_way_lacks_it() -> None:
    x = numbers(1, 2, 4, 4)
    with folding():
        pooled, where = F.max_pool2d(x, 2, return_indices=True)
    assert torch.equal(x.flatten(2).gather(2, where.flatten(2)), pooled.flatten(2))
