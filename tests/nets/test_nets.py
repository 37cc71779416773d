"""The networks: shapes, batches of any size, and gradients that reach every weight."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
import torch
from torch import nn

from quickstudy.nets.adapter import Adapter
from quickstudy.nets.conv1d import Conv1d
from quickstudy.nets.conv4 import Conv4
from quickstudy.nets.mlp import MLP
from quickstudy.nets.resnet12 import ResNet12
from quickstudy.rng import Rng, forked

THIN = (4, 6, 8, 10)

# name -> how it is made, the shape of an input, the length of an answer
NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "mlp": (lambda: MLP(12, 3), (12,), 3),
    "mlp on images, no hidden layer": (lambda: MLP(12, 3, hidden=()), (3, 2, 2), 3),
    "adapter": (lambda: Adapter(6, hidden=4), (6,), 6),
    "conv1d": (lambda: Conv1d(3, width=8), (3, 20), 8),
    "conv1d, short series, head": (lambda: Conv1d(2, width=4, blocks=4, outputs=5), (2, 3), 5),
    "conv4": (lambda: Conv4(width=8), (1, 28, 28), 8),
    "conv4, colour, 84 pixels": (lambda: Conv4(3, size=84, width=4), (3, 84, 84), 4 * 5 * 5),
    "conv4, strided, head": (lambda: Conv4(width=8, downsample="stride", outputs=5), (1, 28, 28), 5),
    "conv4, head": (lambda: Conv4(2, size=40, width=8, outputs=7), (2, 40, 40), 7),
    "resnet12": (lambda: ResNet12(widths=THIN), (3, 84, 84), 10),
    "resnet12, small images": (lambda: ResNet12(1, widths=THIN), (1, 28, 28), 10),
    "resnet12, as small as may be": (lambda: ResNet12(1, widths=THIN), (1, 16, 17), 10),
    "resnet12, head": (lambda: ResNet12(1, widths=THIN, outputs=4), (1, 28, 28), 4),
}


def built(name: str) -> tuple[nn.Module, torch.Tensor, int]:
    make, shape, length = NETS[name]
    with forked(Rng(0)):
        net = make()
    return net, torch.randn(6, *shape, generator=Rng(1).generator()), length


@pytest.mark.parametrize("name", NETS)
def test_an_answer_has_its_length_and_does_not_depend_on_the_batch(name: str) -> None:
    net, x, length = built(name)
    net.eval()
    with torch.no_grad():
        whole = net(x)
        assert whole.shape == (6, length)
        for n in (1, 2, 5):
            torch.testing.assert_close(net(x[:n]), whole[:n], atol=1e-5, rtol=1e-4)
        assert net(x[:0]).shape == (0, length)


@pytest.mark.parametrize("name", NETS)
def test_features_are_the_length_of_an_embedding(name: str) -> None:
    net, x, length = built(name)
    if getattr(net, "head", None) is not None and isinstance(net.head, nn.Linear):
        assert net.head.in_features == net.features
        assert net.head.out_features == length
    else:
        assert net(x).shape[1] == net.features


@pytest.mark.parametrize("name", NETS)
def test_the_gradient_reaches_every_weight(name: str) -> None:
    net, x, _ = built(name)
    net(x).square().sum().backward()
    for key, weight in net.named_parameters():
        assert weight.grad is not None, key
        assert torch.isfinite(weight.grad).all(), key
        if "convs" not in key or not key.endswith("bias"):  # batch norm takes away what the bias of a convolution adds
            assert weight.grad.abs().max() > 0, key


@pytest.mark.parametrize("name", NETS)
def test_arguments_are_attributes_of_the_same_name(name: str) -> None:
    net = built(name)[0]
    for argument in inspect.signature(type(net).__init__).parameters:
        assert argument == "self" or hasattr(net, argument), argument


@pytest.mark.parametrize("name", NETS)
def test_a_key_gives_the_same_net_and_leaves_the_global_generator(name: str) -> None:
    before = torch.random.get_rng_state()
    first, second = built(name)[0], built(name)[0]
    assert torch.equal(before, torch.random.get_rng_state())
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def weights(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_the_published_sizes() -> None:
    assert weights(MLP(1, 1)) == 1761  # MAML's sinusoids
    assert weights(Conv4()) == 111_936  # 112 thousand, as prototypical networks have it
    with torch.device("meta"):
        assert weights(ResNet12()) == 12_424_320  # 12.4 million
        assert ResNet12().features == 640
